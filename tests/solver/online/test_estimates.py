"""What placements think of queues, against sums over calls and against simulation."""

import numpy as np
import pytest

from hexsolve.instances.generators.arrivals import compose_arrivals, poisson
from hexsolve.instances.generators.registry import SHAPES
from hexsolve.models.latency import DecodeCoefficients, PrefillCoefficients
from hexsolve.models.simulation.cluster import Failure, SimulatedCluster
from hexsolve.models.simulation.dispatch import assign
from hexsolve.models.simulation.policy import Assignment
from hexsolve.models.workflow import Call
from hexsolve.solver.online.placements.estimates import queue_seconds
from hexsolve.solver.online.registry import make_policy
from tests.simulation.engines import cluster, engine, instance
from tests.solver.online.probe import Probe, first_pair, simulate, workflow

QUADRATIC = PrefillCoefficients(p0=0.01, p1=1e-4, p2=1e-7, p3=5e-5, knee=500.0)


def queued_at_last(on, flows, pair=first_pair):
    """(estimate, calls behind the batch in progress, time) when the last call is revealed."""
    found = []

    def look(view, call):
        if call.workflow.name == "last":
            p = view.instances[pair(view, call)[0]]
            calls = [(each.expected_new, each.length - each.expected_new) for each in p.queued()]
            found.append((queue_seconds(p), p.free_in_s, calls, view.now_s))

    record = simulate(on, flows, Probe(pair, look))
    return record, *found[0]


@pytest.mark.parametrize("pp", [1, 4])
def test_a_queue_is_the_sum_of_its_calls(pp):
    performance = engine(QUADRATIC).model_copy(update={"pp": pp})
    on = cluster(performance=performance, instance_options={"nic_bandwidth": 1e12})
    sizes = 700, 300, 2500, 10, 1200
    flows = [workflow(Call(8000, 1), name="first")]
    flows += [
        workflow(Call(size, 1), arrival=0.01, name=f"w{index}") for index, size in enumerate(sizes)
    ]
    flows.append(workflow(Call(100, 1), arrival=0.02, name="last"))
    _, seconds, free, calls, _ = queued_at_last(on, flows)
    assert sorted(new for new, _ in calls) == sorted(sizes)
    # One batch within the token budget.
    assert seconds == pytest.approx(free + QUADRATIC.batch_seconds(calls) / pp)


def test_what_is_cached_of_queued_calls_is_not_computed_again():
    on = cluster(performance=engine(QUADRATIC), instance_options={"nic_bandwidth": 1e12})
    second = Call(3500, 1, parents=(0,), tool_seconds=0.2, prefix_call=0, prefix_tokens=3000)
    chain = workflow(Call(3000, 1), second, name="chain")
    flows = [
        chain,
        workflow(Call(8000, 1), arrival=0.1, name="other"),
        workflow(Call(100, 1), arrival=1.9, name="last"),
    ]
    _, seconds, free, calls, _ = queued_at_last(on, flows)
    assert calls == [(500, 3000)]
    assert free > 0.0
    assert seconds == pytest.approx(free + QUADRATIC.batch_seconds([(500, 3000)]))


@pytest.mark.parametrize("count", [8, 40])
def test_a_long_queue_takes_as_long_as_its_batches(count):
    on = cluster(performance=engine(QUADRATIC), instance_options={"nic_bandwidth": 1e12})
    flows = [
        workflow(Call(2000, 1), arrival=0.001 * index, name=f"w{index}") for index in range(count)
    ]
    flows.append(workflow(Call(1, 1), arrival=0.05, name="last"))
    record, seconds, _, _, now = queued_at_last(on, flows)
    assert now + seconds == pytest.approx(max(record.finish[:count]), rel=0.01)


@pytest.mark.parametrize("name", ["earliest-completion", "llm-d", "hexgen-flow", "least-work"])
def test_a_mixed_instance_with_a_prompt_in_progress_is_not_idle(name):
    slower = engine(decode=DecodeCoefficients(d0=0.0105, d1=0.001, d2=1e-6))
    on = SimulatedCluster(instances=(instance("m0", "mixed"), instance("m1", "mixed", slower)))
    flows = [workflow(Call(60_000, 1), name="a"), workflow(Call(500, 1), arrival=1.0, name="b")]
    record = simulate(on, flows, make_policy(f"call-fcfs+{name}"))
    assert list(record.counts["decode"]) == [0, 1]


def test_a_mixed_queue_comes_behind_the_prompts_in_progress():
    on = cluster(prefills=0, decodes=0, mixed=1, instance_options={"token_budget": 500})
    flows = [
        workflow(Call(3500, 1), name="a"),
        workflow(Call(1000, 1), arrival=0.1, name="b"),
        workflow(Call(10, 1), arrival=0.2, name="last"),
    ]
    record, seconds, _, calls, now = queued_at_last(on, flows, lambda *_: (0, 0))
    assert calls == [(1000, 0)]
    assert now + seconds == pytest.approx(record.finish[1])


@pytest.mark.parametrize("roles", [(2, 2, 0), (0, 0, 2), (1, 1, 1)])
def test_what_is_pending_is_what_is_queued(roles):
    """Through moves between queues, preemptions and failures."""
    prefills, decodes, mixed = roles
    failing = "p0" if prefills > 1 else "m0"
    options = {"token_budget": 1024, "nic_bandwidth": 1e9}
    on = cluster(prefills, decodes, mixed, instance_options=options,
                 performance=engine(QUADRATIC, capacity=24_000), admission="prompt",
                 failures=(Failure(instance=failing, at_s=0.5, until_s=1.0),))  # fmt: skip
    rng = np.random.default_rng(3)
    flows = compose_arrivals(list(SHAPES["tool-calling"].generate(15, rng)), poisson(20.0), rng)
    looked = []

    def choose(view, call):
        pairs = [(p.number, d.number) for p in view.prefills for d in view.decodes]
        pairs += [(m.number, m.number) for m in view.mixed]
        able = [pair for pair in pairs if all(view.can_take(call, number) for number in pair)]
        return able[int(rng.integers(len(able)))]

    def check(view, call):
        for each in (*view.prefills, *view.mixed):
            queued = each.queued()
            looked.append(len(queued))
            assert each.pending_tokens == sum(other.expected_new for other in queued)
            assert each.pending_pairs == sum(
                other.expected_new * (other.length - other.expected_new / 2) for other in queued
            )
            if queued:
                p, d = choose(view, queued[-1])
                assign(view._simulation, queued[-1], Assignment(p, d, 0.0))

    record = simulate(on, flows, Probe(choose, check, check))
    assert max(looked) > 2
    assert sum(record.counts["preemptions"]) or not mixed
