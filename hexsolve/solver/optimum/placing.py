"""Compiled list scheduling: calls in the order of a key, each where it ends first."""

import numpy as np
from numpy.typing import NDArray

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Floats, Ints
from hexsolve.solver.optimum.flat import FlatProblem
from hexsolve.solver.optimum.profiles import FAR, earliest, roomy_from, take

Flags = NDArray[np.bool_]

ANY = -1
"""Decode instance of a call that goes wherever it ends first."""


@compiled
def _push(heap: Ints, size: int, call: int, keys: Floats) -> int:
    heap[size] = call
    k = size
    while k > 0:
        up = (k - 1) // 2
        a, b = heap[k], heap[up]
        if keys[a] < keys[b] or (keys[a] == keys[b] and a < b):
            heap[k], heap[up] = b, a
            k = up
        else:
            break
    return size + 1


@compiled
def _pop(heap: Ints, size: int, keys: Floats) -> int:
    """Return the first call; the heap is one smaller then."""
    top: int = heap[0]
    size -= 1
    heap[0] = heap[size]
    k = 0
    while True:
        least = k
        for j in (2 * k + 1, 2 * k + 2):
            if j < size:
                a, b = heap[j], heap[least]
                if keys[a] < keys[b] or (keys[a] == keys[b] and a < b):
                    least = j
        if least == k:
            return top
        heap[k], heap[least] = heap[least], heap[k]
        k = least


@compiled
def place_all(f: FlatProblem, keys: Floats, wanted: Ints, given: Ints) -> Ints:
    """Return rows (option, d, start, prefilled, sent, finish) of all calls; see `place_within`."""
    return place_within(f, keys, wanted, given, np.inf)[0]


@compiled
def place_within(
    f: FlatProblem, keys: Floats, wanted: Ints, given: Ints, limit: float
) -> tuple[Ints, bool]:
    """Return rows (option, d, start, prefilled, sent, finish), and whether all calls are placed.

    The eligible call with the least key is placed next, of equal ones the first. A call is
    eligible when its parents are placed. It goes to the prefill option and decode instance where
    it ends first, into the first gaps that hold it; of equal ends to where it occupies the prefill
    instance least, then to where it holds a decode slot least.

    Parameters
    ----------
    f : FlatProblem
    keys : float array, shape (n,)
    wanted : int array, shape (n,)
        A call c with ``wanted[c] >= 0`` decodes on that instance if it can.
    given : int array, shape (n, 6)
        Rows of calls that are placed already, with their ancestors; −1 as the option of others.
    limit : float
        Req_q above which the schedule is of no use, and is not completed.
    """
    calls, rows = f.workflow.size, given.copy()
    prefills, decodes = f.lag.shape[1], f.lag.shape[2]
    most = 2 * calls + 3
    # Profiles of prefill instances, then of decode instances, then of prompts on the former.
    profiles = 2 * prefills + decodes
    times = np.full((profiles, most), -FAR, dtype=np.int64)
    uses = np.zeros((profiles, most), dtype=np.int64)
    held = np.zeros((profiles, most), dtype=np.int64)
    sizes = np.ones(profiles, dtype=np.int64)
    heap = np.empty(calls, dtype=np.int64)
    placed = given[:, 0] >= 0
    missing = np.zeros(calls, dtype=np.int64)
    late = np.zeros(f.arrival.size, dtype=np.bool_)
    spare, waiting = f.spare, 0
    for c in range(calls):
        if placed[c]:
            _enter(f, c, rows[c], times, uses, held, sizes)
            continue
        for k in range(f.parent_first[c], f.parent_first[c + 1]):
            missing[c] += not placed[f.parent[k]]
        if missing[c] == 0:
            waiting = _push(heap, waiting, c, keys)
    while waiting > 0:
        c = _pop(heap, waiting, keys)
        waiting -= 1
        _place(f, c, wanted[c], placed, rows, times, uses, held, sizes)
        _enter(f, c, rows[c], times, uses, held, sizes)
        placed[c] = True
        w = f.workflow[c]
        if not late[w] and rows[c, 5] + f.tail[c] - f.arrival[w] > limit * f.horizon[w]:
            late[w] = True
            spare -= 1
            if spare < 0:
                return rows, False
        for k in range(f.child_first[c], f.child_first[c + 1]):
            child = f.child[k]
            missing[child] -= 1
            if missing[child] == 0:
                waiting = _push(heap, waiting, child, keys)
    return rows, True


