"""Longest common prefixes of block-id sequences, on runs instead of blocks.

Traces list a prompt as ids of its KV blocks. Ids of fresh blocks count upwards, so a
100,000-token prompt is a handful of *runs* ``(first id, number of blocks)``. A radix tree whose
edges are runs finds the longest prefix in time proportional to the runs, not the blocks.
"""

from collections.abc import Sequence

import numpy as np

from hexsolve.models.errors import InputError

Run = tuple[int, int]
"""``(first id, number of blocks)``: the ids first, first + 1, …, first + number − 1."""

# Ids are held as 64-bit integers; anything larger is refused rather than wrapped.
ID_LIMIT = 2**62


def runs_of(ids: Sequence[object]) -> list[Run]:
    """Return the maximal runs of consecutive ids, in order.

    Raises
    ------
    InputError
        An entry is not an integer in 0 … 2⁶².
    """
    if not ids:
        return []
    for value in ids:
        if type(value) is not int or not 0 <= value < ID_LIMIT:
            raise InputError(f"block id {str(value)[:40]!r}; allowed: integers 0…2^62")
    array = np.asarray(ids, dtype=np.int64)
    breaks = np.flatnonzero(array[1:] != array[:-1] + 1) + 1
    starts = [0, *breaks.tolist()]
    ends = [*starts[1:], len(ids)]
    return [(int(array[at]), end - at) for at, end in zip(starts, ends, strict=True)]


def merged(runs: Sequence[Run]) -> list[Run]:
    """Return the same ids as maximal runs: empty runs dropped, consecutive ones joined."""
    out: list[Run] = []
    for first, count in runs:
        if count == 0:
            continue
        if out and out[-1][0] + out[-1][1] == first:
            out[-1] = (out[-1][0], out[-1][1] + count)
        else:
            out.append((first, count))
    return out


class _Node:
    """An edge of the tree: a run, the call that first had it, and what follows."""

    __slots__ = ("call", "children", "count", "first")

    def __init__(self, first: int, count: int, call: int):
        self.first = first
        self.count = count
        self.call = call
        self.children: dict[int, _Node] = {}


class PrefixTree:
    """The block sequences of the calls added so far.

    Every edge keeps the call that brought it in. Of all calls with the same prefix that is the
    earliest, hence the one most surely finished when a later call looks the prefix up.
    """

    def __init__(self) -> None:
        self._root = _Node(-1, 0, -1)
        self._last_runs: list[Run] = []
        self._last_node = self._root
        self._last_blocks = 0

    def add(self, runs: Sequence[Run], call: int) -> tuple[int, int]:
        """Insert a call's sequence and return its longest common prefix with earlier ones.

        Returns
        -------
        blocks : int
            Length of the longest common prefix, blocks.
        owner : int
            The earliest call that has it; -1 when `blocks` is 0.
        """
        sequence = merged(runs)
        node, rest, blocks = self._start(sequence)
        pending = rest[::-1]
        while pending:
            first, count = pending.pop()
            child = node.children.get(first)
            if child is None:
                owner = node.call
                pending.append((first, count))
                node = _grow(node, pending, call)
                break
            shared = min(count, child.count)
            if shared < child.count:
                child = node.children[first] = _split(child, shared)
            blocks += shared
            if shared < count:
                pending.append((first + shared, count - shared))
            node = child
        else:
            owner = node.call
        self._last_runs, self._last_node = sequence, node
        self._last_blocks = sum(count for _, count in sequence)
        return blocks, owner

    def _start(self, sequence: list[Run]) -> tuple[_Node, list[Run], int]:
        """Return where the walk may start: after the previous call if this one extends it.

        Agents append to their context, so nearly every call extends the one before; starting
        there keeps a session linear in its calls instead of quadratic.
        """
        last = self._last_runs
        if last and len(sequence) >= len(last) and sequence[: len(last) - 1] == last[:-1]:
            first, count = sequence[len(last) - 1]
            extra = count - last[-1][1]
            if first == last[-1][0] and extra >= 0:
                tail = [(first + last[-1][1], extra)] if extra else []
                return self._last_node, tail + sequence[len(last) :], self._last_blocks
        return self._root, sequence, 0


def _grow(node: _Node, pending: list[Run], call: int) -> _Node:
    """Append the pending runs (next one last) as a chain of new edges and return its end."""
    while pending:
        first, count = pending.pop()
        node.children[first] = node = _Node(first, count, call)
    return node


def _split(node: _Node, shared: int) -> _Node:
    """Cut an edge after `shared` blocks and return the new upper edge."""
    upper = _Node(node.first, shared, node.call)
    node.first += shared
    node.count -= shared
    upper.children[node.first] = node
    return upper
