"""The clairvoyant optimum and the lower bounds of the stored benchmark; the best-known table.

    python results/optimum/run.py [--band xs …] [--instance NAME …] [--time-limit BAND=SECONDS …]
                                  [--again | --onward] [--nominal]

Appends a row to runs.csv for each instance and each Req_q that differs, and improves
hexsolve/instances/benchmark/best_known.csv and certificates/. Killed at any moment, the same
command does what is missing; with longer limits, or --again, it searches anew, and the table keeps
the better of old and new. --onward searches from the stored certificates, each time with another
seed, so that runs add up; the column `start` has their value. With --nominal the simulator's
bounds, which take another three quarters of the time, are left as they are.
"""

import argparse
import csv
import os
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import hexsolve
from hexsolve.instances.benchmark import benchmark_names, load_scheduling_instance
from hexsolve.instances.benchmark.best_known import (
    OPTIMISTIC,
    BestKnown,
    Claim,
    best_known,
    improved,
    objectives_of,
    with_implied_bounds,
    write_table,
)
from hexsolve.instances.benchmark.certificates import (
    certificate_text,
    certificates_folder,
    load_certificate,
)
from hexsolve.models.schedule import PERCENT, Schedule, ScheduleObjective, ScheduleTimes
from hexsolve.models.scheduling import SchedulingInstance
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.solver.optimum.answer import optimum
from hexsolve.solver.optimum.bounds import Bound, best_bound, lower_bounds
from hexsolve.solver.optimum.clock import SearchOptions

HERE = Path(__file__).resolve().parent
RUNS = HERE / "runs.csv"
LIMITS = {"xs": 60.0, "s": 300.0, "m": 60.0, "l": 60.0}
BANDS = tuple(LIMITS)
SEARCHED = ("xs", "s", "m")
"""Bands whose schedules are searched; of the others only the bounds of the simulator are."""

WORKERS = 2
"""Threads: one looks for schedules and one proves; beyond 220 calls that ends after some tests."""

OPTIMISTIC_SHARE, BOUNDS_SHARE = 0.25, 0.5
"""Time for the optimistic model and for all other bounds of an instance, per nominal second."""

COLUMNS = (
    "instance", "band", "objective", "workflows", "calls", "time_limit_s", "start",
    "decode_batch", "value", "bound", "bound_method", "gap", "status", "seconds",
    "replay", "replay_limited",
    "critical_path", "energy", "preemptive_lp", "chain_lp", "bounds_s",
    "optimistic", "optimistic_s",
    "simulator_bound", "simulator_method", "date",
)  # fmt: skip


