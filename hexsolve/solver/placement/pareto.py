"""The Pareto front between SLO scale and cost: least US$/h at every scale."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hexsolve.models.plan import Plan
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.solve import Solution, solve
from hexsolve.solver.result import Outcome


@dataclass(frozen=True)
class ParetoPoint:
    """The cheapest plan at one SLO scale.

    Attributes
    ----------
    slo_scale : float or None
        The scale that was allowed; None = any.
    outcome : Outcome
        Its cost in US$/h with bound and status.
    plan : Plan or None
        None where nothing was found.
    """

    slo_scale: float | None
    outcome: Outcome
    plan: Plan | None


def pareto_front(problem: PlanningProblem, points: int, budget: Budget) -> Iterator[ParetoPoint]:
    """Yield the cheapest plans from the loosest SLO scale to the tightest (ε-constraint method).

    The ends are the cheapest plan without any scale, and the cheapest at the least scale that
    the cluster allows (plus the gap); between them scales are spaced geometrically.

    Parameters
    ----------
    problem : PlanningProblem
        Its own `slo_scale` is not used.
    points : int
        At least 2.
    budget : Budget
        For every point. Once its `stop` says so, the points that are left are left out.
    """
    stop = budget.stop or (lambda: False)
    cheapest = _solved(problem, None, budget)
    yield ParetoPoint(None, cheapest.outcome, cheapest.plan)
    if cheapest.plan is None or points < 2 or stop():
        return
    tightest = solve(problem.model_copy(update={"slo_scale": None}), "slo", _fresh(budget))
    if tightest.plan is None or stop():
        return
    least = tightest.plan.slo_scale * (1.0 + max(budget.gap, 1e-6))
    widest = cheapest.plan.slo_scale
    if widest <= least:
        return
    for scale in np.geomspace(widest, least, points)[1:]:
        found = _solved(problem, float(scale), budget)
        yield ParetoPoint(float(scale), found.outcome, found.plan)
        if stop():
            return


def _solved(problem: PlanningProblem, scale: float | None, budget: Budget) -> Solution:
    return solve(problem.model_copy(update={"slo_scale": scale}), "cost", _fresh(budget))


def _fresh(budget: Budget) -> Budget:
    """Return the same limits with the clock started now."""
    return Budget(
        time_s=budget.time_s,
        gap=budget.gap,
        threads=budget.threads,
        stop=budget.stop,
        grid=budget.grid,
    )
