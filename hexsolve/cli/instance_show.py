"""An instance with every name resolved, for people."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hexsolve.cli.instance_list import add, table
from hexsolve.cli.screen import new_console, print_table
from hexsolve.models.context import beyond_context
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.standalone import buildable, horizon_seconds
from hexsolve.models.workload import WorkflowClass

FEW_CLASSES = 40
"""Call classes up to which each has a line."""


def show_problem(problem: PlanningProblem, console: Console | None = None) -> None:
    """Print cluster, LLM, engines, workload and totals."""
    console = console or new_console()
    print_table(console, _cluster(problem))
    print_table(console, _engines(problem))
    print_table(console, _workflows(problem))
    calls = sum(len(workflow.calls) for workflow in problem.workload.classes)
    if calls <= FEW_CLASSES:
        print_table(console, _calls(problem))
    for name, text in _facts(problem):
        console.print(Text.assemble((f"{name:<12}", "bold"), text), soft_wrap=True)


def _cluster(problem: PlanningProblem) -> Table:
    cluster = problem.cluster
    made = table(
        f"{problem.name}: {problem.llm.name} on cluster {cluster.name}, {cluster.gpus:,} GPUs",
        ("GPU",),
        ("nodes", "GPUs per node", "GPUs", "US$/h each", "US$/h all"),
    )
    for pool in cluster.pools:
        price = problem.price_per_hour(pool.gpu)
        counts = (f"{pool.nodes:,}", str(pool.gpus_per_node), f"{pool.gpus:,}")
        add(made, pool.gpu, *counts, f"{price:,.2f}", f"{pool.gpus * price:,.2f}")
    return made


def _engines(problem: PlanningProblem) -> Table:
    made = table(
        "Engines on which it fits",
        ("GPU",),
        ("tp", "pp", "KV tokens", "prefill 2k", "step, batch 32", "figures"),
    )
    for engine in buildable(problem):
        add(
            made,
            engine.gpu,
            str(engine.tp),
            str(engine.pp),
            f"{engine.kv_capacity_tokens:,}",
            _seconds(engine.prefill.call_seconds(2048, 0)),
            _seconds(engine.decode.step_seconds(32, 32 * 2048)),
            engine.origin,
        )
    made.caption = "prefill of 2,048 tokens; decode step of 32 sequences of 2,048 tokens"
    return made


def _workflows(problem: PlanningProblem) -> Table:
    made = table(
        "Workflow classes", ("Class",), ("per s", "calls", "alone", "TTFT limit", "per-token limit")
    )
    for workflow in problem.workload.classes:
        add(
            made,
            workflow.name,
            f"{workflow.rate_per_s * problem.load:.3g}",
            f"{_calls_of(workflow):.3g}",
            _seconds(horizon_seconds(problem, workflow)),
            _limit(workflow.ttft_limit_s),
            _limit(workflow.tpot_limit_s),
        )
    made.caption = "alone: mean duration with the cluster to itself, tools included"
    return made


def _calls(problem: PlanningProblem) -> Table:
    made = table(
        "Call classes",
        ("Class", "Call"),
        ("per workflow", "new tokens", "cached", "output", "tool"),
    )
    for workflow in problem.workload.classes:
        for call in workflow.calls:
            add(
                made,
                workflow.name,
                call.name,
                f"{call.calls_per_workflow:.3g}",
                f"{call.new_tokens:,.0f}",
                f"{call.cached_tokens:,.0f}",
                f"{call.output_tokens:,.0f}",
                _seconds(call.tool_seconds) if call.tool_seconds else "",
            )
    return made


def _facts(problem: PlanningProblem) -> list[tuple[str, str]]:
    totals = {"calls": 0.0, "new": 0.0, "cached": 0.0, "output": 0.0}
    for workflow in problem.workload.classes:
        for call in workflow.calls:
            rate = problem.load * workflow.rate_per_s * call.calls_per_workflow
            totals["calls"] += rate
            totals["new"] += rate * call.new_tokens
            totals["cached"] += rate * call.cached_tokens
            totals["output"] += rate * call.output_tokens
    facts = [
        (
            "Total per s",
            f"{totals['calls']:,.4g} calls; tokens: {totals['new']:,.0f} new, "
            f"{totals['cached']:,.0f} cached, {totals['output']:,.0f} output",
        ),
        ("SLO scale", "no limit" if problem.slo_scale is None else f"{problem.slo_scale:g}"),
        ("Burstiness", f"{problem.workload.burstiness:.3g}"),
    ]
    if problem.budget_per_hour is not None:
        facts.append(("Budget", f"{problem.budget_per_hour:,.2f} US$/h"))
    if problem.workload.approximation:
        facts.append(("Classes", problem.workload.approximation))
    facts += [("Warning", text) for text in beyond_context(problem)]
    return facts


def _calls_of(workflow: WorkflowClass) -> float:
    return sum(call.calls_per_workflow for call in workflow.calls)


def _limit(value: float | None) -> str:
    return "" if value is None else _seconds(value)


def _seconds(value: float) -> str:
    return f"{value * 1000:.3g} ms" if value < 1.0 else f"{value:,.4g} s"
