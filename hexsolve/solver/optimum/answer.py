"""From an instance to a `Schedule`: the problem, its bounds, the search, and the replay."""

import math

from hexsolve import __version__
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
from hexsolve.solver.optimum.timetable import scheduled_calls
from hexsolve.solver.optimum.windows import Windows

FIRST_SHARE = 0.25
"""Part of the time limit that the choice of the decode batch and the first lists may take."""


def optimum(
    instance: SchedulingInstance,
    objective: ScheduleObjective,
    options: SearchOptions,
    times: ScheduleTimes | None = None,
    report: Report | None = None,
) -> Schedule:
    """Return the best schedule and bound within the options' time limit.

    The limit covers all but the replay in the simulator, and the compilation of list scheduling
    that an environment's first call may need; the choice of the decode batch and the first lists
    get a quarter of it.

    Parameters
    ----------
    instance : SchedulingInstance
    objective : str
    options : SearchOptions
    times : ScheduleTimes, optional
        Left out: nominal times with the batch of `hexsolve.solver.optimum.decode_batch`.
    report : callable, optional
        Is told incumbent and bound as they move.

    Raises
    ------
    InputError
        If the scheduling model does not cover the instance.
    """
    cluster, workflows = instance.cluster, instance.workflows
    horizons = standalone_horizons(cluster, workflows)
    compile_annealing()
    clock = Clock(options)
    share = FIRST_SHARE * options.time_limit_s

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
    problem, times = first.problem, first.problem.times
    found = Search(first, clock, report).run()
    status = derive_status(found.objective, found.bound)
    calls = scheduled_calls(problem, found.timetable)
    simulated = None
    if times.mode == "nominal":
        simulated = replay(cluster, workflows, horizons, objective, calls, times)
    return Schedule(
        hexsolve_version=__version__,
        instance_name=instance.name,
        instance_hash=instance.digest,
        parameters={
            "time_limit_s": options.time_limit_s,
            "workers": options.workers,
            "deterministic": options.deterministic,
            "found_by": found.objective_source,
        },
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


def _limit(status: Status, clock: Clock) -> Limit:
    """Return why a search ended."""
    if status is Status.OPTIMAL:
        return Limit.NONE
    return Limit.INTERRUPT if clock.stopped else Limit.TIME
