"""From the view of the cluster to flat arrays."""

from collections.abc import Sequence

import numpy as np

from hexsolve.models.latency import EnginePerformance
from hexsolve.models.simulation.calls import (
    INBOUND,
    PREFILLING,
    RUNNING,
    TRANSFER,
    RevealedCall,
)
from hexsolve.models.simulation.view import ClusterView, InstanceView
from hexsolve.solver.online.filling import filling_seconds
from hexsolve.solver.online.projection.arrays import Bound, Floats, Frontier, Ints, Machines

# Decoding calls whose steps share a mixed instance's prefill chunks, for its projected pace.
MIXED_BATCH = 16
MIXED_CONTEXT = 2048


def machines_of(view: ClusterView) -> Machines:
    """Return the constants of the cluster's instances."""
    prefills = [*view.prefills, *view.mixed]
    decodes = [*view.decodes, *view.mixed]
    pairs = np.zeros((len(prefills), len(decodes)), np.bool_)
    transfer = np.zeros(pairs.shape)
    latency = np.zeros(pairs.shape)
    for row, p in enumerate(prefills):
        for column, d in enumerate(decodes):
            pairs[row, column] = p.number == d.number or p.role != "mixed" != d.role
            if p.number != d.number:
                speed = min(p.spec.nic_bandwidth, d.spec.nic_bandwidth)
                transfer[row, column] = p.spec.performance.kv_bytes_per_token / speed
                latency[row, column] = view.cluster.transfer_latency_s

    cost = np.array([_prefill_cost(p) for p in prefills])

    def ints(values: Sequence[int]) -> Ints:
        return np.array(values, np.int64)

    return Machines(
        prefill_numbers=ints([p.number for p in prefills]),
        decode_numbers=ints([d.number for d in decodes]),
        prefill_cost=cost,
        token_budget=ints([p.spec.token_budget for p in prefills]),
        most_calls=ints([p.spec.max_batch for p in prefills]),
        stages=ints([1 if p.role == "mixed" else p.spec.performance.pp for p in prefills]),
        decode_cost=np.array([_decode_cost(d) for d in decodes]),
        pool=ints([d.capacity for d in decodes]),
        most_batch=ints([d.spec.max_batch for d in decodes]),
        pairs=pairs,
        toll_cost=np.stack([cost[:, 1] + cost[:, 4], cost[:, 2]]).mean(axis=1),
        transfer=transfer,
        latency=latency,
    )


def _prefill_cost(instance: InstanceView) -> tuple[float, ...]:
    performance: EnginePerformance = instance.spec.performance
    if instance.role != "mixed":
        c = performance.prefill
        return (c.p0, c.p1, c.p2, c.floor, c.p3, c.knee, c.p4, c.scale)
    # A prompt goes through in chunks beside the batch: each chunk has a step of its own.
    m = performance.mixed
    step = m.step_seconds(MIXED_BATCH, MIXED_BATCH * MIXED_CONTEXT, 0.0, 0.0)
    return (step, m.m1 + step / instance.spec.token_budget, m.m2, 0.0, 0.0, 0.0, 0.0, 1.0)


def _decode_cost(instance: InstanceView) -> tuple[float, ...]:
    performance: EnginePerformance = instance.spec.performance
    if instance.role != "mixed":
        c = performance.decode
        return (c.d0, c.d1, c.d2, c.d3, c.active_share)
    m = performance.mixed
    return (m.m0, m.d1, m.d2, m.d3, m.active_share)


def free_seconds(view: ClusterView, machines: Machines) -> Floats:
    """Return the seconds until each prefill server can start its next batch.

    A mixed instance begins its next prompts when those in progress are filled.
    """
    numbers = machines.prefill_numbers.tolist()
    instances = [view.instances[number] for number in numbers]
    return np.array([each.free_in_s + filling_seconds(each)[1] for each in instances])


