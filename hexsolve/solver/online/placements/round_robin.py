"""Round robin over the instances of each role."""

from collections.abc import Sequence

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView, InstanceView


class RoundRobin:
    """Each call takes the next instance in turn that can take it, separately for each role.

    With both mixed and separate instances the turn goes over prefill and mixed instances together.
    """

    def __init__(self) -> None:
        self._entry = self._decode = 0
        self._entries: Sequence[InstanceView] = ()

    def start(self, view: ClusterView) -> None:
        """Begin with the first instances."""
        self._entry = self._decode = 0
        self._entries = view.prefills + view.mixed

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return the next pair in turn."""
        entries = self._entries
        entry = _next(view, entries, self._entry, call)
        if entry < 0:
            return None
        first = entries[entry].number
        if entries[entry].role == "mixed":
            self._entry = (entry + 1) % len(entries)
            return first, first
        second = _next(view, view.decodes, self._decode, call)
        if second < 0:
            return None
        self._entry = (entry + 1) % len(entries)
        self._decode = (second + 1) % len(view.decodes)
        return first, view.decodes[second].number


def _next(
    view: ClusterView, instances: Sequence[InstanceView], turn: int, call: RevealedCall
) -> int:
    """Return the position of the first instance from `turn` on that takes `call`, or −1."""
    if instances and view.can_take(call, instances[turn].number):
        return turn
    count = len(instances)
    for position in range(turn + 1, turn + count):
        if view.can_take(call, instances[position % count].number):
            return position % count
    return -1
