"""The summary of a small run, worked out by hand."""

import numpy as np
import pytest

from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.measures import summarise
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import make_policy
from tests.simulation.engines import cluster

CAPACITY = 1_000_000
# A step takes 10 ms, 1 ms per call and 1 µs per token held; the second call holds 50 more.
STEPS = (0.0111 + 0.011101, 0.01115 + 0.011151)


@pytest.fixture(scope="module")
def summary():
    """Two calls of 100 and 150 prompt and 3 output tokens; the second begins with the first's."""
    calls = (Call(100, 3), Call(150, 3, parents=(0,), prefix_call=0, prefix_tokens=100))
    on = cluster(instance_options={"price_per_hour": 36.0, "watts": 1000.0})
    policy = make_policy("round-robin")
    record = Simulation(on, [Workflow("w", 1.0, calls)], policy, OraclePredictor()).run()
    flow = 0.1 + 0.1 + STEPS[0] + 0.05 + 0.05 + STEPS[1]
    return summarise(record, on, [flow / 2], np.random.default_rng(0)) | {"by_hand": flow}


def test_flow_time_and_slowdown(summary):
    flow = summary["by_hand"]
    assert summary["flow_time_s"] == pytest.approx(
        {"mean": flow, "p50": flow, "p95": flow, "p99": flow, "max": flow}
    )
    assert summary["makespan_s"] == pytest.approx(1.0 + flow)
    assert summary["slowdown"]["mean"] == pytest.approx(2.0)
    assert summary["req95"] == summary["req99"] == pytest.approx(2.0)
    shares = summary["attainment"]
    assert [shares[scale] for scale in ("1", "1.5", "3", "5")] == [0.0, 0.0, 1.0, 1.0]


def test_latencies(summary):
    # The prefill emits the first token; the transfer lies between that and the second.
    assert summary["ttft"]["mean"] == pytest.approx((0.1 + 0.05) / 2)
    assert summary["ttft"]["max"] == pytest.approx(0.1)
    assert summary["tpot"]["max"] == pytest.approx((0.1 + STEPS[0]) / 2)
    assert summary["tpot"]["p50"] == pytest.approx((0.05 + STEPS[1]) / 2)
    assert summary["breakdown_s"] == pytest.approx(
        {"queue": 0.0, "prefill": 0.075, "transfer": 0.075, "decode": sum(STEPS) / 2}
    )


def test_caches(summary):
    # 100 of the 250 prompt tokens were there; the decode instance lacked 100 and then 50.
    assert summary["cache_hit_rate"] == pytest.approx(0.4)
    assert summary["transferred_tokens"] == 150
    assert summary["preemptions"] == 0


def test_use_of_the_cluster(summary):
    flow = summary["by_hand"]
    assert summary["utilisation"] == pytest.approx(
        {"prefill": 0.15 / flow, "decode": sum(STEPS) / flow}
    )
    prefill, decode = summary["instances"]
    assert prefill["busy"] == pytest.approx(0.15 / flow)
    assert decode["mean_batch"] == pytest.approx(1.0)
    # Present while the first call decodes: 100 tokens, a token more at each step; while the
    # second does, 50 more than the first left behind.
    tokens = (101 * STEPS[0] + 153 * STEPS[1]) / sum(STEPS)
    assert decode["kv_occupancy"] == pytest.approx(tokens / CAPACITY)
    assert decode["evicted_tokens"] == 0


def test_cost_and_energy(summary):
    flow = summary["by_hand"]
    assert summary["cost_per_1000_workflows"] == pytest.approx(2 * 36.0 * flow / 3600 * 1000)
    assert summary["energy_kwh"] == pytest.approx(1000.0 * (0.15 + sum(STEPS)) / 3.6e6)


def test_waiting_counts_as_queue():
    # Of three calls that arrive together one starts at once; a batch takes one call.
    on = cluster(instance_options={"max_batch": 1})
    workflows = [Workflow(f"w{n}", 0.0, (Call(100, 1),)) for n in range(3)]
    policy = make_policy("round-robin")
    record = Simulation(on, workflows, policy, OraclePredictor()).run()
    summary = summarise(record, on, None, np.random.default_rng(0))
    assert summary["breakdown_s"]["queue"] == pytest.approx((0.0 + 0.1 + 0.2) / 3)
    assert summary["ttft"]["max"] == pytest.approx(0.3)
