"""Rules on the head of a schedule: it is of this instance, and its figures agree with its calls."""

import math
from collections.abc import Iterator

from hexsolve.models.check.schedule_view import ScheduleView
from hexsolve.models.check.violation import TOLERANCE, Violation, equal, names
from hexsolve.models.schedule import PERCENT, scheduling_hash
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.status import OPTIMALITY_TOLERANCE, Status


def instance(view: ScheduleView) -> Iterator[Violation]:
    """Require that the schedule is of this instance: equal hashes."""
    schedule = view.schedule
    right = scheduling_hash(view.cluster, view.workflows)
    if schedule.instance_hash != right:
        yield names(
            "instance",
            {"instance": schedule.instance_name},
            "the schedule is of another instance, or of another version of it: SHA-256 "
            f"{schedule.instance_hash[:12]}…, but that of this one is {right[:12]}…",
        )


def status(view: ScheduleView) -> Iterator[Violation]:
    """Require calls and objective where the status says so, and a closed gap for `optimal`."""
    schedule = view.schedule
    found = schedule.status in (Status.OPTIMAL, Status.FEASIBLE)
    for field, there in (
        ("calls", bool(schedule.calls)),
        ("objective", schedule.objective is not None),
    ):
        if there != found:
            word = "there" if there else "missing"
            yield names(
                "status", {"field": field}, f"{word}, with status {schedule.status.value!r}"
            )
    if schedule.status is Status.OPTIMAL and schedule.objective is not None:
        gap = math.inf if schedule.bound is None else _gap(schedule.objective, schedule.bound)
        if gap > OPTIMALITY_TOLERANCE:
            yield names("status", {"field": "status"}, f"'optimal' with a gap of {gap:.3g}")


def objective(view: ScheduleView) -> Iterator[Violation]:
    """Require the Req_q that the finish times give: the ⌈q·n/100⌉-th smallest F_w/H_w."""
    schedule = view.schedule
    if schedule.objective is None or not schedule.calls:
        return
    horizons = standalone_horizons(view.cluster, view.workflows)
    slowdowns = []
    for number, workflow in enumerate(view.workflows):
        ends = [row.finish for (owner, _), row in view.rows.items() if owner == number]
        if ends:
            flow = max(ends) * view.grid - workflow.arrival_s
            slowdowns.append(flow / horizons[number])
    count = len(view.workflows)
    kept = -(-PERCENT[schedule.objective_kind] * count // 100)
    if len(slowdowns) == count:
        right = sorted(slowdowns)[kept - 1]
        ids = {"field": "objective"}
        yield from equal("objective", schedule.objective, right, "", ids, "stated is")


def bound(view: ScheduleView) -> Iterator[Violation]:
    """Require a bound that the schedule does not beat."""
    schedule = view.schedule
    if schedule.objective is None or schedule.bound is None:
        return
    if schedule.bound > schedule.objective * (1.0 + TOLERANCE):
        yield Violation(
            rule="bound",
            ids={"field": "bound"},
            amount=schedule.bound,
            limit=schedule.objective,
            message=f"bound {schedule.bound:.9g} is more than the objective "
            f"{schedule.objective:.9g} that was reached",
        )


def gap(view: ScheduleView) -> Iterator[Violation]:
    """Require ``gap = |objective − bound| / max(|objective|, 1e-9)``; null where one is missing."""
    schedule = view.schedule
    ids = {"field": "gap"}
    if schedule.objective is None or schedule.bound is None:
        if schedule.gap is not None:
            yield names("gap", ids, "stated without an objective and a bound")
    elif schedule.gap is None:
        yield names("gap", ids, "missing")
    else:
        right = _gap(schedule.objective, schedule.bound)
        if abs(schedule.gap - right) > TOLERANCE * max(right, 1e-3):
            yield from equal("gap", schedule.gap, right, "", ids, "stated is")


HEADER_RULES = (instance, status, objective, bound, gap)
"""The rules on the head of a schedule."""


def _gap(reached: float, proven: float) -> float:
    return abs(reached - proven) / max(abs(reached), 1e-9)
