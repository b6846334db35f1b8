"""Small changes of sequences, most often of what the worst workflows wait for."""

import numpy as np

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.flat import FlatProblem
from hexsolve.solver.optimum.sequences.places import NONE, Layout, Sequences, insert, remove
from hexsolve.solver.optimum.sequences.timing import Timing, ready_of

NEAR, TRIES = 0.985, 60
"""Part of Req_q from which on a workflow is among the worst; draws in which one is looked for."""

CRITICAL, DECODES = 0.85, 0.7
"""How often what one of them waits for is moved; how often else a decode."""

EARLIER, FURTHER = 0.35, 0.4
"""Share of moves before what comes before on the same place; how often before one more."""

BLOCKING, ELSEWHERE = 0.15, 0.3
"""Shares of moves that take what comes before elsewhere, and of those that take the operation."""

TOGETHER = 0.3
"""How often all prefills of a workflow go elsewhere: one finds in the cache what another left."""

SPARED = 0.05
"""Share of moves by which another workflow is one of those that do not count, where there are."""

PAST = 1.2
"""Where an operation goes elsewhere it starts after those that start before a moment between when
it is ready and this part of how long it has to wait now."""


@compiled
def _among_worst(timing: Timing, value: float, rng: np.random.Generator) -> int:
    """Draw a workflow that counts and is among the worst; `NONE` if none of a few draws is."""
    workflows = timing.slowdown.size
    for _ in range(TRIES):
        w = int(rng.random() * workflows)
        if NEAR * value <= timing.slowdown[w] <= value:
            return w
    return NONE


@compiled
def critical(
    layout: Layout, timing: Timing, value: float, rng: np.random.Generator, calls: int
) -> int:
    """Draw an operation: on the path of what a workflow among the worst waits for, or any."""
    if rng.random() >= CRITICAL:
        c = int(rng.random() * calls)
        drawn: int = layout.last[c] if rng.random() < DECODES else c
        return drawn
    w, op = _among_worst(timing, value, rng), NONE
    if w < 0:
        w = int(rng.random() * timing.slowdown.size)
    for k in range(layout.member_first[w], layout.member_first[w + 1]):
        other = layout.last[layout.member[k]]
        if op < 0 or timing.done[other] > timing.done[op]:
            op = other
    found, chosen = 0, op
    while op >= 0:
        found += 1
        if rng.random() * found < 1.0:
            chosen = op
        op = timing.binds[op]
    return chosen


@compiled
def _possible(f: FlatProblem, layout: Layout, s: Sequences, op: int, place: int) -> bool:
    """Return whether an operation can run on a place, as long as others are where they are."""
    calls = f.workflow.size
    if op < calls:
        for k in range(f.option_first[op], f.option_first[op + 1]):
            source = f.source[k]
            if f.option_p[k] == place and (source < 0 or s.place[source] == place):
                return True
        return False
    for k in range(f.decode_first[op - calls], f.decode_first[op - calls + 1]):
        if f.decode_d[k] == layout.instance[place]:
            return True
    return False


@compiled
def _put(s: Sequences, timing: Timing, op: int, place: int, moment: float) -> bool:
    """Move an operation to a place, after what starts there before a moment; return if it moved."""
    here, ahead = s.place[op], s.before[op]
    remove(s, op)
    before, other = NONE, s.first[place]
    while other >= 0 and timing.start[other] < moment:
        before, other = other, s.after[other]
    insert(s, op, place, before)
    return bool(place != here or before != ahead)


@compiled
def _change_places(s: Sequences, one: int, other: int) -> None:
    """Let two operations change places."""
    here, there = s.place[one], s.place[other]
    mine, its = s.before[one], s.before[other]
    remove(s, one)
    remove(s, other)
    if its == one:
        insert(s, other, here, mine)
        insert(s, one, there, other)
    elif mine == other:
        insert(s, one, there, its)
        insert(s, other, here, one)
    else:
        insert(s, other, here, mine)
        insert(s, one, there, its)


