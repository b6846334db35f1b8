"""Time goes where it is of use."""

import pytest

from hexsolve.solver.optimum.yields import LEAST_SHARE, Yields


def test_what_gains_more_per_second_gets_more_time() -> None:
    yields = Yields()
    yields.count("annealing", 2.0, 0.02)
    yields.count("neighbourhoods", 1.0, 0.01)
    assert yields.annealing == pytest.approx(0.5, abs=0.15)
    yields.count("annealing", 2.0, 0.02)
    yields.count("neighbourhoods", 1.0, 0.0)
    assert yields.annealing > 0.6


def test_what_gains_nothing_keeps_some_time_and_can_come_back() -> None:
    yields = Yields()
    for _ in range(20):
        yields.count("annealing", 1.0, 0.0)
        yields.count("neighbourhoods", 1.0, 0.001)
    assert yields.annealing == LEAST_SHARE
    for _ in range(20):
        yields.count("annealing", 1.0, 0.0)
        yields.count("neighbourhoods", 1.0, 0.0)
    assert yields.annealing > 0.4
    yields.count("annealing", 1.0, 0.001)
    assert yields.annealing == 1.0 - LEAST_SHARE
