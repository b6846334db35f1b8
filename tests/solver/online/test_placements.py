"""Each placement on a case worked out by hand."""

import pytest

from hexsolve.models.latency import DecodeCoefficients, PrefillCoefficients
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.workflow import Call
from hexsolve.solver.online.placements.dynamo import DynamoRouter
from hexsolve.solver.online.placements.hexgen_flow import SpeedAndLoad
from hexsolve.solver.online.placements.llm_d import PairScorer
from hexsolve.solver.online.placements.projected import EarliestCompletion
from hexsolve.solver.online.placements.shortest_queue import PowerOfTwo, ShortestQueue
from tests.simulation.engines import cluster, engine, instance
from tests.solver.online.probe import Probe, simulate, workflow

FAST = engine(PrefillCoefficients(p0=0.0, p1=0.0005, p2=0.0),
              DecodeCoefficients(d0=0.005, d1=0.001, d2=1e-6))  # fmt: skip


def uneven() -> SimulatedCluster:
    """Slow p0 and d0, p1 and d1 twice as fast."""
    return SimulatedCluster(
        instances=(
            instance("p0", "prefill"),
            instance("p1", "prefill", FAST),
            instance("d0", "decode"),
            instance("d1", "decode", FAST),
        )
    )


def choices(placement, on, *flows, first=()):
    """Where the placement sends each call; `first` are pairs that the first calls get instead."""
    taken = []
    started = []

    def decide(view, call):
        if not started:
            placement.start(view)
            started.append(True)
        if call.number < len(first):
            return first[call.number]
        taken.append(placement.choose(view, call))
        return taken[-1]

    simulate(on, flows, Probe(decide))
    return taken


def calls_at(*sizes, gap=0.0):
    return [
        workflow(Call(prompt, output), arrival=index * gap, name=f"w{index}")
        for index, (prompt, output) in enumerate(sizes)
    ]


def test_splitwise_joins_the_shortest_queue_blind_to_speed():
    # A call that is in prefill does not wait; those behind it do.
    flows = calls_at((1000, 10), (300, 10), (100, 30), (50, 10), (50, 10), gap=0.001)
    found = choices(ShortestQueue(), uneven(), *flows, first=[(0, 2), (0, 2), (1, 3)])
    # p0 holds 300 tokens in its queue, p1 none (100 are in prefill); d0 20 tokens to come, d1 30.
    assert found[0] == (1, 2)
    # Now p1 has 50 in its queue, and d0 and d1 have 30 each: the lower number.
    assert found[1] == (1, 2)


def test_power_of_two_is_seeded_and_takes_the_shorter_of_two():
    flows = calls_at(*[(500, 20)] * 12, gap=0.001)
    on = cluster(prefills=6, decodes=6)
    one, again = (choices(PowerOfTwo(3), on, *flows) for _ in range(2))
    other = choices(PowerOfTwo(4), on, *flows)
    assert one == again != other
    # With two instances both are drawn: the shortest queue.
    both = choices(PowerOfTwo(0), uneven(), *flows)
    assert both == choices(ShortestQueue(), uneven(), *flows)


def test_dynamo_prefers_what_is_cached():
    # The child's 100 prompt tokens are on p1 and its 110 tokens on d1.
    flow = workflow(
        Call(100, 11), Call(150, 2, parents=(0,), prefix_call=0, prefix_tokens=110), name="w"
    )
    on = cluster(prefills=2, decodes=2)
    assert choices(DynamoRouter(), on, flow, first=[(1, 3)]) == [(1, 3)]
    # With no weight on the overlap the lowest number wins on the prefill side.
    assert choices(DynamoRouter(0.0), on, flow, first=[(1, 3)]) == [(0, 3)]


def test_llm_d_weighs_time_to_first_token_four_times():
    # Idle: p1 is 0.05 s faster, d1 5 ms a token; both beat the others.
    assert choices(PairScorer(), uneven(), *calls_at((100, 10))) == [(1, 3)]
    # 5,000 tokens are being prefilled on p1 (2.5 s): p0 takes the call at once.
    flows = calls_at((5000, 1), (100, 10), gap=0.1)
    assert choices(PairScorer(), uneven(), *flows, first=[(1, 2)]) == [(0, 3)]


def test_hexgen_flow_trades_speed_for_load():
    flows = calls_at((5000, 1), (100, 10), gap=0.1)
    # Only speed counts: the fast pair whatever waits there. Only load: the idle one.
    assert choices(SpeedAndLoad(1.0), uneven(), *flows, first=[(1, 3)]) == [(1, 3)]
    assert choices(SpeedAndLoad(0.0), uneven(), *flows, first=[(1, 3)])[0][0] == 0


def test_earliest_completion_counts_everything():
    # p1 is busy for 2.4 s more: 0.1 s on p0 wins. Had it 0.04 s to go, it would be p1.
    flows = calls_at((5000, 1), (100, 10), gap=0.1)
    assert choices(EarliestCompletion(), uneven(), *flows, first=[(1, 2)]) == [(0, 3)]
    flows = calls_at((5000, 1), (100, 10), gap=2.46)
    assert choices(EarliestCompletion(), uneven(), *flows, first=[(1, 2)]) == [(1, 3)]


@pytest.mark.parametrize(
    "placement",
    [ShortestQueue(), PowerOfTwo(), DynamoRouter(), PairScorer(), SpeedAndLoad(),
     EarliestCompletion()],
    ids=lambda placement: type(placement).__name__,
)  # fmt: skip
def test_mixed_instances_and_small_pools(placement):
    # Only the mixed instance is large enough for the prompt; then a call that fits everywhere.
    on = SimulatedCluster(
        instances=(
            instance("p", "prefill", engine(capacity=500)),
            instance("d", "decode", engine(capacity=500)),
            instance("m", "mixed"),
        )
    )
    found = choices(placement, on, *calls_at((600, 10), (20, 3), gap=5.0))
    assert found[0] == (2, 2)
    assert found[1] in {(0, 1), (2, 2)}
