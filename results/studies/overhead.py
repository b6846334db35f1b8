"""What `hexsolve compare` adds to the simulations it runs, and what a second process brings.

    python results/studies/overhead.py [--seeds 100] [--workflows 50] [--rounds 3]
        [--only share|jobs]

A study of 2 instances × 5 policies × seeds runs into a temporary folder. `share`: in this process,
with the time inside the simulations, in preparing workloads (drawing them; the horizons, which are
simulations of each workflow alone) and in measuring runs (percentiles) taken apart from the rest:
reading the study, going through it, files. The overhead is that rest over the other three.
`jobs`: as a command, with one process and with two in turn. Rows go to runs.csv.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hexsolve.studies import cells
from hexsolve.studies.load import load_study
from hexsolve.studies.runner import here, run_study
from hexsolve.studies.store import Store

HERE = Path(__file__).resolve().parent
FIELDS = ("what", "round", "runs", "calls", "wall_s", "cpu_s", "simulate_s", "prepare_s",
          "measure_s", "rest_s", "rest_share",
          "rest_cpu_share", "load")  # fmt: skip
STUDY = """\
version: 1
name: overhead
policies: [workflow-fcfs, llf, atlas, least-work, hexagent]
baseline: workflow-fcfs
seeds: [{seeds}]
instances:
  - {{name: tools, llm: llama-3.1-70b, prefill: {{a100-80: 1, h100: 1}},
     decode: {{a100-80: 1, h100: 1}}, tp: 4, workload: tool-calling, count: {tools}, rate: 10.0}}
  - {{name: chat, llm: llama-3.1-70b, prefill: {{a100-80: 1, h100: 1}},
     decode: {{a100-80: 1, h100: 1}}, tp: 4, workload: chat, count: {chats}, rate: 1.0}}
"""


@contextmanager
def taken_apart() -> Iterator[dict[str, float]]:
    """Yield the wall seconds inside `simulate`, `prepared`, `measured`; CPU seconds as `cpu`."""
    spent: dict[str, float] = defaultdict(float)
    kept = {name: getattr(cells, name) for name in ("simulate", "prepared", "measured")}

    def timed(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            started, cpu = time.perf_counter(), time.process_time()
            try:
                return kept[name](*arguments)
            finally:
                spent[name] += time.perf_counter() - started
                spent["cpu"] += time.process_time() - cpu

        return call

    try:
        for name in kept:
            setattr(cells, name, timed(name))
        yield spent
    finally:
        for name, function in kept.items():
            setattr(cells, name, function)


def share(path: Path, folder: Path) -> dict[str, float | int]:
    """Run the study in this process and take its time apart."""
    cells.prepared.cache_clear()
    started, cpu = time.perf_counter(), time.process_time()
    with taken_apart() as spent:
        study = load_study(path)
        store = Store(folder, study)
        run_study(study, store, here, lambda *_: None)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    inside = spent["simulate"] + spent["prepared"] + spent["measured"]
    rows = store.rows().values()
    assert all(row["status"] == "ok" for row in rows)
    return {
        "runs": len(rows),
        "calls": sum(int(row["calls"]) for row in rows),
        "wall_s": wall,
        "cpu_s": cpu,
        "simulate_s": spent["simulate"],
        "prepare_s": spent["prepared"],
        "measure_s": spent["measured"],
        "rest_s": wall - inside,
        "rest_share": wall / inside - 1.0,
        "rest_cpu_share": cpu / spent["cpu"] - 1.0,
    }


def command(path: Path, folder: Path, jobs: int) -> dict[str, float | int]:
    """Run the study as a command, without figures."""
    line = [sys.executable, "-m", "hexsolve", "compare", str(path), "-o", str(folder)]
    before = os.times()
    started = time.perf_counter()
    subprocess.run(
        [*line, "--jobs", str(jobs), "--no-figures"], check=True, capture_output=True, text=True
    )
    wall = time.perf_counter() - started
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    with (folder / "runs.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    calls = sum(int(row["calls"]) for row in rows)
    return {"runs": len(rows), "calls": calls, "wall_s": wall, "cpu_s": cpu}


def measured(path: Path, root: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the rows, a round at a time."""
    for number in range(1, options.rounds + 1):
        kinds: dict[str, Callable[[Path], dict[str, float | int]]] = {}
        if options.only != "jobs":
            kinds["share"] = lambda folder: share(path, folder)
        if options.only != "share":
            kinds["jobs 1"] = lambda folder: command(path, folder, 1)
            kinds["jobs 2"] = lambda folder: command(path, folder, 2)
        for name, run in kinds.items():
            load = os.getloadavg()[0]
            figures = run(root / f"{name}-{number}")
            yield {"what": name, "round": number, **figures, "load": load}


def main() -> None:
    """Measure, write runs.csv and print what it comes to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workflows", type=int, default=50, help="of a run, on average")
    parser.add_argument("--only", choices=("share", "jobs"))
    parser.add_argument("-o", "--output", type=Path, default=HERE / "runs.csv")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        path = root / "study.yaml"
        seeds = ", ".join(str(seed) for seed in range(1, options.seeds + 1))
        size = {"tools": options.workflows * 4 // 5, "chats": options.workflows * 6 // 5}
        path.write_text(STUDY.format(seeds=seeds, **size), encoding="utf-8")
        for row in measured(path, root, options):
            rows.append({key: round(value, 4) if isinstance(value, float) else value
                         for key, value in row.items()})  # fmt: skip
            print(rows[-1], flush=True)
    with options.output.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    shares = [row["rest_share"] for row in rows if row["what"] == "share"]
    if shares:
        print(f"overhead, wall: median {np.median(shares):.2%} of {shares}")
        shares = [row["rest_cpu_share"] for row in rows if row["what"] == "share"]
        print(f"overhead, CPU: median {np.median(shares):.2%} of {shares}")
    walls = {
        jobs: [row["wall_s"] for row in rows if row["what"] == f"jobs {jobs}"] for jobs in (1, 2)
    }
    if walls[1]:
        ratios = [one / two for one, two in zip(walls[1], walls[2], strict=True)]
        print(f"two jobs against one: median {np.median(ratios):.2f} of {ratios}")


if __name__ == "__main__":
    main()
