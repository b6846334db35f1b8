"""The summary of a simulation for a person."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hexsolve.models.plan import Plan
from hexsolve.native import state

MOST_CLASSES = 20


def show_summary(
    summary: dict[str, Any],
    plan: Plan | None,
    notes: Sequence[str],
    epoch_times: Mapping[str, Mapping[str, float]],
) -> None:
    """Print what a run gave, with the plan's promise (if any) beside it, and how a planner did."""
    console = Console()
    calls_per_s = summary["calls"] / max(summary["wall_s"], 1e-9)
    console.print(
        f"{summary['workflows']} workflows, {summary['calls']} calls under "
        f"[bold]{summary['policy']}[/bold] (predictor {summary['predictor']}, seed "
        f"{summary['seed']}): {summary['makespan_s']:.1f} s simulated in "
        f"{summary['wall_s']:.2f} s, {calls_per_s:,.0f} calls/s "
        f"(simulator: {state()})"
    )
    for note in notes:
        console.print(f"  {note}", style="dim")
    if "req95" in summary:
        console.print(_slo_table(summary, plan))
    if len(summary["classes"]) > 1:
        console.print(_class_table(summary["classes"]))
    console.print(_latency_table(summary))
    console.print(_instance_table(summary))
    console.print(
        f"cache hits {summary['cache_hit_rate']:.1%} of prompt tokens, "
        f"{summary['preemptions']} preemptions, "
        f"{summary['cost_per_1000_workflows']:,.2f} US$ per 1,000 workflows"
    )
    if "planner" in summary:
        console.print(_epochs(summary["planner"], epoch_times))


def _epochs(planner: Mapping[str, Any], times: Mapping[str, Mapping[str, float]]) -> str:
    """Say how the solver ended, whose plans were applied, and what the epochs took."""
    applied = ", ".join(f"{count} {name}" for name, count in planner["applied"].items())
    text = (
        f"{planner['epochs']} epochs: CP-SAT optimal in {planner['share_optimal']:.0%}, "
        f"feasible in {planner['share_feasible']:.0%}, fallback in "
        f"{planner['share_fallback']:.0%}; plans "
        f"applied: {applied or 'none'}"
    )
    if times.get("epoch_s"):
        spread = times["epoch_s"]
        text += "; epochs took " + ", ".join(
            f"{name} {spread[name] * 1e3:.0f} ms" for name in ("p50", "p95", "p99", "max")
        )
    return text


def _slo_table(summary: dict[str, Any], plan: Plan | None) -> Table:
    table = Table(title="SLO scale: flow time in multiples of the standalone horizon")
    promise = {} if plan is None else {"plan promises (mean)": f"{plan.slo_scale:.2f}"}
    for name in ("mean", "Req95 (95 % CI)", "Req99 (95 % CI)", *promise):
        table.add_column(name, justify="right")

    def with_interval(key: str) -> str:
        low, high = summary[f"{key}_ci95"]
        return f"{summary[key]:.2f} ({low:.2f}…{high:.2f})"

    table.add_row(
        f"{summary['slowdown']['mean']:.2f}",
        with_interval("req95"),
        with_interval("req99"),
        *promise.values(),
    )
    table.caption = "attained: " + ", ".join(
        f"{share:.0%} at {scale}×" for scale, share in summary["attainment"].items()
    )
    return table


def _class_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a line per workflow class, the commonest first, without the rarest of very many."""
    table = Table(title="Workflow classes")
    table.add_column("class", no_wrap=True)
    for name in ("workflows", "mean", "p95", "slowdown", "p95"):
        table.add_column(name, justify="right", no_wrap=True)
    shown = sorted(rows, key=lambda row: -row["workflows"])[:MOST_CLASSES]
    for row in shown:
        flow, slow = row["flow_time_s"], row.get("slowdown")
        table.add_row(
            Text(row["name"]),
            f"{row['workflows']:,}",
            f"{flow['mean']:.3g} s",
            f"{flow['p95']:.3g} s",
            f"{slow['mean']:.2f}" if slow else "",
            f"{slow['p95']:.2f}" if slow else "",
        )
    if len(shown) < len(rows):
        table.caption = f"{len(rows) - len(shown)} rarer ones are left out; --json has all"
    return table


def _latency_table(summary: dict[str, Any]) -> Table:
    table = Table(title="Latency of calls")
    table.add_column("")
    for name in ("mean", "p50", "p95", "p99", "max"):
        table.add_column(name, justify="right")
    for label, key, factor, unit in (
        ("time to first token", "ttft", 1.0, "s"),
        ("time per output token", "tpot", 1e3, "ms"),
    ):
        spread = summary[key]
        table.add_row(label, *(f"{value * factor:.3g} {unit}" for value in spread.values()))
    table.caption = "mean: " + ", ".join(
        f"{name} {seconds:.3g} s" for name, seconds in summary["breakdown_s"].items()
    )
    return table


def _instance_table(summary: dict[str, Any]) -> Table:
    table = Table(title="Instances")
    table.add_column("name")
    for name in ("busy", "batch", "KV in use", "link", "evicted tokens"):
        table.add_column(name, justify="right")
    for row in summary["instances"]:
        decodes = row["role"] != "prefill"
        table.add_row(
            row["name"],
            f"{row['busy']:.0%}",
            f"{row['mean_batch']:.1f}" if decodes else "",
            f"{row['kv_occupancy']:.0%}" if decodes else "",
            f"{row['link']:.2%}" if row["role"] != "mixed" else "",
            f"{row['evicted_tokens']:,}",
        )
    return table