@compiled
def _place(
    f: FlatProblem,
    c: int,
    wants: int,
    placed: Flags,
    rows: Ints,
    times: Ints,
    uses: Ints,
    held: Ints,
    sizes: Ints,
) -> None:
    """Write the row of call c, where it ends first."""
    decodes = f.lag.shape[2]
    ready = f.release[c]
    for k in range(f.parent_first[c], f.parent_first[c + 1]):
        ready = max(ready, rows[f.parent[k], 5] + f.delay[k])
    reached, least_occupied = FAR, FAR
    for k in range(f.option_first[c], f.option_first[c + 1]):
        p, start, source = f.option_p[k], ready, f.source[k]
        if source >= 0:
            if not placed[source] or f.option_p[rows[source, 0]] != p:
                continue
            if f.ordered[k]:
                start = max(start, rows[source, 2] + 1)
        prompts = f.lag.shape[1] + decodes + p
        while True:
            if f.occupied[k] > 0:
                start = earliest(
                    times[p], uses[p], held[p], sizes[p], 1, FAR, start, f.occupied[k], 0
                )
            done = max(start + f.lead[k], ready + f.latency[k])
            d, sent, finish = _decode(f, c, p, wants, done, reached, times, uses, held, sizes)
            # Later starts end no earlier.
            if (finish, f.occupied[k]) >= (reached, least_occupied):
                break
            if f.prompts_bind:
                until = done if d < 0 else sent + f.lag[c, p, d]
                again = roomy_from(
                    times[prompts], held[prompts], sizes[prompts], f.prompt_room[p],
                    start, until, f.prefill_kv[c],
                )  # fmt: skip
                if again >= 0:
                    start = again
                    continue
            reached, least_occupied = finish, f.occupied[k]
            rows[c, 0], rows[c, 1], rows[c, 2] = k, d, start
            rows[c, 3], rows[c, 4], rows[c, 5] = done, sent, finish
            break


@compiled
def _decode(
    f: FlatProblem,
    c: int,
    p: int,
    wants: int,
    done: int,
    limit: int,
    times: Ints,
    uses: Ints,
    held: Ints,
    sizes: Ints,
) -> tuple[int, int, int]:
    """Return (d, sent, finish) where call c, prefilled on p until `done`, ends first.

    Beyond `limit` any will do.
    """
    first, last = f.decode_first[c], f.decode_first[c + 1]
    if first == last:
        return -1, done, done
    bound = False
    for j in range(first, last):
        bound = bound or f.decode_d[j] == wants
    at, sent, finish, spans = -1, done, FAR, 0
    for j in range(first, last):
        d = f.decode_d[j]
        lasts = f.lag[c, p, d] + f.span[j]
        if (bound and d != wants) or done + lasts > min(finish, limit):
            continue
        q = f.lag.shape[1] + d
        begin = earliest(
            times[q], uses[q], held[q], sizes[q], f.slots[d], f.room[d], done, lasts, f.decode_kv[c]
        )
        # Of equal finishes the one that takes least.
        if at < 0 or (begin + lasts, lasts) < (finish, spans):
            at, sent, finish, spans = d, begin, begin + lasts, lasts
    return at, sent, finish


@compiled
def _enter(
    f: FlatProblem, c: int, row: Ints, times: Ints, uses: Ints, held: Ints, sizes: Ints
) -> None:
    """Enter a placed call into the profiles of its instances."""
    k, d, start, until = row[0], row[1], row[2], row[3]
    p = f.option_p[k]
    sizes[p] = take(times[p], uses[p], held[p], sizes[p], start, start + f.occupied[k], 0)
    if d >= 0:
        q = f.lag.shape[1] + d
        sizes[q] = take(times[q], uses[q], held[q], sizes[q], row[4], row[5], f.decode_kv[c])
        until = row[4] + f.lag[c, p, d]
    if f.prompts_bind:
        q = f.lag.shape[1] + f.lag.shape[2] + p
        sizes[q] = take(times[q], uses[q], held[q], sizes[q], start, until, f.prefill_kv[c])
