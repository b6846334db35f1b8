"""Rates, tokens and clusters many orders of magnitude apart: the checker passes every plan."""

import numpy as np
import pytest

from hexsolve.models.check import check_plan
from hexsolve.models.errors import InputError
from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.status import Status
from hexsolve.models.workload import WorkflowClass
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement import solve as solving
from hexsolve.solver.placement.report import answer
from hexsolve.solver.placement.solve import as_checked, make_task, solve
from tests.solver.random_problems import random_problem

OBJECTIVES: tuple[Objective, ...] = ("load", "cost", "slo")
Random = np.random.Generator


def wide(rng: Random, low: float, high: float) -> float:
    """Return a number whose logarithm (base 10) is uniform."""
    return float(10.0 ** rng.uniform(low, high))


def extreme(seed: int) -> PlanningProblem:
    """Return a random problem blown up: 1e-7 and 1e3 workflows/s together, up to 1e4 nodes."""
    rng = np.random.default_rng(seed)
    problem = random_problem(rng)
    classes = tuple(
        _blown_up(rng, flow, f"{flow.name}-{copy}")
        for copy in range(int(rng.integers(1, 7)))
        for flow in problem.workload.classes
    )
    pools = tuple(
        pool.model_copy(update={"nodes": round(pool.nodes * wide(rng, 0.0, 4.0))})
        for pool in problem.cluster.pools
    )
    update = {
        "workload": problem.workload.model_copy(update={"classes": classes}),
        "cluster": problem.cluster.model_copy(update={"pools": pools}),
        "load": wide(rng, -3.0, 2.0),
        "budget_per_hour": None,
        "slo_scale": 1.0 + wide(rng, -3.0, 2.0) if rng.random() < 0.5 else None,
    }
    return problem.model_copy(update=update)


def _blown_up(rng: Random, flow: WorkflowClass, name: str) -> WorkflowClass:
    calls = tuple(
        call.model_copy(
            update={
                "new_tokens": min(call.new_tokens * wide(rng, -3.0, 0.5), 4000.0),
                "output_tokens": call.output_tokens * wide(rng, -2.0, 1.0),
                "repeat": call.repeat * wide(rng, -1.0, 2.0),
                "tool_seconds": wide(rng, -2.0, 4.0) if rng.random() < 0.3 else 0.0,
            }
        )
        for call in flow.calls
    )
    update = {"name": name, "calls": calls, "rate_per_s": wide(rng, -7.0, 3.0)}
    return flow.model_copy(update=update)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_plans_of_extreme_problems_pass_the_checker(objective: Objective) -> None:
    """`solve` raises where they do not, as it did for seed 27 while loads were not scaled."""
    found = 0
    for seed in range(20, 28):
        problem = extreme(seed)
        try:
            solution = solve(problem, objective, Budget(time_s=1.0, gap=1e-3))
        except InputError:
            continue
        if solution.plan is not None:
            found += 1
            assert check_plan(as_checked(problem, objective), solution.plan) == []
    assert found >= 2


def test_a_plan_that_breaks_rules_by_a_tolerance_is_repaired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Flows 1e-5 too large, on purpose: the same instances, and flows that the checker passes."""
    real = solving.extract_plan
    for seed, objective in ((1, "load"), (2, "cost"), (6, "slo"), (0, "load")):
        problem = random_problem(np.random.default_rng(seed))
        honest = solve(problem, objective, Budget(time_s=5.0, gap=1e-3)).plan
        assert honest is not None

        def spoilt(formulation: object) -> object:
            plan = real(formulation)
            return plan.model_copy(update={"load": plan.load * (1.0 + 1e-5)})

        monkeypatch.setattr(solving, "extract_plan", spoilt)
        mended = solve(problem, objective, Budget(time_s=5.0, gap=1e-3)).plan
        monkeypatch.setattr(solving, "extract_plan", real)
        assert mended is not None
        assert check_plan(as_checked(problem, objective), mended) == []
        assert [group.count for group in mended.groups] == [g.count for g in honest.groups]
        assert mended.load == pytest.approx(honest.load, rel=1e-4)


def test_a_load_of_nothing_is_infeasible() -> None:
    """An SLO scale below 1 cannot be met at any load: say so, and what would help."""
    problem = random_problem(np.random.default_rng(1)).model_copy(update={"slo_scale": 0.5})
    made = answer(problem, "load", Budget(time_s=10.0))
    assert (made.status, made.plan, made.objective) == (Status.INFEASIBLE, None, None)
    assert "path" in made.conflict
    assert any(change.what == "slo_scale" for change in made.changes)


def test_loads_of_any_size_are_counted_in_units_of_their_own() -> None:
    """The same problem with all rates times 1e-6 or 1e6 carries 1e6 times more or less load."""
    problem = random_problem(np.random.default_rng(3))
    usual = solve(problem, "load", Budget(time_s=10.0, gap=1e-6)).plan
    assert usual is not None
    for factor in (1e-6, 1e6):
        classes = tuple(
            flow.model_copy(update={"rate_per_s": flow.rate_per_s * factor})
            for flow in problem.workload.classes
        )
        workload = problem.workload.model_copy(update={"classes": classes})
        scaled = problem.model_copy(update={"workload": workload})
        assert make_task(scaled, "load").formulation().unit != 1.0
        plan = solve(scaled, "load", Budget(time_s=10.0, gap=1e-6)).plan
        assert plan is not None
        assert plan.load * factor == pytest.approx(usual.load, rel=1e-5)
