"""Operating points settle at what the flows need, and stay where they are for free steps."""

import numpy as np
import pytest

from hexsolve.models.check import check_plan
from hexsolve.models.plan import DecodeStep
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.rules import GroupRules
from hexsolve.solver.placement.settle import settled
from hexsolve.solver.placement.solve import as_checked, make_task, solve
from hexsolve.solver.placement.traffic import Traffic
from tests.solver.random_problems import random_problem


@pytest.mark.parametrize("seed", range(6))
def test_settled_points_promise_no_more_latency_and_keep_every_rule(seed: int) -> None:
    problem = random_problem(np.random.default_rng(seed))
    solution = solve(problem, "load", Budget(time_s=20.0, gap=0.01))
    plan = solution.plan
    assert plan is not None
    assert check_plan(as_checked(problem, "load"), plan) == []
    grid = {candidate.key: candidate for candidate in solution.task.candidates}
    for group in plan.groups:
        before = grid[group.id.rpartition("-")[2]].point
        for name in ("wait_s", "cycle_s", "step_s"):
            if hasattr(before, name):
                assert getattr(group.operating_point, name) <= getattr(before, name) * (1 + 1e-6)


def test_a_decode_step_without_fixed_part_keeps_its_grid_point() -> None:
    problem = random_problem(np.random.default_rng(1))
    engine = problem.engines[0]
    free = engine.model_copy(
        update={"decode": engine.decode.model_copy(update={"d0": 0.0, "d3": 0.0})}
    )
    traffic = Traffic.of(problem)
    rules = GroupRules(problem, traffic)
    candidate = rules.at(free, "decode", DecodeStep(step_s=0.05, batch_reference=1.0))
    assert candidate is not None
    flow = np.full(len(traffic), 1e-6)
    assert settled(rules, candidate, 1, flow, 1.0).point == candidate.point


def test_make_task_offers_candidates_for_every_role() -> None:
    problem = random_problem(np.random.default_rng(2))
    roles = {candidate.role for candidate in make_task(problem, "load").candidates}
    assert roles == set(problem.roles)
