"""The independent checker of schedules: the rules of docs/optimum.md, one function each."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from hexsolve.models.check.schedule_answer import HEADER_RULES
from hexsolve.models.check.schedule_view import ScheduleView
from hexsolve.models.check.violation import Violation, names
from hexsolve.models.schedule import Schedule, ScheduledCall
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.workflow import Workflow

TICKS = "ticks"


def complete(view: ScheduleView) -> Iterator[Violation]:
    """Require exactly one row for each call of the instance."""
    seen: set[tuple[int, int]] = set()
    for row in view.schedule.calls:
        key = (row.workflow, row.call)
        ids = {"workflow": str(row.workflow), "call": str(row.call)}
        if key not in view.rows:
            yield names("complete", ids, "the instance has no such call")
        elif key in seen:
            yield names("complete", ids, "scheduled twice")
        seen.add(key)
    for number, workflow in enumerate(view.workflows):
        for index in range(len(workflow.calls)):
            if (number, index) not in seen:
                ids = {"workflow": workflow.name, "call": str(index)}
                yield names("complete", ids, "not scheduled")


def assignment(view: ScheduleView) -> Iterator[Violation]:
    """Require instances of the right role whose pools hold the call."""
    for row in view.rows.values():
        call = view.call(row)
        tokens = call.prompt_tokens + max(0, call.output_tokens - 1)
        for role, name, need in (
            ("prefill", row.prefill, call.prompt_tokens),
            ("decode", row.decode, tokens),
        ):
            if name is None:
                continue
            ids = view.ids(row) | {"instance": name}
            spec = view.instances.get(name)
            if spec is None or spec.role != role:
                yield names("assignment", ids, f"is no {role} instance of the cluster")
            elif need > spec.capacity:
                yield _over("assignment", need, spec.capacity, "tokens", ids, "needs")
        decodes = call.output_tokens >= 2
        parts = {row.decode is not None, row.transfer_start is not None}
        if parts | {row.transfer_end is not None} != {decodes}:
            what = "needs a decode instance and a transfer" if decodes else "has nothing to decode"
            yield names("assignment", view.ids(row), what)


def release(view: ScheduleView) -> Iterator[Violation]:
    """Require ``prefill_start ≥ arrival + tool delay`` of calls without parents."""
    for row in view.rows.values():
        call = view.call(row)
        if not call.parents:
            arrival = view.workflows[row.workflow].arrival_s
            least = view.needed(arrival + call.tool_seconds)
            yield from _least("release", row.prefill_start, least, view.ids(row), "starts at")


def precedence(view: ScheduleView) -> Iterator[Violation]:
    """Require ``prefill_start ≥ finish of each parent + tool delay``."""
    for row in view.rows.values():
        call = view.call(row)
        for parent in call.parents:
            if (above := view.rows.get((row.workflow, parent))) is not None:
                least = above.finish + view.needed(call.tool_seconds)
                ids = view.ids(row) | {"parent": str(parent)}
                yield from _least("precedence", row.prefill_start, least, ids, "starts at")


def prefix_cache(view: ScheduleView) -> Iterator[Violation]:
    """Require that cached tokens were prefilled on this instance by one of the two sources."""
    for row in view.rows.values():
        most = view.root(row)
        if view.optimistic:
            most = view.most_cached(row)
        else:
            pieces = view.pieces[row.workflow]
            for source in view.sources(row):
                other = view.rows.get((row.workflow, source))
                if (
                    other is not None
                    and other.prefill == row.prefill
                    and other.prefill_start < row.prefill_start
                ):
                    most = max(most, pieces.prefilled(row.call, source))
        if row.cached_tokens > most:
            what = "finds cached"
            yield _over("prefix_cache", row.cached_tokens, most, "tokens", view.ids(row), what)


def prefill_time(view: ScheduleView) -> Iterator[Violation]:
    """Require that a prefill takes as long as a batch of this call alone.

    Optimistic: its share of a batch, and from when the call is ready the time of that batch.
    """
    for row in _placed(view):
        alone = view.needed(view.prefill_seconds(row))
        lasts = row.prefill_end - row.prefill_start
        if not view.optimistic:
            yield from _least("prefill_time", lasts, alone, view.ids(row), "lasts")
            continue
        share = view.needed(view.occupied_seconds(row))
        yield from _least("prefill_time", lasts, share, view.ids(row), "lasts")
        call = view.call(row)
        ready = view.needed(view.workflows[row.workflow].arrival_s + call.tool_seconds)
        ends = [
            view.rows[row.workflow, p].finish
            for p in call.parents
            if (row.workflow, p) in view.rows
        ]
        if ends:
            ready = max(ends) + view.needed(call.tool_seconds)
        yield from _least("prefill_time", row.prefill_end - ready, alone, view.ids(row), "takes")


def prefill_one_at_a_time(view: ScheduleView) -> Iterator[Violation]:
    """Require that the times for which calls occupy a prefill instance do not overlap."""
    by_instance: dict[str, list[tuple[int, int, ScheduledCall]]] = {}
    for row in _placed(view):
        spans = view.needed(view.occupied_seconds(row))
        if spans > 0:
            by_instance.setdefault(row.prefill, []).append(
                (row.prefill_start, row.prefill_start + spans, row)
            )
    for name in sorted(by_instance):
        rows = sorted(by_instance[name], key=lambda each: each[:2])
        for before, after in pairwise(rows):
            ids = view.ids(after[2]) | {"instance": name}
            yield from _least("prefill_one_at_a_time", after[0], before[1], ids, "starts at")


def prefill_kv(view: ScheduleView) -> Iterator[Violation]:
    """Require that prompts fit the pool, from the start of a prefill to the transfer's end."""
    uses = [
        (
            row.prefill,
            row.prefill_start,
            max(row.prefill_end, row.transfer_end or 0),
            view.prefill_kv(row),
        )
        for row in _placed(view)
    ]
    capacity = {name: spec.capacity for name, spec in view.instances.items()}
    yield from _cumulative("prefill_kv", uses, capacity, "tokens")


