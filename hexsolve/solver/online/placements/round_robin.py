"""Round robin over the instances of each role."""

# ruff: noqa: ARG002 -- hooks are called with more than some implementations use

from collections.abc import Sequence

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView, InstanceView


class RoundRobin:
    """Each call takes the next instance in turn that can take it, separately for each role.

    With both mixed and separate instances the turn goes over prefill and mixed instances together.
    """

    def __init__(self) -> None:
        self._entry = self._decode = 0

    def start(self, view: ClusterView) -> None:
        """Begin with the first instances."""
        self._entry = self._decode = 0

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return the next pair in turn."""
        entry = _next(view, view.prefills + view.mixed, self._entry, call)
        if entry < 0:
            return None
        entries = len(view.prefills) + len(view.mixed)
        first = (view.prefills + view.mixed)[entry].number
        if view.instances[first].role == "mixed":
            self._entry = (entry + 1) % entries
            return first, first
        second = _next(view, view.decodes, self._decode, call)
        if second < 0:
            return None
        self._entry = (entry + 1) % entries
        self._decode = (second + 1) % len(view.decodes)
        return first, view.decodes[second].number


def _next(
    view: ClusterView, instances: Sequence[InstanceView], turn: int, call: RevealedCall
) -> int:
    """Return the position of the first instance from `turn` on that takes `call`, or −1."""
    count = len(instances)
    for position in range(turn, turn + count):
        if view.can_take(call, instances[position % count].number):
            return position % count
    return -1
