"""Shortest queues: among all instances, or among two drawn ones."""

# ruff: noqa: ARG002 -- hooks are called with more than some implementations use

from collections.abc import Sequence

import numpy as np

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView, InstanceView

BLOCK = 1024


class ShortestQueue:
    """Splitwise's join-the-shortest-queue: fewest pending tokens, for prefill and decode alike.

    ``argmin_p pending_p`` over queued new prompt tokens and ``argmin_d pending_d`` over the
    predicted output of the calls bound to d, both chosen when the call is ready (Patel et al.,
    ISCA 2024, arXiv 2311.18677, §IV-A). Blind to speed and caches. A mixed instance counts with
    the sum. Ties go to the lower number.
    """

    def start(self, view: ClusterView) -> None:
        """Begin a run."""

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return the pair with the fewest pending tokens."""
        return _shortest(
            _able(view, call, view.prefills),
            _able(view, call, view.decodes),
            _able(view, call, view.mixed),
        )


class PowerOfTwo:
    """Two random instances, the one with fewer pending tokens, for prefill and decode each.

    Mitzenmacher, IEEE TPDS 12(10), 2001, doi 10.1109/71.963420: two choices instead of one bring
    the longest queue from log n/log log n down to log log n/log 2.

    Parameters
    ----------
    seed : int
        Of the draws; a run starts them anew.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def start(self, view: ClusterView) -> None:
        """Begin a run."""
        self._rng = np.random.default_rng(self._seed)
        self._draws: list[float] = []

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return the better of two drawn instances of each role."""
        return _shortest(
            self._two(_able(view, call, view.prefills)),
            self._two(_able(view, call, view.decodes)),
            self._two(_able(view, call, view.mixed)),
        )

    def _two(self, instances: Sequence[InstanceView]) -> list[InstanceView]:
        count = len(instances)
        if count <= 2:
            return list(instances)
        first = int(self._draw() * count)
        second = int(self._draw() * (count - 1))
        second += second >= first
        return [instances[index] for index in sorted((first, second))]

    def _draw(self) -> float:
        if not self._draws:
            self._draws = self._rng.random(BLOCK).tolist()
        return self._draws.pop()


def _able(
    view: ClusterView, call: RevealedCall, instances: Sequence[InstanceView]
) -> list[InstanceView]:
    return [instance for instance in instances if view.can_take(call, instance.number)]


def _shortest(
    prefills: Sequence[InstanceView],
    decodes: Sequence[InstanceView],
    mixed: Sequence[InstanceView],
) -> tuple[int, int] | None:
    p = min(prefills, key=lambda each: each.pending_tokens, default=None)
    d = min(decodes, key=lambda each: each.pending_output, default=None)
    m = min(mixed, key=lambda each: each.pending_tokens + each.pending_output, default=None)
    apart = p is not None and d is not None
    if m is not None and not apart:
        return m.number, m.number
    if p is None or d is None:
        return None
    if m is not None and (
        m.pending_tokens + m.pending_output < p.pending_tokens + d.pending_output
    ):
        return m.number, m.number
    return p.number, d.number
