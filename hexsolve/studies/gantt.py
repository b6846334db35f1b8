"""A Gantt chart of one run: a lane per instance, calls coloured by their workflow."""

from typing import TYPE_CHECKING

from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.record import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Twelve colours that differ in lightness as well: Okabe and Ito's, and four of Tol's "muted"
# (personal.sron.nl/~pault). Workflows beyond them begin again.
WORKFLOW_COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F", "#000000",
    "#332288", "#88CCEE", "#882255", "#999933",
)  # fmt: skip


Span = tuple[float, float, int]
"""Start and end, s, and the number of the workflow."""


def spans(record: RunRecord, cluster: SimulatedCluster) -> dict[int, list[Span]]:
    """Return (start, end, workflow) of the calls at each instance, s, in order of start.

    Prefill from the start of the last prefill to its end; decode from the KV's landing (on a mixed
    instance: the end of the prefill) to the call's end. What a preempted call did before is not
    shown.
    """
    found: dict[int, list[Span]] = {number: [] for number in range(len(cluster.instances))}
    times, counts = record.times, record.counts
    for call in range(len(counts["workflow"])):
        workflow = counts["workflow"][call]
        start, end = times["prefill_start"][call], times["prefill_end"][call]
        landed, finished = times["landed"][call], times["finished"][call]
        if 0.0 <= start < end:
            found[counts["prefill"][call]].append((start, end, workflow))
        decode = counts["decode"][call]
        begun = end if cluster.instances[decode].role == "mixed" else landed
        if 0.0 <= begun < finished:
            found[decode].append((begun, finished, workflow))
    return {number: sorted(rows) for number, rows in found.items()}


def rows_of(intervals: list[Span]) -> list[int]:
    """Return a row for each interval, so that no two in a row overlap; the first free one."""
    free: list[float] = []
    rows = []
    for start, end, _ in intervals:
        row = next((number for number, until in enumerate(free) if until <= start), len(free))
        if row == len(free):
            free.append(end)
        free[row] = end
        rows.append(row)
    return rows


def draw(axes: "Axes", record: RunRecord, cluster: SimulatedCluster, title: str) -> None:
    """Draw the chart; a lane is as high whether one call runs in it or many."""
    numbers = [
        number
        for role in ("prefill", "mixed", "decode")
        for number in cluster.with_role(role)  # type: ignore[arg-type]
    ]
    found = spans(record, cluster)
    for lane, number in enumerate(numbers):
        rows = rows_of(found[number])
        height = 0.8 / (max(rows, default=0) + 1)
        by_colour: dict[str, list[tuple[float, float, float]]] = {}
        for (start, end, workflow), row in zip(found[number], rows, strict=True):
            colour = WORKFLOW_COLOURS[workflow % len(WORKFLOW_COLOURS)]
            by_colour.setdefault(colour, []).append((start, end - start, lane - 0.4 + row * height))
        for colour, bars in by_colour.items():
            starts, widths, bottoms = zip(*bars, strict=True)
            axes.barh(
                bottoms, widths, height=height, left=starts, align="edge", color=colour,
                edgecolor="white", linewidth=0.2,
            )  # fmt: skip
    axes.set_yticks(range(len(numbers)), [cluster.instances[number].name for number in numbers])
    axes.set_ylim(len(numbers) - 0.5, -0.5)
    axes.set_xlim(left=0.0)
    for lane in range(1, len(numbers)):
        axes.axhline(lane - 0.5, color="0.85", linewidth=0.6, zorder=0)
    axes.set_xlabel("time (s); colour: workflow")
    axes.set_title(title)
