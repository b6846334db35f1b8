"""Rules on the head of a schedule: it is of this instance, and its figures agree with its calls."""

from collections.abc import Iterator

from hexsolve.models.check.proven import (
    honest_status,
    named_limit,
    right_gap,
    same_instance,
    unbeaten_bound,
)
from hexsolve.models.check.schedule_view import ScheduleView
from hexsolve.models.check.violation import Violation, equal, names
from hexsolve.models.schedule import PERCENT, Schedule, scheduling_hash
from hexsolve.models.simulation.horizon import standalone_horizons


def instance(view: ScheduleView) -> Iterator[Violation]:
    """Require that the schedule is of this instance: equal hashes."""
    right = scheduling_hash(view.cluster, view.workflows)
    return same_instance(view.schedule, right, "this one")


def status(view: ScheduleView) -> Iterator[Violation]:
    """Require calls and objective where the status says so, and a closed gap for `optimal`."""
    return honest_status(view.schedule, {"calls": bool(view.schedule.calls)})


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
            # Optimistic ticks are rounded down, perhaps below the arrival.
            slowdowns.append(max(0.0, flow) / horizons[number])
    count = len(view.workflows)
    kept = -(-PERCENT[schedule.objective_kind] * count // 100)
    if len(slowdowns) == count:
        right = sorted(slowdowns)[kept - 1]
        ids = {"field": "objective"}
        yield from equal("objective", schedule.objective, right, "", ids, "stated is")


def bound(view: ScheduleView) -> Iterator[Violation]:
    """Require a bound that the schedule does not beat."""
    return unbeaten_bound(view.schedule, maximised=False, unit="")


def gap(view: ScheduleView) -> Iterator[Violation]:
    """Require the relative gap between objective and bound."""
    return right_gap(view.schedule)


def limit(view: ScheduleView) -> Iterator[Violation]:
    """Require what the search stopped at where a gap is left."""
    return named_limit(view.schedule)


def times(view: ScheduleView) -> Iterator[Violation]:
    """Require no replay with optimistic times: such schedules are not carried out."""
    schedule = view.schedule
    if schedule.times.mode == "optimistic" and schedule.replay is not None:
        yield names("times", {"field": "replay"}, "stated, but optimistic times are not simulated")


HEADER_RULES = (instance, status, limit, objective, bound, gap, times)
"""The rules on the head of a schedule."""


def unverified(schedule: Schedule) -> tuple[str, ...]:
    """Return the fields that a schedule fills in and that no rule proves."""
    stated = ("bound", "bound_source", "replay")
    return tuple(name for name in stated if getattr(schedule, name) not in (None, ""))
