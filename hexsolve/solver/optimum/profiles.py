"""What is in use on an instance over time, as compiled step functions.

Segment k of a profile begins at ``times[k]``, lasts to the next, and has ``uses[k]`` calls and
``held[k]`` tokens. The first begins long before anything; in the last nothing is in use.
"""

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Ints

FAR = 1 << 60
"""Later than anything, and more than any limit."""


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

    Profiles are described at the top of this file.
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
def roomy_from(
    times: Ints, held: Ints, size: int, room: int, begin: int, end: int, tokens: int
) -> int:
    """Return −1 if `tokens` more fit from `begin` to `end`, else when to look again.

    That is the first moment with room after the first without: what starts in between is
    without room where it starts.
    """
    k = _segment(times, size, begin)
    while k < size and times[k] < end:
        if held[k] + tokens > room:
            while held[k] + tokens > room:
                k += 1
            again: int = times[k]
            return again
        k += 1
    return -1


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
    """Enter a call from `begin` to `end`; return the new number of segments.

    Where a use follows another without a gap there is one segment and not two, so that to look
    for room past a crowded time is quick.
    """
    if begin >= end:
        return size
    size = _split(times, uses, held, size, begin)
    size = _split(times, uses, held, size, end)
    first = _segment(times, size, begin)
    k = first
    while times[k] < end:
        uses[k] += 1
        held[k] += tokens
        k += 1
    size = _join(times, uses, held, size, k)
    return _join(times, uses, held, size, first)


@compiled
def _join(times: Ints, uses: Ints, held: Ints, size: int, k: int) -> int:
    """Make one of segments k − 1 and k if they are equal; return the new number of segments."""
    if uses[k] != uses[k - 1] or held[k] != held[k - 1]:
        return size
    for j in range(k, size - 1):
        times[j], uses[j], held[j] = times[j + 1], uses[j + 1], held[j + 1]
    return size - 1
