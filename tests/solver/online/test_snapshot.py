"""What the projection believes of calls under way, against what the simulator then does."""

import pytest

from hexsolve.models.latency import DecodeCoefficients
from hexsolve.models.simulation.calls import (
    INBOUND,
    LANDED,
    PREFILLING,
    RUNNING,
    STAGES,
    TRANSFER,
)
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.policy import Assignment, BasePolicy
from hexsolve.models.workflow import Call
from hexsolve.solver.online.projection.snapshot import bound_calls, free_seconds, machines_of
from hexsolve.solver.online.registry import make_policy
from tests.simulation.engines import cluster, engine, instance
from tests.solver.online.probe import simulate, workflow


class Watched(BasePolicy):
    """Notes at every epoch what is believed of each call whose prefill has begun."""

    name = "watched"
    epoch_s = 0.05

    def __init__(self, pairs=((0, 1),)) -> None:
        self.pairs = pairs
        self.seen = []
        self.free = []

    def place(self, view, ready):
        for call in ready:
            p, d = self.pairs[call.number % len(self.pairs)]
            yield call, Assignment(p, d, float(call.number))

    def plan(self, view):
        machines = machines_of(view)
        bound, calls = bound_calls(view, machines)
        for call, joins, steps in zip(calls, bound.joins, bound.steps, strict=True):
            emitted = view.instances[call.decode].emitted(call)
            at = view.now_s + joins
            self.seen.append(
                (call.number, call.stage, call.preemptions, at, steps, emitted, view.now_s)
            )
        self.free.append((view.now_s, free_seconds(view, machines).tolist()))

    def stages(self):
        return {stage for _, stage, *_ in self.seen}


def test_steps_still_to_come_in_every_stage():
    # A slow link, and a pool for one call at a time: each stage lasts.
    on = cluster(performance=engine(capacity=1200))
    outputs = [20, 30, 1]
    flows = [
        workflow(Call(700, output), arrival=0.01 * index, name=f"w{index}")
        for index, output in enumerate(outputs)
    ]
    policy = Watched()
    simulate(on, flows, policy)
    assert policy.stages() >= {PREFILLING, INBOUND, TRANSFER, RUNNING}
    for number, stage, _, _, steps, emitted, _ in policy.seen:
        first = 1 if stage == PREFILLING else 0
        assert steps == outputs[number] - emitted - first, STAGES[stage]


@pytest.mark.parametrize("pp", [1, 4])
def test_a_call_joins_when_its_batch_and_its_transfer_end(pp):
    performance = engine().model_copy(update={"pp": pp})
    on = SimulatedCluster(
        instances=tuple(
            instance(name, role, performance, nic_bandwidth=1e6)
            for name, role in (("p", "prefill"), ("d", "decode"))
        ),
        transfer_latency_s=0.12,
    )
    # The second call is prefilled while the first one is, if there are stages; transfers apart.
    flows = [workflow(Call(2000, 5), name="a"), workflow(Call(4000, 5), arrival=0.3, name="b")]
    policy = Watched()
    record = simulate(on, flows, policy)
    assert policy.stages() >= {PREFILLING, TRANSFER}
    for number, stage, _, joins, *_ in policy.seen:
        if stage in (PREFILLING, TRANSFER):
            assert joins == pytest.approx(record.times["landed"][number]), STAGES[stage]


def test_a_transfer_counts_from_its_admission_and_for_its_own_tokens():
    # 700 + 600 tokens never fit 1,200 at once: the second call waits a second for its room, then
    # is in transfer for 0.7 s.
    on = cluster(performance=engine(capacity=1200), transfer_latency_s=0.1)
    flows = [workflow(Call(700, 100), name="a"), workflow(Call(700, 100), arrival=0.01, name="b")]
    policy = Watched()
    record = simulate(on, flows, policy)
    times = record.times
    assert times["landed"][1] - times["prefill_end"][1] > 1.2
    seen = [joins for number, stage, _, joins, *_ in policy.seen if number and stage == TRANSFER]
    assert len(seen) > 10
    assert seen == pytest.approx([times["landed"][1]] * len(seen))


