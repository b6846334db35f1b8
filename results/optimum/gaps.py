"""How far the policies are from the best possible: tables from the stored runs and bounds.

    hexsolve compare results/optimum/study.yaml -o results/optimum/policies --no-figures
    python results/optimum/gaps.py

Offers the best simulated run of each instance to the best-known table and writes tables/*.md and
the measured part of README.md.
A gap is (value − bound)/value: the part of the value that a better schedule could save at most.
"""

import csv
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from run import BANDS, RUNS, band_of, covered, machine, solver

from hexsolve.instances.benchmark import benchmark_names, load_scheduling_instance
from hexsolve.instances.benchmark.best_known import (
    BestKnown,
    Claim,
    Key,
    best_known,
    canonical,
    improved,
    with_implied_bounds,
    write_table,
)

HERE = Path(__file__).resolve().parent
POLICIES = HERE / "policies"
TABLES = HERE / "tables"
MEASURES = {"req95": "req95", "req99": "req99", "req100": "max_slowdown"}
"""Objective → column of the study's runs.csv."""


MIXED = "mixed"
MARKS = ("<!-- measured -->", "<!-- end -->")


@dataclass(frozen=True, slots=True)
class Reached:
    """What a policy reached on an instance, and what is known about that Req_q."""

    instance: str
    policy: str
    objective: str
    value: float
    key: Key

    def bounded(self, rows: dict[Key, BestKnown]) -> bool:
        """Return whether there is a bound to compare with."""
        return rows[self.key].bound is not None


