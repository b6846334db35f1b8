"""Objective of the scheduling model, where α is minimised rather than tested."""

import math

from ortools.sat.python import cp_model

from hexsolve.solver.optimum.cpsat.scope import Scope
from hexsolve.solver.optimum.cpsat.variables import Variables

UNIT = 10_000
"""A of α = 1."""

PARTS = 100
"""Parts of a tick in which arrivals and horizons are given."""


def largest_slowdown(model: cp_model.CpModel, scope: Scope, v: Variables, least: float) -> None:
    """Minimise A with ``UNIT · (f_c + tail_c − a_w) ≤ A · H_w`` of all calls c of kept workflows.

    It begins at what is known to be the `least` α: a climb would have to refute anew what is below.
    a_w and H_w in parts of a tick are rounded up, so that A exceeds UNIT·α by less than one: no
    schedule has an α of at most (A − 1)/UNIT. The value of a schedule is computed from its ticks.
    """
    problem = scope.problem
    grid = problem.times.grid_s
    lowest = max(0, math.floor(least * UNIT * (1.0 - 1e-9)) - 1)
    v.scale = model.new_int_var(lowest, math.ceil(scope.alpha * UNIT) + 1, "A")
    for w in scope.deadline:
        arrival = math.ceil(problem.arrival_s[w] / grid * PARTS)
        horizon = math.ceil(problem.horizon_s[w] / grid * PARTS)
        for c in problem.of(w):
            ends = v.finish[c] + scope.windows.tail[c]
            late = model.add(v.scale * horizon >= UNIT * (PARTS * ends - arrival))
            if v.keep:
                late.only_enforce_if(v.keep[w])
    model.minimize(v.scale)
