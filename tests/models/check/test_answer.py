"""Answers: of this instance, and in agreement with their plan."""

import json
import subprocess
import sys
from typing import Any

import pytest

from hexsolve import __version__
from hexsolve.models.answer import Answer, InstanceCount, count_instances, problem_hash
from hexsolve.models.check import ANSWER_RULES, check_answer, unverified
from hexsolve.models.status import Limit, Status
from tests.models.check.example import PLAN, PROBLEM

ANSWER = Answer(
    hexsolve_version=__version__,
    instance_name="example",
    instance_hash=problem_hash(PROBLEM),
    parameters={"time_limit_s": 60.0, "solver": "highs", "presolve": True, "gap": None},
    seed=0,
    status=Status.OPTIMAL,
    limit=Limit.NONE,
    objective_kind="cost",
    objective=6.0,
    bound=6.0,
    gap=0.0,
    runtime_s=0.5,
    solver="HiGHS",
    cost_per_hour=6.0,
    instances=(
        InstanceCount(role="prefill", gpu="A", tp=1, pp=1, count=2),
        InstanceCount(role="decode", gpu="B", tp=1, pp=1, count=1),
        InstanceCount(role="mixed", gpu="B", tp=1, pp=1, count=1),
    ),
    extrapolated=(
        "small on A tp=1 pp=1: latencies extrapolated (roofline), not measured",
        "small on B tp=1 pp=1: latencies extrapolated (roofline), not measured",
    ),
    plan=PLAN,
)


def answer(**fields: Any) -> Answer:
    return ANSWER.model_copy(update=fields)


CASES = [
    ("instance", answer(instance_hash="0" * 64), None),
    ("status", answer(bound=5.0, gap=1 / 6), 1 / 6),
    ("status", answer(bound=None, gap=None), None),
    ("objective", answer(objective=5.0, bound=5.0), 5.0),
    ("bound", answer(status=Status.FEASIBLE, limit=Limit.GAP, bound=7.0, gap=1 / 6), 7.0),
    ("bound", answer(objective_kind="load", objective=1.0, bound=0.5, gap=0.5), 0.5),
    ("gap", answer(gap=0.5), 0.5),
    ("gap", answer(gap=None), None),
    ("gap", answer(status=Status.FEASIBLE, limit=Limit.TIME, bound=None), None),
    ("limit", answer(status=Status.FEASIBLE, bound=5.0, gap=1 / 6), None),
    ("headroom", answer(load_headroom=0.9), 0.9),
    ("headroom", answer(bottleneck_shares={"prefill compute": 0.5, "decode compute": 0.3}), 0.8),
    ("extrapolated", answer(extrapolated=ANSWER.extrapolated[:1]), None),
    ("summary", answer(cost_per_hour=5.0), 5.0),
    ("summary", answer(cost_per_hour=None), None),
    ("summary", answer(instances=ANSWER.instances[1:]), 0),
]


def test_the_answer_that_is_corrupted_is_valid() -> None:
    assert check_answer(PROBLEM, ANSWER) == []


@pytest.mark.parametrize(("rule", "wrong", "amount"), CASES)
def test_one_mistake_one_violation(rule: str, wrong: Answer, amount: float | None) -> None:
    violations = check_answer(PROBLEM, wrong)
    if wrong.objective_kind == "load":
        # `optimal` with half a gap, on top of the bound on the wrong side.
        violations = [v for v in violations if v.rule != "status"]
    (violation,) = violations
    assert violation.rule == rule
    assert violation.amount == (None if amount is None else pytest.approx(amount))


def test_a_plan_for_least_cost_carries_the_load_asked_for() -> None:
    problem = PROBLEM.model_copy(update={"load": 2.0})
    wrong = answer(instance_hash=problem_hash(problem))
    (violation,) = check_answer(problem, wrong)
    assert (violation.rule, violation.amount, violation.limit) == ("load", 1.0, 2.0)
    most = answer(
        instance_hash=problem_hash(problem), objective_kind="load", objective=1.0, bound=1.0
    )
    assert check_answer(problem, most) == []


def test_what_no_rule_proves_is_named() -> None:
    assert unverified(ANSWER) == ("bound", "extrapolated")
    claims = {"load_headroom": 99.0, "bottleneck": "limited by nothing"}
    assert unverified(answer(**claims)) == ("bound", "bottleneck", "load_headroom", "extrapolated")


def test_every_rule_is_broken_above() -> None:
    broken = {case[0] for case in CASES} | {"load"}
    assert sorted(broken) == sorted(rule.__name__ for rule in ANSWER_RULES)


def test_the_rules_of_the_plan_are_checked_too() -> None:
    wrong = answer(
        plan=PLAN.model_copy(update={"cost_per_hour": 5.0}),
        objective=5.0,
        bound=5.0,
        cost_per_hour=5.0,
    )
    (violation,) = check_answer(PROBLEM, wrong)
    assert (violation.rule, violation.amount, violation.limit) == ("cost", 5.0, 6.0)


def test_the_slo_scale_that_is_minimised_has_no_limit() -> None:
    problem = PROBLEM.model_copy(update={"slo_scale": 2.0})
    scale = PLAN.slo_scale
    fields = {"objective": scale, "bound": scale, "instance_hash": problem_hash(problem)}
    assert check_answer(problem, answer(objective_kind="slo", **fields)) == []
    (violation,) = check_answer(problem, answer(instance_hash=problem_hash(problem)))
    assert violation.rule == "path"


NOTHING = {"objective": None, "gap": None, "cost_per_hour": None, "instances": (), "plan": None}


@pytest.mark.parametrize("status", [Status.INFEASIBLE, Status.NO_SOLUTION])
def test_no_plan_where_there_is_none(status: Status) -> None:
    """The bound is kept."""
    assert check_answer(PROBLEM, answer(status=status, **NOTHING)) == []
    wrong = check_answer(PROBLEM, answer(status=status))
    assert [(v.rule, v.ids) for v in wrong] == [
        ("status", {"field": "plan"}),
        ("status", {"field": "objective"}),
    ]
    missing = check_answer(PROBLEM, answer(status=Status.FEASIBLE, **NOTHING))
    assert [v.rule for v in missing] == ["status", "status"]


def test_it_survives_a_round_trip_through_json() -> None:
    text = ANSWER.model_dump_json()
    assert Answer.model_validate_json(text) == ANSWER
    keys = json.loads(text).keys()
    promised = "status limit objective bound gap runtime_s cost_per_hour instances bottleneck"
    assert keys >= set(promised.split())


def test_instances_are_counted_by_role_and_engine() -> None:
    assert count_instances(PLAN) == ANSWER.instances


def test_the_hash_sees_every_figure_and_is_the_same_in_every_process() -> None:
    other = PROBLEM.model_copy(update={"load": 1.0000001})
    assert problem_hash(other) != problem_hash(PROBLEM)
    again = type(PROBLEM).model_validate_json(PROBLEM.model_dump_json())
    assert problem_hash(again) == problem_hash(PROBLEM)
    code = (
        "import sys; from hexsolve.models.answer import problem_hash;"
        "from hexsolve.models.problem import PlanningProblem as P;"
        "print(problem_hash(P.model_validate_json(sys.stdin.read())))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        input=PROBLEM.model_dump_json(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == problem_hash(PROBLEM)
