"""The summary of a simulation for a person."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from hexsolve.cli.screen import new_console, print_table
from hexsolve.native import state

MOST_CLASSES = 20


def show_summary(
    summary: dict[str, Any],
    notes: Sequence[str],
    epoch_times: Mapping[str, Mapping[str, float]],
) -> None:
    """Print what a run gave, with the plan's promises (if any), and how an online planner did."""
    console = new_console()
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
        print_table(console, _slo_table(summary))
    if len(summary["classes"]) > 1 or "promised" in summary["classes"][0]:
        print_table(console, _class_table(summary["classes"]))
    print_table(console, _latency_table(summary))
    print_table(console, _instance_table(summary))
    console.print(
        f"cache hits {summary['cache_hit_rate']:.1%} of prompt tokens, "
        f"{summary['preemptions']} preemptions, "
        f"{summary['cost_per_1000_workflows']:,.2f} US$ per 1,000 workflows"
    )
    if "planner" in summary:
        console.print(_epochs(summary["planner"], epoch_times))


def _epochs(planner: Mapping[str, Any], times: Mapping[str, Mapping[str, float]]) -> str:
    """Say how the solver ended, whose plans were applied, and what the epochs took."""
    applied = ", ".join(
        f"{count} {name}" for name, count in planner["applied"].items() if name != "none"
    )
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


def _slo_table(summary: dict[str, Any]) -> Table:
    table = Table(title="SLO scale: flow time in multiples of the standalone horizon")
    for name in ("mean", "Req95 (95 % CI)", "Req99 (95 % CI)"):
        table.add_column(name, justify="right")

    def with_interval(key: str) -> str:
        low, high = summary[f"{key}_ci95"]
        return f"{summary[key]:.2f} ({low:.2f}…{high:.2f})"

    table.add_row(
        f"{summary['slowdown']['mean']:.2f}",
        with_interval("req95"),
        with_interval("req99"),
    )
    table.caption = "attained: " + ", ".join(
        f"{share:.0%} at {scale}×" for scale, share in summary["attainment"].items()
    )
    return table


def _class_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a line per workflow class, the commonest first, without the rarest of very many."""
    promised = "promised" in rows[0]
    table = Table(title="Workflow classes", box=box.SIMPLE, collapse_padding=True, pad_edge=False)
    shown = sorted(rows, key=lambda row: -row["workflows"])[:MOST_CLASSES]
    table.add_column("class", overflow="fold", min_width=12)
    scale = ("SLO scale",) if promised else ()
    for name in ("count", "mean, s", "p95, s", *scale, "slowdown", "p95"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in shown:
        table.add_row(Text(row["name"]), f"{row['workflows']:,}", *_class_cells(row))
    notes = []
    if promised:
        notes.append(
            "promised → simulated; SLO scale: mean over the time alone on the whole inventory; "
            "slowdown: over the time alone on these instances. Filling and draining of the "
            "cluster count; plan --simulate leaves them out"
        )
    if len(shown) < len(rows):
        notes.append(f"{len(rows) - len(shown)} rarer ones are left out; --json has all")
    table.caption = "; ".join(notes) or None
    table.caption_justify = "left"
    return table


def _class_cells(row: Mapping[str, Any]) -> list[str]:
    """Return mean, p95, the SLO scale if one was promised, and slowdowns if they are known."""
    promise, ran = row.get("promised"), row["workflows"] > 0
    mean = f"{row['flow_time_s']['mean']:.3g}" if ran else "none drawn"
    cells = [mean, f"{row['flow_time_s']['p95']:.3g}" if ran else ""]
    if promise:
        scale = f"{row['slo_scale']:.2f}" if ran else "–"
        cells[0] = f"{promise['latency_s']:.3g} → {mean}"
        cells.append(f"{promise['slo_scale']:.2f} → {scale}")
    if "slowdown" in row:
        cells += [f"{row['slowdown'][key]:.2f}" for key in ("mean", "p95")]
    return cells


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
