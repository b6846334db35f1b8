"""A workflow's own cache: what is there when it is alone, and whatever the others do."""

import numpy as np
import pytest

from hexsolve.instances.generators.registry import SHAPES
from hexsolve.models.workflow import Call
from hexsolve.solver.online.base import ComposedPolicy
from hexsolve.solver.online.horizons import RunningHorizons
from hexsolve.solver.online.placements.round_robin import RoundRobin
from hexsolve.solver.online.registry import ORDERINGS
from tests.simulation.engines import cluster, engine
from tests.solver.online.probe import Probe, first_pair, simulate, workflow

APART = {"map-reduce", "text-to-sql"}
"""Shapes whose calls share nothing that a complete call leaves."""
SIBLINGS = {"deep-research", "tree-search"}
"""Where a call also finds what others prefilled that it does not descend from, done or not.

Whether they come first depends on the load, so that they are left out of H.
"""


def only_pair(view, call):
    return (0, 0) if view.mixed else first_pair(view, call)


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("mixed", [0, 1])
def test_alone_it_is_what_is_cached(shape, mixed):
    on = cluster(1 - mixed, 1 - mixed, mixed, instance_options={"nic_bandwidth": 1e9},
                 performance=engine(capacity=10**8))  # fmt: skip
    seen = []

    def look(view, call):
        own = view.own_prefix(call)
        cached = [view.instances[0].cached_tokens(call), view.instances[-1].cached_tokens(call)]
        seen.append((own, tuple(cached)))

    rng = np.random.default_rng(11)
    for flow in SHAPES[shape].generate(5, rng):
        simulate(on, [flow], Probe(only_pair, look))
    assert any(own > (0, 0) for own, _ in seen) == (shape not in APART)
    for own, cached in seen:
        if shape in SIBLINGS:
            assert own[0] <= cached[0]
            assert own[1] <= cached[1]
        else:
            assert own == cached


CHAIN = workflow(
    Call(3000, 2),
    Call(3100, 2, parents=(0,), tool_seconds=20.0, prefix_call=0, prefix_tokens=3001),
    name="chain",
)


def horizons(*flows):
    """H of the chain at each of its reveals."""
    found = []
    running = []

    def look(view, call):
        if not running:
            running.append(RunningHorizons(view))
        running[0].reveal(call)
        if call.workflow.name == "chain":
            found.append(running[0].of(call.workflow))

    def done(view, call):
        running[0].completed(call)

    on = cluster(performance=engine(capacity=4000))
    simulate(on, flows, Probe(first_pair, look, done))
    return found


def test_what_others_evict_does_not_make_a_workflow_longer_alone():
    other = workflow(Call(3900, 2), arrival=8.0, name="other")
    assert horizons(CHAIN, other) == horizons(CHAIN)


def test_what_others_leave_does_not_make_it_shorter():
    def flow(name, arrival):
        calls = (Call(2000, 5, prefix_call=-1, prefix_tokens=1500),)
        shared = workflow(*calls, arrival=arrival, name=name)
        return type(shared)(name, arrival, calls, "", "agents")

    assert horizons(flow("first", 0.0), flow("chain", 10.0)) == horizons(flow("chain", 0.0))


@pytest.mark.parametrize("name", sorted(set(ORDERINGS) - {"call-fcfs", "workflow-fcfs"}))
def test_orderings_forget_complete_workflows(name):
    ordering = ORDERINGS[name].make()
    flows = [
        workflow(Call(100, 3), Call(120, 3, parents=(0,)), arrival=0.2 * index, name=f"w{index}")
        for index in range(30)
    ]
    simulate(cluster(), flows, ComposedPolicy("forgetful", ordering, RoundRobin()))
    kept = [value for value in vars(ordering).values() if isinstance(value, dict)]
    if hasattr(ordering, "horizons"):
        kept += [value for value in vars(ordering.horizons).values() if isinstance(value, dict)]
    assert kept
    # The last one to complete is still known, a call of it each.
    assert all(len(value) <= 2 for value in kept)
