"""Run policies on the 16 settings, paired by seed, and write the tables.

    python results/online/run.py [--quick] [--seeds 5] [--jobs 2] [--minutes M] [--policies A,B]
        [--workloads A,B]

Rows go to runs.csv as they are made; what is there already is not run again, so that the command
can be stopped at any time and started anew. `--quick` runs a quarter of the workflows with two
seeds into quick/, within ten minutes on two cores. Policies were tuned on seeds 101 and above.
"""

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from settings import DATA, PAPER, SETTINGS, TRACE_SETTINGS, TRACES, Setting
from tables import write_tables

from hexsolve.models import slo
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.simulation.measures import flow_times
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.registry import PolicyOptions, make_policy
from hexsolve.solver.online.rolling.options import RollingOptions

HERE = Path(__file__).resolve().parent
FIELDS = (
    "setting", "policy", "seed", "workflows", "calls", "req95", "req99", "mean", "max", "wall_s",
)  # fmt: skip
FIRST = ("workflow-fcfs", "llf", "atlas", "hexagent", "rolling-cpsat", "llm-d")
OTHERS = (
    "least-work", "round-robin", "power-of-two", "sjf", "edf", "heft", "plas", "splitwise-jsq",
    "dynamo", "hexgen-flow",
)  # fmt: skip
BUDGET_MS = 50.0

Row = dict[str, str | int | float]


def run(setting: Setting, policy: str, seed: int, quick: bool) -> Row:
    """Simulate one policy; slowdowns against the horizons of the same workload."""
    cluster, workflows = setting.build(), setting.workflows(seed, quick)
    options = PolicyOptions(seed=seed, rolling=RollingOptions(budget_ms=BUDGET_MS, seed=seed))
    started = time.perf_counter()
    simulation = Simulation(
        cluster, workflows, make_policy(policy, options), make_predictor("oracle", seed)
    )
    record = simulation.run()
    wall = time.perf_counter() - started
    slowdown = slo.slowdowns(flow_times(record), standalone_horizons(cluster, simulation.workflows))
    return {
        "setting": setting.name,
        "policy": policy,
        "seed": seed,
        "workflows": len(workflows),
        "calls": record.done,
        "req95": slo.required_scale(slowdown, 95),
        "req99": slo.required_scale(slowdown, 99),
        "mean": float(slowdown.mean()),
        "max": float(slowdown.max()),
        "wall_s": round(wall, 2),
    }


def known(path: Path) -> set[tuple[str, str, str]]:
    """Return (setting, policy, seed) of the rows that are there."""
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as stream:
        return {(row["setting"], row["policy"], row["seed"]) for row in csv.DictReader(stream)}


def jobs(seeds: int) -> Iterator[tuple[Setting, str, int]]:
    """Yield what is to be run: all settings seed by seed, long workloads and other rivals last."""
    short = [each for each in SETTINGS if each.workload != "tree-search"]
    long = [each for each in SETTINGS if each.workload == "tree-search"]
    traces = [each for each in TRACE_SETTINGS if (DATA / TRACES[each.workload]).exists()]
    if not traces:
        print("the traces are absent (HEXSOLVE_DATA): their settings are left out", file=sys.stderr)
    for policies, settings in ((FIRST, short + traces + long), (OTHERS, short + traces + long)):
        for seed in range(1, seeds + 1):
            for setting in settings:
                for policy in policies:
                    yield setting, policy, seed


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after these")
    parser.add_argument("--policies", default=",".join(FIRST + OTHERS), help="only these")
    parser.add_argument("--workloads", default=",".join((*PAPER, *TRACES)), help="only these")
    given = parser.parse_args()
    seeds = given.seeds or (2 if given.quick else 5)
    folder = HERE / "quick" if given.quick else HERE
    folder.mkdir(exist_ok=True)
    path = folder / "runs.csv"
    done = known(path)
    policies, workloads = given.policies.split(","), given.workloads.split(",")
    todo = [
        job
        for job in jobs(seeds)
        if job[1] in policies
        and job[0].workload in workloads
        and (job[0].name, job[1], str(job[2])) not in done
    ]
    until = time.monotonic() + 60.0 * given.minutes
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        if fresh:
            writer.writeheader()
        with ProcessPoolExecutor(given.jobs) as pool:
            waiting = {}
            remaining = iter(todo)
            finished = 0
            while True:
                while len(waiting) < 2 * given.jobs and time.monotonic() < until:
                    job = next(remaining, None)
                    if job is None:
                        break
                    waiting[pool.submit(run, *job, given.quick)] = job
                if not waiting:
                    break
                future = next(as_completed(waiting))
                setting, policy, seed = waiting.pop(future)
                row = future.result()
                writer.writerow(row)
                stream.flush()
                finished += 1
                print(
                    f"{finished}/{len(todo)} {setting.name} {policy} seed {seed}: Req95 "
                    f"{row['req95']:.3f}, Req99 {row['req99']:.3f}, {row['wall_s']} s",
                    file=sys.stderr,
                    flush=True,
                )
    write_tables(path, folder)


if __name__ == "__main__":
    main()
