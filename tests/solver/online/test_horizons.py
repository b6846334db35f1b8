"""The running standalone horizon against the arithmetic and against simulation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.simulation.horizon import simulated_horizon
from hexsolve.models.workflow import Call
from hexsolve.solver.online.horizons import RunningHorizons
from tests.simulation.engines import cluster
from tests.solver.online.probe import Probe, first_pair, simulate, workflow


class Watched:
    """Feeds a RunningHorizons from a run and keeps what it says."""

    def __init__(self) -> None:
        self.horizons = None
        self.at_reveal = []
        self.after_completion = []

    def look(self, view, call):
        if self.horizons is None:
            self.horizons = RunningHorizons(view)
        self.horizons.reveal(call)
        self.at_reveal.append(self.horizons.of(call.workflow))

    def done(self, view, call):
        self.horizons.completed(call)
        self.after_completion.append(self.horizons.of(call.workflow))


def test_a_chain_by_hand():
    # 100 tokens 0.1 s, transfer 0.1 s, 10 steps of 0.011 s + 1 µs a context token (100…109); the
    # child finds 100 tokens at prefill and 110 at decode: 0.05 s, 0.04 s, one step at 150.
    calls = (Call(100, 11), Call(150, 2, parents=(0,), tool_seconds=1.0, prefix_call=0,
                                 prefix_tokens=110))  # fmt: skip
    watched = Watched()
    record = simulate(cluster(), [workflow(*calls)], Probe(first_pair, watched.look, watched.done))
    first = 0.1 + 0.1 + 10 * 0.011 + sum(range(100, 110)) * 1e-6
    assert watched.at_reveal[0] == pytest.approx(first)
    second = first + 1.0 + 0.05 + 0.04 + 0.011 + 150e-6
    assert watched.at_reveal[1] == pytest.approx(second)
    assert watched.after_completion[-1] == pytest.approx(record.finish[0])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 60)), min_size=1, max_size=5))
def test_a_chain_alone_has_its_simulated_horizon(sizes):
    calls, total = [], 0
    for index, (new, output) in enumerate(sizes):
        parents = (index - 1,) if index else ()
        shared = {"prefix_call": index - 1, "prefix_tokens": total} if index else {}
        calls.append(Call(total + new, output, parents=parents, **shared))
        total += new + output
    watched = Watched()
    flow = workflow(*calls)
    simulate(cluster(), [flow], Probe(first_pair, watched.look, watched.done))
    assert watched.at_reveal == sorted(watched.at_reveal)
    assert watched.at_reveal[-1] == pytest.approx(simulated_horizon(cluster(), flow), rel=1e-6)


def test_a_short_answer_shortens_the_horizon():
    class Long:
        def predict(self, flow, index):
            return 101

        def observe(self, flow, index):
            pass

    from hexsolve.models.simulation.engine import Simulation

    watched = Watched()
    policy = Probe(first_pair, watched.look, watched.done)
    record = Simulation(cluster(), [workflow(Call(100, 11))], policy, Long()).run()
    assert watched.at_reveal[0] > 1.2
    assert watched.after_completion[0] == pytest.approx(record.finish[0])


def test_a_complete_workflow_leaves_nothing_behind():
    watched = Watched()
    flow = workflow(Call(100, 11), Call(120, 2, parents=(0,)))
    finished = []

    def done(view, call):
        watched.done(view, call)
        finished.append(call.workflow)

    simulate(cluster(), [flow], Probe(first_pair, watched.look, done))
    watched.horizons.forget(finished[-1])
    kept = [value for value in vars(watched.horizons).values() if isinstance(value, dict)]
    assert kept
    assert not any(kept)
