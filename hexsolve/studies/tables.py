"""The tables of a study: Markdown to read, LaTeX (booktabs) to print."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hexsolve.studies.cells import Cell
from hexsolve.studies.schema import StoredInstance, Study
from hexsolve.studies.statistics import LEAST_PAIRS, METRICS, Comparison, compare

TITLES = {"req95": "Req95", "req99": "Req99", "mean_slowdown": "Mean slowdown"}

NO_INTERVAL = "–"
Rows = Mapping[Cell, Mapping[str, str]]


def write_tables(study: Study, rows: Rows, folder: Path) -> None:
    """Write tables.md and tables.tex."""
    compared = {metric: compare(rows, study.policies, study.baseline, metric) for metric in METRICS}
    (folder / "tables.md").write_text(_markdown(study, rows, compared), encoding="utf-8")
    (folder / "tables.tex").write_text(_latex(study, rows, compared), encoding="utf-8")


def _means(study: Study, rows: Rows, metric: str) -> list[tuple[str, list[str]]]:
    """Return a line per instance: the geometric mean over the seeds under each policy."""
    lines = []
    for instance in study.instances:
        cells = []
        for policy in study.policies:
            values = [
                float(rows[cell][metric])
                for seed in study.seeds_of(instance)
                if (cell := Cell(instance.name, policy, seed)) in rows
                and rows[cell]["status"] == "ok"
            ]
            cells.append(f"{np.exp(np.mean(np.log(values))):.3f}" if values else "error")
        lines.append((instance.name, cells))
    return lines


GAP_HEAD = ("policy", "workloads", "mean gap", "median", "worst gap", "worst instance")
GAP_NOTE = (
    "Share of a policy's Req95 that lies above a proven lower bound, (Req95 - bound) / Req95: no "
    "policy can gain more. Part of it is the bound's own weakness."
)


def _gaps(study: Study, rows: Rows) -> list[Sequence[str]]:
    """Return a line per policy: its gaps to the bound; none if there are no bounds."""
    lines: list[Sequence[str]] = []
    for policy in study.policies:
        found = [
            (float(row["gap_req95"]), cell.instance)
            for cell, row in sorted(rows.items())
            if cell.policy == policy and row.get("gap_req95")
        ]
        if found:
            gaps = np.array([gap for gap, _ in found])
            worst, where = max(found)
            numbers = (float(gaps.mean()), float(np.median(gaps)), worst)
            shown = [f"{100 * number:.1f} %" for number in numbers]
            lines.append((policy, str(len(found)), *shown, where))
    return lines


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _comparison_cells(each: Comparison) -> Sequence[str]:
    return (
        each.policy,
        str(each.pairs),
        f"{each.ratio:.3f}",
        f"{each.low:.3f}…{each.high:.3f}" if each.pairs >= LEAST_PAIRS else NO_INTERVAL,
        f"{each.best:.3f}",
        f"{each.worst:.3f}",
        f"{each.wins}/{each.ties}/{each.losses}",
        _p(each.p_value),
    )


HEAD = (
    "policy",
    "pairs",
    "ratio",
    "95 % CI",
    "best instance",
    "worst instance",
    "won/tied/lost",
    "p (Holm)",
)


def _number(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _seeds(study: Study) -> str:
    """Say which seeds were run: stored instances, the same for every seed, have the first only."""
    stored = sum(isinstance(each, StoredInstance) for each in study.instances)
    parts = []
    if drawn := len(study.instances) - stored:
        parts.append(f"{drawn} drawn with seeds {', '.join(map(str, study.seeds))}")
    if stored:
        parts.append(f"{stored} stored, run once with seed {study.seeds[0]}")
    return " and ".join(parts)


def _markdown(study: Study, rows: Rows, compared: Mapping[str, list[Comparison]]) -> str:
    lines = [
        f"# {study.name}",
        "",
        f"{_number(len(study.instances), 'instance')}, "
        f"{_number(len(study.policies), 'policy', 'policies')}; {_seeds(study)}; predictor "
        f"{study.predictor}. Lower is better. Ratios are geometric means of "
        f"policy/{study.baseline}, paired by instance and seed; intervals are left out below "
        f"{LEAST_PAIRS} pairs.",
        "",
    ]
    failed = [(cell, row) for cell, row in sorted(rows.items()) if row["status"] != "ok"]
    if failed:
        lines += ["**Failed runs:**", ""]
        lines += [f"* {c.instance}, {c.policy}, seed {c.seed}: {row['error']}" for c, row in failed]
        lines.append("")
    gaps = _gaps(study, rows)
    if gaps:
        lines += ["## Req95: gap to the bound", "", GAP_NOTE, ""]
        lines += ["| " + " | ".join(GAP_HEAD) + " |", "|---|" + "---:|" * (len(GAP_HEAD) - 1)]
        lines += ["| " + " | ".join(cells) + " |" for cells in gaps]
        lines.append("")
    for metric in METRICS:
        lines += [f"## {TITLES[metric]}", ""]
        lines += ["| instance | " + " | ".join(study.policies) + " |"]
        lines += ["|---|" + "---:|" * len(study.policies)]
        lines += [
            f"| {name} | " + " | ".join(cells) + " |" for name, cells in _means(study, rows, metric)
        ]
        lines += ["", f"Against {study.baseline}:", ""]
        lines += ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * (len(HEAD) - 1)]
        lines += ["| " + " | ".join(_comparison_cells(each)) + " |" for each in compared[metric]]
        lines.append("")
    return "\n".join(lines)


def _latex(study: Study, rows: Rows, compared: Mapping[str, list[Comparison]]) -> str:
    parts = [f"% {study.name}; needs \\usepackage{{booktabs}}"]
    gaps = _gaps(study, rows)
    if gaps:
        parts.append(_tabular("l" + "r" * (len(GAP_HEAD) - 1), GAP_HEAD, gaps))
    for metric in METRICS:
        columns = "l" + "r" * len(study.policies)
        body = [(name, *cells) for name, cells in _means(study, rows, metric)]
        parts.append(_tabular(columns, ("instance", *study.policies), body))
        body = [tuple(_comparison_cells(each)) for each in compared[metric]]
        parts.append(_tabular("l" + "r" * (len(HEAD) - 1), HEAD, body))
    return "\n".join(parts)


def _tabular(columns: str, head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule"]
    lines += [" & ".join(_escape(cell) for cell in head) + " \\\\", "\\midrule"]
    lines += [" & ".join(_escape(cell) for cell in row) + " \\\\" for row in body]
    lines += ["\\bottomrule", "\\end{tabular}", ""]
    return "\n".join(lines)


def _escape(text: str) -> str:
    for special in "&%$#_{}":
        text = text.replace(special, "\\" + special)
    return text.replace("…", "--").replace("–", "--").replace("<", "$<$")
