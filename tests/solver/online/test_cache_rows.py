"""Where a call can go, and what it lacks there."""

import pytest

from hexsolve.models.latency import DecodeCoefficients
from hexsolve.models.simulation.cluster import Failure, SimulatedCluster
from hexsolve.models.workflow import Call
from hexsolve.solver.online.projection.snapshot import CacheRows, machines_of
from hexsolve.solver.online.registry import make_policy
from tests.simulation.engines import cluster, engine, instance
from tests.solver.online.probe import Probe, simulate, workflow

SMALL = engine(capacity=1000)
SLOW = engine(decode=DecodeCoefficients(d0=0.0101, d1=0.001, d2=1e-6))


def uneven(*more) -> SimulatedCluster:
    """The small pool is the faster one."""
    return SimulatedCluster(
        instances=(
            instance("p", "prefill", nic_bandwidth=1e9),
            instance("d0", "decode", SMALL, nic_bandwidth=1e9),
            instance("d1", "decode", SLOW, nic_bandwidth=1e9),
            *more,
        )
    )


def rows_of(on, call, at=0.0, change=None):
    """(new, missing) of a call when it is revealed."""
    found = []

    def look(view, revealed):
        if revealed.workflow.name == "w":
            rows = CacheRows(view, machines_of(view))
            found.append(tuple(row.tolist() for row in rows.of(revealed)))
            if change is not None:
                change(revealed)
                found.append(tuple(row.tolist() for row in rows.of(revealed)))

    def place(view, call):
        able = [m.number for m in view.mixed if view.can_take(call, m.number)]
        return (able[0], able[0]) if able else (0, 2)

    simulate(on, [workflow(call, arrival=at)], Probe(place, look))
    return found


def test_a_pool_too_small_for_the_output_is_not_offered():
    assert rows_of(uneven(), Call(900, 200)) == [([900], [-1, 900])]


@pytest.mark.parametrize(("output", "missing"), [(101, [900, 900]), (102, [-1, 900])])
def test_the_last_token_needs_no_room(output, missing):
    assert rows_of(uneven(), Call(900, output)) == [([900], missing)]


def test_a_new_prediction_is_looked_at_again():
    def longer(call):
        call.predicted_output = 500

    before, after = rows_of(uneven(), Call(900, 100), change=longer)
    assert before == ([900], [900, 900])
    assert after == ([900], [-1, 900])


def test_without_a_larger_pool_the_small_one_has_to_do():
    on = cluster(decodes=2, performance=SMALL)

    def longer(call):
        call.predicted_output = 5000

    assert rows_of(on, Call(900, 50), change=longer)[1] == ([900], [900, 900])


def test_a_large_pool_that_no_prefill_instance_can_feed_does_not_count():
    # The prefill instance is down: the large decode pool is out of reach, and of the mixed ones
    # neither is large enough.
    on = SimulatedCluster(
        instances=(
            instance("p", "prefill"),
            instance("d0", "decode", SMALL),
            instance("d1", "decode"),
            instance("m", "mixed", SMALL),
        ),
        failures=(Failure(instance="p", at_s=0.5),),
    )

    def longer(call):
        call.predicted_output = 5000

    assert rows_of(on, Call(900, 50), at=1.0, change=longer)[1] == ([-1, 900], [900, 900, 900])


@pytest.mark.parametrize("name", ["hexagent", "rolling-cpsat"])
def test_nothing_is_computed_twice_for_want_of_room(name):
    record = simulate(uneven(), [workflow(Call(900, 200))], make_policy(name))
    assert record.counts["preemptions"][0] == 0
    assert record.counts["decode"][0] == 2
