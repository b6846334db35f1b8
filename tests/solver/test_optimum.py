"""The MILP against brute force, and HiGHS against CBC and SCIP, on random tiny problems."""

import numpy as np
import pytest

from hexsolve.models.check import check_plan
from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.extract import extract_plan
from hexsolve.solver.placement.grid import numbered
from hexsolve.solver.placement.rules import GroupRules
from hexsolve.solver.placement.search import search
from hexsolve.solver.placement.solve import as_checked
from hexsolve.solver.placement.task import Found, Task
from hexsolve.solver.placement.traffic import Traffic
from tests.solver.oracle import Candidate, brute_force
from tests.solver.random_problems import random_candidates, random_problem

OBJECTIVES: tuple[Objective, ...] = ("load", "cost", "slo")


def exact() -> Budget:
    """A budget's clock starts when it is made."""
    return Budget(time_s=60.0, gap=0.0)


def task_of(
    problem: PlanningProblem, candidates: tuple[Candidate, ...], objective: Objective
) -> Task:
    """The solver's task over exactly the oracle's candidates."""
    traffic = Traffic.of(problem)
    rules = GroupRules(problem, traffic)
    made = [rules.at(c.engine, c.role, c.operating_point) for c in candidates]
    return Task(problem, traffic, numbered([c for c in made if c is not None]), objective)


def drawn(seed: int) -> tuple[PlanningProblem, tuple[Candidate, ...], Objective]:
    rng = np.random.default_rng(seed)
    problem = random_problem(rng)
    return problem, random_candidates(rng, problem), OBJECTIVES[seed % 3]


def assert_same(found: Found, expected: float | None, tolerance: float = 1e-6) -> None:
    if expected is None:
        assert found.run.objective is None
        assert found.run.infeasible
    else:
        assert found.run.objective == pytest.approx(expected, rel=tolerance, abs=tolerance)
        assert found.run.bound == pytest.approx(expected, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("block", range(10))
def test_optimum_equals_brute_force_on_random_problems(block: int) -> None:
    outcomes = []
    for seed in range(block * 24, block * 24 + 24):
        problem, candidates, objective = drawn(seed)
        expected = brute_force(problem, candidates, objective).objective
        found = search(task_of(problem, candidates, objective), exact())
        assert_same(found, expected)
        outcomes.append(expected is not None)
        if expected is not None:
            plan = extract_plan(found.formulation)
            assert check_plan(as_checked(problem, objective), plan) == []
    # A block without both outcomes would test half of what it says.
    assert any(outcomes)


@pytest.mark.parametrize("block", range(4))
def test_highs_cbc_and_scip_agree(block: int) -> None:
    for seed in range(1000 + block * 12, 1000 + block * 12 + 12):
        problem, candidates, objective = drawn(seed)
        task = task_of(problem, candidates, objective)
        first = search(task, exact(), "highs")
        for other in ("cbc", "scip"):
            assert_same(search(task, exact(), other), first.run.objective)