def bound_calls(view: ClusterView, machines: Machines) -> tuple[Bound, list[RevealedCall]]:
    """Return the calls whose prefill has begun, with what is believed of them."""
    column = {int(number): d for d, number in enumerate(machines.decode_numbers)}
    row = {int(number): p for p, number in enumerate(machines.prefill_numbers)}
    calls: list[RevealedCall] = []
    places: list[int] = []
    joins: list[float] = []
    context: list[int] = []
    steps: list[int] = []
    filled = {
        call.number: seconds
        for instance in view.mixed
        for call, seconds in filling_seconds(instance)[0]
    }
    for call in view.live:
        stage = call.stage
        if stage < PREFILLING:
            continue
        instance = view.instances[call.decode]
        p, d = row[call.prefill], column[call.decode]
        emitted = instance.emitted(call) if stage == RUNNING else call.emitted
        left = call.predicted_output - emitted
        wait = 0.0
        if stage == PREFILLING:
            # The prefill itself emits one.
            left = max(0, left - 1)
            mixed = call.prefill == call.decode
            wait = filled[call.number] if mixed else view.prefilled_in_s(call)
        elif stage == TRANSFER:
            wait = view.landed_in_s(call)
        if stage == INBOUND or (stage == PREFILLING and left):
            missing = call.length - instance.cached_tokens(call)
            wait += float(machines.latency[p, d] + machines.transfer[p, d] * missing)
        calls.append(call)
        places.append(d)
        joins.append(wait)
        context.append(call.length + (emitted - call.emitted))
        # A call that has outlived its prediction goes on for a step at least.
        steps.append(left if stage == PREFILLING else max(1, left))
    return (
        Bound(
            np.array(places, np.int64),
            np.array(joins, np.float64),
            np.array(context, np.int64),
            np.array(steps, np.int64),
        ),
        calls,
    )


_Key = tuple[int, int, tuple[int, ...], int]


class CacheRows:
    """What each waiting call lacks on each server, looked up again only every `refresh_s`.

    A call's parents are complete when it is revealed, so what is cached of its prompt changes
    afterwards only by eviction and by siblings. A pool that cannot hold what the call is predicted
    to grow to is not offered as long as one can: the call would be preempted there, and its prompt
    computed again elsewhere.
    """

    def __init__(self, view: ClusterView, machines: Machines, refresh_s: float = 1.0) -> None:
        self._view = view
        self._pairs = machines.pairs
        self._pool = machines.pool
        self._prefills = [int(number) for number in machines.prefill_numbers]
        self._decodes = [int(number) for number in machines.decode_numbers]
        self._refresh_s = refresh_s
        self._up: tuple[bool, ...] = ()
        self._rows: dict[int, tuple[float, _Key, Ints, Ints]] = {}

    def renew(self) -> None:
        """Forget everything if an instance failed or came back since the last time."""
        up = tuple(instance.up for instance in self._view.instances)
        if up != self._up:
            self._up = up
            self._rows.clear()

    def of(self, call: RevealedCall) -> tuple[Ints, Ints]:
        """Return (P,) new and (D,) missing tokens, −1 where the call cannot go."""
        known = self._rows.get(call.number)
        now = self._view.now_s
        # What a decode server holds in the end: the last token is never read.
        grown = call.length + call.remaining_output - 1
        key = (call.attempt, call.length, call.forbidden, grown)
        if known is not None and now - known[0] < self._refresh_s and known[1] == key:
            return known[2], known[3]
        view, length = self._view, call.length
        new = np.empty(len(self._prefills), np.int64)
        for row, number in enumerate(self._prefills):
            if view.can_take(call, number):
                new[row] = max(1, length - view.instances[number].cached_tokens(call))
            else:
                new[row] = -1
        missing = np.empty(len(self._decodes), np.int64)
        for column, number in enumerate(self._decodes):
            if view.can_take(call, number):
                missing[column] = length - view.instances[number].cached_tokens(call)
            else:
                missing[column] = -1
        within = (missing >= 0) & (self._pool >= grown)
        if (self._pairs[new >= 0] & within).any():
            missing[~within] = -1
        self._rows[call.number] = (now, key, new, missing)
        return new, missing

    def forget(self, call: RevealedCall) -> None:
        """Drop what is known of a call that needs no place any more."""
        self._rows.pop(call.number, None)


def frontier_of(
    calls: Sequence[RevealedCall],
    rows: CacheRows,
    elapsed: Sequence[float],
    horizons: Sequence[float],
) -> Frontier:
    """Return `calls` as arrays."""
    news, missings = [], []
    for call in calls:
        new, missing = rows.of(call)
        news.append(new)
        missings.append(missing)
    return Frontier(
        length=np.array([call.length for call in calls], np.int64),
        steps=np.array([call.remaining_output - 1 for call in calls], np.int64),
        new=np.array(news),
        missing=np.array(missings),
        elapsed=np.array(elapsed, np.float64),
        horizon=np.array(horizons, np.float64),
    )
