"""Time `hexsolve plan` from 48 to 100,000 GPUs: write the instances, solve, tabulate.

    python results/plan_scale/run.py            # writes instances/, runs.csv and README.md
    python results/plan_scale/run.py --quick    # one repetition, prints only

Every size has the eight GPU types of the catalog's 100,000-GPU fleet in about its proportions and
twenty call classes of four workflow classes, at rates proportional to the GPUs.
"""

import argparse
import csv
import os
import platform
import statistics
import time
from pathlib import Path

import yaml

from hexsolve.instances.resolve import load_problem
from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.solve import Solution, make_task, solve
from hexsolve.solver.result import relative_gap

HERE = Path(__file__).parent
REPETITIONS = 3
GAP, TIME_LIMIT_S = 1e-3, 60.0
OBJECTIVES: tuple[Objective, ...] = ("load", "cost", "slo")

# (GPU type, GPUs per node, nodes): the catalog's fleet-100k, and the same shares at smaller sizes.
# At 48 GPUs the rare types come in smaller nodes, so that all eight are still there.
SHARES = {
    "a100-80": 2500, "h100": 4000, "h200": 2000, "b200": 1000,
    "mi300x": 1000, "l40s": 1000, "h20": 500, "rtx-pro-6000": 500,
}  # fmt: skip
SMALL = {
    "a100-80": (8, 1), "h100": (8, 2), "h200": (8, 1), "b200": (4, 1),
    "mi300x": (4, 1), "l40s": (4, 1), "h20": (2, 1), "rtx-pro-6000": (2, 1),
}  # fmt: skip
SIZES = (48, 480, 10_000, 100_000)

# Workflows per second and GPU: about 70 % of the fleet's largest load at SLO scale 4.
RATES = {"chat": 0.075, "tool-calling": 0.075, "text-to-sql": 0.015}
RAG_RATE = 0.075
SLO_SCALE = 4.0
RAG = {
    "name": "retrieval-augmented",
    "calls": [
        {"name": "rewrite", "new_tokens": 350, "output_tokens": 40, "new_tokens_cv": 0.5},
        {
            "name": "answer",
            "new_tokens": 4200,
            "output_tokens": 320,
            "new_tokens_cv": 0.4,
            "tool_seconds": 0.2,
            "after": ["rewrite"],
        },
    ],
}

COLUMNS = (
    "gpus", "types", "call_classes", "objective", "candidates", "status", "limit", "value",
    "bound", "gap", "wall_s", "cpu_s", "wall_s_all", "cpu_s_all", "load_average",
)  # fmt: skip


def nodes(gpus: int) -> dict[str, tuple[int, int]]:
    """Return GPU type → (GPUs per node, nodes) for a size."""
    if gpus == sum(size * count for size, count in SMALL.values()):
        return SMALL
    total = sum(SHARES.values())
    exact = {gpu: gpus / 8 * share / total for gpu, share in SHARES.items()}
    counts = {gpu: int(value) for gpu, value in exact.items()}
    # the largest remainders get what rounding down left over
    left = gpus // 8 - sum(counts.values())
    for gpu in sorted(exact, key=lambda name: counts[name] - exact[name])[:left]:
        counts[gpu] += 1
    return {gpu: (8, count) for gpu, count in counts.items()}


def instance(gpus: int) -> dict[str, object]:
    """Return the instance of a size as the YAML that `hexsolve plan` reads."""
    pools = [
        {"gpu": gpu, "gpus_per_node": size, "nodes": count}
        for gpu, (size, count) in nodes(gpus).items()
    ]
    classes: list[dict[str, object]] = [
        {"use": name, "rate_per_s": round(rate * gpus, 6)} for name, rate in RATES.items()
    ]
    classes.append({**RAG, "rate_per_s": round(RAG_RATE * gpus, 6)})
    return {
        "schema_version": 1,
        "name": f"scale-{gpus}",
        "description": f"{gpus:,} GPUs of eight types, twenty call classes",
        "llm": "llama-3.1-70b",
        "cluster": {"name": f"fleet-{gpus}", "pools": pools},
        "slo_scale": SLO_SCALE,
        "workload": {"classes": classes},
    }


