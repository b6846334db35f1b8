"""What holds for every plan."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.check import TOLERANCE, check_plan
from hexsolve.models.plan import Plan
from tests.models.check.example import PLAN, PROBLEM, scaled
from tests.models.check.restate import restated
from tests.models.check.test_rules import CASES, Case

quick = settings(deadline=None, derandomize=True, max_examples=100)


@quick
@given(st.floats(min_value=7.0, max_value=1e9))
def test_more_flow_than_the_capacity_is_always_caught(factor: float) -> None:
    """`single` saturates at 0.2 / 0.03 = 6.67 times its flow, all else earlier or later."""
    plan = restated(PROBLEM, scaled(PLAN, factor))
    broken = {(v.rule, v.ids.get("group")) for v in check_plan(PROBLEM, plan)}
    assert ("prefill_wait", "single") in broken
    assert "demand" not in {rule for rule, _ in broken}


@quick
@given(st.floats(min_value=1e-6, max_value=1.0))
def test_a_valid_plan_stays_valid_at_less_load(factor: float) -> None:
    assert check_plan(PROBLEM, restated(PROBLEM, scaled(PLAN, factor))) == []


@quick
@given(st.floats(min_value=1.0001, max_value=100.0), st.booleans())
def test_flows_that_do_not_match_the_load_are_caught(factor: float, more: bool) -> None:
    wrong = scaled(PLAN, factor if more else 1 / factor).model_copy(update={"load": PLAN.load})
    assert {"demand"} <= {v.rule for v in check_plan(PROBLEM, wrong)}


@quick
@given(st.permutations(range(4)), st.sampled_from(CASES))
def test_the_order_of_groups_and_flows_does_not_matter(order: list[int], case: Case) -> None:
    plan = restated(case.problem, case.plan) if case.restate else case.plan
    groups = tuple(
        plan.groups[i].model_copy(update={"flows": plan.groups[i].flows[::-1]}) for i in order
    )
    shuffled = plan.model_copy(update={"groups": groups})
    (before,), (after,) = check_plan(case.problem, plan), check_plan(case.problem, shuffled)
    assert after.amount == pytest.approx(before.amount, rel=1e-12)
    assert after.limit == pytest.approx(before.limit, rel=1e-12)
    assert (after.rule, after.ids) == (before.rule, before.ids)


@pytest.mark.parametrize(("excess", "broken"), [(0.5, False), (2.0, True)])
def test_the_tolerance_is_a_share_of_the_limit(excess: float, broken: bool) -> None:
    plan: Plan = PLAN.model_copy(update={"cost_per_hour": 6.0 * (1 + excess * TOLERANCE)})
    assert bool(check_plan(PROBLEM, plan)) is broken


def test_a_flow_of_nothing_promises_nothing() -> None:
    """An engine that cannot hold a call may list it with a flow of 0."""
    single = PLAN.groups[0]
    zero = single.flows[0].model_copy(update={"calls_per_s": 0.0})
    idle = single.model_copy(update={"id": "idle", "gpu": "C", "flows": (zero,)})
    listed = PLAN.model_copy(update={"groups": (*PLAN.groups, idle)})
    assert check_plan(PROBLEM, restated(PROBLEM, listed)) == []


def test_an_empty_plan_serves_nothing() -> None:
    empty = Plan(groups=(), load=1.0, cost_per_hour=0, slo_scale=0, latency_s={}, horizon_s={})
    violations = check_plan(PROBLEM, restated(PROBLEM, empty))
    assert [v.rule for v in violations] == ["demand"] * 4
    assert [v.limit for v in violations] == [1.0, 1.0, 2.0, 2.0]
