"""How long the stages of a call take in the scheduling model, in ticks of its grid.

Nominal durations are rounded up, so that a schedule leaves enough time; optimistic ones down, so
that every simulated run, its times rounded down, keeps the rules.
"""

import math

from hexsolve.models.latency import prefill_work
from hexsolve.models.schedule import ScheduleTimes
from hexsolve.models.simulation.clock import SECOND, StepClock, prefill_ticks
from hexsolve.models.simulation.cluster import SimulatedCluster, SimulatedInstance
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.optimum.sharing import Sharing

_SLACK = 1e-6
"""Ticks by which a duration may miss a whole tick: far more than floating point does."""


class CallTimes:
    """The times of one workflow's prefills and transfers."""

    def __init__(
        self,
        cluster: SimulatedCluster,
        times: ScheduleTimes,
        workflow: Workflow,
        sharing: Sharing,
    ) -> None:
        self.cluster = cluster
        self.times = times
        self.workflow = workflow
        self.sharing = sharing
        self.optimistic = times.mode == "optimistic"
        sizes = [
            round(cluster.instances[p].performance.kv_bytes_per_token)
            for p in cluster.with_role("prefill")
        ]
        self._token_bytes = min(sizes) if self.optimistic else max(sizes)

    def ticks(self, seconds: float) -> int:
        """Return a duration in ticks; see `ticks`."""
        return ticks(self.times, seconds)

    def release(self, index: int) -> int:
        """Return when a call without parents is ready."""
        return self.ticks(self.workflow.arrival_s + self.workflow.calls[index].tool_seconds)

    def delay(self, index: int) -> int:
        """Return the tool delay before a call."""
        return self.ticks(self.workflow.calls[index].tool_seconds)

    def hits(self, index: int) -> list[tuple[int, int, bool]]:
        """Return (source, cached tokens, to be ordered) of each way to find a prompt cached."""
        sharing = self.sharing
        if self.optimistic:
            return [(-1, sharing.most_cached(index), False)]
        found = [(-1, sharing.root(index), False)]
        above, beside = sharing.sources(index)
        if above >= 0:
            found.append((above, sharing.prefilled(index, above), False))
        if beside >= 0:
            found.append((beside, sharing.prefilled(index, beside), True))
        return found

    def prefill(self, index: int, p: int, cached: int) -> tuple[int, int, int]:
        """Return (occupied, lead, latency) of a prefill on p; see `Prefill`."""
        spec = self.cluster.instances[p]
        prompt = self.workflow.calls[index].prompt_tokens
        new = prompt - cached
        c = spec.performance.prefill
        alone = prefill_ticks(c, new, new * (2 * cached + new)) / SECOND
        latency = self.ticks(alone)
        if not self.optimistic:
            return self.ticks(alone / spec.performance.pp), latency, latency
        share = alone
        if spec.max_batch > 1 and new <= spec.token_budget:
            share = min(share, batch_share(spec, new, cached))
        occupied = self.ticks(share / spec.performance.pp)
        return occupied, occupied, latency

    def lag(self, index: int, row: int) -> int:
        """Return the time of a transfer that only the link of instance `row` limits."""
        tokens = self.workflow.calls[index].prompt_tokens
        if self.optimistic:
            tokens -= self.sharing.most_shared(index)
        size = tokens * self._token_bytes
        speed = max(1, round(self.cluster.instances[row].nic_bandwidth))
        return self.ticks(self.cluster.transfer_latency_s + size / speed)


class DecodeTimes:
    """The times of decode steps in batches of `times.decode_batch` calls; optimistic: of one."""

    def __init__(self, cluster: SimulatedCluster, times: ScheduleTimes) -> None:
        self._times = times
        self._batch = 1 if times.mode == "optimistic" else times.decode_batch
        self._clocks = {
            d: StepClock(cluster.instances[d].performance.decode)
            for d in cluster.with_role("decode")
        }

    def all_steps(self, call: Call, d: int) -> int:
        """Return the ticks of all decode steps on d, in a batch of calls equal to this one."""
        steps = call.output_tokens - 1
        clock = self._clocks[d]
        first = clock.base(self._batch) + clock.slope * self._batch * call.prompt_tokens
        growth = clock.slope * self._batch
        return ticks(self._times, (steps * first + growth * (steps * (steps - 1) // 2)) / SECOND)


def ticks(times: ScheduleTimes, seconds: float) -> int:
    """Return a duration in ticks, rounded up or, if optimistic, down."""
    exact = seconds / times.grid_s - _SLACK
    return max(0, math.floor(exact) if times.mode == "optimistic" else math.ceil(exact))


def batch_share(spec: SimulatedInstance, new: int, cached: int) -> float:
    """Return what a call adds at least to the time of any batch it is part of, s.

    With F(T) = p0 + p4·(1 − exp(−T/scale)), concave and F(0) ≥ 0: ``F(T) ≥ T/budget · F(budget)``
    for T ≤ budget. The terms of p1 and p2 add up exactly, that beyond the knee at least.
    """
    c = spec.performance.prefill
    fixed = c.p0 - c.p4 * math.expm1(-spec.token_budget / c.scale)
    own = c.p1 * new + c.p2 * prefill_work(new, cached) + c.p3 * max(0.0, new - c.knee)
    return fixed * new / spec.token_budget + own


def kv_in_use(made: CallTimes, index: int) -> tuple[int, int]:
    """Return the tokens that a call holds at its prefill and at its decode instance.

    Equal tokens are held once, so that optimistically only those count that no other call has.
    """
    call = made.workflow.calls[index]
    if made.optimistic:
        return 0, call.prompt_tokens - made.sharing.most_shared(index)
    return call.prompt_tokens, call.prompt_tokens + max(0, call.output_tokens - 1)
