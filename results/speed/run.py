"""How fast the simulator is: calls per second of CPU time, on one core.

    python results/speed/run.py [--data DIR] [--peer PYTHON] [--before TREE] [--largest CALLS]
        [--only LOAD ...] [--append]

Compiled code and the same code as Python take turns, with two more on request: `--peer` names a
Python that has NVIDIA's Dynamo (``pip install --no-deps ai-dynamo==1.6.1
ai-dynamo-runtime==1.6.1``), whose offline replay gets the same load; `--before` names the working
tree of an earlier version, compiled or not. Chains are replayed by Dynamo twice, as sessions and in
its format for agentic workflows, others in the latter. `--only` and `--append` serve to measure in
pieces: loads, ``coding-agent`` and ``growth``. Writes runs.csv.
"""

import argparse
import csv
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from peer import NAME, is_chain, replay_dags, replay_requests, replay_sessions

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
    return row(name, policy, simulator(), record.done, seconds)


def simulator() -> str:
    """Say what runs: compiled code, or Python and why."""
    try:
        from hexsolve.native import state
    except ImportError:
        return "an earlier version"
    return state()


def row(name: str, policy: str, which: str, calls: int, seconds: float) -> dict[str, object]:
    """Return a row of the table."""
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "workload": name,
        "policy": policy,
        "simulator": which,
        "calls": calls,
        "cpu_s": round(seconds, 3),
        "calls_per_s": round(calls / seconds),
        "us_per_call": round(1e6 * seconds / calls, 1),
        "peak_mb": round(megabytes),
    }


def peer(python: str, load: str) -> Iterator[dict[str, object]]:
    """Run Dynamo's replay on a load, in all ways in which it can."""
    if load in RATES:
        calls, seconds = replay_requests(python, 10_000, RATES[load])
        yield row(load, "round-robin", NAME, calls, seconds) | {"peak_mb": ""}
        return
    workflows = LOADS[load]()
    if all(map(is_chain, workflows)):
        calls, seconds = replay_sessions(python, workflows)
        yield row(load, "round-robin", f"{NAME}, sessions", calls, seconds) | {"peak_mb": ""}
    calls, seconds = replay_dags(python, workflows)
    yield row(load, "round-robin", f"{NAME}, agentic", calls, seconds) | {"peak_mb": ""}


def elsewhere(
    load: str, which: str, tree: Path, environment: dict[str, str] | None = None
) -> dict[str, object]:
    """Run a load in a process of its own, with the package of `tree`."""
    environment = {"PYTHONPATH": str(tree)} | (environment or {})
    count = str(sum(len(workflow.calls) for workflow in LOADS[load]()))
    seconds = seconds_of([sys.executable, __file__, "--seconds", load], environment)
    return row(load, "round-robin", which, int(count), seconds) | {"peak_mb": ""}


def seconds_of(command: list[str], environment: dict[str, str] | None = None) -> float:
    """Run a command that prints its CPU seconds last."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | (environment or {})
    )
    return float(done.stdout.split()[-1])


def shape(name: str, count: int, rate: float) -> list[Workflow]:
    """Return generated workflows of a published shape."""
    rng = np.random.default_rng(0)
    return compose_arrivals(SHAPES[name].generate(count, rng), poisson(rate), rng)


RATES = {f"requests-10000 at {rate:g}/s": rate for rate in (40.0, 80.0)}
DAGS = {
    "tool-calling": (1500, 8.0),
    "tree-search": (100, 0.4),
    "chat": (2500, 7.0),
    "text-to-sql": (600, 1.0),
}
LOADS: dict[str, Callable[[], list[Workflow]]] = {
    **{name: partial(requests, 10_000, rate) for name, rate in RATES.items()},
    **{name: partial(shape, name, *size) for name, size in DAGS.items()},
}


def rows(options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Yield all rows as they are measured."""
    for load in LOADS:
        if wanted(options, load):
            yield from compare(options, load)
    for load in DAGS:
        if wanted(options, load):
            yield measure(load, LOADS[load](), "least-work")
    trace = Path(options.data) / "traces" / "weka_claude_code.jsonl.gz"
    if wanted(options, "coding-agent") and trace.exists():
        sessions = read_trace(trace).workflows
        workflows = compose_arrivals(sessions, poisson(0.05), np.random.default_rng(0))
        for policy in ("round-robin", "least-work") * 3:
            yield measure("weka coding agent, 676 sessions at 0.05/s", workflows, policy)
        del sessions, workflows
    if wanted(options, "growth"):
        yield from grow(options.largest)


def wanted(options: argparse.Namespace, name: str) -> bool:
    """Return whether something is to be measured."""
    return options.only is None or name in options.only


def compare(options: argparse.Namespace, load: str) -> Iterator[dict[str, object]]:
    """Yield three rounds of everything that can run a load."""
    for _ in range(3):
        yield measure(load, LOADS[load](), "round-robin")
        yield elsewhere(load, "Python", HERE.parents[1], {"HEXSOLVE_NATIVE": "0"})
        if options.before:
            yield elsewhere(load, "before", Path(options.before))
        if options.peer:
            yield from peer(options.peer, load)


def grow(largest: int) -> Iterator[dict[str, object]]:
    """Yield runs of growing size, in rounds; the smaller ones several times in each."""
    sizes = [10**power for power in range(3, 10) if 10**power <= largest]
    for _ in range(3):
        for size in sizes:
            for _ in range(max(1, 5000 // size)):
                yield measure(f"requests-{size} at 60/s", requests(size, 60.0), "round-robin")


def main() -> None:
    """Measure, print and write runs.csv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = HERE.parents[2] / "shared" / "data"
    parser.add_argument("--data", default=os.environ.get("HEXSOLVE_DATA", str(default)))
    parser.add_argument("--peer", help="a Python with ai-dynamo")
    parser.add_argument("--largest", type=int, default=100_000)
    parser.add_argument("--before", help="the working tree of an earlier version")
    parser.add_argument("--only", nargs="+", metavar="LOAD", help="measure only these")
    parser.add_argument("--append", action="store_true", help="keep what runs.csv has")
    parser.add_argument("--seconds", metavar="LOAD", help="only print the CPU seconds of a load")
    options = parser.parse_args()
    if options.seconds:
        print(measure(options.seconds, LOADS[options.seconds](), "round-robin")["cpu_s"])
        return
    mode = "a" if options.append else "w"
    with (HERE / "runs.csv").open(mode, newline="", encoding="utf-8") as stream:
        writer: csv.DictWriter[str] | None = None
        for each in rows(options):
            if writer is None:
                writer = csv.DictWriter(stream, list(each), lineterminator="\n")
                if not options.append:
                    writer.writeheader()
            writer.writerow(each)
            stream.flush()
            print(*(f"{key}={value}" for key, value in each.items()), flush=True)


if __name__ == "__main__":
    main()
