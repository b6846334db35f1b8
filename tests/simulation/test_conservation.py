"""Laws that every run keeps, checked at each event, and queues with known waiting times."""

import numpy as np
import pytest

from hexsolve.models.latency import PrefillCoefficients
from hexsolve.models.simulation.calls import RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import make_policy
from tests.simulation.engines import cluster, engine
from tests.simulation.scenarios import Guess, Scripted, random_scenario


class Auditor:
    """Checks pools and links at each event, and counts what is in the system."""

    def __init__(self) -> None:
        self.simulation: Simulation | None = None
        self.inside = 0
        self.arrived = 0
        self.calls_done = 0
        self.area = 0
        self.last = 0
        self.shared = 0
        self.queued: dict[int, list[tuple[int, int]]] = {}
        self.batches: dict[int, set[int]] = {}

    def call(self, event: str, now: int, call: RevealedCall, instance: int) -> None:
        self.calls_done += event == "done"
        self._check()

    def workflow(self, event: str, now: int, workflow: RevealedWorkflow) -> None:
        self.area += self.inside * (now - self.last)
        self.last = now
        self.inside += 1 if event == "arrive" else -1
        self.arrived += event == "arrive"
        assert self.inside >= 0
        self._check()

    def _check(self) -> None:
        simulation = self.simulation
        assert simulation is not None
        for each in simulation.instances:
            pool = each.pool
            assert 0 <= pool.pinned <= pool.capacity
            pool.evict()
            assert pool.pinned <= pool.used <= pool.capacity
        links = simulation.links
        if links.touched:
            # Bandwidth is shared anew at the end of this instant's round.
            return
        self.shared += any(links.leaving)
        for number, bandwidth in enumerate(links.bandwidth):
            for flows in (links.leaving[number], links.entering[number]):
                assert sum(flow.flow_rate for flow in flows) <= max(bandwidth, len(flows))
                assert all(flow.flow_rate > 0 for flow in flows)


@pytest.mark.parametrize("seed", range(120))
def test_laws_hold_at_every_event(seed):
    cluster_, workflows = random_scenario(seed)
    auditor = Auditor()
    simulation = Simulation(cluster_, workflows, Scripted(seed), Guess(seed), listener=auditor)
    auditor.simulation = simulation
    record = simulation.run()
    # Arrivals = completed + in system, at the end with nobody inside.
    assert auditor.arrived == len(workflows)
    assert auditor.inside == 0
    assert auditor.calls_done == simulation.total_calls == record.done
    # Little: the area under "workflows inside" is the sum of their flow times.
    flow = sum(record.finish) - sum(record.arrival)
    assert auditor.area / 1e12 == pytest.approx(flow, rel=1e-9)
    # All KV is released.
    assert all(each.pool.pinned == 0 for each in simulation.instances)
    assert all(0 <= each.mean_kv_tokens <= each.kv_capacity_tokens for each in record.instances)
    outputs = [call.output_tokens for w in simulation.workflows for call in w.calls]
    assert list(record.counts["output_tokens"]) == outputs


def test_the_audit_sees_links_in_use():
    auditor = Auditor()
    for seed in range(20):
        cluster_, workflows = random_scenario(seed)
        run = Simulation(cluster_, workflows, Scripted(seed), Guess(seed), listener=auditor)
        auditor.simulation = run
        run.run()
    assert auditor.shared > 100


@pytest.mark.parametrize("seed", range(60))
def test_a_run_repeats_exactly(seed):
    cluster_, workflows = random_scenario(seed)
    records = [Simulation(cluster_, workflows, Scripted(seed), Guess(seed)).run() for _ in "ab"]
    assert records[0].times == records[1].times
    assert records[0].counts == records[1].counts
    assert records[0].instances == records[1].instances


def waits_of_a_single_server(prompts: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """Waiting times at one prefill instance that serves calls one by one at 1 ms a token."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1.0 / rate, prompts.size))
    workflows = [
        Workflow(f"w{i}", float(t), (Call(int(n), 1),))
        for i, (t, n) in enumerate(zip(arrivals, prompts, strict=True))
    ]
    on = cluster(
        performance=engine(PrefillCoefficients(p0=0.0, p1=0.001, p2=0.0), capacity=10**8),
        instance_options={"max_batch": 1},
    )
    record = Simulation(on, workflows, make_policy("round-robin"), OraclePredictor()).run()
    start = np.asarray(record.times["prefill_start"])
    # Work conservation: the server idles only when nobody waits.
    finished = np.asarray(record.times["finished"])
    ready_or_free = np.maximum(arrivals[1:], finished[:-1])
    assert start[1:] == pytest.approx(ready_or_free)
    return start - np.asarray(record.times["revealed"])


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_constant_service_waits_as_in_m_d_1(load):
    means = [waits_of_a_single_server(np.full(2500, 1000), load, seed).mean() for seed in range(10)]
    expected = load / (2.0 * (1.0 - load))
    assert abs(np.mean(means) - expected) <= confidence(means)


@pytest.mark.parametrize("load", [0.5, 0.7])
def test_exponential_service_waits_as_in_m_m_1(load):
    means = []
    for seed in range(10):
        service = np.random.default_rng(1000 + seed).exponential(1000.0, 2500)
        means.append(waits_of_a_single_server(np.ceil(service), load, seed).mean())
    expected = load / (1.0 - load)
    assert abs(np.mean(means) - expected) <= confidence(means)


def confidence(means: list[float]) -> float:
    """Half the 99.9 % confidence interval of a mean of ten replications (t with 9 degrees)."""
    return float(4.78 * np.std(means, ddof=1) / np.sqrt(len(means)))


def test_what_a_pool_keeps_does_not_grow_with_the_run():
    """Calls that share nothing leave cache behind; what does not fit must be forgotten."""
    workflows = [Workflow(f"w{n}", 0.5 * n, (Call(100, 50),)) for n in range(200)]
    on = cluster(performance=engine(capacity=1000))
    simulation = Simulation(on, workflows, make_policy("round-robin"), OraclePredictor())
    most = 0
    for until in range(1, 120):
        simulation.run(until_s=float(until))
        most = max(most, *(each.pool.used for each in simulation.instances))
    assert simulation.record.done == 200
    assert 1000 <= most <= 1150
