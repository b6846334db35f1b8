"""The garbage collector is left as it was."""

import gc

import pytest

from hexsolve.models.simulation.collector import OBJECTS, rare_collections


@pytest.fixture(autouse=True)
def _restore():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def fail_inside() -> None:
    with rare_collections():
        assert gc.get_threshold() == (OBJECTS, 10, 10)
        with rare_collections():
            assert gc.get_threshold() == (OBJECTS, 10, 10)
        assert gc.get_threshold() == (OBJECTS, 10, 10)
        raise ValueError("inside")


def test_collections_are_rare_inside_and_as_before_outside():
    gc.set_threshold(700, 10, 10)
    with pytest.raises(ValueError, match="inside"):
        fail_inside()
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("threshold", [0, OBJECTS + 1])
def test_a_collector_that_is_rarer_still_is_left_alone(threshold):
    gc.set_threshold(threshold, 10, 10)
    with rare_collections():
        assert gc.get_threshold()[0] == threshold
    assert gc.get_threshold()[0] == threshold


def test_what_was_there_before_is_not_looked_at_inside():
    assert not gc.get_freeze_count()
    with rare_collections():
        frozen = gc.get_freeze_count()
        assert frozen
        with rare_collections():
            # Frozen objects may still die, but nothing is frozen anew.
            assert 0 < gc.get_freeze_count() <= frozen
        assert 0 < gc.get_freeze_count() <= frozen
    assert not gc.get_freeze_count()


def test_what_others_froze_stays_frozen():
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        with rare_collections():
            assert 0 < gc.get_freeze_count() <= before
        assert 0 < gc.get_freeze_count() <= before
    finally:
        gc.unfreeze()
