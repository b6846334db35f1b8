"""The figures of a study, as SVG and PDF; equal to the byte on every rerun."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hexsolve.models.errors import UnsupportedError
from hexsolve.studies import gantt
from hexsolve.studies.cells import Cell, prepared, simulate
from hexsolve.studies.schema import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette (jfly.uni-koeln.de/color), safe for colour-blind readers; its yellow,
# #F0E442, is too pale for lines on white and gives way to a grey.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F",
)  # fmt: skip
STYLES = ("-", "--", ":", "-.")
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "hexsolve",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
}

Rows = Mapping[Cell, Mapping[str, str]]
Slowdowns = Mapping[Cell, Sequence[float]]


def write_figures(study: Study, rows: Rows, slowdowns: Slowdowns, folder: Path) -> list[Path]:
    """Draw attainment curves, performance profile, paired ratios, gaps and Gantt charts.

    Raises
    ------
    UnsupportedError
        If matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise UnsupportedError(
            "figures need matplotlib: pip install 'hexsolve[plots]', or leave them out with "
            "--no-figures"
        ) from None
    mpl.use("Agg")
    drawn: list[Path] = []
    with mpl.rc_context(SETTINGS):
        for instance in study.instances:
            name = instance.name
            drawn += _save(
                folder / f"attainment-{name}",
                lambda axes, name=name: _attainment(axes, study, slowdowns, name),  # type: ignore[misc]
            )
        drawn += _save(folder / "profile", lambda axes: _profile(axes, study, rows))
        if len(study.policies) > 1:
            drawn += _save(
                folder / "ratios", lambda axes: _ratios(axes, study, rows), _lanes(study)
            )
        if any(row.get("gap_req95") for row in rows.values()):
            drawn += _save(folder / "gaps", lambda axes: _gaps(axes, study, rows), _lanes(study))
        for policy in study.gantt:
            instance = study.instances[0]
            cell = Cell(instance.name, policy, study.seeds[0])
            cluster, workflows, _ = prepared(instance.model_dump_json(), cell.seed)
            record = simulate(study, cell, cluster, workflows)
            drawn += _save(
                folder / f"gantt-{instance.name}-{_file_name(policy)}",
                lambda axes, record=record, cluster=cluster, policy=policy: gantt.draw(  # type: ignore[misc]
                    axes, record, cluster, f"{study.instances[0].name}, {policy}"
                ),
                (7.0, 1.2 + 0.35 * len(cluster.instances)),
            )
    return drawn


def _lanes(study: Study) -> tuple[float, float]:
    """Return the size of a figure with a lane per policy, inches."""
    return 6.0, max(2.4, 1.2 + 0.28 * len(study.policies))


def _file_name(policy: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-+" else "_" for letter in policy)


def _save(
    stem: Path, draw: Callable[["Axes"], None], size: tuple[float, float] = (6.0, 3.6)
) -> list[Path]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    draw(figure.add_subplot())
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(stem.name + ".svg"), stem.with_name(stem.name + ".pdf")]
    figure.savefig(paths[0], metadata={"Date": None})
    figure.savefig(paths[1], metadata={"CreationDate": None})
    return paths


def _look(study: Study, policy: str) -> dict[str, Any]:
    """Return colour and line of a policy, the same in every figure."""
    index = study.policies.index(policy)
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": STYLES[index // len(COLOURS) % len(STYLES)],
    }


def _attainment(axes: "Axes", study: Study, slowdowns: Slowdowns, instance: str) -> None:
    """Share of workflows within α horizons, all seeds together."""
    for policy in study.policies:
        values = [
            value
            for seed in study.seeds
            for value in slowdowns.get(Cell(instance, policy, seed), ())
        ]
        if values:
            ordered = np.sort(values)
            share = np.arange(1, len(ordered) + 1) / len(ordered)
            axes.step(ordered, 100 * share, where="post", label=policy, **_look(study, policy))
    axes.axhline(95, color="0.7", linewidth=0.8, zorder=0)
    axes.set(xscale="log", ylim=(0, 101), title=instance)
    axes.set_xlabel("SLO scale α (flow time / standalone horizon)")
    axes.set_ylabel("workflows within α (%)")
    _plain_ticks(axes)
    _legend(axes, study)


