"""List scheduling that goes on from where a changed order first differs from the one before."""

from typing import NamedTuple

import numpy as np

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Floats, Ints
from hexsolve.solver.optimum.flat import FlatProblem
from hexsolve.solver.optimum.placing import State, advance, beginning, push

CHECKPOINTS = 6
"""States of a list that are kept, at equal distances, to go on from."""


class Memory(NamedTuple):
    """States at the checkpoints of the list that was accepted last, and of the one tried last.

    Attributes
    ----------
    states : State
        Arrays with a dimension in front, two for each checkpoint; sequence and rows are those of
        the accepted list, and its position in the sequence is in `position`.
    valid : int array, shape (CHECKPOINTS,)
        Which of the two is of the accepted list.
    tried : int array, shape (2,)
        First checkpoint that the last trial has passed, and the first that it has not.
    position : int array, shape (n,)
    work : State
        Where the last trial ended.
    """

    states: State
    valid: Ints
    tried: Ints
    position: Ints
    work: State


@compiled
def _copy(source: State, target: State) -> None:
    """Make `target` equal to `source`, but for sequence and rows, and what no one reads."""
    for q in range(source.sizes.size):
        size = source.sizes[q]
        target.times[q, :size] = source.times[q, :size]
        target.uses[q, :size] = source.uses[q, :size]
        target.held[q, :size] = source.held[q, :size]
    waiting = source.counts[0]
    target.sizes[:] = source.sizes
    target.heap[:waiting] = source.heap[:waiting]
    target.missing[:] = source.missing
    target.placed[:] = source.placed
    target.reached[:] = source.reached
    target.counts[:] = source.counts


@compiled
def _at(states: State, k: int) -> State:
    """Return the k-th of the stacked states."""
    return State(
        states.times[k],
        states.uses[k],
        states.held[k],
        states.sizes[k],
        states.heap[k],
        states.missing[k],
        states.placed[k],
        states.reached[k],
        states.counts[k],
        states.sequence,
        states.rows,
    )


@compiled
def remember(f: FlatProblem, keys: Floats, bindings: Ints) -> Memory:
    """Return the memory of the list with these keys and bindings."""
    first = beginning(f, keys, np.full((keys.size, 6), -1, dtype=np.int64))
    count = 2 * CHECKPOINTS
    states = State(
        np.zeros((count, *first.times.shape), dtype=np.int64),
        np.zeros((count, *first.uses.shape), dtype=np.int64),
        np.zeros((count, *first.held.shape), dtype=np.int64),
        np.zeros((count, first.sizes.size), dtype=np.int64),
        np.zeros((count, first.heap.size), dtype=np.int64),
        np.zeros((count, first.missing.size), dtype=np.int64),
        np.zeros((count, first.placed.size), dtype=np.bool_),
        np.zeros((count, first.reached.size)),
        np.zeros((count, first.counts.size), dtype=np.int64),
        first.sequence.copy(),
        first.rows.copy(),
    )
    memory = Memory(
        states,
        np.zeros(CHECKPOINTS, dtype=np.int64),
        np.zeros(2, dtype=np.int64),
        np.empty(keys.size, dtype=np.int64),
        first,
    )
    _go_on(f, keys, bindings, memory, 0, np.inf)
    accept(memory)
    return memory


@compiled
def _go_on(
    f: FlatProblem, keys: Floats, bindings: Ints, memory: Memory, passed: int, limit: float
) -> bool:
    """Complete the list in `memory.work`, which has passed so many checkpoints."""
    calls, whole = f.workflow.size, True
    memory.tried[:] = passed
    for k in range(passed, CHECKPOINTS):
        whole = advance(f, keys, bindings, memory.work, k * calls // CHECKPOINTS, limit)
        if not whole:
            return False
        _copy(memory.work, _at(memory.states, 2 * k + 1 - memory.valid[k]))
        memory.tried[1] = k + 1
    return advance(f, keys, bindings, memory.work, calls, limit)


@compiled
def _same(
    f: FlatProblem, memory: Memory, before: Floats, keys: Floats, old: Ints, bindings: Ints
) -> int:
    """Return how many calls are placed the same, at least, with changed keys and bindings.

    Until a changed call is placed, or would come before another with its new key.
    """
    sequence, position = memory.states.sequence, memory.position
    same = keys.size
    for c in range(keys.size):
        if keys[c] == before[c] and (old[c] == bindings[c]).all():
            continue
        same = min(same, position[c])
        if keys[c] < before[c]:
            eligible = 0
            for k in range(f.parent_first[c], f.parent_first[c + 1]):
                eligible = max(eligible, position[f.parent[k]] + 1)
            while eligible < same and before[sequence[eligible]] < keys[c]:
                eligible += 1
            same = min(same, eligible)
    return same


@compiled
def place_changed(
    f: FlatProblem,
    before: Floats,
    keys: Floats,
    old: Ints,
    bindings: Ints,
    memory: Memory,
    limit: float,
) -> bool:
    """Place all calls by keys and bindings; the rows are in `memory.work`, as of `place_within`.

    `before` and `old` are those of the list that was accepted last. Returns whether Req_q is
    within the limit; else the rows are of no use.
    """
    same = _same(f, memory, before, keys, old, bindings)
    passed = 0
    while passed + 1 < CHECKPOINTS and (passed + 1) * f.workflow.size // CHECKPOINTS <= same:
        passed += 1
    _copy(_at(memory.states, 2 * passed + memory.valid[passed]), memory.work)
    memory.work.sequence[:] = memory.states.sequence
    memory.work.rows[:] = memory.states.rows
    # Changed calls may be eligible already, elsewhere in the heap.
    for k in range(memory.work.counts[0]):
        push(memory.work.heap, k, memory.work.heap[k], keys)
    return _go_on(f, keys, bindings, memory, passed + 1, limit)


@compiled
def accept(memory: Memory) -> None:
    """Let the list that was tried last, and is whole, be the one that the next differs from."""
    for k in range(memory.tried[0], memory.tried[1]):
        memory.valid[k] = 1 - memory.valid[k]
    memory.states.sequence[:] = memory.work.sequence
    memory.states.rows[:] = memory.work.rows
    for k in range(memory.position.size):
        memory.position[memory.work.sequence[k]] = k
