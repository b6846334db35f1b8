"""From an instance to a `Schedule`: the problem, its bounds, the search, and the replay."""

from collections.abc import Callable
from dataclasses import replace

from hexsolve import __version__
from hexsolve.models.schedule import Schedule, ScheduleObjective, ScheduleTimes
from hexsolve.models.scheduling import SchedulingInstance
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.status import Limit, Status, derive_status, relative_gap
from hexsolve.solver.optimum.clock import Clock, SearchOptions
from hexsolve.solver.optimum.problem import build_problem
from hexsolve.solver.optimum.replay import replay
from hexsolve.solver.optimum.search import Report, Search
from hexsolve.solver.optimum.start import Incumbent, first_schedules, never
from hexsolve.solver.optimum.timetable import scheduled_calls
from hexsolve.solver.optimum.windows import Windows

BATCHES = (1, 2, 4, 8, 16, 32, 64)
"""Decode batches of which one is chosen, below the largest that an instance takes, and that."""

CHOICE_SHARE = 0.2
"""Part of the time limit that the choice of the decode batch may take."""


def choose_batch(
    instance: SchedulingInstance,
    horizons: list[float],
    objective: ScheduleObjective,
    grid_s: float,
    enough: Callable[[], bool] = never,
) -> int:
    """Return the decode batch with which list scheduling gets the least Req_q.

    Once it is `enough`, batches and rules that are left are left out.

    Nominal decode times are those of a full batch of this size, and no more calls are admitted:
    of several such safe models the one with the least value is closest to the simulator.
    """
    best: tuple[float, int] | None = None
    cluster = instance.cluster
    largest = max(cluster.instances[d].max_batch for d in cluster.with_role("decode"))
    below = [batch for batch in BATCHES if batch < largest]
    for batch in below if len(below) == len(BATCHES) else (*below, largest):
        times = ScheduleTimes(decode_batch=batch, grid_s=grid_s)
        problem = build_problem(instance.cluster, instance.workflows, horizons, times, objective)
        windows = Windows(problem)
        incumbent = Incumbent(windows)
        first_schedules(windows, incumbent, enough)
        if best is None or incumbent.value < best[0]:
            best = (incumbent.value, batch)
        if enough():
            break
    assert best is not None
    return best[1]


def optimum(
    instance: SchedulingInstance,
    objective: ScheduleObjective,
    options: SearchOptions,
    times: ScheduleTimes | None = None,
    report: Report | None = None,
) -> Schedule:
    """Return the best schedule and bound within the options' time limit.

    The limit covers the choice of the decode batch, which gets a fifth of it at most.

    Parameters
    ----------
    instance : SchedulingInstance
    objective : str
    options : SearchOptions
    times : ScheduleTimes, optional
        Left out: nominal times with the batch of `choose_batch`.
    report : callable, optional
        Is told incumbent and bound as they move.

    Raises
    ------
    InputError
        If the scheduling model does not cover the instance.
    """
    cluster, workflows = instance.cluster, instance.workflows
    horizons = standalone_horizons(cluster, workflows)
    clock = Clock(options)
    if times is None:
        grid = ScheduleTimes().grid_s
        share = CHOICE_SHARE * options.time_limit_s
        # Deterministic: the clock counts the work of CP-SAT, of which there is none yet.
        batch = choose_batch(
            instance, horizons, objective, grid, lambda: clock.stopped or clock.spent_s > share
        )
        times = ScheduleTimes(decode_batch=batch, grid_s=grid)
    problem = build_problem(cluster, workflows, horizons, times, objective)
    chosen_s = clock.spent_s
    left = replace(options, time_limit_s=max(0.1, options.time_limit_s - chosen_s))
    search = Search(problem, left, report)
    found = search.run()
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
        runtime_s=chosen_s + found.seconds,
        solver="cp-sat",
        replay=simulated,
        calls=calls,
    )


def _limit(status: Status, clock: Clock) -> Limit:
    """Return why a search ended."""
    if status is Status.OPTIMAL:
        return Limit.NONE
    return Limit.INTERRUPT if clock.stopped else Limit.TIME
