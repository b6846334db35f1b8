"""Large neighbourhood search: a few calls are scheduled anew, the others keep place and order."""

from functools import partial
from itertools import pairwise

import numpy as np
from ortools.sat.python import cp_model

from hexsolve.solver.optimum.clock import Clock
from hexsolve.solver.optimum.cpsat.model import Reply, ask
from hexsolve.solver.optimum.cpsat.scope import Scope
from hexsolve.solver.optimum.cpsat.variables import Variables
from hexsolve.solver.optimum.problem import SchedulingProblem
from hexsolve.solver.optimum.start import Incumbent
from hexsolve.solver.optimum.timetable import Timetable, slowdowns
from hexsolve.solver.optimum.windows import Windows

FREE = 60
"""Calls that are scheduled anew, about."""

SECONDS = 3.0


def improve_once(
    windows: Windows, incumbent: Incumbent, rng: np.random.Generator, clock: Clock
) -> Reply:
    """Search one neighbourhood of the incumbent, of a kind drawn at random."""
    draw = (endangered, time_window, machines)[int(rng.integers(3))]
    free = draw(windows.problem, incumbent.timetable, rng)
    scope = Scope(windows, incumbent.value)
    hint = incumbent.timetable
    restrict = partial(_keep_others, scope, free, hint)
    reply = ask(scope, clock.effort(SECONDS), hint, minimise_from=0.0, restrict=restrict)
    if reply.placed is not None:
        incumbent.complete(reply.placed, f"CP-SAT, {draw.__name__}")
    return Reply(reply.placed, False, float("-inf"), reply.work)


def endangered(
    problem: SchedulingProblem, timetable: Timetable, rng: np.random.Generator
) -> set[int]:
    """Return the calls of a workflow that is among the worst counted, and those beside them."""
    ratios = slowdowns(problem, timetable)
    ranked = sorted(range(problem.workflows), key=lambda w: -ratios[w])[problem.spare :]
    worst = ranked[int(rng.integers(min(4, len(ranked))))]
    calls = list(problem.of(worst))
    focus = {timetable[c].option.p for c in calls}
    begin, end = timetable[calls[0]].start, max(timetable[c].finish for c in calls)
    near = [
        c
        for c in range(len(problem.calls))
        if timetable[c].start < end
        and timetable[c].finish > begin
        and timetable[c].option.p in focus
        and c not in problem.of(worst)
    ]
    rng.shuffle(near)
    return {*calls, *near[: max(0, FREE - len(calls))]}


def time_window(
    problem: SchedulingProblem, timetable: Timetable, rng: np.random.Generator
) -> set[int]:
    """Return calls that start one after the other, whatever the instance."""
    order = sorted(range(len(problem.calls)), key=lambda c: timetable[c].start)
    first = int(rng.integers(max(1, len(order) - FREE + 1)))
    return set(order[first : first + FREE])


def machines(
    problem: SchedulingProblem, timetable: Timetable, rng: np.random.Generator
) -> set[int]:
    """Return calls of two prefill instances that start one after the other."""
    rows = problem.prefill_rows
    pair = {rows[int(k)] for k in rng.choice(len(rows), min(2, len(rows)), replace=False)}
    order = sorted(
        (c for c in range(len(problem.calls)) if timetable[c].option.p in pair),
        key=lambda c: timetable[c].start,
    )
    first = int(rng.integers(max(1, len(order) - FREE + 1)))
    return set(order[first : first + FREE])


def _keep_others(
    scope: Scope,
    free: set[int],
    timetable: Timetable,
    model: cp_model.CpModel,
    v: Variables,
) -> None:
    """Let all calls but `free` keep their options as hinted, and their order on p."""
    hinted = dict(
        zip(model.proto.solution_hint.vars, model.proto.solution_hint.values, strict=True)
    )
    rows: dict[int, list[int]] = {}
    for c in scope.calls:
        if c in free:
            continue
        for uses in (*v.chosen[c], *v.decoded[c]):
            if not hinted[uses.index]:
                model.add(uses == 0)
        rows.setdefault(timetable[c].option.p, []).append(c)
    for calls in rows.values():
        calls.sort(key=lambda c: timetable[c].start)
        for before, after in pairwise(calls):
            kept = scope.problem.calls
            if not v.keep or kept[before].workflow == kept[after].workflow:
                spans = timetable[before].option.occupied
                model.add(v.start[after] >= v.start[before] + spans)
