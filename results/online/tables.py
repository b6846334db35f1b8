"""Tables from runs.csv: the rule against its rivals, the planner against the rule."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import stats

PAPER_RIVALS = ("workflow-fcfs", "llf", "atlas")
RESAMPLES = 2000
SCOPES = {
    "The 16 settings": lambda setting: not setting.endswith("-trace"),
    "All settings": bool,
}


def read(path: Path) -> dict[str, dict[str, dict[int, dict[str, float]]]]:
    """Return setting → policy → seed → measures."""
    table: dict[str, dict[str, dict[int, dict[str, float]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            table[row["setting"]][row["policy"]][int(row["seed"])] = {
                key: float(row[key]) for key in ("req95", "req99", "mean", "max", "wall_s")
            }
    return table


def geometric_mean(values: list[float]) -> float:
    """Return the geometric mean."""
    return float(np.exp(np.mean(np.log(values))))


def interval(ratios: list[float]) -> tuple[float, float]:
    """Return a 95 % bootstrap interval of the geometric mean."""
    if len(ratios) < 2:
        return ratios[0], ratios[0]
    logs = np.log(ratios)
    if np.ptp(logs) == 0.0:
        return ratios[0], ratios[0]
    found = stats.bootstrap(
        (logs,), np.mean, n_resamples=RESAMPLES, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(np.exp(found.low)), float(np.exp(found.high))


def write_tables(path: Path, folder: Path) -> None:
    """Write TABLES.md beside the runs."""
    table = read(path)
    parts = ["# Online policies", ""]
    parts += [
        "Made by `python results/online/run.py` from runs.csv; ratios are geometric means over the "
        "seeds, paired by workload. Below 1 is better than what is compared with. A number in "
        "brackets tells of how many seeds a cell is, where it is fewer than the row's.",
        "",
    ]
    parts += _values(table)
    parts += _against_rivals(table)
    parts += _planner(table)
    (folder / "TABLES.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


def _values(table) -> list[str]:
    policies = sorted({policy for row in table.values() for policy in row})
    lines = []
    for key, title in (("req95", "Req95"), ("req99", "Req99")):
        lines += [f"## {title}, geometric mean over the seeds", ""]
        lines += ["| Setting | seeds | " + " | ".join(policies) + " |"]
        lines += ["|---|---:|" + "---:|" * len(policies)]
        for setting in sorted(table):
            cells = []
            seeds = max(len(runs) for runs in table[setting].values())
            for policy in policies:
                runs = table[setting].get(policy, {})
                values = [run[key] for run in runs.values()]
                few = f" ({len(values)})" if len(values) < seeds else ""
                cells.append(f"{geometric_mean(values):.2f}{few}" if values else "")
            lines.append(f"| {setting} | {seeds} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def _paired(one, other, key: str) -> list[float]:
    return [one[seed][key] / other[seed][key] for seed in sorted(one) if seed in other]


def _best_rival(row, policy: str, rivals, key: str) -> tuple[str, list[float]] | None:
    """Return the rival with the least mean and the policy's ratios to it.

    Over the seeds that the policy and all rivals of this setting ran on.
    """
    able = [name for name in rivals if row.get(name)]
    seeds = set(row.get(policy, {})).intersection(*(row[name] for name in able))
    if not able or not seeds:
        return None
    best = min(able, key=lambda name: geometric_mean([row[name][s][key] for s in sorted(seeds)]))
    return best, [row[policy][seed][key] / row[best][seed][key] for seed in sorted(seeds)]


def _against_rivals(table) -> list[str]:
    every = sorted(
        {policy for row in table.values() for policy in row} - {"hexagent", "rolling-cpsat"}
    )
    lines = []
    rule, planner = ("HexAGenT rule", "hexagent"), ("Rolling CP-SAT", "rolling-cpsat")
    for (subject, policy), title, rivals in (
        (rule, "the paper's three rivals", PAPER_RIVALS),
        (rule, f"all rivals that were run ({len(every)})", every),
        (planner, f"all rivals that were run ({len(every)}) but the rule", every),
    ):
        lines += [f"## {subject} against the best of {title}", ""]
        lines += ["| Setting | seeds | best (Req95) | Req95 ratio | best (Req99) | Req99 ratio |"]
        lines += ["|---|---:|---|---:|---|---:|"]
        totals: dict[str, dict[str, float]] = {"req95": {}, "req99": {}}
        for setting in sorted(table):
            row = table[setting]
            cells, seeds = [], 0
            for key in ("req95", "req99"):
                best = _best_rival(row, policy, rivals, key)
                if best is None:
                    cells += ["", ""]
                    continue
                name, ratios = best
                totals[key][setting] = geometric_mean(ratios)
                cells += [name, f"{geometric_mean(ratios):.3f}"]
                seeds = len(ratios)
            lines.append(f"| {setting} | {seeds or ''} | " + " | ".join(cells) + " |")
        for scope, wanted in SCOPES.items():
            for key, name in (("req95", "Req95"), ("req99", "Req99")):
                values = [ratio for setting, ratio in totals[key].items() if wanted(setting)]
                if values:
                    lines += ["", f"{scope}, {name}: reduction {1.0 - float(np.mean(values)):.1%} "
                              f"on average, {1.0 - min(values):.1%} at best, "
                              f"{1.0 - max(values):.1%} at worst."]  # fmt: skip
        lines.append("")
    return lines


def _planner(table) -> list[str]:
    lines = ["## Rolling CP-SAT (50 ms) against the HexAGenT rule", ""]
    lines += ["| Setting | seeds | Req95 ratio (95 % CI) | Req99 ratio (95 % CI) | mean slowdown |"]
    lines += ["|---|---:|---:|---:|---:|"]
    totals: dict[str, dict[str, float]] = {"req95": {}, "req99": {}, "mean": {}}
    for setting in sorted(table):
        row = table[setting]
        ratios = _paired(row.get("rolling-cpsat", {}), row.get("hexagent", {}), "req95")
        if not ratios:
            continue
        cells = []
        for key in ("req95", "req99", "mean"):
            ratios = _paired(row["rolling-cpsat"], row["hexagent"], key)
            low, high = interval(ratios)
            totals[key][setting] = geometric_mean(ratios)
            spread = f" ({low:.3f}…{high:.3f})" if key != "mean" else ""
            cells.append(f"{geometric_mean(ratios):.3f}{spread}")
        lines.append(f"| {setting} | {len(ratios)} | " + " | ".join(cells) + " |")
    for scope, wanted in SCOPES.items():
        kept = {
            key: [ratio for setting, ratio in values.items() if wanted(setting)]
            for key, values in totals.items()
        }
        if kept["req95"]:
            lines += ["", f"{scope}, geometric mean: " + ", ".join(
                f"{name} {geometric_mean(kept[key]):.3f} (worst {max(kept[key]):.3f})"
                for key, name in (("req95", "Req95"), ("req99", "Req99"), ("mean", "mean slowdown"))
            ) + "."]  # fmt: skip
    return [*lines, ""]