@compiled
def _earlier(s: Sequences, op: int, rng: np.random.Generator) -> None:
    """Move an operation before the one before it on its place, or before one further ahead."""
    before = s.before[s.before[op]]
    while before >= 0 and rng.random() < FURTHER:
        before = s.before[before]
    remove(s, op)
    insert(s, op, s.place[op], before)


@compiled
def _elsewhere(
    f: FlatProblem,
    layout: Layout,
    s: Sequences,
    timing: Timing,
    op: int,
    place: int,
    rng: np.random.Generator,
) -> bool:
    """Move an operation, or all prefills of its workflow, to a place; return whether any moved."""
    calls = f.workflow.size
    if not _possible(f, layout, s, op, place):
        return False
    if op < calls and rng.random() < TOGETHER:
        w, moved = f.workflow[op], False
        for k in range(layout.member_first[w], layout.member_first[w + 1]):
            other = layout.member[k]
            if _possible(f, layout, s, other, place):
                moved |= _put(s, timing, other, place, float(timing.start[other]))
        return moved
    ready = ready_of(f, layout, timing, op) if op < calls else timing.done[op - calls]
    waits = PAST * rng.random() * (timing.start[op] - ready)
    return _put(s, timing, op, place, ready + waits)


@compiled
def _exchange(
    f: FlatProblem,
    layout: Layout,
    s: Sequences,
    timing: Timing,
    op: int,
    rng: np.random.Generator,
) -> bool:
    """Let an operation and one that runs meanwhile change places; return whether they did."""
    calls = f.workflow.size
    low = 0 if op < calls else calls
    here, begin, end = s.place[op], timing.start[op], timing.free[op]
    found, other = 0, NONE
    for x in range(low, low + calls):
        there = s.place[x]
        if there >= 0 and there != here and timing.start[x] < end and timing.free[x] > begin:
            found += 1
            if rng.random() * found < 1.0:
                other = x
    if other < 0:
        return False
    if not (_possible(f, layout, s, op, s.place[other]) and _possible(f, layout, s, other, here)):
        return False
    _change_places(s, op, other)
    return True


@compiled
def _spare(
    f: FlatProblem,
    layout: Layout,
    s: Sequences,
    timing: Timing,
    value: float,
    rng: np.random.Generator,
) -> bool:
    """Let a workflow that does not count and one that does change places, call by call."""
    late, found = NONE, 0
    for w in range(timing.slowdown.size):
        if timing.slowdown[w] > value:
            found += 1
            if rng.random() * found < 1.0:
                late = w
    counted = _among_worst(timing, value, rng)
    if late < 0 or counted < 0:
        return False
    calls, first = f.workflow.size, layout.member_first
    both = min(first[late + 1] - first[late], first[counted + 1] - first[counted])
    for k in range(both):
        c, x = layout.member[first[late] + k], layout.member[first[counted] + k]
        _change_places(s, c, x)
        if s.place[calls + c] >= 0 and s.place[calls + x] >= 0:
            _change_places(s, calls + c, calls + x)
    return True


@compiled
def move(
    f: FlatProblem,
    layout: Layout,
    s: Sequences,
    timing: Timing,
    value: float,
    rng: np.random.Generator,
) -> bool:
    """Change sequences in place; return whether they are changed. `timing` is theirs."""
    calls, places = f.workflow.size, layout.instance.size
    if f.spare > 0 and rng.random() < SPARED:
        return _spare(f, layout, s, timing, value, rng)
    op = critical(layout, timing, value, rng, calls)
    kind = rng.random()
    if s.before[op] >= 0:
        if kind < EARLIER:
            _earlier(s, op, rng)
            return True
        if kind < EARLIER + BLOCKING:
            op = s.before[op]
    low = 0 if op < calls else layout.prefills
    several = (layout.prefills if op < calls else places) - low
    if several > 1 and kind < EARLIER + BLOCKING + ELSEWHERE:
        place = low + int(rng.random() * (several - 1))
        place += place >= s.place[op]
        return _elsewhere(f, layout, s, timing, op, place, rng)
    if several > 1 and _exchange(f, layout, s, timing, op, rng):
        return True
    spans = timing.free[op] - timing.start[op]
    moment = timing.start[op] + 2.0 * rng.normal() * spans
    return _put(s, timing, op, s.place[op], moment)
