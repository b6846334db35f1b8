"""Objective of the epoch model: a convex penalty of projected slowdown, and tolls."""

from ortools.sat.python import cp_model

from hexsolve.solver.online.rolling.variables import Variables
from hexsolve.solver.online.rolling.window import Window

SLOPES = (1, 8, 64)
UNIT = 100_000_000
"""Penalty of a ratio R one above the first threshold."""


def tail_penalty(model: cp_model.CpModel, window: Window, v: Variables) -> None:
    """Minimise ``Σ_w Σ_k (σ_k − σ_{k−1}) · e_wk / H_w + Σ_co x_co · toll_co / H_w``.

    Piecewise linear and convex in R_w: slope 1 from the first threshold on, 8 from the second, 64
    from the third, which is the tail that Req99 is made of.
    """
    terms: list[cp_model.IntVar] = []
    weights: list[int] = []
    for (workflow, k), excess in v.excess.items():
        rise = SLOPES[k] - (SLOPES[k - 1] if k else 0)
        terms.append(excess)
        weights.append(max(1, rise * UNIT // window.horizon_ms[workflow]))
    for number, call in enumerate(window.calls):
        horizon = window.horizon_ms[call.workflow]
        for uses, option in zip(v.chosen[number], call.options, strict=True):
            if option.toll_ms:
                terms.append(uses)
                weights.append(option.toll_ms * UNIT // horizon)
    model.minimize(cp_model.LinearExpr.weighted_sum(terms, weights))