def test_a_second_transfer_does_not_count_the_first():
    # No promises: both decode until the pool is full, and the later one is sent again.
    on = cluster(
        performance=engine(capacity=1000), transfer_latency_s=0.06, admission="prompt",
        instance_options={"nic_bandwidth": 1e6},
    )  # fmt: skip
    flows = [workflow(Call(400, 200), name="a"), workflow(Call(400, 200), name="b")]
    policy = Watched()
    record = simulate(on, flows, policy)
    assert record.counts["preemptions"][1] == 1
    again = [
        (joins, now)
        for number, stage, preemptions, joins, _, _, now in policy.seen
        if (number, stage, preemptions) == (1, TRANSFER, 1)
    ]
    assert again
    for joins, _ in again:
        assert joins == pytest.approx(record.times["landed"][1])


def test_a_shared_link_is_counted_at_its_rate():
    on = cluster(prefills=2, decodes=1)
    # Two transfers of 1,000 tokens enter one decode instance at 1 MB/s: 2 s for both.
    flows = [workflow(Call(1000, 5), name="a"), workflow(Call(1000, 5), name="b")]
    policy = Watched(pairs=((0, 2), (1, 2)))
    record = simulate(on, flows, policy)
    assert record.times["landed"] == pytest.approx([3.0, 3.0])
    seen = [joins for _, stage, _, joins, *_ in policy.seen if stage == TRANSFER]
    assert seen == pytest.approx([3.0] * len(seen))


def test_prompts_in_progress_on_a_mixed_instance_are_seen():
    on = cluster(prefills=0, decodes=0, mixed=1, instance_options={"token_budget": 500})
    flows = [
        workflow(Call(3300, 1), name="a"),
        workflow(Call(2500, 1), arrival=0.2, name="b"),
        workflow(Call(800, 1), arrival=0.3, name="c"),
    ]
    policy = Watched(pairs=((0, 0),))
    record = simulate(on, flows, policy)
    ends = record.times["prefill_end"]
    assert {number for number, *_ in policy.seen} == {0, 1, 2}
    for number, _, _, joins, _, _, now in policy.seen:
        # Before 0.3 s nobody knows who will share the last step of the first.
        if now >= 0.3:
            assert joins == pytest.approx(ends[number])
    # 3,300 tokens in 7 steps of 10 ms and 1 ms a token; the second prompt alone has 2,300 left.
    free = {round(now, 2): seconds for now, (seconds,) in policy.free}
    assert free[0.3] == pytest.approx(3.37 - 0.3)
    assert free[3.6] == pytest.approx(3.57 + 2.3 + 0.05 - 3.6)


def test_landed_calls_join_at_once():
    on = cluster(instance_options={"nic_bandwidth": 1e9})
    flows = [workflow(Call(500, 400), name="a"), workflow(Call(500, 10), arrival=0.1, name="b")]
    policy = Watched()
    policy.epoch_s = 0.001
    simulate(on, flows, policy)
    landed = [(joins, now) for _, stage, _, joins, _, _, now in policy.seen if stage == LANDED]
    assert landed
    assert all(joins == now for joins, now in landed)


def test_a_mixed_instance_with_a_prompt_in_progress_is_not_idle():
    slower = engine(decode=DecodeCoefficients(d0=0.0105, d1=0.001, d2=1e-6))
    on = SimulatedCluster(instances=(instance("m0", "mixed"), instance("m1", "mixed", slower)))
    flows = [workflow(Call(60_000, 1), name="a"), workflow(Call(500, 1), arrival=1.0, name="b")]
    record = simulate(on, flows, make_policy("hexagent"))
    assert list(record.counts["decode"]) == [0, 1]
    assert record.finish[1] == pytest.approx(1.51, abs=0.01)
