"""Flaws seen in other simulators, each shown to be absent here."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hexsolve.instances.catalog.loader import load_catalog
from hexsolve.instances.generators.arrivals import compose_arrivals, poisson
from hexsolve.instances.generators.registry import SHAPES
from hexsolve.instances.performance import engine_performance
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.record import RunRecord
from hexsolve.models.simulation.trace import EventLog
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.registry import make_policy
from tests.simulation.engines import cluster, instance

PROJECT = Path(__file__).resolve().parents[2]


def requests(count: int, gap: float, prompt: int = 1024, output: int = 256) -> list[Workflow]:
    return [Workflow(f"w{n}", n * gap, (Call(prompt, output),)) for n in range(count)]


def run(on, workflows, policy: str = "round-robin", predictor: str = "oracle", seed: int = 0):
    simulation = Simulation(on, workflows, make_policy(policy), make_predictor(predictor, seed))
    return simulation.run()


def ttft(record: RunRecord) -> np.ndarray:
    return np.array(record.times["first_token"]) - np.array(record.times["revealed"])


def decode_seconds(record: RunRecord) -> np.ndarray:
    return np.array(record.times["finished"]) - np.array(record.times["landed"])


# ------------------------------------------------- the GPU type of a pool changes its timing


def on_gpus(prefill: str, decode: str):
    catalog = load_catalog()
    llm = catalog.llms["llama-3.1-8b"]
    engines = [engine_performance(catalog, llm, catalog.gpus[gpu], 1) for gpu in (prefill, decode)]
    assert engines[0] is not None
    assert engines[1] is not None
    options = {"nic_bandwidth": 50e9}
    instances = (
        instance("p", "prefill", engines[0], **options),
        instance("d", "decode", engines[1], **options),
    )
    return SimulatedCluster(instances=instances)


def test_each_pool_runs_at_the_speed_of_its_own_gpu():
    pairs = [(p, d) for p in ("h100", "l40s") for d in ("h100", "l40s")]
    timing = {pair: run(on_gpus(*pair), requests(20, 0.0)) for pair in pairs}
    for decode in ("h100", "l40s"):
        fast, slow = timing["h100", decode], timing["l40s", decode]
        assert np.all(ttft(slow) > 1.5 * ttft(fast))
    # Who prefills changes no decode step of a call that decodes alone.
    alone = {pair: decode_seconds(run(on_gpus(*pair), requests(1, 0.0))).item() for pair in timing}
    assert alone["h100", "h100"] == pytest.approx(alone["l40s", "h100"], rel=1e-9)
    assert alone["h100", "l40s"] > 1.5 * alone["h100", "h100"]


# ------------------------------------------------- decode time sees the batch


def test_steps_take_longer_in_a_larger_batch():
    """`tests.simulation.engines`: a step takes 10 ms + 1 ms per sequence + 1 µs per token."""
    steps = []
    for count in (1, 8, 64):
        record = run(cluster(prefills=count), requests(count, 0.0, prompt=10, output=101))
        seconds = decode_seconds(record) / 100
        assert seconds == pytest.approx(
            np.full(count, 0.010 + count * (0.001 + 1e-6 * (11 + 49.5))), rel=2e-3
        )
        steps.append(seconds.mean())
    assert steps[0] < steps[1] < steps[2]


# ------------------------------------------------- transfers take time


def test_a_transfer_takes_its_bytes_over_the_bandwidth():
    """1,024 tokens of 1,000 bytes over 1 MB/s: 1.024 s; a fifth of that over 5 MB/s."""
    for bandwidth, latency in ((1e6, 0.0), (5e6, 0.0), (1e6, 0.25)):
        on = cluster(instance_options={"nic_bandwidth": bandwidth}, transfer_latency_s=latency)
        record = run(on, requests(1, 0.0))
        moved = record.times["landed"][0] - record.times["prefill_end"][0]
        assert moved == pytest.approx(1.024e6 / bandwidth + latency, rel=1e-9)


def test_transfers_share_a_link():
    """Two flows into one decode instance take twice as long as one."""
    record = run(cluster(prefills=2), requests(2, 0.0))
    moved = np.array(record.times["landed"]) - np.array(record.times["prefill_end"])
    assert moved == pytest.approx(np.full(2, 2.048), rel=1e-9)


# ------------------------------------------------- no cost per call that grows with the run


def functions_entered(count: int, workload: str) -> int:
    """Count the Python function calls of a run: work, free of the clock and of other load."""
    if workload == "requests":
        workflows = requests(count, 0.5)
    else:
        rng = np.random.default_rng(0)
        workflows = compose_arrivals(SHAPES[workload].generate(count, rng), poisson(0.1), rng)
    on = cluster(4, 4, instance_options={"nic_bandwidth": 50e9})
    simulation = Simulation(on, workflows, make_policy("least-work"), make_predictor("oracle", 0))
    entered = 0

    def count_call(frame, event, argument):
        nonlocal entered
        entered += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count_call)
    try:
        simulation.run()
    finally:
        sys.setprofile(before)
    return entered


@pytest.mark.parametrize("workload", ["requests", "tool-calling"])
def test_cost_per_call_does_not_grow_with_the_run(workload):
    """A snapshot per event, or a scan over all that was, would show as a slope."""
    counts = (50, 200, 800) if workload == "requests" else (10, 40, 160)
    costs = [functions_entered(count, workload) for count in counts]
    # What each further workflow costs, early in the run and late.
    early = (costs[1] - costs[0]) / (counts[1] - counts[0])
    late = (costs[2] - costs[1]) / (counts[2] - counts[1])
    assert late < 1.25 * early


# ------------------------------------------------- a seed reproduces the run


def log_of(seed: int, path) -> bytes:
    rng = np.random.default_rng(seed)
    workflows = compose_arrivals(SHAPES["tree-search"].generate(4, rng), poisson(0.5), rng)
    on = cluster(2, 2, instance_options={"nic_bandwidth": 50e9})
    with path.open("w", encoding="utf-8") as stream:
        simulation = Simulation(
            on,
            workflows,
            make_policy("least-work"),
            make_predictor("noise-0.8", seed),
            listener=EventLog(stream, on),
        )
        simulation.run()
    return path.read_bytes()


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    one, two, other = (
        log_of(seed, tmp_path / name) for seed, name in ((3, "one"), (3, "two"), (4, "other"))
    )
    assert one == two
    assert len(one) > 10_000
    assert one != other


def test_another_process_gives_the_same_bytes(tmp_path):
    """Also where strings hash differently: nothing follows the order of a set."""
    program = (
        "import pathlib, sys; from tests.simulation.test_peer_flaws import log_of; "
        "log_of(3, pathlib.Path(sys.argv[1]))"
    )
    logs = [log_of(3, tmp_path / "here")]
    for hash_seed in ("1", "2"):
        path = tmp_path / hash_seed
        subprocess.run(
            [sys.executable, "-c", program, str(path)],
            cwd=PROJECT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
        )
        logs.append(path.read_bytes())
    assert logs[0] == logs[1] == logs[2]