def _profile(axes: "Axes", study: Study, rows: Rows) -> None:
    """Dolan and Moré's performance profile of Req99 (doi 10.1007/s101070100263)."""
    problems = [(each.name, seed) for each in study.instances for seed in study.seeds_of(each)]
    best: dict[tuple[str, int], float] = {}
    value: dict[Cell, float] = {}
    for cell, row in rows.items():
        if row["status"] == "ok":
            value[cell] = float(row["req99"])
            key = (cell.instance, cell.seed)
            best[key] = min(best.get(key, np.inf), value[cell])
    largest = 1.05
    for policy in study.policies:
        ratios = sorted(
            value[cell] / best[name, seed]
            for name, seed in problems
            if (cell := Cell(name, policy, seed)) in value
        )
        if ratios:
            largest = max(largest, ratios[-1])
            share = 100 * np.arange(1, len(ratios) + 1) / len(problems)
            axes.step([1.0, *ratios], [0.0, *share], where="post", label=policy,
                      **_look(study, policy))  # fmt: skip
    axes.set(xlim=(1.0, largest * 1.02), ylim=(0, 101), title="Performance profile, Req99")
    axes.set_xlabel("factor of the best policy's Req99")
    axes.set_ylabel("runs within the factor (%)")
    _legend(axes, study)


def _ratios(axes: "Axes", study: Study, rows: Rows) -> None:
    """Req99 over the baseline's, paired by instance and seed."""
    others = [policy for policy in study.policies if policy != study.baseline]
    series = []
    for policy in others:
        ratios = []
        for cell, row in sorted(rows.items()):
            base = rows.get(Cell(cell.instance, study.baseline, cell.seed))
            if cell.policy != policy or base is None:
                continue
            if row["status"] == base["status"] == "ok":
                ratios.append(float(row["req99"]) / float(base["req99"]))
        series.append(ratios)
    boxes = axes.boxplot(
        series, orientation="horizontal", widths=0.6, patch_artist=True, tick_labels=others
    )
    for policy, box in zip(others, boxes["boxes"], strict=True):
        box.set(facecolor=_look(study, policy)["color"], alpha=0.5)
    for line in boxes["medians"]:
        line.set_color("black")
    axes.axvline(1.0, color="0.5", linewidth=0.8, zorder=0)
    axes.set(title="Req99, paired by instance and seed")
    axes.set_xlabel(f"ratio to {study.baseline} (left of 1: better)")
    axes.invert_yaxis()
    values = [value for ratios in series for value in ratios]
    if values and max(values) > 3.0 * min(values):
        axes.set_xscale("log")
        _plain_ticks(axes)


def _gaps(axes: "Axes", study: Study, rows: Rows) -> None:
    """Share of Req95 above the lower bound, a box per policy and a point per workload."""
    policies, series = [], []
    for policy in study.policies:
        found = [
            100 * float(row["gap_req95"])
            for cell, row in sorted(rows.items())
            if cell.policy == policy and row.get("gap_req95")
        ]
        if found:
            policies.append(policy)
            series.append(found)
    boxes = axes.boxplot(
        series, orientation="horizontal", widths=0.6, patch_artist=True, tick_labels=policies,
        showfliers=False,
    )  # fmt: skip
    for lane, (policy, box) in enumerate(zip(policies, boxes["boxes"], strict=True), start=1):
        box.set(facecolor=_look(study, policy)["color"], alpha=0.5)
        # A fixed stagger, so that points of one value stay apart and reruns are equal.
        heights = [lane + 0.08 * (number % 5 - 2) for number in range(len(series[lane - 1]))]
        axes.plot(series[lane - 1], heights, ".", color="0.25", markersize=2.5)
    for line in boxes["medians"]:
        line.set_color("black")
    axes.set(title="Req95 above the lower bound", xlim=(0, 100))
    axes.set_xlabel("(Req95 - bound) / Req95 (%); left: closer to optimal")
    axes.invert_yaxis()


def _legend(axes: "Axes", study: Study) -> None:
    """Beside the axes once there are too many policies to leave the curves free."""
    if len(study.policies) <= 4:
        axes.legend(frameon=False, fontsize=8)
    else:
        axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _plain_ticks(axes: "Axes") -> None:
    """Write 2 instead of 2·10⁰ on a logarithmic axis."""
    from matplotlib.ticker import LogLocator, ScalarFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    formatter = ScalarFormatter()
    formatter.set_scientific(False)
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.set_minor_formatter("")
