"""When everything starts that sequences say: as early as can be."""

from typing import NamedTuple

import numpy as np

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Floats, Ints
from hexsolve.solver.optimum.flat import FlatProblem
from hexsolve.solver.optimum.sequences.places import NONE, Layout, Sequences


class Timing(NamedTuple):
    """What becomes of sequences; compiled code writes into the arrays.

    Attributes
    ----------
    option : int array, shape (n,)
        How each call is prefilled.
    start, free, done : int array, shape (2n,)
        Start of each operation, when its place is free again, and its end: with pipeline stages a
        prefill ends after the next one may begin.
    binds : int array, shape (2n,)
        The operation that each had to wait for last, or `NONE`.
    order, missing : int array, shape (2n,)
        Room to work in: operations in the order of their turn; what each still waits for.
    slowdown : float array, shape (workflows,)
    """

    option: Ints
    start: Ints
    free: Ints
    done: Ints
    binds: Ints
    order: Ints
    missing: Ints
    slowdown: Floats


@compiled
def room_for(f: FlatProblem) -> Timing:
    """Return a timing to write into."""
    calls = f.workflow.size
    return Timing(
        np.zeros(calls, dtype=np.int64),
        np.zeros(2 * calls, dtype=np.int64),
        np.zeros(2 * calls, dtype=np.int64),
        np.zeros(2 * calls, dtype=np.int64),
        np.full(2 * calls, NONE, dtype=np.int64),
        np.zeros(2 * calls, dtype=np.int64),
        np.zeros(2 * calls, dtype=np.int64),
        np.zeros(f.arrival.size),
    )


@compiled
def time_all(f: FlatProblem, layout: Layout, s: Sequences, timing: Timing, limit: float) -> bool:
    """Start every operation as early as can be; return whether the timing is of use.

    It is not where an operation would wait for itself, or would run where it cannot, or where
    Req_q exceeds `limit`. Pools are not looked at.

    A turn of annealing is hardly more than this. It is one function since each call of a compiled
    one counts the references to all arrays of its arguments: in parts it takes eight times as long.
    """
    calls = f.workflow.size
    order, missing, start, free = timing.order, timing.missing, timing.start, timing.free
    done, binds, last, place, before = timing.done, timing.binds, layout.last, s.place, s.before
    waiting, whole = 0, calls
    for c in range(calls):
        missing[c] = f.parent_first[c + 1] - f.parent_first[c] + (before[c] >= 0)
        if missing[c] == 0:
            order[waiting] = c
            waiting += 1
        if last[c] != c:
            whole += 1
            missing[calls + c] = 1 + (before[calls + c] >= 0)
    timing.slowdown[:] = -np.inf
    at, spare = 0, f.spare
    while at < waiting:
        op = order[at]
        at += 1
        missing[op] = NONE
        if op < calls:
            # A prefill, with the option that ends first.
            c, p = op, place[op]
            ready, cause = f.release[c], NONE
            for k in range(f.parent_first[c], f.parent_first[c + 1]):
                other = last[f.parent[k]]
                when = done[other] + f.delay[k]
                if when > ready:
                    ready, cause = when, other
            begin = ready
            if before[op] >= 0 and free[before[op]] > begin:
                begin, cause = free[before[op]], before[op]
            best, until = NONE, 0
            for k in range(f.option_first[c], f.option_first[c + 1]):
                if f.option_p[k] != p:
                    continue
                source = f.source[k]
                # What is cached was prefilled here before: of an ancestor, or a call beside.
                if source >= 0 and (
                    place[source] != p
                    or (f.ordered[k] and (missing[source] >= 0 or start[source] >= begin))
                ):
                    continue
                end = max(begin + f.lead[k], ready + f.latency[k])
                if best < 0 or (end, f.occupied[k]) < (until, f.occupied[best]):
                    best, until = k, end
            if best < 0:
                return False
            timing.option[c] = best
            start[op], free[op], done[op], binds[op] = begin, begin + f.occupied[best], until, cause
        else:
            # The transfer and all decode steps.
            c = op - calls
            begin, cause = done[c], c
            if before[op] >= 0 and free[before[op]] > begin:
                begin, cause = free[before[op]], before[op]
            d, until = layout.instance[place[op]], NONE
            for k in range(f.decode_first[c], f.decode_first[c + 1]):
                if f.decode_d[k] == d:
                    until = begin + f.lag[c, place[c], d] + f.span[k]
            if until < 0:
                return False
            start[op], free[op], done[op], binds[op] = begin, until, until, cause
        if last[c] == op:
            w = f.workflow[c]
            least = (done[op] + f.tail[c] - f.arrival[w]) / f.horizon[w]
            if least > timing.slowdown[w]:
                spare -= timing.slowdown[w] <= limit < least
                if spare < 0:
                    return False
                timing.slowdown[w] = least
            for k in range(f.child_first[c], f.child_first[c + 1]):
                child = f.child[k]
                missing[child] -= 1
                if missing[child] == 0:
                    order[waiting] = child
                    waiting += 1
        else:
            missing[calls + c] -= 1
            if missing[calls + c] == 0:
                order[waiting] = calls + c
                waiting += 1
        behind = s.after[op]
        if behind >= 0:
            missing[behind] -= 1
            if missing[behind] == 0:
                order[waiting] = behind
                waiting += 1
    return bool(waiting == whole)


@compiled
def ready_of(f: FlatProblem, layout: Layout, timing: Timing, c: int) -> int:
    """Return when a call is ready for its prefill."""
    ready: int = f.release[c]
    for k in range(f.parent_first[c], f.parent_first[c + 1]):
        ready = max(ready, timing.done[layout.last[f.parent[k]]] + f.delay[k])
    return ready


@compiled
def rows_of(f: FlatProblem, layout: Layout, s: Sequences, timing: Timing) -> Ints:
    """Return the rows, as of `place_within`, of sequences that have this timing."""
    calls = f.workflow.size
    rows = np.full((calls, 6), NONE, dtype=np.int64)
    for c in range(calls):
        op = layout.last[c]
        rows[c, 0], rows[c, 2], rows[c, 3] = timing.option[c], timing.start[c], timing.done[c]
        rows[c, 4] = timing.done[c]
        if op != c:
            rows[c, 1], rows[c, 4] = layout.instance[s.place[op]], timing.start[op]
        rows[c, 5] = timing.done[op]
    return rows
