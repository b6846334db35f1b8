"""The exact optimum of tiny planning problems, by enumeration.

Every vector of instance counts that the inventory and the budget allow is a linear program in the
flows. Written from docs/planning-model.md; shares no code with the solver or the checker.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from tests.solver.oracle_counts import TOLERANCE, count_vectors, spread_enough
from tests.solver.oracle_lp import Array, FlowLP
from tests.solver.oracle_rules import Candidate

__all__ = ["Candidate", "OracleResult", "brute_force"]


@dataclass(frozen=True)
class OracleResult:
    """The optimum, or `objective` = None where no counts will do.

    `counts` are instances per candidate. `flows` are calls per second of (candidate, workflow,
    call) at the load, and `latency_s` the best latency per workflow class that they give.
    `solved` is how many linear programs it took.
    """

    objective: float | None
    counts: tuple[int, ...]
    load: float = 0.0
    flows: dict[tuple[int, str, str], float] = field(default_factory=dict)
    solved: int = 0


def brute_force(
    problem: PlanningProblem,
    candidates: Sequence[Candidate],
    objective: Objective,
    max_total: int | None = None,
) -> OracleResult:
    """Return the optimum over all counts of the candidates.

    Parameters
    ----------
    problem : PlanningProblem
        `slo_scale` limits the latencies for `load` and `cost`; for `slo` it is what is sought.
    candidates : sequence of Candidate
        What may be built. Counts are limited by the inventory and the budget.
    objective : {"load", "cost", "slo"}
    max_total : int, optional
        Most instances in all. Without it a problem with more than `MOST_VECTORS` count vectors
        raises ValueError.

    Notes
    -----
    Only the right-hand sides of the linear programs depend on the counts, so the dual prices of
    one bound the optimum of every other (weak duality). Vectors that cannot beat the best one
    found are not solved. Load 0 is always possible: `load` never returns None.
    """
    counts, costs = count_vectors(problem, candidates, max_total)
    lp = FlowLP(problem, candidates, None if objective == "load" else problem.load)
    if objective == "load":
        return _most_load(problem, lp, counts[spread_enough(problem, candidates, counts)])
    if objective == "cost":
        return _least_cost(problem, lp, counts, costs)
    return _least_scale(problem, lp, counts)


def _fixed_paths(problem: PlanningProblem, lp: FlowLP) -> Array:
    if problem.slo_scale is None:
        return np.zeros((0, lp.columns))
    return lp.path_rows(problem.slo_scale)


def _as_counts(row: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(number) for number in row)


def _most_load(problem: PlanningProblem, lp: FlowLP, counts: NDArray[np.int64]) -> OracleResult:
    extra = _fixed_paths(problem, lp)
    upper = np.full(len(counts), np.inf)
    best = OracleResult(objective=0.0, counts=_as_counts(counts[0] * 0))
    size = counts.sum(axis=1)
    while True:
        # Of those that may be best, the largest: its prices bound the most others.
        i = int(np.lexsort((size, upper))[-1])
        assert best.objective is not None
        if upper[i] <= best.objective * (1 + TOLERANCE) + TOLERANCE:
            break
        load, x, bounds = lp.most_load(counts[i], extra, counts)
        upper = np.minimum(upper, bounds)
        upper[i] = load
        if load > best.objective:
            best = OracleResult(load, _as_counts(counts[i]), load, lp.flows(x))
    return OracleResult(best.objective, best.counts, best.load, best.flows, lp.solved)


def _least_cost(
    problem: PlanningProblem, lp: FlowLP, counts: NDArray[np.int64], costs: Array
) -> OracleResult:
    extra = _fixed_paths(problem, lp)
    upper = np.full(len(counts), np.inf)
    needed = problem.load * (1 - TOLERANCE)
    for i in np.argsort(costs, kind="stable"):
        if upper[i] >= needed:
            load, x, bounds = lp.most_load(counts[i], extra, counts)
            upper = np.minimum(upper, bounds)
            if load >= needed:
                flows = lp.flows(x, problem.load / load)
                return OracleResult(
                    float(costs[i]), _as_counts(counts[i]), problem.load, flows, lp.solved
                )
    return OracleResult(None, (), solved=lp.solved)


def _least_scale(problem: PlanningProblem, lp: FlowLP, counts: NDArray[np.int64]) -> OracleResult:
    none, extra = np.zeros((0, lp.columns)), lp.path_rows(None)
    cost = np.zeros(lp.columns)
    cost[lp.alpha] = 1.0
    upper, lower = np.full(len(counts), np.inf), np.zeros(len(counts))
    size = counts.sum(axis=1)
    best: OracleResult | None = None
    while True:
        promising = np.where(upper >= problem.load * (1 - TOLERANCE), lower, np.inf)
        i = int(np.lexsort((-size, promising))[0])
        limit = math.inf if best is None or best.objective is None else best.objective
        if not promising[i] < limit * (1 - TOLERANCE):
            break
        solution = lp.solve(counts[i], extra, cost, problem.load)
        if solution is None:
            load, _, bounds = lp.most_load(counts[i], none, counts)
            # Two programs that must agree: too little load is the only way to be infeasible.
            assert load < problem.load * (1 + 1e-6)
            upper = np.minimum(upper, bounds)
            upper[i] = 0.0
            continue
        value, x, prices, constant = solution
        lower = np.maximum(lower, lp.right(counts, len(extra)) @ prices + constant)
        lower[i] = max(lower[i], value)
        if value < limit:
            best = OracleResult(value, _as_counts(counts[i]), problem.load, lp.flows(x))
    if best is None:
        return OracleResult(None, (), solved=lp.solved)
    return OracleResult(best.objective, best.counts, best.load, best.flows, lp.solved)
