"""Work and memory per call that must not grow with the run, counted without a clock."""

import gc
import tracemalloc

import numpy as np
import pytest

from hexsolve.instances.generators.arrivals import compose_arrivals, poisson
from hexsolve.instances.generators.registry import SHAPES
from hexsolve.models.latency import (
    DecodeCoefficients,
    EnginePerformance,
    MixedCoefficients,
    PrefillCoefficients,
)
from hexsolve.models.simulation import clone, engine
from hexsolve.models.simulation.cluster import Role, SimulatedCluster, SimulatedInstance
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import make_policy

ENGINE = EnginePerformance(
    llm="8b",
    gpu="h100",
    tp=1,
    prefill=PrefillCoefficients(p0=4e-3, p1=3.2e-5, p2=1e-9, floor=8e-3),
    decode=DecodeCoefficients(d0=6e-3, d1=1.5e-5, d2=5e-8),
    mixed=MixedCoefficients(m0=6e-3, m1=3.2e-5, m2=1e-9, d1=1.5e-5, d2=5e-8),
    kv_capacity_tokens=60_000,
    kv_bytes_per_token=131_072,
    origin="measured",
)


def simulation(workflows: list[Workflow]) -> engine.Simulation:
    """Two prefill and two decode instances with small pools, which soon are full."""
    roles: tuple[Role, ...] = ("prefill", "prefill", "decode", "decode")
    cluster = SimulatedCluster(
        instances=tuple(
            SimulatedInstance(name=f"{role}-{n}", role=role, performance=ENGINE)
            for n, role in enumerate(roles)
        ),
        transfer_latency_s=1e-4,
    )
    return engine.Simulation(cluster, workflows, make_policy("round-robin"), OraclePredictor())


def requests(count: int) -> list[Workflow]:
    workflows = [Workflow(f"w{n}", 0.0, (Call(1024, 128),)) for n in range(count)]
    return compose_arrivals(workflows, poisson(20.0), np.random.default_rng(0))


def agents(count: int) -> list[Workflow]:
    rng = np.random.default_rng(0)
    return compose_arrivals(SHAPES["tool-calling"].generate(count, rng), poisson(1.5), rng)


@pytest.mark.parametrize(("make", "short", "long"), [(requests, 300, 2400), (agents, 40, 320)])
def test_events_per_call_do_not_grow(make, short, long):
    per_call = []
    for count in (short, long):
        run = simulation(make(count))
        record = run.run()
        per_call.append(run.handled / record.done)
    assert 3 < per_call[0] < 12
    assert per_call[1] < 1.15 * per_call[0]


@pytest.mark.parametrize("make", [requests, agents])
def test_what_is_kept_of_complete_workflows_does_not_grow(make):
    """Once the pools are full, a run that is four times as long keeps a few bytes per call."""
    kept = []
    for count in (200, 800):
        run = simulation(make(count))
        gc.collect()
        tracemalloc.start()
        try:
            record = run.run()
            gc.collect()
            kept.append((tracemalloc.get_traced_memory()[0], record.done))
        finally:
            tracemalloc.stop()
    (less, few), (more, many) = kept
    # Integers: output length, workflow, prefix; no objects of a call or a run.
    assert more - less < 200 * (many - few)


def test_a_clone_shares_what_the_pools_hold():
    """It copies calls under way, not the thousands of runs that are cached."""
    run = simulation(requests(1200))
    run.run(until_s=50.0)
    pools = [instance.pool for instance in run.instances]
    assert sum(pool.used for pool in pools) > 200_000
    gc.collect()
    tracemalloc.start()
    try:
        twin = clone.clone(run, make_policy("round-robin"), OraclePredictor())
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    rows = 128 * run.total_calls
    under_way = len(run.live)
    assert twin.record.done == run.record.done
    assert taken < rows + 24 * run.total_calls + 4_000 * under_way + 100_000
