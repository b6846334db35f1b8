"""Which decode batch the nominal model should have: the one list scheduling does best with."""

from collections.abc import Callable, Sequence

from hexsolve.models.schedule import ScheduleObjective, ScheduleTimes
from hexsolve.models.scheduling import SchedulingInstance
from hexsolve.solver.optimum.problem import build_problem, with_decode_batch
from hexsolve.solver.optimum.start import Incumbent, arrival_keys, first_schedules
from hexsolve.solver.optimum.windows import Windows

BATCHES = (8, 16, 4, 32, 2, 64, 1)
"""Decode batches of which one is chosen, below the largest that an instance takes, and that."""

LISTS_SHARE = 0.5
"""Part of the time in which one list is made with each batch."""


def nothing() -> float:
    """Return 0.0: of no limit nothing is ever used."""
    return 0.0


def candidates(largest: int) -> list[int]:
    """Return the batches to choose from, likely ones first."""
    below = [batch for batch in BATCHES if batch < largest]
    return below if len(below) == len(BATCHES) else [*below, largest]


def choose_batch(
    instance: SchedulingInstance,
    horizons: Sequence[float],
    objective: ScheduleObjective,
    grid_s: float,
    used: Callable[[], float] = nothing,
) -> Incumbent:
    """Return the first schedules with the decode batch with which they get the least Req_q.

    Nominal decode times are those of a full batch of this size, and no more calls are admitted:
    of several such safe models the one with the least value is closest to the simulator. One list
    is made with each batch, in `LISTS_SHARE` of the time, then, best batches first, those of all
    rules. Once the time is over the rest is left out; the list of the first batch never is.

    Parameters
    ----------
    instance : SchedulingInstance
    horizons : sequence of float
        H_w of each workflow, s.
    objective : str
    grid_s : float
        Length of a tick, s.
    used : callable, optional
        Returns the part of the time that is over; left out: none ever is.
    """
    cluster = instance.cluster
    largest = max(cluster.instances[d].max_batch for d in cluster.with_role("decode"))
    first, *others = candidates(largest)
    times = ScheduleTimes(decode_batch=first, grid_s=grid_s)
    problem = build_problem(cluster, instance.workflows, horizons, times, objective)
    tried = [_one_list(Incumbent(Windows(problem)))]
    for batch in others:
        if used() > LISTS_SHARE:
            break
        paced = with_decode_batch(problem, instance.workflows, batch)
        tried.append(_one_list(Incumbent(Windows(paced))))
    # Equal values: the larger batch admits more.
    tried.sort(key=lambda each: (each.value, -each.problem.times.decode_batch))
    for incumbent in tried:
        if used() > 1.0:
            break
        first_schedules(incumbent, lambda: used() > 1.0)
    return min(tried, key=lambda each: each.value)


def _one_list(incumbent: Incumbent) -> Incumbent:
    incumbent.list_by(arrival_keys(incumbent.windows), "list: workflow-fcfs")
    return incumbent
