"""Shared by the tests of placement: exact solves of random tiny problems on the real grid."""

from collections.abc import Callable

import numpy as np

from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.grid import candidate_groups
from hexsolve.solver.placement.solve import Solution, solve
from hexsolve.solver.placement.traffic import Traffic
from tests.solver.random_problems import random_problem

OBJECTIVES: tuple[Objective, ...] = ("load", "cost", "slo")


def exact(time_s: float = 30.0) -> Budget:
    """A budget that allows no gap; its clock starts now."""
    return Budget(time_s=time_s, gap=0.0)


def drawn(seed: int) -> PlanningProblem:
    """The random problem of a seed."""
    return random_problem(np.random.default_rng(seed))


def small(seed: int, most: int, objective: Objective) -> PlanningProblem | None:
    """The random problem of a seed if its grid holds at most `most` candidates."""
    problem = drawn(seed)
    load = None if objective == "load" else problem.load
    found = candidate_groups(problem, Traffic.of(problem), load)
    return problem if 0 < len(found) <= most else None


def optimum(problem: PlanningProblem, objective: Objective) -> float | None:
    """The proven optimum on the real grid; None = proven infeasible."""
    return solved(problem, objective).outcome.objective


def solved(problem: PlanningProblem, objective: Objective) -> Solution:
    """A solution proven to 1e-6, or proven not to exist."""
    found = solve(problem, objective, exact())
    outcome = found.outcome
    assert outcome.status in ("optimal", "infeasible"), outcome
    return found


def limited(problem: PlanningProblem, **limits: object) -> PlanningProblem:
    """The problem with fields of all its workflow classes changed."""
    classes = tuple(flow.model_copy(update=limits) for flow in problem.workload.classes)
    workload = problem.workload.model_copy(update={"classes": classes})
    return problem.model_copy(update={"workload": workload})


def scaled(problem: PlanningProblem, factor: int) -> PlanningProblem:
    """The problem with rates, nodes and budget multiplied."""
    classes = tuple(
        flow.model_copy(update={"rate_per_s": flow.rate_per_s * factor})
        for flow in problem.workload.classes
    )
    budget = problem.budget_per_hour
    return problem.model_copy(
        update={
            "workload": problem.workload.model_copy(update={"classes": classes}),
            "cluster": with_nodes(problem, lambda nodes: nodes * factor).cluster,
            "budget_per_hour": None if budget is None else budget * factor,
        }
    )


def with_nodes(
    problem: PlanningProblem, change: Callable[[int], int], gpu: str | None = None
) -> PlanningProblem:
    """The problem with the node count of one or every pool changed."""
    pools = tuple(
        pool.model_copy(update={"nodes": change(pool.nodes)})
        if gpu is None or pool.gpu == gpu
        else pool
        for pool in problem.cluster.pools
    )
    cluster = problem.cluster.model_copy(update={"pools": pools})
    return problem.model_copy(update={"cluster": cluster})