def transfer_time(view: ScheduleView) -> Iterator[Violation]:
    """Require a transfer after the prefill, no shorter than alone on its link."""
    for row in _decoded(view):
        assert row.decode is not None
        assert row.transfer_start is not None
        assert row.transfer_end is not None
        ids = view.ids(row)
        yield from _least("transfer_time", row.transfer_start, row.prefill_end, ids, "starts at")
        least = view.needed(view.transfer_seconds(row, row.decode))
        yield from _least(
            "transfer_time", row.transfer_end - row.transfer_start, least, ids, "lasts"
        )


def decode_time(view: ScheduleView) -> Iterator[Violation]:
    """Require all decode steps between the transfer's end and the finish; none: ends prefilled."""
    for row in _placed(view):
        ids = view.ids(row)
        if row.decode is None or row.transfer_end is None:
            if row.decode is None and row.transfer_end is None:
                yield from _least("decode_time", row.finish, row.prefill_end, ids, "finishes at")
            continue
        if row.decode not in view.instances:
            continue
        least = view.needed(view.decode_seconds(row, row.decode))
        yield from _least("decode_time", row.finish - row.transfer_end, least, ids, "decodes for")


def decode_slots(view: ScheduleView) -> Iterator[Violation]:
    """Require that no more calls than slots are admitted, from the transfer on."""
    uses = [(row.decode or "", row.transfer_start or 0, row.finish, 1) for row in _decoded(view)]
    slots = {name: view.slots(spec) for name, spec in view.instances.items()}
    yield from _cumulative("decode_slots", uses, slots, "calls")


def decode_kv(view: ScheduleView) -> Iterator[Violation]:
    """Require that prompts and outputs of admitted calls fit the pool."""
    uses = [
        (row.decode or "", row.transfer_start or 0, row.finish, view.decode_kv(row))
        for row in _decoded(view)
    ]
    capacity = {name: spec.capacity for name, spec in view.instances.items()}
    yield from _cumulative("decode_kv", uses, capacity, "tokens")


SCHEDULE_RULES = (
    complete,
    assignment,
    release,
    precedence,
    prefix_cache,
    prefill_time,
    prefill_one_at_a_time,
    prefill_kv,
    transfer_time,
    decode_time,
    decode_slots,
    decode_kv,
)
"""The rules on the calls of a schedule."""


def check_schedule(
    cluster: SimulatedCluster, workflows: Sequence[Workflow], schedule: Schedule
) -> list[Violation]:
    """Return every rule of the scheduling model that `schedule` breaks.

    `workflows` are those of the instance in its order; horizons are simulated anew.
    """
    view = ScheduleView(cluster, workflows, schedule)
    violations = [violation for rule in HEADER_RULES for violation in rule(view)]
    if schedule.calls:
        violations += [violation for rule in SCHEDULE_RULES for violation in rule(view)]
    return violations


def _placed(view: ScheduleView) -> Iterator[ScheduledCall]:
    for row in view.rows.values():
        spec = view.instances.get(row.prefill)
        call = view.call(row)
        if spec is not None and spec.role == "prefill" and row.cached_tokens < call.prompt_tokens:
            yield row


def _decoded(view: ScheduleView) -> Iterator[ScheduledCall]:
    for row in _placed(view):
        spec = view.instances.get(row.decode or "")
        if (
            spec is not None
            and spec.role == "decode"
            and row.transfer_start is not None
            and row.transfer_end is not None
        ):
            yield row


def _cumulative(
    rule: str, uses: Iterable[tuple[str, int, int, int]], limits: dict[str, int], unit: str
) -> Iterator[Violation]:
    """Yield a violation for each instance whose peak use exceeds its limit; ends free first."""
    changes: dict[str, list[tuple[int, int]]] = {}
    for name, begin, end, amount in uses:
        if end > begin:
            changes.setdefault(name, []).extend([(begin, amount), (end, -amount)])
    for name in sorted(changes):
        level, peak, at = 0, -math.inf, 0
        for time, change in sorted(changes[name]):
            level += change
            if level > peak:
                peak, at = level, time
        if peak > limits[name]:
            ids = {"instance": name}
            what = f"at tick {at} holds"
            yield _over(rule, peak, limits[name], unit, ids, what)


def _least(
    rule: str, amount: int, limit: int, ids: dict[str, str], what: str
) -> Iterator[Violation]:
    if amount < limit:
        yield Violation(
            rule=rule,
            ids=ids,
            amount=float(amount),
            limit=float(limit),
            unit=TICKS,
            message=f"{what} {amount} ticks; needed: at least {limit}",
        )


def _over(
    rule: str, amount: float, limit: float, unit: str, ids: dict[str, str], what: str
) -> Violation:
    return Violation(
        rule=rule,
        ids=ids,
        amount=float(amount),
        limit=float(limit),
        unit=unit,
        message=f"{what} {amount:.0f} {unit}; allowed: at most {limit:.0f}",
    )
