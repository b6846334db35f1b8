"""``hexsolve plan --simulate``: what the plan promises beside what its cluster then does."""

from dataclasses import asdict
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hexsolve.cli.progress import counting
from hexsolve.cli.run_length import planned_length
from hexsolve.cli.screen import new_console, print_table, seconds, seconds_range
from hexsolve.instances.generators.arrivals import compose_arrivals, gamma, gap_variation
from hexsolve.instances.generators.from_classes import draw_workflows
from hexsolve.models import slo
from hexsolve.models.observed import ObservedRun
from hexsolve.models.plan import Plan
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.promised import (
    CallPhases,
    promised_calls,
    promised_groups,
)
from hexsolve.models.simulation.deploy import deploy
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.workload import WorkflowClass
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import PolicyOptions, make_policy

PHASES = ("wait", "ttft", "transfer", "tpot", "step", "latency")


def simulate_plan(
    problem: PlanningProblem, plan: Plan, workflows: int | None, seed: int, policy: str
) -> dict[str, Any]:
    """Run the plan's cluster at the plan's load and return promise and result side by side.

    Parameters
    ----------
    problem : PlanningProblem
    plan : Plan
        Of `problem`.
    workflows : int or None
        How many; None = enough for 20 of the longest promised latencies, at least 200, and at
        most 20,000 calls or so.
    seed : int
        Of workflows, arrivals and a policy that draws.
    policy : str

    Notes
    -----
    Workflows are drawn from the instance's planning classes and arrive as the plan assumes: gaps
    gamma with CV = √(2β − 1) for burstiness β, which is Poisson for 1. Output lengths are known
    to the scheduler.
    """
    classes = problem.workload.classes
    rate = plan.load * sum(each.rate_per_s for each in classes)
    count = workflows or planned_length(problem, plan, rate)
    draws, resamples = np.random.default_rng(seed).spawn(2)
    cv = gap_variation(problem.workload.burstiness)
    drawn = compose_arrivals(draw_workflows(classes, count, draws), gamma(rate, cv), draws)
    cluster = deploy(problem, plan)
    total = sum(len(workflow.calls) for workflow in drawn)
    with counting("simulating the plan", total, "calls") as progress:
        chosen = make_policy(policy, PolicyOptions(plan, seed))
        run = Simulation(cluster, drawn, chosen, OraclePredictor(), progress=progress)
        record = run.run()
    observed = ObservedRun(record, run.workflows)
    alone = np.array(standalone_horizons(cluster, run.workflows))
    slowdowns = observed.flow_s / alone
    part: dict[str, Any] = {
        "policy": policy,
        "seed": seed,
        "load": plan.load,
        "workflows": count,
        "calls": record.done,
        "counted_workflows": int(observed.counted.sum()),
        "preemptions": int(sum(record.counts["preemptions"])),
        "slowdown": float(slowdowns[observed.counted].mean()),
    }
    for percent in (95, 99):
        interval = slo.required_scale_interval(slowdowns[observed.counted], percent, resamples)
        part[f"req{percent}"] = interval.value
        part[f"req{percent}_ci95"] = [interval.low, interval.high]
    part["classes"] = _classes(problem, plan, observed, slowdowns)
    part["groups"] = [
        {"id": group.id, "promised": asdict(promised), "simulated": asdict(simulated)}
        for group, promised, simulated in zip(
            plan.groups, promised_groups(problem, plan), observed.groups(plan), strict=True
        )
    ]
    return part


def _classes(
    problem: PlanningProblem, plan: Plan, observed: ObservedRun, slowdowns: Any
) -> list[dict[str, Any]]:
    promises = promised_calls(problem, plan)
    rows = []
    for workflow in problem.workload.classes:
        mine = observed.workflows(workflow.name)
        latency, horizon = observed.latency(workflow.name), plan.horizon_s[workflow.name]
        phases = observed.calls(workflow.name)
        rows.append(
            {
                "name": workflow.name,
                "workflows": int(mine.sum()),
                "horizon_s": horizon,
                "promised": {
                    "latency_s": plan.latency_s[workflow.name],
                    "slo_scale": plan.latency_s[workflow.name] / horizon,
                    "calls": asdict(promised_mean(workflow, promises)),
                },
                "simulated": {
                    "latency_s": latency.mean,
                    "latency_s_ci95": [latency.low, latency.high],
                    "slo_scale": latency.mean / horizon,
                    "slowdown": float(slowdowns[mine].mean()) if mine.any() else None,
                    "calls": None if phases is None else asdict(phases),
                },
            }
        )
    return rows


