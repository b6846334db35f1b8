"""Rules on the head of a schedule: it is of this instance, and its figures agree with its calls."""

from collections.abc import Iterator

from hexsolve.models.check.proven import honest_status, right_gap, same_instance, unbeaten_bound
from hexsolve.models.check.schedule_view import ScheduleView
from hexsolve.models.check.violation import Violation, equal
from hexsolve.models.schedule import PERCENT, scheduling_hash
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


HEADER_RULES = (instance, status, objective, bound, gap)
"""The rules on the head of a schedule."""
