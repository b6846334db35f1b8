"""Plans that are not well-formed: each mistake caught once, by name, before any other rule."""

import math

import pytest

from hexsolve.models.check import STRUCTURE_RULES, check_plan
from hexsolve.models.plan import CallFlow, DecodeStep, Plan
from hexsolve.models.problem import PlanningProblem
from tests.models.check.example import PLAN, PROBLEM, changed, flow

CASES = [
    ("field_range", changed(PLAN, "single", count=0), {"group": "single"}, 0, 1),
    ("field_range", changed(PLAN, "single", count=-2), {"group": "single"}, -2, 1),
    (
        "field_range",
        changed(
            PLAN, "single", flows=(flow("plan", 1.0).model_copy(update={"calls_per_s": -1.0}),)
        ),
        {"group": "single"},
        -1,
        0,
    ),
    ("field_range", changed(PLAN, "mixed", point__prefill_share=1.0), {"group": "mixed"}, 1, 1),
    ("field_range", PLAN.model_copy(update={"load": math.nan}), {"field": "load"}, None, None),
    (
        "field_range",
        PLAN.model_copy(update={"cost_per_hour": math.inf}),
        {"field": "cost_per_hour"},
        None,
        None,
    ),
    (
        "unique_group",
        PLAN.model_copy(update={"groups": (*PLAN.groups, PLAN.groups[0])}),
        {"group": "single"},
        2,
        1,
    ),
    ("known_gpu", changed(PLAN, "single", gpu="Z"), {"group": "single", "gpu": "Z"}, None, None),
    (
        "known_engine",
        changed(PLAN, "single", tp=4),
        {"group": "single", "engine": "A tp4 pp1"},
        None,
        None,
    ),
    (
        "known_class",
        changed(PLAN, "single", flows=(CallFlow(workflow="ghost", call="plan", calls_per_s=1.0),)),
        {"group": "single", "workflow": "ghost", "call": "plan"},
        None,
        None,
    ),
    (
        "known_class",
        changed(PLAN, "single", flows=(flow("ghost", 1.0),)),
        {"group": "single", "workflow": "agent", "call": "ghost"},
        None,
        None,
    ),
    (
        "unique_flow",
        changed(PLAN, "single", flows=(flow("plan", 0.5), flow("plan", 0.5))),
        {"group": "single", "workflow": "agent", "call": "plan"},
        2,
        1,
    ),
    (
        "operating_point",
        changed(PLAN, "single", operating_point=DecodeStep(step_s=0.02, batch_reference=1)),
        {"group": "single"},
        None,
        None,
    ),
]


@pytest.mark.parametrize(("rule", "plan", "ids", "amount", "limit"), CASES)
def test_one_mistake_one_violation(
    rule: str, plan: Plan, ids: dict[str, str], amount: float | None, limit: float | None
) -> None:
    (violation,) = check_plan(PROBLEM, plan)
    assert violation.rule == rule
    assert violation.ids.items() >= ids.items()
    assert (violation.amount, violation.limit) == (amount, limit)


def test_a_role_that_is_not_allowed() -> None:
    problem = PROBLEM.model_copy(update={"roles": ("prefill", "decode")})
    (violation,) = check_plan(problem, PLAN)
    assert (violation.rule, violation.ids) == ("role_allowed", {"group": "mixed"})


def test_every_rule_of_structure_is_broken_above() -> None:
    broken = {case[0] for case in CASES} | {"role_allowed"}
    assert sorted(broken) == sorted(rule.__name__ for rule in STRUCTURE_RULES)


def test_a_gpu_without_a_pool_is_not_in_the_cluster() -> None:
    """`gpus` may list more than the cluster holds."""
    cluster = PROBLEM.cluster.model_copy(update={"pools": PROBLEM.cluster.pools[1:]})
    problem: PlanningProblem = PROBLEM.model_copy(update={"cluster": cluster})
    assert {v.rule for v in check_plan(problem, PLAN)} == {"known_gpu"}
