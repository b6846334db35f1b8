"""Lower bounds of times that hold for every run of the simulator, whatever the policy."""

from collections.abc import Sequence

import numpy as np

from hexsolve.models.simulation.clock import SECOND, to_ticks
from hexsolve.models.simulation.cluster import SimulatedCluster, SimulatedInstance
from hexsolve.models.workflow import Workflow
from hexsolve.solver.optimum.bounds.items import Bools
from hexsolve.solver.optimum.bounds.shares import (
    DecodeShares,
    Decoding,
    MixedShares,
    PrefillShares,
    batch_ticks,
)
from hexsolve.solver.optimum.bounds.sharing import Sharing, sharing, widths
from hexsolve.solver.optimum.bounds.times import INFEASIBLE, Floats, Ints, Times, rest_seconds

ROUNDING = 1.0 - 1e-9
"""Every time is made this much shorter, against rounding errors of all that follows."""


def simulator_times(
    cluster: SimulatedCluster, workflows: Sequence[Workflow], restarts: int | None = None
) -> Times:
    """Return times that no run of docs/simulation.md undercuts; docs/bounds.md says why.

    Parameters
    ----------
    cluster : SimulatedCluster
    workflows : sequence of Workflow
        In any order, which the result keeps.
    restarts : int, optional
        The bounds are to hold for runs in which calls are preempted or lost at most this often
        in all. Left out, they hold for every run. 0 is sure without failures and with
        ``admission="predicted"`` if no prediction is below the true length and every pool holds
        every call.
    """
    return _Builder(cluster, workflows, restarts).build()


