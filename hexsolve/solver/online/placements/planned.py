"""The plan's own split: each call goes to a group as often as the plan's flows say."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

import numpy as np

from hexsolve.models.plan import Plan
from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView, InstanceView

BLOCK = 4096


class PlannedSplit:
    """Random split by the plan's flows, blind to the state of the instances.

    A call of a planned class is drawn to a prefill or mixed group with the share of its class's
    flow that the plan sends there, then, if prefilled apart, to a decode group likewise, and to any
    instance of the group with equal chances. This is what the planning model assumes
    (docs/planning-model.md), so that a run under it tests the plan's promise on its own terms.
    Calls of no planned class are split by the flows of all classes together. Where nothing that
    was drawn can take a call (down, or too small a pool) the draw is among those that can.

    Parameters
    ----------
    plan : Plan
        The one the cluster was deployed from, so that its groups are the instances in order.
    seed : int
        Of the draws; a run starts them anew.
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        self._seed = seed
        self._entries: dict[tuple[str, str], _Share] = {}
        self._decodes: dict[tuple[str, str], _Share] = {}
        first = 0
        flows: dict[str, list[tuple[tuple[str, str], int, float]]] = {"entry": [], "decode": []}
        for group in plan.groups:
            side = "decode" if group.role == "decode" else "entry"
            for flow in group.flows:
                for number in range(first, first + group.count):
                    key = (flow.workflow, flow.call)
                    flows[side].append((key, number, flow.calls_per_s / group.count))
            first += group.count
        for side, shares in (("entry", self._entries), ("decode", self._decodes)):
            for key in dict.fromkeys(key for key, _, _ in flows[side]):
                shares[key] = _Share((n, rate) for k, n, rate in flows[side] if k == key)
        self._any_entry = _Share((n, rate) for _, n, rate in flows["entry"])
        self._any_decode = _Share((n, rate) for _, n, rate in flows["decode"])
        self._rng = np.random.default_rng(seed)
        self._draws: list[float] = []

    def start(self, view: ClusterView) -> None:  # noqa: ARG002 -- a hook of Placement
        """Begin a run with the same draws."""
        self._rng = np.random.default_rng(self._seed)
        self._draws = []

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return the pair that was drawn."""
        key = (call.workflow.workflow_class, call.name)
        entry = self._draw(view, call, self._entries.get(key, self._any_entry))
        if entry < 0:
            entry = self._fallback(view, call, view.prefills + view.mixed)
        if entry < 0:
            return None
        if view.instances[entry].role == "mixed":
            return entry, entry
        decode = self._draw(view, call, self._decodes.get(key, self._any_decode))
        if decode < 0:
            decode = self._fallback(view, call, view.decodes)
        return None if decode < 0 else (entry, decode)

    def _draw(self, view: ClusterView, call: RevealedCall, share: "_Share") -> int:
        if not share.numbers:
            return -1
        number = share.at(self._uniform())
        return number if view.can_take(call, number) else -1

    def _fallback(
        self, view: ClusterView, call: RevealedCall, instances: Iterable[InstanceView]
    ) -> int:
        able = [i.number for i in instances if view.can_take(call, i.number)]
        return able[int(self._uniform() * len(able))] if able else -1

    def _uniform(self) -> float:
        if not self._draws:
            self._draws = self._rng.random(BLOCK).tolist()
        return self._draws.pop()


class _Share:
    """Instances and how often each is drawn."""

    def __init__(self, rates: Iterable[tuple[int, float]]) -> None:
        pairs = list(rates)
        self.numbers = [number for number, _ in pairs]
        self._upto = list(accumulate(rate for _, rate in pairs))

    def at(self, uniform: float) -> int:
        """Return the instance at a place in [0, 1) of the cumulated shares."""
        place = bisect_right(self._upto, uniform * self._upto[-1])
        return self.numbers[min(place, len(self.numbers) - 1)]
