"""What plans promise against what their clusters do in simulation, over load levels.

    python results/plan_vs_simulation/run.py [--only SHAPE] [--seeds N] [--chained -o FILE]

Writes runs.csv, a row per run. tables.py makes the tables of the README from it. With --chained
siblings follow one another instead of starting together, everything else being equal: what then
becomes of a difference was not due to them.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hexsolve.cli.plan_simulated import PHASES, promised_mean
from hexsolve.instances.capacity import default_rate
from hexsolve.instances.generators import SHAPES
from hexsolve.instances.generators.arrivals import compose_arrivals, poisson
from hexsolve.instances.generators.from_classes import draw_workflows
from hexsolve.instances.resolve import resolve
from hexsolve.instances.schema import Instance
from hexsolve.instances.write import instance_data
from hexsolve.models import slo
from hexsolve.models.observed import ObservedRun
from hexsolve.models.plan import Plan
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.promised import promised_calls, promised_groups, promised_workflows
from hexsolve.models.simulation.deploy import deploy
from hexsolve.models.simulation.engine import Simulation
from hexsolve.solver.backends import Budget
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import PolicyOptions, make_policy
from hexsolve.solver.placement.extract import extract_plan
from hexsolve.solver.placement.grid import numbered
from hexsolve.solver.placement.rules import GroupRules
from hexsolve.solver.placement.search import search
from hexsolve.solver.placement.settle import settled
from hexsolve.solver.placement.solve import make_task
from hexsolve.solver.placement.traffic import Traffic

HERE = Path(__file__).resolve().parent
LLM = "llama-3.1-70b"
SLO_SCALE = 3.0
SHAPE_NAMES = ("chat", "tool-calling", "text-to-sql", "deep-research")
KINDS = ("single", "cycle", "mixed")
LEAST_CALLS, LATENCIES = 4000, 5.0


@dataclass(frozen=True)
class Setting:
    """One way to run a plan."""

    load: float
    policy: str
    workload: str


SETTINGS = {
    "small": [Setting(load, "planned", "classes") for load in (0.5, 0.75, 0.9, 1.0)]
    + [
        Setting(1.0, "least-work", "classes"),
        Setting(1.0, "workflow-fcfs", "classes"),
        Setting(1.0, "least-work", "shape"),
    ],
    "hetero-1": [Setting(load, "planned", "classes") for load in (0.75, 1.0)]
    + [Setting(1.0, "least-work", "classes")],
}


CHAINED = {"small": [Setting(load, "planned", "classes") for load in (0.75, 1.0)]}


def chained(problem: PlanningProblem) -> PlanningProblem:
    """Return the problem with the same calls, each sibling a repetition."""
    classes = []
    for workflow in problem.workload.classes:
        calls = [
            call.model_copy(update={"repeat": call.repeat * call.parallel, "parallel": 1.0})
            for call in workflow.calls
        ]
        classes.append(workflow.model_copy(update={"calls": tuple(calls)}))
    workload = problem.workload.model_copy(update={"classes": tuple(classes)})
    return problem.model_copy(update={"workload": workload})


def problem_of(shape: str, cluster: str) -> PlanningProblem:
    """Return the instance that `hexsolve instance generate SHAPE --cluster CLUSTER` gives."""
    made = SHAPES[shape]
    unit = Instance.model_validate(instance_data(shape, LLM, cluster, None, made.workload(1.0)))
    workload = made.workload(default_rate(resolve(unit, shape)))
    data = instance_data(shape, LLM, cluster, SLO_SCALE, workload)
    return resolve(Instance.model_validate(data), shape)


def plan_with(problem: PlanningProblem, kind: str) -> Plan | None:
    """Return the cheapest plan whose prefill has one kind of operating point; None = none."""
    task = make_task(problem, "cost")
    wanted = (kind,) if kind == "mixed" else (kind, "decode")
    kept = [each for each in task.candidates if each.point.kind in wanted]
    if not kept:
        return None
    found = search(replace(task, candidates=numbered(kept)), Budget(time_s=20.0, gap=0.02))
    return None if found.run.objective is None else extract_plan(found.formulation)


def at_load(problem: PlanningProblem, plan: Plan, share: float) -> Plan:
    """Return the promise of the same instances at a share of the plan's load."""
    traffic = Traffic.of(problem)
    rules = GroupRules(problem, traffic)
    engines = {(engine.gpu, engine.tp, engine.pp): engine for engine in problem.engines}
    names = [(workflow.name, call.name) for workflow, call in traffic.calls]
    groups = []
    for group in plan.groups:
        engine = engines[group.gpu, group.tp, group.pp]
        candidate = rules.at(engine, group.role, group.operating_point)
        assert candidate is not None
        rates = np.zeros(len(traffic))
        for flow in group.flows:
            rates[names.index((flow.workflow, flow.call))] = share * flow.calls_per_s
        point = settled(rules, candidate, group.count, rates, share * plan.load).point
        flows = tuple(
            flow.model_copy(update={"calls_per_s": share * flow.calls_per_s})
            for flow in group.flows
        )
        groups.append(group.model_copy(update={"operating_point": point, "flows": flows}))
    scaled = plan.model_copy(update={"groups": tuple(groups), "load": share * plan.load})
    return scaled.model_copy(update={"latency_s": promised_workflows(problem, scaled)})