def machine() -> str:
    """Return CPU and cores of this machine."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else 'CPU'}; {os.cpu_count()} cores, {WORKERS} used"


def solver() -> str:
    """Return the versions that a result depends on."""
    return f"hexsolve {hexsolve.__version__}; ortools {version('ortools')}"


def band_of(name: str) -> str:
    """Return the band, with which a name begins."""
    return name.split("-")[0].rstrip("0123456789")


def stored() -> dict[tuple[str, str], dict[str, str]]:
    """Return the latest complete row of each instance and objective.

    Where that left the simulator's bound as it was, it has the one before.
    """
    if not RUNS.exists():
        return {}
    text = RUNS.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        RUNS.write_text(whole, encoding="utf-8")
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in csv.DictReader(whole.splitlines()):
        key = row["instance"], row["objective"]
        if not row["simulator_bound"] and key in rows:
            row["simulator_bound"] = rows[key]["simulator_bound"]
        rows[key] = row
    return rows


def searches(instance: str, objective: str) -> int:
    """Return how many rows there are of an instance and objective."""
    if not RUNS.exists():
        return 0
    with RUNS.open(encoding="utf-8", newline="") as stream:
        return sum(
            (row["instance"], row["objective"]) == (instance, objective)
            for row in csv.DictReader(stream)
        )


def append(row: dict[str, object]) -> None:
    """Append a row."""
    new = not RUNS.exists()
    with RUNS.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow({name: _shown(value) for name, value in row.items()})


def _shown(value: object) -> object:
    return f"{value:.8g}" if isinstance(value, float) else value


def offer(row: BestKnown, schedule: Schedule | None = None) -> None:
    """Put a row into the table where it is better, with its certificate."""
    rows = best_known()
    made = improved(rows.get(row.key), row)
    if schedule is not None and made.value is row.value:
        folder = certificates_folder()
        folder.mkdir(exist_ok=True)
        (folder / row.certificate).write_text(certificate_text(schedule), encoding="utf-8")
    write_table(with_implied_bounds(rows | {row.key: made}).values())


def covered(instance: SchedulingInstance) -> bool:
    """Return whether the scheduling model covers an instance."""
    return not instance.cluster.with_role("mixed") and not instance.cluster.failures


def work_out(
    instance: SchedulingInstance,
    objective: ScheduleObjective,
    bounds: Sequence[Bound] | None,
    limit_s: float,
    search: bool,
    seed: int,
    onward: bool,
) -> dict[str, object]:
    """Search one Req_q, offer what is found to the table, and return the row.

    `onward`: from the certificate of the table, if there is one.
    """
    percent = float(PERCENT[objective])
    today, by, where = date.today().isoformat(), solver(), machine()
    mine: dict[str, Bound] = {}
    largest: Claim | None = None
    if bounds is not None:
        mine = {each.method: each for each in bounds if each.percent == percent}
        best = best_bound(bounds, percent)
        bounds_s = sum(each.seconds for each in mine.values())
        largest = Claim(best.value, best.method, today, by, where, bounds_s)
    row: dict[str, object] = {
        "instance": instance.name,
        "band": band_of(instance.name),
        "objective": objective,
        "workflows": len(instance.workflows),
        "calls": instance.calls,
        "time_limit_s": limit_s,
        "date": today,
        "bounds_s": round(largest.seconds, 2) if largest else "",
        **{method.replace("-", "_"): bound.value for method, bound in mine.items()},
    }
    reached: Claim | None = None
    if search:
        known = best_known().get((instance.name, objective, "nominal"))
        times = None
        most = max(
            instance.cluster.instances[d].max_batch for d in instance.cluster.with_role("decode")
        )
        if known is not None and known.decode_batch is not None and known.decode_batch <= most:
            times = ScheduleTimes(decode_batch=known.decode_batch)
        start = None
        if onward and times is not None and known is not None and known.certificate:
            start = load_certificate(certificates_folder() / known.certificate)
            row["start"] = start.objective
        began = time.perf_counter()
        made = optimum(
            instance, objective, SearchOptions(limit_s, WORKERS, seed), times, start=start
        )
        seconds = time.perf_counter() - began
        assert made.objective is not None
        assert made.bound is not None
        assert made.replay is not None
        how = str(made.parameters["found_by"])
        if how == "start" and known is not None and known.value is not None:
            # The first that is done to a schedule: its calls are moved forward where they can.
            how = f"{known.value.how}, moved forward"
        nominal = BestKnown(
            instance.name,
            objective,
            "nominal",
            made.times.decode_batch,
            Claim(made.objective, how, today, by, where, seconds),
            f"{instance.name}.{objective}.json",
            Claim(made.bound, made.bound_source, today, by, where, seconds),
        )
        offer(nominal, made)
        if largest is not None:
            began = time.perf_counter()
            options = SearchOptions(OPTIMISTIC_SHARE * limit_s, WORKERS)
            relaxed = optimum(instance, objective, options, ScheduleTimes(mode="optimistic"))
            optimistic_s = time.perf_counter() - began
            assert relaxed.bound is not None
            if relaxed.bound > largest.value:
                how = f"{OPTIMISTIC} {relaxed.bound_source}"
                largest = Claim(relaxed.bound, how, today, by, where, optimistic_s)
            row |= {"optimistic": relaxed.bound, "optimistic_s": round(optimistic_s, 2)}
        row |= {
            "decode_batch": made.times.decode_batch,
            "value": made.objective,
            "bound": made.bound,
            "bound_method": made.bound_source,
            "gap": made.gap,
            "status": made.status.value,
            "seconds": round(seconds, 2),
            "replay": made.replay.objective,
            "replay_limited": made.replay.limited,
        }
        if made.replay.preemptions == 0:
            how = "replay of the nominal schedule"
            reached = Claim(made.replay.objective, how, today, by, where, seconds)
    offer(BestKnown(instance.name, objective, "simulator", None, reached, "", largest))
    if largest is not None:
        row |= {"simulator_bound": largest.value, "simulator_method": largest.how}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--band", choices=BANDS, action="append")
    parser.add_argument("--instance", choices=benchmark_names(), action="append")
    parser.add_argument("--time-limit", action="append", default=[], metavar="BAND=SECONDS")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--again", action="store_true", help="search anew what is there")
    how.add_argument("--onward", action="store_true", help="the same from the certificates")
    parser.add_argument("--nominal", action="store_true", help="search schedules, no other bounds")
    given = parser.parse_args()
    stated = dict(text.split("=", 1) for text in given.time_limit)
    limits = LIMITS | {band: float(seconds) for band, seconds in stated.items()}
    names = given.instance or benchmark_names()
    bands = given.band or BANDS
    ordered = sorted(names, key=lambda name: (BANDS.index(band_of(name)), name))
    for name in ordered:
        band = band_of(name)
        if band not in bands:
            continue
        instance = load_scheduling_instance(name)
        there, limit_s = stored(), limits[band]
        wanted = [
            objective
            for objective in objectives_of(len(instance.workflows))
            if given.again
            or given.onward
            or (row := there.get((name, objective))) is None
            or float(row["time_limit_s"]) < limit_s
            or not (given.nominal or row["simulator_bound"])
        ]
        search = band in SEARCHED and covered(instance)
        if not wanted or (given.nominal and not search):
            continue
        bounds = (
            None
            if given.nominal
            else lower_bounds(
                instance.cluster,
                instance.workflows,
                standalone_horizons(instance.cluster, instance.workflows),
                [float(PERCENT[objective]) for objective in wanted],
                BOUNDS_SHARE * limit_s,
                restarts=0,
            )
        )
        for objective in wanted:
            seed = searches(name, objective) if given.onward else 0
            row = work_out(instance, objective, bounds, limit_s, search, seed, given.onward)
            append(row)
            print(
                f"{name} {objective}: nominal {_shown(row.get('value', '–'))} ≥ "
                f"{_shown(row.get('bound', '–'))} {row.get('status', '')}; simulated "
                f"{_shown(row.get('replay', '–'))} ≥ {_shown(row.get('simulator_bound', '–'))}",
                flush=True,
            )


if __name__ == "__main__":
    main()
