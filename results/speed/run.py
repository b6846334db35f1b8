"""How fast the simulator is: calls per second of CPU time, on one core.

    python results/speed/run.py [--data DIR] [--peer PYTHON] [--largest CALLS]

`--peer` names a Python that has NVIDIA's Dynamo (``pip install --no-deps ai-dynamo==1.6.1
ai-dynamo-runtime==1.6.1``); its offline replay then runs in turn with ours. Writes runs.csv.
"""

import argparse
import csv
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hexsolve.instances.generators.arrivals import compose_arrivals, poisson
from hexsolve.instances.generators.registry import SHAPES
from hexsolve.instances.importers.registry import read_trace
from hexsolve.models.latency import (
    DecodeCoefficients,
    EnginePerformance,
    MixedCoefficients,
    PrefillCoefficients,
)
from hexsolve.models.simulation.cluster import Role, SimulatedCluster, SimulatedInstance
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import make_policy

HERE = Path(__file__).resolve().parent
# Steps like those of Llama-3.1-8B on one H100: the figures matter only for the load.
ENGINE = EnginePerformance(
    llm="8b",
    gpu="h100",
    tp=1,
    prefill=PrefillCoefficients(p0=4e-3, p1=3.2e-5, p2=1e-9, floor=8e-3),
    decode=DecodeCoefficients(d0=6e-3, d1=1.5e-5, d2=5e-8),
    mixed=MixedCoefficients(m0=6e-3, m1=3.2e-5, m2=1e-9, d1=1.5e-5, d2=5e-8),
    kv_capacity_tokens=1_000_000,
    kv_bytes_per_token=131_072,
    origin="measured",
)
PEER = """
import sys, time
from dynamo._core import run_mocker_synthetic_trace_replay as replay
engines = [{"engine": {"worker_type": role}} for role in ("prefill", "decode")]
begin = time.process_time()
replay(1024, 256, int(sys.argv[1]), prefill_engine_args=engines[0], decode_engine_args=engines[1],
       num_prefill_workers=4, num_decode_workers=4, request_rate=float(sys.argv[2]))
print(time.process_time() - begin)
"""


def cluster(each: int = 4) -> SimulatedCluster:
    """Return `each` prefill and decode instances with everything switched on."""
    roles: tuple[Role, ...] = ("prefill",) * each + ("decode",) * each
    return SimulatedCluster(
        instances=tuple(
            SimulatedInstance(name=f"{role}-{n}", role=role, performance=ENGINE)
            for n, role in enumerate(roles)
        ),
        transfer_latency_s=1e-4,
    )


def requests(count: int, rate: float) -> list[Workflow]:
    """Return requests of 1,024 prompt and 256 output tokens."""
    workflows = [Workflow(f"w{n}", 0.0, (Call(1024, 256),)) for n in range(count)]
    return compose_arrivals(workflows, poisson(rate), np.random.default_rng(0))


def measure(name: str, workflows: list[Workflow], policy: str) -> dict[str, object]:
    """Run once and return the row."""
    simulation = Simulation(cluster(), workflows, make_policy(policy), OraclePredictor())
    begin = time.process_time()
    record = simulation.run()
    seconds = time.process_time() - begin
    return row(name, policy, record.done, seconds)


def row(name: str, policy: str, calls: int, seconds: float) -> dict[str, object]:
    """Return a row of the table."""
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "workload": name,
        "policy": policy,
        "calls": calls,
        "cpu_s": round(seconds, 3),
        "calls_per_s": round(calls / seconds),
        "us_per_call": round(1e6 * seconds / calls, 1),
        "peak_mb": round(megabytes),
    }


def peer(python: str, count: int, rate: float) -> dict[str, object]:
    """Run Dynamo's replay on the same load."""
    done = subprocess.run(
        [python, "-c", PEER, str(count), str(rate)], capture_output=True, text=True, check=True
    )
    seconds = float(done.stdout.splitlines()[-1])
    return row(f"requests-{count}", "Dynamo 1.6.1 offline replay", count, seconds) | {"peak_mb": ""}


def rows(options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Yield all rows as they are measured."""
    for rate in (40.0, 80.0):
        for _ in range(3):
            yield measure(f"requests-10000 at {rate:g}/s", requests(10_000, rate), "round-robin")
            if options.peer:
                yield peer(options.peer, 10_000, rate) | {
                    "workload": f"requests-10000 at {rate:g}/s"
                }
    size = 1000
    while size <= options.largest:
        yield measure(f"requests-{size} at 60/s", requests(size, 60.0), "round-robin")
        size *= 10
    for name, count, rate in (
        ("tool-calling", 1500, 8.0),
        ("tree-search", 100, 0.4),
        ("chat", 2500, 7.0),
        ("text-to-sql", 600, 1.0),
    ):
        rng = np.random.default_rng(0)
        workflows = compose_arrivals(SHAPES[name].generate(count, rng), poisson(rate), rng)
        for policy in ("round-robin", "least-work"):
            yield measure(name, workflows, policy)
    trace = Path(options.data) / "traces" / "weka_claude_code.jsonl.gz"
    if trace.exists():
        sessions = read_trace(trace).workflows
        workflows = compose_arrivals(sessions, poisson(0.05), np.random.default_rng(0))
        for policy in ("round-robin", "least-work"):
            yield measure("weka coding agent, 676 sessions at 0.05/s", workflows, policy)


def main() -> None:
    """Measure, print and write runs.csv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = HERE.parents[2] / "shared" / "data"
    parser.add_argument("--data", default=os.environ.get("HEXSOLVE_DATA", str(default)))
    parser.add_argument("--peer", help="a Python with ai-dynamo")
    parser.add_argument("--largest", type=int, default=100_000)
    options = parser.parse_args()
    with (HERE / "runs.csv").open("w", newline="", encoding="utf-8") as stream:
        writer: csv.DictWriter[str] | None = None
        for each in rows(options):
            if writer is None:
                writer = csv.DictWriter(stream, list(each), lineterminator="\n")
                writer.writeheader()
            writer.writerow(each)
            stream.flush()
            print(*(f"{key}={value}" for key, value in each.items()), flush=True)


if __name__ == "__main__":
    main()
