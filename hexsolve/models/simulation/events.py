"""What is going to happen, in order of time: a heap of events.

`heapq` compares tuples item by item through Python's generic comparison, and a tuple of integers is
packed and unpacked at each look: together a quarter of a compiled run. Objects whose fields are
compared where they lie take a fifth of that.
"""

from typing import TypeVar, final

from mypy_extensions import mypyc_attr


@mypyc_attr(acyclic=True)
class Event:
    """Something of a `kind` at `at` (ticks), about `key`; `version` tells whether it still holds.

    Never changed, so that copies of a simulation may share it.
    """

    __slots__ = ("at", "key", "kind", "version")

    def __init__(self, at: int, kind: int, key: int, version: int) -> None:
        self.at = at
        self.kind = kind
        self.key = key
        self.version = version

    @final
    def before(self, other: "Event") -> bool:
        """Return whether this comes first: by time, then by kind, key and version."""
        if self.at != other.at:
            return self.at < other.at
        if self.kind != other.kind:
            return self.kind < other.kind
        if self.key != other.key:
            return self.key < other.key
        return self.version < other.version


E = TypeVar("E", bound=Event)


def push(heap: list[E], event: E) -> None:
    """Enter an event; every event of a heap comes after the one at half its position."""
    position = len(heap)
    heap.append(event)
    while position:
        parent = (position - 1) >> 1
        above = heap[parent]
        if not event.before(above):
            break
        heap[position] = above
        position = parent
    heap[position] = event


def pop(heap: list[E]) -> E:
    """Remove the first event and return it."""
    last = heap.pop()
    size = len(heap)
    if not size:
        return last
    first = heap[0]
    hole, child = 0, 1
    while child < size:
        below = heap[child]
        if child + 1 < size:
            other = heap[child + 1]
            if other.before(below):
                child += 1
                below = other
        if last.before(below):
            break
        heap[hole] = below
        hole, child = child, 2 * child + 1
    heap[hole] = last
    return first


def without(heap: list[Event], kind: int) -> list[Event]:
    """Return a heap of the events of all other kinds."""
    kept: list[Event] = []
    for event in heap:
        if event.kind != kind:
            push(kept, event)
    return kept