def measure(
    problem: PlanningProblem, objective: Objective, repetitions: int, time_limit_s: float
) -> dict[str, object]:
    """Return one line of the table: medians over whole solves, and what was proven."""
    walls, cpus, loads = [], [], []
    answer: Solution | None = None
    for _ in range(repetitions):
        budget = Budget(time_s=time_limit_s, gap=GAP, threads=1)
        wall, cpu = time.perf_counter(), time.process_time()
        answer = solve(problem, objective, budget)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        loads.append(os.getloadavg()[0])
    assert answer is not None
    outcome = answer.outcome
    gap = None
    if outcome.objective is not None and outcome.bound is not None:
        gap = relative_gap(outcome.objective, outcome.bound)
    return {
        "gpus": problem.cluster.gpus,
        "types": len(problem.cluster.pools),
        "call_classes": sum(len(flow.calls) for flow in problem.workload.classes),
        "objective": objective,
        "candidates": len(make_task(problem, objective).candidates),
        "status": outcome.status.value,
        "limit": outcome.limit.value,
        "value": outcome.objective,
        "bound": outcome.bound,
        "gap": gap,
        "wall_s": round(statistics.median(walls), 3),
        "cpu_s": round(statistics.median(cpus), 3),
        "wall_s_all": " ".join(f"{value:.3f}" for value in walls),
        "cpu_s_all": " ".join(f"{value:.3f}" for value in cpus),
        "load_average": round(statistics.median(loads), 2),
    }


def table(lines: list[dict[str, object]]) -> str:
    """Return the lines as a Markdown table."""
    head = (
        "| GPUs | types | call classes | objective | candidates | status | value | gap | "
        "wall, s | CPU, s |\n|---|---|---|---|---|---|---|---|---|---|\n"
    )
    rows = [
        f"| {line['gpus']:,} | {line['types']} | {line['call_classes']} | {line['objective']} | "
        f"{line['candidates']} | {line['status']} | {line['value']:,.5g} | {line['gap']:.4%} | "
        f"{line['wall_s']:.2f} | {line['cpu_s']:.2f} |"
        for line in lines
    ]
    return head + "\n".join(rows) + "\n"


def ratios(lines: list[dict[str, object]]) -> str:
    """Return wall and CPU time at the largest size over those at 480 GPUs, per objective."""
    said = []
    for objective in dict.fromkeys(line["objective"] for line in lines):
        by_size = {line["gpus"]: line for line in lines if line["objective"] == objective}
        large, small = by_size.get(SIZES[-1]), by_size.get(480)
        if large is None or small is None:
            continue
        wall, cpu = (float(large[key]) / float(small[key]) for key in ("wall_s", "cpu_s"))  # type: ignore[arg-type]
        said.append(f"* {objective}: {wall:.2f} × the wall time, {cpu:.2f} × the CPU time")
    return "\n".join(said) + "\n"


def report(lines: list[dict[str, object]]) -> str:
    """Return the README with its measured part between the markers replaced."""
    text = (HERE / "README.md").read_text()
    begin, end = "<!-- measured -->\n", "<!-- end -->\n"
    before, after = text.split(begin)[0], text.split(end)[1]
    loads = [float(str(line["load_average"])) for line in lines]
    solves = [len(str(line["wall_s_all"]).split()) for line in lines]
    machine = (
        f"Medians of {min(solves)} to {max(solves)} solves (runs.csv has each), one solver thread, "
        f"{os.cpu_count()} cores shared with other work (load average {min(loads):.1f} to "
        f"{max(loads):.1f}), "
        f"Python {platform.python_version()}:\n\n"
    )
    measured = machine + table(lines) + "\n100,000 GPUs take, against 480 GPUs:\n\n" + ratios(lines)
    return before + begin + measured + end + after


def with_kept(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return all lines of the table: these, and of runs.csv those of other sizes or objectives."""
    known: dict[tuple[int, object], dict[str, object]] = {}
    path = HERE / "runs.csv"
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                numbers = {key: float(row[key]) for key in ("value", "gap", "wall_s", "cpu_s")}
                gpus = int(row["gpus"])
                known[gpus, row["objective"]] = {**row, **numbers, "gpus": gpus}
    known |= {(int(str(line["gpus"])), line["objective"]): line for line in lines}
    order = [(size, objective) for size in SIZES for objective in OBJECTIVES]
    return [known[key] for key in order if key in known]


def main() -> None:
    """Write the instances, measure, and write runs.csv and the README's table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--quick", action="store_true", help="one repetition, print only")
    options.add_argument("--repetitions", type=int, default=REPETITIONS)
    options.add_argument("--time-limit", type=float, default=TIME_LIMIT_S, help="seconds a solve")
    options.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    options.add_argument("--objectives", nargs="+", default=list(OBJECTIVES), choices=OBJECTIVES)
    given = options.parse_args()
    folder = HERE / "instances"
    folder.mkdir(exist_ok=True)
    lines = []
    for gpus in given.sizes:
        path = folder / f"gpus-{gpus}.yaml"
        path.write_text(yaml.safe_dump(instance(gpus), sort_keys=False))
        problem = load_problem(path)
        for objective in given.objectives:
            repetitions = 1 if given.quick else given.repetitions
            lines.append(measure(problem, objective, repetitions, given.time_limit))
            print({key: value for key, value in lines[-1].items() if "_all" not in key}, flush=True)
    if given.quick:
        return
    lines = with_kept(lines)
    with (HERE / "runs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    (HERE / "README.md").write_text(report(lines))


if __name__ == "__main__":
    main()
