"""Compiled list scheduling: calls in the order of a key, each where it ends first."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Floats, Ints
from hexsolve.solver.optimum.flat import FlatProblem
from hexsolve.solver.optimum.profiles import FAR, earliest, roomy_from, take

Flags = NDArray[np.bool_]

ANY = -1
"""Instance of a call that goes wherever it ends first."""

PREFILL, DECODE = 0, 1
"""Columns of bindings."""


@compiled
def push(heap: Ints, size: int, call: int, keys: Floats) -> int:
    """Add a call to the heap; return how many are in it then."""
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
def place_all(f: FlatProblem, keys: Floats, bindings: Ints, given: Ints) -> Ints:
    """Return rows (option, d, start, prefilled, sent, finish) of all calls; see `place_within`."""
    return place_within(f, keys, bindings, given, np.inf)[0]


class State(NamedTuple):
    """How far list scheduling has come; compiled code changes the arrays in place.

    Attributes
    ----------
    times, uses, held : int array, shape (profiles, 2n + 3)
        Profiles (see `hexsolve.solver.optimum.profiles`) of prefill instances, of decode instances,
        and of prompts on the former.
    sizes : int array
        Segments of each profile.
    heap : int array, shape (n,)
        Eligible calls, and the room for all.
    missing : int array, shape (n,)
        Parents that are not placed.
    placed : bool array, shape (n,)
    reached : float array
        Of each workflow, the slowdown that it has at least after what is placed.
    counts : int array, shape (2,)
        Calls in the heap, and calls placed so far.
    sequence : int array, shape (n,)
        Calls in the order in which they were placed.
    rows : int array, shape (n, 6)
        See `place_within`; stale where a call is not placed.
    """

    times: Ints
    uses: Ints
    held: Ints
    sizes: Ints
    heap: Ints
    missing: Ints
    placed: Flags
    reached: Floats
    counts: Ints
    sequence: Ints
    rows: Ints


@compiled
def place_within(
    f: FlatProblem, keys: Floats, bindings: Ints, given: Ints, limit: float
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
    bindings : int array, shape (n, 2)
        Positions of the prefill and of the decode instance that a call runs on if it can, or `ANY`.
    given : int array, shape (n, 6)
        Rows of calls that are placed already, with their ancestors; −1 as the option of others.
    limit : float
        Req_q above which the schedule is of no use, and is not completed.
    """
    state = beginning(f, keys, given)
    whole = advance(f, keys, bindings, state, f.workflow.size, limit)
    return state.rows, whole


@compiled
def beginning(f: FlatProblem, keys: Floats, given: Ints) -> State:
    """Return the state before anything is placed but what is `given`."""
    calls, profiles = f.workflow.size, 2 * f.lag.shape[1] + f.lag.shape[2]
    shape = (profiles, 2 * calls + 3)
    state = State(
        np.full(shape, -FAR, dtype=np.int64),
        np.zeros(shape, dtype=np.int64),
        np.zeros(shape, dtype=np.int64),
        np.ones(profiles, dtype=np.int64),
        np.empty(calls, dtype=np.int64),
        np.zeros(calls, dtype=np.int64),
        given[:, 0] >= 0,
        np.full(f.arrival.size, -np.inf),
        np.zeros(2, dtype=np.int64),
        np.empty(calls, dtype=np.int64),
        given.copy(),
    )
    waiting = 0
    for c in range(calls):
        if state.placed[c]:
            _enter(f, c, state)
            continue
        for k in range(f.parent_first[c], f.parent_first[c + 1]):
            state.missing[c] += not state.placed[f.parent[k]]
        if state.missing[c] == 0:
            waiting = push(state.heap, waiting, c, keys)
    state.counts[0] = waiting
    return state


@compiled
def advance(
    f: FlatProblem, keys: Floats, bindings: Ints, state: State, until: int, limit: float
) -> bool:
    """Go on until so many calls are placed, or all; return False once Req_q exceeds the limit."""
    waiting, done = state.counts
    spare = f.spare - (state.reached > limit).sum()
    while waiting > 0 and done < until and spare >= 0:
        c = _pop(state.heap, waiting, keys)
        waiting -= 1
        _place(f, c, bindings[c], state)
        _enter(f, c, state)
        state.placed[c] = True
        state.sequence[done] = c
        done += 1
        w = f.workflow[c]
        slowdown = (state.rows[c, 5] + f.tail[c] - f.arrival[w]) / f.horizon[w]
        if slowdown > state.reached[w]:
            spare -= state.reached[w] <= limit < slowdown
            state.reached[w] = slowdown
        for k in range(f.child_first[c], f.child_first[c + 1]):
            child = f.child[k]
            state.missing[child] -= 1
            if state.missing[child] == 0:
                waiting = push(state.heap, waiting, child, keys)
    state.counts[:] = (waiting, done)
    return bool(spare >= 0)


@compiled
def _open(f: FlatProblem, k: int, placed: Flags, rows: Ints) -> bool:
    """Return whether what option k finds in the cache is there."""
    source = f.source[k]
    if source < 0:
        return True
    there: bool = placed[source] and f.option_p[rows[source, 0]] == f.option_p[k]
    return there


@compiled
def _place(
    f: FlatProblem,
    c: int,
    wants: Ints,
    state: State,
) -> None:
    """Write the row of call c, where it ends first."""
    decodes, placed, rows = f.lag.shape[2], state.placed, state.rows
    times, uses, held, sizes = state.times, state.uses, state.held, state.sizes
    ready = f.release[c]
    for k in range(f.parent_first[c], f.parent_first[c + 1]):
        ready = max(ready, rows[f.parent[k], 5] + f.delay[k])
    reached, least_occupied = FAR, FAR
    wanted = wants[PREFILL]
    if wanted >= 0:
        possible = False
        for k in range(f.option_first[c], f.option_first[c + 1]):
            possible = possible or (f.option_p[k] == wanted and _open(f, k, placed, rows))
        wanted = wanted if possible else ANY
    for k in range(f.option_first[c], f.option_first[c + 1]):
        p, start, source = f.option_p[k], ready, f.source[k]
        if wanted >= 0 and p != wanted:
            continue
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
            d, sent, finish = _decode(f, c, p, wants[DECODE], done, reached, state)
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
    state: State,
) -> tuple[int, int, int]:
    """Return (d, sent, finish) where call c, prefilled on p until `done`, ends first.

    Beyond `limit` any will do.
    """
    times, uses, held, sizes = state.times, state.uses, state.held, state.sizes
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
def _enter(f: FlatProblem, c: int, state: State) -> None:
    """Enter a placed call into the profiles of its instances."""
    times, uses, held, sizes = state.times, state.uses, state.held, state.sizes
    row = state.rows[c]
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