def promised_mean(
    workflow: WorkflowClass, promises: dict[tuple[str, str], CallPhases]
) -> CallPhases:
    """Return the promise for an average call of a workflow class."""
    calls = [(call, promises[workflow.name, call.name]) for call in workflow.calls]

    def mean(name: str) -> float:
        # Only calls that decode have a time per output token and need a transfer.
        every = name in ("wait", "ttft", "latency")
        shares = [
            (call.calls_per_workflow if every or call.output_tokens > 1.0 else 0.0, each)
            for call, each in calls
        ]
        total = sum(weight for weight, _ in shares)
        if not total:
            return 0.0
        return sum(weight * float(getattr(each, name)) for weight, each in shares) / total

    return CallPhases(**{name: mean(name) for name in PHASES})


def show_simulated(plan: Plan, part: dict[str, Any], console: Console | None = None) -> None:
    """Print promise and simulation for people."""
    console = console or new_console()
    print_table(console, _workflow_table(part))
    print_table(console, _phase_table(part))
    print_table(console, _group_table(plan, part))
    scales = "; ".join(
        f"Req{percent} {part[f'req{percent}']:.2f} "
        f"({part[f'req{percent}_ci95'][0]:.2f}–{part[f'req{percent}_ci95'][1]:.2f})"
        for percent in (95, 99)
    )
    console.print(
        Text.assemble(
            (f"{'Simulated':<16}", "bold"),
            f"{part['workflows']} workflows, {part['calls']} calls at load {part['load']:.4g} "
            f"under {part['policy']}, seed {part['seed']}; {part['counted_workflows']} in "
            f"the middle of the run count; {part['preemptions']} preemptions",
        ),
        soft_wrap=True,
    )
    console.print(
        Text.assemble(
            (f"{'Tail':<16}", "bold"),
            f"{scales}; the plan promises means only (each workflow over its own time alone on "
            f"the planned cluster; mean {part['slowdown']:.2f})",
        ),
        soft_wrap=True,
    )


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(title=title, box=box.SIMPLE)
    table.title_justify = "left"
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _workflow_table(part: dict[str, Any]) -> Table:
    table = _table(
        "Mean latency of workflows, promised and simulated",
        ("Class",),
        (
            "Promised",
            "Simulated",
            "95 % CI",
            "Ratio",
            "Scale",
            "Slowdown",
        ),
    )
    for row in part["classes"]:
        promised, simulated = row["promised"], row["simulated"]
        if not row["workflows"]:
            table.add_row(Text(row["name"]), seconds(promised["latency_s"]), "none drawn")
            continue
        low, high = simulated["latency_s_ci95"]
        table.add_row(
            Text(row["name"]),
            seconds(promised["latency_s"]),
            seconds(simulated["latency_s"]),
            seconds_range(low, high),
            f"{promised['latency_s'] / simulated['latency_s']:.2f}",
            f"{promised['slo_scale']:.2f} → {simulated['slo_scale']:.2f}",
            f"{simulated['slowdown']:.2f}",
        )
    table.caption = (
        "ratio: promised / simulated; scale: over the best time alone on the whole inventory, as "
        "planned; slowdown: over the simulated time alone on the planned instances"
    )
    table.caption_justify = "left"
    return table


def _phase_table(part: dict[str, Any]) -> Table:
    names = ("Wait", "TTFT", "Transfer", "Per token")
    table = _table("Calls, promised → simulated (ms)", ("Class",), names)
    for row in part["classes"]:
        before, after = row["promised"]["calls"], row["simulated"]["calls"]
        if after is not None:
            keys = ("wait", "ttft", "transfer", "tpot")
            cells = [f"{before[key] * 1e3:.3g} → {after[key] * 1e3:.3g}" for key in keys]
            table.add_row(Text(row["name"]), *cells)
    table.caption = "means; per token: from the first token to the end, transfer included"
    table.caption_justify = "left"
    return table


def _group_table(plan: Plan, part: dict[str, Any]) -> Table:
    table = _table(
        "Instances, promised → simulated",
        ("Role", "GPU"),
        ("Instances", "Busy", "Decoding at once", "KV at work"),
    )
    for group, row in zip(plan.groups, part["groups"], strict=True):
        before, after = row["promised"], row["simulated"]
        table.add_row(
            group.role,
            Text(f"{group.gpu} tp{group.tp} pp{group.pp}"),
            str(group.count),
            _change(before["busy"], after["busy"], ".0%"),
            _change(before["batch"], after["batch"], ".1f"),
            _change(before["kv"], after["kv"], ".1%"),
        )
    table.caption = "KV at work: held by calls in progress, prefixes kept for later calls apart"
    table.caption_justify = "left"
    return table


def _change(before: float | None, after: float | None, style: str) -> str:
    if after is None:
        return "–"
    return f"{'–' if before is None else format(before, style)} → {after:{style}}"
