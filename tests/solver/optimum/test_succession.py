"""Which chain of runs goes on."""

import numpy as np

from hexsolve.solver.optimum.start import Incumbent
from hexsolve.solver.optimum.succession import Chains
from hexsolve.solver.optimum.windows import Windows
from tests.solver.optimum.instances import problem_of, random_instance

PATIENCE = 3


def made(value: float) -> tuple[Incumbent, Chains[str]]:
    incumbent = Incumbent(Windows(problem_of(*random_instance(7))))
    incumbent.value = value
    rng = np.random.default_rng(0)
    chains = Chains(incumbent, rng, PATIENCE, lambda: f"at {incumbent.value}", lambda: "anew")
    return incumbent, chains


def test_the_incumbent_is_where_it_begins_and_what_others_find_is_followed() -> None:
    incumbent, chains = made(2.0)
    first = chains.drawn()
    assert first.state == "at 2.0"
    first.ended("better", 1.9)
    incumbent.value = 1.9
    assert chains.drawn() is first
    incumbent.value = 1.5
    assert chains.drawn().state == "at 1.5"
    # Its runs may end above what it followed: it is not followed again.
    chains.main.ended("worse", 1.7)
    assert chains.drawn().state == "worse"


def test_a_stuck_chain_mostly_makes_room_and_a_stuck_young_one_for_the_next() -> None:
    _, chains = made(2.0)
    for _ in range(PATIENCE + 1):
        chains.drawn().ended("same", 2.0)
    assert chains.main.stale == PATIENCE
    drawn = [chains.drawn() for _ in range(400)]
    young = sum(each is chains.young for each in drawn)
    assert 240 < young < 360
    assert all(each is chains.young or each is chains.main for each in drawn)
    before = chains.young
    for _ in range(PATIENCE + 1):
        before.ended("same", 2.5)
    assert not any(chains.drawn() is before for _ in range(20))
    assert chains.young.state == "anew"
