"""Round robin over the instances of each role."""

from collections.abc import Sequence

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView


class RoundRobin:
    """Each call takes the next instance in turn that can take it, separately for each role.

    With both mixed and separate instances the turn goes over prefill and mixed instances together.
    """

    def __init__(self) -> None:
        self._entry = self._decode = 0
        self._entries: Sequence[int] = ()
        self._decodes: Sequence[int] = ()
        self._mixed: frozenset[int] = frozenset()

    def start(self, view: ClusterView) -> None:
        """Begin with the first instances."""
        self._entry = self._decode = 0
        self._entries = [instance.number for instance in view.prefills + view.mixed]
        self._decodes = [instance.number for instance in view.decodes]
        self._mixed = frozenset(instance.number for instance in view.mixed)

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return the next pair in turn."""
        entries, decodes = self._entries, self._decodes
        entry = _next(view, entries, self._entry, call)
        if entry < 0:
            return None
        first = entries[entry]
        if first in self._mixed:
            self._entry = (entry + 1) % len(entries)
            return first, first
        decode = _next(view, decodes, self._decode, call)
        if decode < 0:
            return None
        self._entry = (entry + 1) % len(entries)
        self._decode = (decode + 1) % len(decodes)
        return first, decodes[decode]


def _next(view: ClusterView, numbers: Sequence[int], turn: int, call: RevealedCall) -> int:
    """Return the position of the first instance from `turn` on that takes `call`, or −1."""
    if numbers and view.can_take(call, numbers[turn]):
        return turn
    count = len(numbers)
    for position in range(turn + 1, turn + count):
        if view.can_take(call, numbers[position % count]):
            return position % count
    return -1
