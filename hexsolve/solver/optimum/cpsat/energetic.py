"""Energetic reasoning as linear constraints on where calls run; redundant, but seen by the LP."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ortools.sat.python import cp_model

from hexsolve.solver.optimum.bounds.times import Ints
from hexsolve.solver.optimum.cpsat.scope import Scope
from hexsolve.solver.optimum.cpsat.variables import Variables

POINTS = 24
"""Beginnings, and ends, of the intervals of a group of instances, at most."""

ENTRIES = 1_000_000
"""Coefficients of the rows of a group, at most: with many choices there are fewer intervals."""


class Resource(NamedTuple):
    """What can occupy a group of instances: choices, their ticks, and their windows."""

    chosen: list[cp_model.IntVar]
    ticks: Ints
    earliest: Ints
    latest_end: Ints
    places: int


def energy(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """``Σ_j least_j(a, b)·x_j ≤ places·(b − a)`` for intervals [a, b] of every group of instances.

    ``least_j(a, b)`` are the ticks that j spends in [a, b] wherever its window allows: the less
    of when it starts as early and as late as it may (Baptiste, Le Pape and Nuijten 1999, doi
    10.1023/A:1018995000688). Cumulatives reason so only on calls that are sure to be there; with
    several instances to choose from, hardly any is.
    """
    for resource in (*_prefills(scope, v), *_decodes(scope, v)):
        if len(resource.chosen) <= resource.places:
            continue
        points = min(POINTS, max(2, math.isqrt(ENTRIES // len(resource.chosen))))
        for begin in _spread(resource.earliest, points):
            for end in _spread(resource.latest_end, points):
                if end <= begin:
                    continue
                least = _least_ticks(resource, begin, end)
                room = resource.places * (end - begin)
                if int(least.sum()) > room:
                    used = np.flatnonzero(least).tolist()
                    model.add(
                        cp_model.LinearExpr.weighted_sum(
                            [resource.chosen[j] for j in used], [int(least[j]) for j in used]
                        )
                        <= room
                    )


def _least_ticks(resource: Resource, begin: int, end: int) -> Ints:
    early = resource.earliest + resource.ticks - begin
    late = end - (resource.latest_end - resource.ticks)
    least = np.minimum(np.minimum(early, late), np.minimum(resource.ticks, end - begin))
    positive: Ints = np.maximum(0, least)
    return positive


def _spread(points: Ints, most: int) -> list[int]:
    """Return distinct points, thinned evenly to `most`."""
    distinct = np.unique(points)
    if distinct.size > most:
        distinct = distinct[np.linspace(0, distinct.size - 1, most).round().astype(np.int64)]
    return [int(point) for point in distinct]


def _prefills(scope: Scope, v: Variables) -> Iterator[Resource]:
    for group, members in scope.rows.items():
        chosen, times = [], []
        for c in scope.calls:
            for uses, option in zip(v.chosen[c], scope.prefills[c], strict=True):
                if scope.row_of[option.p] == group and option.occupied:
                    chosen.append(uses)
                    end = scope.latest[c] + option.occupied
                    times.append((option.occupied, scope.windows.head[c], end))
        if chosen:
            ticks, earliest, latest_end = np.array(times, dtype=np.int64).T
            yield Resource(chosen, ticks, earliest, latest_end, len(members))


def _decodes(scope: Scope, v: Variables) -> Iterator[Resource]:
    problem = scope.problem
    for group, members in scope.columns.items():
        chosen, times = [], []
        for c in scope.calls:
            call, options = problem.calls[c], scope.prefills[c]
            begun = min((max(o.lead, o.latency) for o in options), default=0)
            room = scope.deadline[call.workflow] - scope.windows.tail[c]
            for uses, (d, steps) in zip(v.decoded[c], scope.decodes[c], strict=True):
                if scope.column_of[d] == group and options:
                    chosen.append(uses)
                    ticks = steps + min(call.lag(option.p, d) for option in options)
                    times.append((ticks, scope.windows.head[c] + begun, room))
        if chosen:
            ticks, earliest, latest_end = np.array(times, dtype=np.int64).T
            slots = sum(problem.slots[d] for d in members)
            yield Resource(chosen, ticks, earliest, latest_end, slots)
