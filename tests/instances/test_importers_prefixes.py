from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.instances.importers.prefixes import PrefixTree, merged, runs_of
from hexsolve.models.errors import InputError

ids = st.lists(st.integers(0, 6), max_size=12)


def expanded(runs):
    return [first + k for first, count in runs for k in range(count)]


def common(one, other):
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length


@given(ids)
@settings(deadline=None, derandomize=True, max_examples=200)
def test_runs_are_maximal_and_hold_the_same_ids(sequence):
    runs = runs_of(sequence)
    assert expanded(runs) == sequence
    for (first, count), (then, _) in pairwise(runs):
        assert first + count != then


@given(ids, st.data())
@settings(deadline=None, derandomize=True, max_examples=100)
def test_merging_undoes_any_cut(sequence, data):
    pieces = []
    for first, count in runs_of(sequence):
        cut = data.draw(st.integers(0, count))
        pieces += [(first, cut), (first + cut, count - cut)]
    assert merged(pieces) == runs_of(sequence)


@given(st.lists(ids, min_size=1, max_size=12))
@settings(deadline=None, derandomize=True, max_examples=300)
def test_prefix_tree_finds_the_longest_prefix_and_its_first_owner(sequences):
    tree = PrefixTree()
    for index, sequence in enumerate(sequences):
        lengths = [common(sequence, earlier) for earlier in sequences[:index]]
        longest = max(lengths, default=0)
        blocks, owner = tree.add(runs_of(sequence), index)
        assert blocks == longest
        assert owner == (lengths.index(longest) if longest else -1)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=25))
@settings(deadline=None, derandomize=True, max_examples=200)
def test_prefix_tree_on_growing_and_cut_contexts(steps):
    """Agents mostly append; the tree's shortcut for that must agree with the walk."""
    tree = PrefixTree()
    sequences: list[list[int]] = []
    fresh = 1000
    for keep, extra in steps:
        last = sequences[-1] if sequences else []
        sequence = last[: len(last) - keep % 4] + list(range(fresh, fresh + extra))
        fresh += extra + keep % 2
        lengths = [common(sequence, earlier) for earlier in sequences]
        blocks, owner = tree.add(runs_of(sequence), len(sequences))
        assert blocks == max(lengths, default=0)
        assert owner == (lengths.index(blocks) if blocks else -1)
        sequences.append(sequence)


@pytest.mark.parametrize("bad", [-1, 2**62, 1.5, "7", None, True])
def test_ids_must_be_small_non_negative_integers(bad):
    with pytest.raises(InputError, match="allowed: integers"):
        runs_of([1, bad])
