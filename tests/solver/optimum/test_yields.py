"""Time goes where it is of use."""

import pytest

from hexsolve.solver.optimum.yields import LEAST_SHARE, WAYS, Way, Yields

MOST = 1.0 - (len(WAYS) - 1) * LEAST_SHARE


def test_shares_add_up() -> None:
    yields = Yields()
    yields.count("sequences", 3.0, 0.02)
    yields.count("lists", 1.0, 0.001)
    assert sum(yields.share(way) for way in WAYS) == pytest.approx(1.0)


def test_what_gains_more_per_second_gets_more_time() -> None:
    yields = Yields()
    seconds: dict[Way, float] = {"lists": 2.0, "sequences": 1.0, "neighbourhoods": 1.0}
    for way, spent in seconds.items():
        yields.count(way, spent, 0.01 * spent)
    for way in WAYS:
        assert yields.share(way) == pytest.approx(1 / 3, abs=0.1)
    yields.count("lists", 2.0, 0.0)
    yields.count("sequences", 2.0, 0.02)
    yields.count("neighbourhoods", 2.0, 0.0)
    assert yields.share("sequences") > 0.45


def test_what_gains_nothing_keeps_some_time_and_can_come_back() -> None:
    yields = Yields()
    for _ in range(20):
        yields.count("lists", 1.0, 0.0)
        yields.count("sequences", 1.0, 0.0)
        yields.count("neighbourhoods", 1.0, 0.001)
    assert yields.share("lists") == pytest.approx(LEAST_SHARE, abs=0.001)
    for _ in range(20):
        for way in WAYS:
            yields.count(way, 1.0, 0.0)
    assert yields.share("lists") == pytest.approx(0.2875, abs=0.01)
    assert yields.share("sequences") == pytest.approx(0.425, abs=0.01)
    yields.count("lists", 1.0, 0.001)
    assert yields.share("lists") == pytest.approx(MOST, abs=0.01)
