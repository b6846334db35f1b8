"""What is expected of a workflow's future, against its definition, and where it enters R."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexsolve.models.simulation.policy import Assignment
from hexsolve.models.workflow import Call
from hexsolve.solver.online.projected import ProjectedPolicy
from hexsolve.solver.online.remainder import ExpectedRemainder
from tests.simulation.engines import cluster
from tests.solver.online.probe import simulate, workflow


def mean_residual(finals, kind, reached):
    """The definition, read off the finals of each class, the oldest first."""
    mine = [final for of, final in finals if of == kind][-ExpectedRemainder.WINDOW :]
    everyone = [final for _, final in finals][-ExpectedRemainder.WINDOW :]
    for values in (mine, everyone):
        beyond = [value - reached for value in values if value > reached]
        if len(beyond) >= ExpectedRemainder.LEAST:
            return sum(beyond) / len(beyond)
    return 0.0


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20)), min_size=12, max_size=40),
    st.lists(st.integers(0, 20), min_size=1, max_size=4),
)
def test_the_mean_residual_life(finals, reached):
    learned = ExpectedRemainder()
    for count, (kind, final) in enumerate(finals, 1):
        learned.learn(kind, float(final))
        for h in reached:
            expected = mean_residual(finals[:count], "a", h)
            assert learned.remainder("a", float(h)) == pytest.approx(expected)


def test_with_few_of_the_class_beyond_all_classes_count():
    learned = ExpectedRemainder()
    for final in (1.0, 1.0, 1.0, 1.0, 1.0, 9.0):
        learned.learn("short", final)
    assert learned.remainder("short", 2.0) == 0.0
    for final in (4.0, 6.0, 6.0, 7.0):
        learned.learn("long", final)
    assert learned.remainder("short", 2.0) == pytest.approx((9 + 4 + 6 + 6 + 7) / 5 - 2)
    assert learned.remainder("short", 0.5) == pytest.approx(14 / 6 - 0.5)


def test_only_the_last_workflows_count():
    learned = ExpectedRemainder()
    for index in range(ExpectedRemainder.WINDOW):
        learned.learn("a", 100.0 if index < 50 else 10.0)
    for _ in range(50):
        learned.learn("a", 10.0)
    assert learned.remainder("a", 0.0) == pytest.approx(10.0)


class Watched(ProjectedPolicy):
    """Keeps the two numbers of every call at its reveal."""

    def __init__(self, look_ahead: bool) -> None:
        super().__init__("watched", look_ahead=look_ahead)
        self.seen = {}

    def place(self, view, ready):
        self.observe(view, ready)
        elapsed, horizon = self.terms(view, ready)
        for call, spent, alone in zip(ready, elapsed, horizon, strict=True):
            self.seen[call.workflow.name, call.index] = spent, alone
            yield call, Assignment(0, 1, 0.0)


def test_look_ahead_adds_the_remainder_to_time_and_horizon():
    # Calls of one token and 100 ms each, two to a workflow: five of them are complete before the
    # last one arrives. Its first call reaches 0.1 s of 0.2 s, its second one all of it.
    def flow(index, kind="pair"):
        calls = Call(100, 1), Call(100, 1, parents=(0,))
        return workflow(*calls, arrival=float(index), name=f"w{index}", kind=kind)

    flows = [flow(index) for index in range(6)]
    plain, ahead = Watched(False), Watched(True)
    for policy in (plain, ahead):
        simulate(cluster(), flows, policy)
    assert plain.seen["w5", 0] == pytest.approx((0.0, 0.1))
    assert ahead.seen["w5", 0] == pytest.approx((0.1, 0.2))
    assert ahead.seen["w5", 1] == plain.seen["w5", 1] == pytest.approx((0.1, 0.2))
    # Nothing is known yet of the fifth: four are complete.
    assert ahead.seen["w4", 0] == plain.seen["w4", 0]