class _Builder:
    def __init__(
        self, cluster: SimulatedCluster, workflows: Sequence[Workflow], restarts: int | None
    ) -> None:
        calls = [call for workflow in workflows for call in workflow.calls]
        self.cluster, self.workflows, self.restarts = cluster, workflows, restarts
        self.prompt: Ints = np.array([call.prompt_tokens for call in calls], dtype=np.int64)
        self.steps: Ints = np.array(
            [max(0, call.output_tokens - 1) for call in calls], dtype=np.int64
        )
        self.tool = np.array([to_ticks(call.tool_seconds) for call in calls], dtype=np.float64)
        self.kinds, self.specs = _kinds(cluster)
        self.shared: Sharing = sharing(workflows, cluster.prefix_caching)
        self.decoding = Decoding(
            self.prompt, self.steps, self.shared.together, max(1, widths(workflows))
        )
        shape = (len(calls), len(self.kinds))
        self.prefill_s, self.prefill_work = np.full(shape, INFEASIBLE), np.full(shape, INFEASIBLE)
        self.decode_s, self.decode_work = np.full(shape, INFEASIBLE), np.full(shape, INFEASIBLE)
        self.last_work = np.full(shape, INFEASIBLE)
        self.restart_s, self.restart_work = np.full(shape, INFEASIBLE), np.full(shape, INFEASIBLE)
        self.relief_work = np.zeros(shape)
        self.prefill_held = np.zeros(shape)
        self.levels: list[tuple[int, Floats, Floats]] = []
        self.rises: list[tuple[Floats, Floats]] = []
        # Time of a step with this call alone is base + slope · context.
        self.bases: list[tuple[int, float, float]] = []

    def build(self) -> Times:
        """Return the times."""
        for kind, spec in enumerate(self.specs):
            if spec.role == "prefill":
                self._prefill(kind, spec)
            elif spec.role == "decode":
                self._decode(kind, spec)
            else:
                self._mixed(kind, spec)
        transfer = self._transfer()
        if self.restarts == 0:
            rest = rest_seconds(self.prefill_s, transfer, self.decode_s)
        else:
            rest = self._rest_with_restarts()
        if self.restarts is None:
            self.prefill_work = self.prefill_work - self.relief_work
        scale = ROUNDING / SECOND
        parents, owners = _parents(self.workflows)
        return Times(
            kinds=self.kinds,
            workflow=owners,
            parents=parents,
            tool_s=self.tool * scale,
            steps=self.steps,
            prefill_s=self.prefill_s * scale,
            prefill_work=self.prefill_work * scale,
            decode_s=self.decode_s * scale,
            decode_work=self.decode_work * scale,
            transfer_s=transfer * scale,
            rest_s=rest * scale,
            level_kind=np.array([kind for kind, _, _ in self.levels], dtype=np.int64),
            level_s=np.stack([latency for _, latency, _ in self.levels], axis=1) * scale,
            level_work=np.stack([work for _, _, work in self.levels], axis=1) * scale,
            level_s_rise=np.stack([latency for latency, _ in self.rises], axis=1) * scale,
            level_work_rise=np.stack([work for _, work in self.rises], axis=1) * scale,
            prefill_held_s=self.prefill_held * scale,
            restarts=self.restarts,
            last_step_work=self.last_work * scale,
            restart_work=self.restart_work * scale,
            relief_work=self.relief_work * scale,
            relief=self.shared.relief,
        )

    def _new(self, cached: Ints) -> tuple[Floats, Floats]:
        """Return new tokens and token pairs of each prompt with `cached` tokens present."""
        h = np.minimum(cached, self.prompt - 1).astype(np.float64)
        n = self.prompt - h
        return n, n * (h + n / 2.0)

    def _prefill(self, kind: int, spec: SimulatedInstance) -> None:
        n, w = self._new(self.shared.prompt)
        shares = PrefillShares(spec, n, w, self.decoding.most_active)
        fits = self.prompt <= spec.capacity
        one, ones = np.ones(n.size), np.asarray(self.prompt + 0.5, dtype=np.float64)
        again = np.maximum(0.0, batch_ticks(spec.performance.prefill, one, ones) - 1.0)
        relieved = self._new(self.shared.anywhere)
        least = n, w
        if self.restarts != 0:
            least = relieved
        latency = np.maximum(0.0, batch_ticks(spec.performance.prefill, *least) - 1.0)
        self.prefill_held[:, kind] = np.maximum(0.0, latency / spec.performance.pp - 1.0)
        if self.restarts != 0:
            # A call lost to its decode instance can find its prompt in the batch still under way.
            latency = np.minimum(latency, latency / spec.performance.pp + again)
        self._enter(kind, fits, latency, shares.share(n, w), shares.share(*relieved))
        grows = self.prompt < spec.capacity
        self.restart_s[:, kind] = np.where(grows, again, INFEASIBLE)
        self.restart_work[:, kind] = np.where(grows, shares.share(one, ones), INFEASIBLE)

    def _enter(
        self, kind: int, fits: Bools, latency: Floats, work: Floats, relieved: Floats
    ) -> None:
        self.prefill_s[:, kind] = np.where(fits, latency, INFEASIBLE)
        self.prefill_work[:, kind] = np.where(fits, work, INFEASIBLE)
        self.relief_work[:, kind] = np.where(fits, work - relieved, 0.0)

    def _holds(self, spec: SimulatedInstance) -> Bools:
        """Return which calls can make a decode step on `spec`, or end there without any."""
        if self.restarts == 0:
            return np.asarray(self.prompt + self.steps <= spec.capacity)
        return np.asarray(self.prompt + np.minimum(self.steps, 1) <= spec.capacity)

    def _decode(self, kind: int, spec: SimulatedInstance) -> None:
        shares = DecodeShares(spec, self.decoding)
        fits = self._holds(spec)
        self.decode_s[:, kind] = np.where(fits, shares.latency, INFEASIBLE)
        self.decode_work[:, kind] = np.where(fits, shares.work, INFEASIBLE)
        self.last_work[:, kind] = np.where(fits, shares.last, INFEASIBLE)
        self.bases.append((kind, shares.base, shares.slope))
        for latency, work in shares.levels:
            self._enter_level(kind, fits, latency, work, shares.latency_rise, shares.work_rise)

    def _enter_level(
        self,
        kind: int,
        fits: Bools,
        latency: Floats,
        work: Floats,
        latency_rise: Floats,
        work_rise: Floats,
    ) -> None:
        self.rises.append((latency_rise, work_rise))
        self.levels.append(
            (kind, np.where(fits, latency, INFEASIBLE), np.where(fits, work, INFEASIBLE))
        )

    def _mixed(self, kind: int, spec: SimulatedInstance) -> None:
        # What a call generates here stays here, restarts or not.
        n, w = self._new(self.shared.anywhere)
        shares = MixedShares(spec, self.decoding, n)
        fits = self._holds(spec)
        starts = fits if self.restarts == 0 else self.prompt <= spec.capacity
        share = shares.prefill_share(n, w)
        self._enter(kind, starts, shares.prefill_latency(n, w), share, share)
        self.decode_s[:, kind] = np.where(fits, shares.latency, INFEASIBLE)
        self.decode_work[:, kind] = np.where(fits, shares.work, INFEASIBLE)
        self.last_work[:, kind] = np.where(fits, shares.last, INFEASIBLE)
        one, ones = np.ones(n.size), np.asarray(self.prompt + 0.5, dtype=np.float64)
        grows = self.prompt < spec.capacity
        self.restart_s[:, kind] = np.where(grows, shares.prefill_latency(one, ones), INFEASIBLE)
        self.restart_work[:, kind] = np.where(grows, shares.prefill_share(one, ones), INFEASIBLE)
        self.bases.append((kind, shares.base, shares.slope))
        rise = shares.latency_rise
        self._enter_level(kind, fits, shares.latency, shares.work, rise, rise)

    def _transfer(self) -> Floats:
        count = len(self.kinds)
        transfer = np.full((self.prompt.size, count, count), INFEASIBLE)
        latency = float(to_ticks(self.cluster.transfer_latency_s))
        missing = (self.prompt - np.minimum(self.shared.anywhere, self.prompt)).astype(np.float64)
        if self.restarts != 0:
            # A transfer cut short leaves its tokens behind.
            missing = np.zeros_like(missing)
        for p, source in enumerate(self.specs):
            for d, target in enumerate(self.specs):
                if source.role == "prefill" and target.role == "decode":
                    size = missing * round(source.performance.kv_bytes_per_token)
                    rate = max(1, min(round(source.nic_bandwidth), round(target.nic_bandwidth)))
                    ticks = latency + size * (SECOND / rate)
                    transfer[:, p, d] = np.where(self.steps > 0, ticks, 0.0)
                elif p == d and source.role == "mixed":
                    transfer[:, p, d] = 0.0
        return transfer

    def _rest_with_restarts(self) -> Floats:
        """Return the least time for all decode steps if prefills may stand in for some, ticks.

        A step's time at context x is at least the least of affine functions, hence concave in x,
        and so is its minimum with a constant: its sum is at least that of its chord.
        """
        steps = self.steps.astype(np.float64)
        again = self.restart_s.min(axis=1)
        ends = []
        for context in (self.prompt, self.prompt + np.maximum(0, self.steps - 1)):
            least = again.copy()
            for kind, base, slope in self.bases:
                usable = np.isfinite(self.decode_s[:, kind])
                least = np.minimum(least, np.where(usable, base + slope * context, INFEASIBLE))
            ends.append(least)
        mixed = any(spec.role == "mixed" for spec in self.specs)
        latency = 0.0 if mixed else float(to_ticks(self.cluster.transfer_latency_s))
        with np.errstate(invalid="ignore"):
            rest = np.minimum(latency + steps * (ends[0] + ends[1]) / 2.0, steps * again)
        return np.where(self.steps > 0, rest, 0.0)


def _kinds(
    cluster: SimulatedCluster,
) -> tuple[tuple[tuple[int, ...], ...], list[SimulatedInstance]]:
    """Return the numbers of equal instances, and one of each kind."""
    specs: list[SimulatedInstance] = []
    numbers: list[list[int]] = []
    for number, instance in enumerate(cluster.instances):
        nameless = instance.model_copy(update={"name": "any", "price_per_hour": 0.0, "watts": 0.0})
        if nameless not in specs:
            specs.append(nameless)
            numbers.append([])
        numbers[specs.index(nameless)].append(number)
    return tuple(tuple(each) for each in numbers), specs


def _parents(workflows: Sequence[Workflow]) -> tuple[tuple[tuple[int, ...], ...], Ints]:
    parents: list[tuple[int, ...]] = []
    owners: list[int] = []
    first = 0
    for number, workflow in enumerate(workflows):
        for call in workflow.calls:
            parents.append(tuple(first + parent for parent in call.parents))
            owners.append(number)
        first += len(workflow.calls)
    return tuple(parents), np.array(owners, dtype=np.int64)