def simulate(
    problem: PlanningProblem, plan: Plan, setting: Setting, seed: int
) -> dict[str, float | int]:
    """Return promise and measurement of one run; the instance has one workflow class."""
    (workflow,) = problem.workload.classes
    rate = workflow.rate_per_s * plan.load
    per_workflow = sum(call.calls_per_workflow for call in workflow.calls)
    calls = max(LEAST_CALLS, rate * per_workflow * LATENCIES * plan.latency_s[workflow.name])
    count = round(calls / per_workflow)
    rng = np.random.default_rng(seed)
    if setting.workload == "classes":
        drawn = draw_workflows(problem.workload.classes, count, rng)
    else:
        drawn = [
            replace(each, workflow_class=workflow.name)
            for each in SHAPES[problem.name].generate(count, rng)
        ]
    drawn = compose_arrivals(drawn, poisson(rate), rng)
    policy = make_policy(setting.policy, PolicyOptions(plan, seed))
    run = Simulation(deploy(problem, plan), drawn, policy, OraclePredictor())
    record = run.run()
    seen = ObservedRun(record, run.workflows)
    promised = promised_mean(workflow, promised_calls(problem, plan))
    measured = seen.calls(workflow.name)
    assert measured is not None
    horizon = plan.horizon_s[workflow.name]
    slowdowns = seen.flow_s[seen.counted] / horizon
    row: dict[str, float | int] = {
        "workflows": count,
        "calls": record.done,
        "preemptions": int(sum(record.counts["preemptions"])),
        "horizon_s": horizon,
        "latency_promised_s": plan.latency_s[workflow.name],
        "latency_simulated_s": seen.latency(workflow.name).mean,
        "req95_simulated": slo.required_scale(slowdowns, 95),
        "req99_simulated": slo.required_scale(slowdowns, 99),
    }
    for phase in PHASES:
        row[f"call_{phase}_promised_s"] = getattr(promised, phase)
        row[f"call_{phase}_simulated_s"] = getattr(measured, phase)
    uses = list(zip(plan.groups, promised_groups(problem, plan), seen.groups(plan), strict=True))
    for role, name in (
        ("prefill", "busy"),
        ("prefill", "kv"),
        ("decode", "batch"),
        ("decode", "kv"),
    ):
        for side, which in (("promised", 1), ("simulated", 2)):
            chosen = [use for use in uses if use[0].role in (role, "mixed")]
            total = sum(use[0].count for use in chosen)
            mean = sum(use[0].count * (getattr(use[which], name) or 0.0) for use in chosen)
            row[f"{role}_{name}_{side}"] = mean / total
    return row


def rows(shapes: list[str], seeds: int, chain: bool) -> Iterator[dict[str, object]]:
    for cluster, settings in (CHAINED if chain else SETTINGS).items():
        for shape in shapes:
            problem = problem_of(shape, cluster)
            if chain:
                problem = chained(problem)
            for kind in KINDS:
                plan = plan_with(problem, kind)
                if plan is None:
                    print(f"{shape} on {cluster}: no {kind} plan at SLO scale {SLO_SCALE:g}")
                    continue
                gpus = sum(group.gpus for group in plan.groups)
                print(f"{shape} on {cluster}, {kind}: {gpus} GPUs, scale {plan.slo_scale:.2f}")
                for setting in settings:
                    lighter = at_load(problem, plan, setting.load)
                    for seed in range(seeds):
                        yield {
                            "shape": shape,
                            "cluster": cluster,
                            "kind": kind,
                            "gpus": gpus,
                            "load": setting.load,
                            "policy": setting.policy,
                            "workload": setting.workload,
                            "seed": seed,
                            **simulate(problem, lighter, setting, seed),
                        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=SHAPE_NAMES, action="append")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--chained", action="store_true")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "runs.csv")
    given = parser.parse_args()
    writer: csv.DictWriter[str] | None = None
    with given.output.open("w", encoding="utf-8", newline="") as stream:
        for row in rows(given.only or list(SHAPE_NAMES), given.seeds, given.chained):
            if writer is None:
                writer = csv.DictWriter(stream, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
            stream.flush()


if __name__ == "__main__":
    main()
