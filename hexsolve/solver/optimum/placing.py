"""Compiled list scheduling: what `ListScheduler` does, thousands of times a second."""

import numpy as np

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Floats, Ints
from hexsolve.solver.optimum.flat import FlatProblem

FAR = 1 << 60
ANY = -1
"""Decode instance of a call that goes wherever it ends first."""


@compiled
def _segment(times: Ints, size: int, at: int) -> int:
    """Return the last segment that begins no later than `at`."""
    low, high = 0, size - 1
    while low < high:
        middle = (low + high + 1) // 2
        if times[middle] <= at:
            low = middle
        else:
            high = middle - 1
    return low


@compiled
def earliest(
    times: Ints,
    uses: Ints,
    held: Ints,
    size: int,
    limit: int,
    room: int,
    ready: int,
    spans: int,
    tokens: int,
) -> int:
    """Return the first start from `ready` on where `spans` ticks have a place for one more.

    Segment k of a profile begins at ``times[k]`` and has ``uses[k]`` calls and ``held[k]`` tokens.
    """
    k = _segment(times, size, ready)
    start = ready
    while True:
        if uses[k] >= limit or held[k] + tokens > room:
            k += 1
            start = times[k]
            continue
        if k + 1 >= size or times[k + 1] >= start + spans:
            return start
        k += 1


@compiled
def _split(times: Ints, uses: Ints, held: Ints, size: int, at: int) -> int:
    """Let a segment begin at `at`; return the new number of segments."""
    k = _segment(times, size, at)
    if times[k] == at:
        return size
    for j in range(size, k + 1, -1):
        times[j], uses[j], held[j] = times[j - 1], uses[j - 1], held[j - 1]
    times[k + 1], uses[k + 1], held[k + 1] = at, uses[k], held[k]
    return size + 1


@compiled
def take(times: Ints, uses: Ints, held: Ints, size: int, begin: int, end: int, tokens: int) -> int:
    """Enter a call from `begin` to `end`; return the new number of segments."""
    if begin >= end:
        return size
    size = _split(times, uses, held, size, begin)
    size = _split(times, uses, held, size, end)
    k = _segment(times, size, begin)
    while times[k] < end:
        uses[k] += 1
        held[k] += tokens
        k += 1
        if k >= size:
            break
    return size


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
def place_all(f: FlatProblem, keys: Floats, wanted: Ints) -> Ints:
    """Return rows (option, d, start, prefilled, sent, finish) of all calls.

    As `ListScheduler.schedule` without fixed calls and without a limit on prompts; a call c with
    ``wanted[c] >= 0`` decodes on that instance if it can.
    """
    calls, rows = f.workflow.size, np.empty((f.workflow.size, 6), dtype=np.int64)
    prefills, decodes = f.lag.shape[1], f.lag.shape[2]
    most = 2 * calls + 3
    # Profiles of prefill instances, then decode instances; all begin long before anything.
    times = np.full((prefills + decodes, most), -FAR, dtype=np.int64)
    uses = np.zeros((prefills + decodes, most), dtype=np.int64)
    held = np.zeros((prefills + decodes, most), dtype=np.int64)
    sizes = np.ones(prefills + decodes, dtype=np.int64)
    missing = f.parent_first[1:] - f.parent_first[:-1]
    heap = np.empty(calls, dtype=np.int64)
    waiting = 0
    for c in range(calls):
        if missing[c] == 0:
            waiting = _push(heap, waiting, c, keys)
    placed = np.zeros(calls, dtype=np.bool_)
    while waiting > 0:
        c = _pop(heap, waiting, keys)
        waiting -= 1
        ready = f.release[c]
        for k in range(f.parent_first[c], f.parent_first[c + 1]):
            ready = max(ready, rows[f.parent[k], 5] + f.delay[k])
        best_finish, best_occupied = FAR, FAR
        for k in range(f.option_first[c], f.option_first[c + 1]):
            p, least, source = f.option_p[k], ready, f.source[k]
            if source >= 0:
                if not placed[source] or f.option_p[rows[source, 0]] != p:
                    continue
                if f.ordered[k]:
                    least = max(least, rows[source, 2] + 1)
            start = least
            if f.occupied[k] > 0:
                start = earliest(
                    times[p], uses[p], held[p], sizes[p], 1, FAR, least, f.occupied[k], 0
                )
            done = max(start + f.lead[k], ready + f.latency[k])
            at, sent, finish, spans = -1, done, done, 0
            if f.decode_first[c] < f.decode_first[c + 1]:
                fixed = False
                for j in range(f.decode_first[c], f.decode_first[c + 1]):
                    fixed = fixed or f.decode_d[j] == wanted[c]
                finish = FAR
                for j in range(f.decode_first[c], f.decode_first[c + 1]):
                    d = f.decode_d[j]
                    lasts = f.lag[c, p, d] + f.span[j]
                    if (fixed and d != wanted[c]) or done + lasts > finish:
                        continue
                    q = prefills + d
                    begin = earliest(
                        times[q], uses[q], held[q], sizes[q], f.slots[d], f.room[d],
                        done, lasts, f.decode_kv[c],
                    )  # fmt: skip
                    # Of equal finishes the one that takes least.
                    if (begin + lasts, lasts) < (finish, spans) or at < 0:
                        at, sent, finish, spans = d, begin, begin + lasts, lasts
            if (finish, f.occupied[k]) < (best_finish, best_occupied):
                best_finish, best_occupied = finish, f.occupied[k]
                rows[c, 0], rows[c, 1], rows[c, 2] = k, at, start
                rows[c, 3], rows[c, 4], rows[c, 5] = done, sent, finish
        k = rows[c, 0]
        p, start = f.option_p[k], rows[c, 2]
        sizes[p] = take(times[p], uses[p], held[p], sizes[p], start, start + f.occupied[k], 0)
        if rows[c, 1] >= 0:
            q = prefills + rows[c, 1]
            sizes[q] = take(
                times[q], uses[q], held[q], sizes[q], rows[c, 4], rows[c, 5], f.decode_kv[c]
            )
        placed[c] = True
        for k in range(f.child_first[c], f.child_first[c + 1]):
            child = f.child[k]
            missing[child] -= 1
            if missing[child] == 0:
                waiting = _push(heap, waiting, child, keys)
    return rows