def reached(sizes: dict[str, int]) -> tuple[list[Reached], int]:
    """Return the values of all runs, and how many runs are left out for preemptions.

    The bounds are about runs without restarts; all others have to be left out.
    """
    found: list[Reached] = []
    left_out = 0
    with (POLICIES / "runs.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["status"] != "ok" or int(row["preemptions"]):
                left_out += 1
                continue
            name = row["instance"]
            for objective, column in MEASURES.items():
                key = (name, canonical(objective, sizes[name]), "simulator")
                found.append(Reached(name, row["policy"], objective, float(row[column]), key))
    return found, left_out


def offer_runs(runs: list[Reached]) -> dict[Key, BestKnown]:
    """Put the best run of each Req_q into the table where it is better; return the table."""
    seconds = {}
    with (POLICIES / "timings.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            seconds[row["instance"], row["policy"]] = float(row["wall_s"])
    rows = best_known()
    today, by, where = date.today().isoformat(), solver(), machine()
    for run in sorted(runs, key=lambda each: (each.key, each.value, each.policy)):
        took = seconds[run.instance, run.policy]
        claim = Claim(run.value, f"policy {run.policy}", today, by, where, took)
        instance, objective, _ = run.key
        made = BestKnown(instance, objective, "simulator", None, claim)
        rows[run.key] = improved(rows.get(run.key), made)
    rows = with_implied_bounds(rows)
    write_table(rows.values())
    return rows


def share(value: float) -> str:
    """Return a share in per cent."""
    return f"{100.0 * value:.1f} %"


def mean_and_worst(gaps: list[tuple[float, str]]) -> str:
    """Return mean, worst and the instance of the worst."""
    worst, name = max(gaps)
    return f"{share(mean(gaps))} | {share(worst)} ({name})"


def gap(value: float, bound: float) -> float:
    """Return (value − bound)/value; a bound above by rounding only counts as 0."""
    return max(0.0, (value - bound) / value)


def gaps_of(
    runs: list[Reached], rows: dict[Key, BestKnown], objective: str, bands: tuple[str, ...]
) -> tuple[dict[str, list[tuple[float, str]]], dict[str, list[tuple[float, str]]]]:
    """Return each policy's gaps to the bound and to the best known, with short instance names."""
    to_bound: dict[str, list[tuple[float, str]]] = {}
    to_best: dict[str, list[tuple[float, str]]] = {}
    for run in runs:
        row = rows[run.key]
        if run.objective != objective or band_of(run.instance) not in bands:
            continue
        if row.bound is None or row.value is None:
            # Not searched yet.
            continue
        short = run.instance.split("-")[0]
        to_bound.setdefault(run.policy, []).append((gap(run.value, row.bound.value), short))
        to_best.setdefault(run.policy, []).append((gap(run.value, row.value.value), short))
    return to_bound, to_best


def mean(gaps: list[tuple[float, str]]) -> float:
    """Return the mean of some gaps."""
    return sum(value for value, _ in gaps) / len(gaps)


def headline(runs: list[Reached], rows: dict[Key, BestKnown], mixed: set[str]) -> list[str]:
    """Return the table of the README: each policy's gaps over all instances but the mixed ones."""
    runs = [run for run in runs if run.instance not in mixed]
    found = {objective: gaps_of(runs, rows, objective, BANDS) for objective in MEASURES}
    lines = [
        "| policy | Req95: mean, worst | Req99: mean, worst | Req100: mean, worst | "
        "Req95 to best known: mean, worst |",
        "|---|---:|---:|---:|---:|",
    ]
    ranked = {policy: mean(gaps) for policy, gaps in found["req95"][0].items()}
    for policy in sorted(ranked, key=lambda each: (ranked[each], each)):
        cells = [found[objective][0][policy] for objective in MEASURES]
        cells.append(found["req95"][1][policy])
        shown = [f"{share(mean(gaps))}, {share(max(gaps)[0])}" for gaps in cells]
        lines.append(f"| {policy} | " + " | ".join(shown) + " |")
    return lines


def policies_table(
    runs: list[Reached], rows: dict[Key, BestKnown], objective: str, bands: tuple[str, ...]
) -> list[str]:
    """Return a table of one Req_q: per policy its gaps, best mean first."""
    to_bound, to_best = gaps_of(runs, rows, objective, bands)
    lines = [
        "| policy | instances | gap to bound, mean | worst | gap to best known, mean | worst |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    means = {policy: mean(gaps) for policy, gaps in to_bound.items()}
    for policy in sorted(means, key=lambda each: (means[each], each)):
        gaps = f"{mean_and_worst(to_bound[policy])} | {mean_and_worst(to_best[policy])}"
        lines += [f"| {policy} | {len(to_bound[policy])} | {gaps} |"]
    return lines


def write_policies(
    runs: list[Reached], rows: dict[Key, BestKnown], left_out: int, total: int
) -> None:
    """Write tables/policies.md: each Req_q over all bands, and per band."""
    parts = [
        "# Gaps of the policies",
        "",
        "Made by `python results/optimum/gaps.py`. *Gap to bound*: at most so much of the value "
        "can be saved; *gap to best known*: so much can, by a run that exists.",
        f"{total} runs; {left_out} left out because calls were preempted or the run failed.",
    ]
    there = tuple(band for band in BANDS if any(band_of(run.instance) == band for run in runs))
    for bands in (there, *((band,) for band in there)):
        for objective in MEASURES:
            parts += ["", f"## {objective.capitalize()}, {' + '.join(bands)}", ""]
            parts += policies_table(runs, rows, objective, bands)
    (TABLES / "policies.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


def bands_table(rows: dict[Key, BestKnown], mixed: set[str]) -> list[str]:
    """Return a table per band: what is proven, and gaps between best value and best bound.

    Instances with mixed instances, which have the weak bounds of the simulator only, are a group
    of their own.
    """
    parts = [
        "| band | model | Req_q | proven | gap, mean | worst |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for band in (*BANDS, MIXED):
        for model in ("nominal", "simulator"):
            of_band = [
                row
                for row in rows.values()
                if (MIXED if row.instance in mixed else band_of(row.instance)) == band
                and row.model == model
            ]
            pairs = [
                (gap(row.value.value, row.bound.value), row.instance.split("-")[0])
                for row in of_band
                if row.value is not None and row.bound is not None
            ]
            if pairs:
                proven = sum(row.proven for row in of_band)
                parts.append(
                    f"| {band} | {model} | {len(pairs)} | {proven} ({share(proven / len(pairs))})"
                    f" | {mean_and_worst(pairs)} |"
                )
    return parts


def write_bands(rows: dict[Key, BestKnown], mixed: set[str]) -> None:
    """Write tables/bands.md: values against bounds, methods, and what the searches proved."""
    parts = [
        "# Best values and bounds",
        "",
        "Made by `python results/optimum/gaps.py` from the best-known table. Each Req_q "
        "that differs counts; below 20 workflows there is one, since Req95 = Req99 = Req100.",
        "",
        *bands_table(rows, mixed),
    ]
    for model in ("nominal", "simulator"):
        counts = Counter(
            row.bound.how for row in rows.values() if row.model == model and row.bound is not None
        )
        parts += ["", f"Largest bound, {model}:", "", "| method | Req_q |", "|---|---:|"]
        parts += [f"| {method} | {count} |" for method, count in sorted(counts.items())]
    parts += ["", "## Searches", ""]
    parts += [
        "Latest search of each Req_q in runs.csv that began with nothing, nominal model; limits as "
        "given to it.",
        "",
        "| band | limit | Req_q | proven within it | schedule in the simulator ÷ nominal value |",
        "|---|---:|---:|---:|---:|",
    ]
    with RUNS.open(encoding="utf-8", newline="") as stream:
        latest = {
            (row["instance"], row["objective"]): row
            for row in csv.DictReader(stream)
            if not row["start"]
        }
    for band in BANDS:
        searched = [row for row in latest.values() if row["band"] == band and row["value"]]
        for limit in sorted({float(row["time_limit_s"]) for row in searched}):
            mine = [row for row in searched if float(row["time_limit_s"]) == limit]
            proven = sum(row["status"] == "optimal" for row in mine)
            ratios = [float(row["replay"]) / float(row["value"]) for row in mine]
            parts.append(
                f"| {band} | {limit:g} s | {len(mine)} | {proven} ({share(proven / len(mine))}) | "
                f"{min(ratios):.3f}–{max(ratios):.3f} |"
            )
    (TABLES / "bands.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


def write_instances(rows: dict[Key, BestKnown], mixed: set[str]) -> None:
    """Write tables/instances.md: everything, a line per Req_q."""
    parts = [
        "# Best known",
        "",
        "Made by `python results/optimum/gaps.py` from the best-known table.",
        "",
        "| instance | Req_q | nominal | bound | gap | simulated | by | bound | by | gap |",
        "|---|---|---:|---:|---:|---:|---|---:|---|---:|",
    ]
    names = sorted({key[:2] for key in rows}, key=lambda k: (BANDS.index(band_of(k[0])), k))
    for name, objective in names:
        cells = [name, objective]
        for model in ("nominal", "simulator"):
            row = rows.get((name, objective, model))
            for claim in (row and row.value, row and row.bound):
                cells.append(f"{claim.value:.4f}" if claim else "–")
                if model == "simulator":
                    cells.append(claim.how if claim else "–")
            both = row is not None and row.value is not None and row.bound is not None
            cells.append(share(gap(row.value.value, row.bound.value)) if both else "–")
        parts.append("| " + " | ".join(cells) + " |")
    parts += ["", f"Not in the scheduling model (mixed instances): {', '.join(sorted(mixed))}."]
    (TABLES / "instances.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


def write_readme(runs: list[Reached], rows: dict[Key, BestKnown], mixed: set[str]) -> None:
    """Write the tables between the marks of README.md."""
    path = HERE / "README.md"
    text = path.read_text(encoding="utf-8")
    start, end = text.index(MARKS[0]) + len(MARKS[0]), text.index(MARKS[1])
    instances = len({run.instance for run in runs if run.bounded(rows)} - mixed)
    body = [
        "",
        "",
        f"Gap of each policy to the bound that no policy beats, {instances} instances without "
        "mixed ones:",
        "",
        *headline(runs, rows, mixed),
        "",
        "Best known value against best known bound, for each Req_q that differs:",
        "",
        *bands_table(rows, mixed),
        "",
    ]
    path.write_text(text[:start] + "\n".join(body) + text[end:], encoding="utf-8")


def main() -> None:
    instances = {name: load_scheduling_instance(name) for name in benchmark_names()}
    sizes = {name: len(instance.workflows) for name, instance in instances.items()}
    mixed = {name for name, instance in instances.items() if not covered(instance)}
    runs, left_out = reached(sizes)
    rows = offer_runs(runs)
    TABLES.mkdir(exist_ok=True)
    write_policies(runs, rows, left_out, left_out + len(runs) // len(MEASURES))
    write_bands(rows, mixed)
    write_instances(rows, mixed)
    write_readme(runs, rows, mixed)


if __name__ == "__main__":
    main()
