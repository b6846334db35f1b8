"""Minimising and maximising, each in its own words."""

import pulp

from hexsolve.solver.placement.direction import Direction

LEAST = Direction.of(pulp.LpProblem("least", pulp.LpMinimize))
MOST = Direction.of(pulp.LpProblem("most", pulp.LpMaximize))


def test_worse_is_more_cost_and_less_load() -> None:
    assert LEAST.worse_by(10.0, 1.0) == 11.0
    assert MOST.worse_by(10.0, 1.0) == 9.0
    assert LEAST.excess(11.0, 10.0) == MOST.excess(9.0, 10.0) == 1.0


def test_the_better_of_two_values() -> None:
    assert LEAST.better(9.0, 10.0)
    assert MOST.better(11.0, 10.0)
    assert not LEAST.better(10.0, 10.0)
    assert LEAST.best(9.0, 10.0) == 9.0
    assert MOST.best(9.0, 10.0) == 10.0


def test_no_value_is_the_worst() -> None:
    assert LEAST.better(1e9, None)
    assert MOST.better(-1e9, None)
    assert not LEAST.better(None, 1e9)
    assert not LEAST.better(None, None)


def test_the_tighter_bound_is_the_worse_value() -> None:
    assert LEAST.tightest(9.0, 10.0) == 10.0
    assert MOST.tightest(9.0, 10.0) == 9.0
    assert LEAST.tightest(None, 10.0) == 10.0
