"""Large neighbourhood search: a few calls are scheduled anew, the others keep place and order."""

import numpy as np

from hexsolve.solver.optimum.clock import Clock
from hexsolve.solver.optimum.cpsat.model import Reply, ask
from hexsolve.solver.optimum.cpsat.scope import Neighbourhood, Scope
from hexsolve.solver.optimum.problem import SchedulingProblem
from hexsolve.solver.optimum.start import Incumbent
from hexsolve.solver.optimum.timetable import Timetable, kept, slowdowns
from hexsolve.solver.optimum.windows import Windows

FREE = 60
"""Calls that are scheduled anew, at most; of few calls a third."""

MOVABLE = 500
"""Other calls that may move in time, at most; the rest keep their times."""

SECONDS = 1.5


def improve_once(
    windows: Windows, incumbent: Incumbent, rng: np.random.Generator, clock: Clock
) -> Reply:
    """Search one neighbourhood of the incumbent, of a kind drawn at random.

    Each has a call of the worst workflow that counts: without it Req_q cannot get better.
    """
    problem, timetable = windows.problem, incumbent.timetable
    counted = kept(problem, timetable)
    ratios = slowdowns(problem, timetable)
    worst = max(counted, key=lambda w: (ratios[w], w))
    calls = problem.of(worst)
    focus = calls[int(rng.integers(len(calls)))]
    draw = (endangered, time_window, machines)[int(rng.integers(3))]
    size = min(FREE, max(12, len(problem.calls) // 3))
    free = draw(problem, timetable, rng, focus, size)
    around = Neighbourhood(timetable, frozenset(free), _far_from(free, timetable))
    scope = Scope(windows, incumbent.value, around=around)
    reply = ask(scope, clock.effort(SECONDS), timetable, minimise_from=0.0)
    if reply.placed is not None:
        incumbent.complete(reply.placed, f"CP-SAT, {draw.__name__}")
    return Reply(reply.placed, False, float("-inf"), reply.work)


def _far_from(free: set[int], timetable: Timetable) -> frozenset[int]:
    """Return all calls but `free` and the `MOVABLE` that start closest to when those do."""
    starts = np.array([row.start for row in timetable])
    begin, end = min(starts[list(free)]), max(starts[list(free)])
    away = np.maximum(begin - starts, starts - end)
    away[list(free)] = -1 - (end - begin)
    order = np.argsort(away, kind="stable")
    return frozenset(order[len(free) + MOVABLE :].tolist())


def endangered(
    problem: SchedulingProblem,
    timetable: Timetable,
    rng: np.random.Generator,
    focus: int,
    size: int,
) -> set[int]:
    """Return the calls of the workflow of `focus`, and some at the same time."""
    calls = problem.of(problem.calls[focus].workflow)
    begin, end = timetable[calls[0]].start, max(timetable[c].finish for c in calls)
    near = [
        c
        for c in range(len(problem.calls))
        if timetable[c].start < end and timetable[c].finish > begin and c not in calls
    ]
    rng.shuffle(near)
    return {*calls, *near[: max(0, size - len(calls))]}


def time_window(
    problem: SchedulingProblem,
    timetable: Timetable,
    rng: np.random.Generator,
    focus: int,
    size: int,
) -> set[int]:
    """Return calls that start one after the other, whatever the instance."""
    return _around(focus, list(range(len(problem.calls))), timetable, rng, size)


def machines(
    problem: SchedulingProblem,
    timetable: Timetable,
    rng: np.random.Generator,
    focus: int,
    size: int,
) -> set[int]:
    """Return calls of two decode instances that start one after the other."""
    rows = problem.decode_rows
    pair = {timetable[focus].d, rows[int(rng.integers(len(rows)))]}
    there = [c for c in range(len(problem.calls)) if timetable[c].d in pair]
    return _around(focus, there, timetable, rng, size)


def _around(
    focus: int, calls: list[int], timetable: Timetable, rng: np.random.Generator, size: int
) -> set[int]:
    """Return `size` of the calls, by start, with `focus` among them."""
    order = sorted(calls, key=lambda c: (timetable[c].start, c))
    first = order.index(focus) - int(rng.integers(size))
    first = max(0, min(first, len(order) - size))
    return set(order[first : first + size])
