"""From an instance to a `Schedule`: the problem, its bounds, the search, and the replay."""

import math

from hexsolve import __version__
from hexsolve.models.check.schedule import check_schedule
from hexsolve.models.errors import HexsolveError, InputError
from hexsolve.models.schedule import Schedule, ScheduleObjective, ScheduleTimes
from hexsolve.models.scheduling import SchedulingInstance
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.status import Limit, Status, derive_status, relative_gap
from hexsolve.solver.optimum.clock import Clock, SearchOptions
from hexsolve.solver.optimum.decode_batch import choose_batch
from hexsolve.solver.optimum.problem import build_problem
from hexsolve.solver.optimum.ready import compile_annealing
from hexsolve.solver.optimum.replay import replay
from hexsolve.solver.optimum.search import Report, Search
from hexsolve.solver.optimum.start import Incumbent, first_schedules
from hexsolve.solver.optimum.timetable import scheduled_calls, timetable_of
from hexsolve.solver.optimum.windows import Windows

FIRST_SHARE = 0.25
"""Part of the time limit that the choice of the decode batch and the first lists may take."""


def optimum(
    instance: SchedulingInstance,
    objective: ScheduleObjective,
    options: SearchOptions,
    times: ScheduleTimes | None = None,
    report: Report | None = None,
    start: Schedule | None = None,
) -> Schedule:
    """Return the best schedule and bound within the options' time limit.

    The limit covers all but the replay in the simulator, the checker, and the compilation that an
    environment's first call may need; the choice of the decode batch and the
    first lists get a quarter of it.

    Parameters
    ----------
    instance : SchedulingInstance
    objective : str
    options : SearchOptions
    times : ScheduleTimes, optional
        Left out: those of `start`, or nominal times with the batch of
        `hexsolve.solver.optimum.decode_batch`.
    report : callable, optional
        Is told incumbent and bound as they move.
    start : Schedule, optional
        Of the same instance, for any objective: the search goes on from it, and its answer is no
        worse. Its bound is not taken over, since nothing here could verify it.

    Raises
    ------
    InputError
        If the scheduling model does not cover the instance, or `start` breaks a rule on it or has
        other times.
    """
    cluster, workflows = instance.cluster, instance.workflows
    horizons = standalone_horizons(cluster, workflows)
    compile_annealing()
    clock = Clock(options)
    share = FIRST_SHARE * options.time_limit_s
    if start is not None:
        times = times_to_start(start, instance, times)

    def used() -> float:
        # Deterministic: the clock counts the work of CP-SAT, of which there is none yet.
        return math.inf if clock.stopped else clock.spent_s / share

    if times is None:
        grid_s = ScheduleTimes().grid_s
        first = choose_batch(instance, horizons, objective, grid_s, used)
    else:
        problem = build_problem(cluster, workflows, horizons, times, objective)
        first = Incumbent(Windows(problem))
        first_schedules(first, lambda: used() > 1.0)
        if start is not None:
            first.offer(timetable_of(problem, start.calls), "start")
    problem, times = first.problem, first.problem.times
    found = Search(first, clock, report).run()
    status = derive_status(found.objective, found.bound)
    calls = scheduled_calls(problem, found.timetable)
    simulated = None
    if times.mode == "nominal":
        simulated = replay(cluster, workflows, horizons, objective, calls, times)
    made = Schedule(
        hexsolve_version=__version__,
        instance_name=instance.name,
        instance_hash=instance.digest,
        parameters={
            "time_limit_s": options.time_limit_s,
            "workers": options.workers,
            "deterministic": options.deterministic,
            "found_by": found.objective_source,
        }
        | ({} if start is None else {"start": start.objective, "start_kind": start.objective_kind}),
        seed=options.seed,
        times=times,
        status=status,
        limit=_limit(status, clock),
        objective_kind=objective,
        objective=found.objective,
        bound=found.bound,
        bound_source=found.bound_source,
        gap=relative_gap(found.objective, found.bound),
        runtime_s=found.seconds,
        solver="cp-sat",
        replay=simulated,
        calls=calls,
    )
    if broken := check_schedule(cluster, workflows, made):
        listed = "; ".join(str(violation) for violation in broken[:3])
        raise HexsolveError(
            f"the schedule found breaks {len(broken)} of the checker's rules: {listed}"
        )
    return made


def times_to_start(
    start: Schedule, instance: SchedulingInstance, times: ScheduleTimes | None = None
) -> ScheduleTimes:
    """Return the times of a schedule to start from.

    Raises
    ------
    InputError
        If it is empty, breaks a rule on `instance`, or has other times than `times`.
    """
    if not start.calls:
        raise InputError("is empty; allowed: a schedule", field="calls")
    if times is not None and times != start.times:
        raise InputError(f"is {start.times}; asked for: {times}", field="times")
    if broken := check_schedule(instance.cluster, instance.workflows, start):
        raise InputError(f"is no schedule of {instance.name}: {broken[0]}")
    return start.times


def _limit(status: Status, clock: Clock) -> Limit:
    """Return why a search ended."""
    if status is Status.OPTIMAL:
        return Limit.NONE
    return Limit.INTERRUPT if clock.stopped else Limit.TIME
