"""Each rule of the planning model, broken once: caught by its name, with ids, amount and unit."""

from dataclasses import dataclass

import pytest

from hexsolve.models.check import MODEL_RULES, check_plan
from hexsolve.models.plan import Plan
from hexsolve.models.problem import PlanningProblem
from tests.models.check.example import (
    LATENCY,
    PLAN,
    PROBLEM,
    assuming,
    changed,
    flow,
    limited,
    scaled,
)
from tests.models.check.restate import restated


@dataclass(frozen=True)
class Case:
    """A corruption, and the one violation it must give; amounts are worked out in comments."""

    rule: str
    plan: Plan
    ids: dict[str, str]
    amount: float
    limit: float
    unit: str
    problem: PlanningProblem = PROBLEM
    restate: bool = True

    def __str__(self) -> str:
        return self.rule


def served(group: str) -> dict[str, str]:
    return {"group": group, "workflow": "agent", "call": "act"}


TRIPLED = scaled(PLAN, 3.0)
DOUBLED = scaled(PLAN, 2.0)

CASES = [
    # Prefill: 0.5 (cycle) + 1 (mixed) of the 2 calls/s of act.
    Case(
        "demand",
        changed(PLAN, "cycle", flows=(flow("act", 0.5),)),
        {"workflow": "agent", "call": "act"},
        1.5,
        2.0,
        "calls/s",
    ),
    # 100 + 100 + 11 tokens in a pool of 205.
    Case("call_fits", changed(PLAN, "mixed", gpu="C"), served("mixed"), 211, 205, "tokens"),
    # 1 of the 2 calls/s of act, against 0.4 of them.
    Case(
        "siblings",
        changed(PLAN, "cycle", point__burst_share=0.4),
        served("cycle"),
        1.0,
        0.8,
        "calls/s",
    ),
    # 3 calls/s · 200,000 bytes over half of 1e6 bytes/s.
    Case(
        "link",
        changed(changed(TRIPLED, "cycle", count=3), "decode", count=2),
        {"group": "single", "gpu": "A"},
        6e5,
        5e5,
        "bytes/s",
        problem=assuming(PROBLEM, max_batch=2),
    ),
    # 1.5 · 0.7 + 0.1 + 0.08 + 0.5 · 0.08.
    Case(
        "ttft", changed(PLAN, "cycle", count=2, point__cycle_s=0.7), served("cycle"), 1.27, 1, "s"
    ),
    # 0.03 / (1 − 0.5).
    Case(
        "tpot", changed(PLAN, "mixed", point__prefill_share=0.5), served("mixed"), 0.06, 0.055, "s"
    ),
    # 1 · (0.1² + 2 · 0.002 · 0.1) against 2 · 0.002.
    Case(
        "prefill_wait",
        changed(PLAN, "single", point__wait_s=0.002),
        {"group": "single", "gpu": "A"},
        0.0104,
        0.004,
        "s",
    ),
    # 1 call/s · 0.1 s; the other groups are doubled to stay below 9 %.
    Case(
        "prefill_utilisation",
        changed(changed(PLAN, "cycle", count=2), "mixed", count=2),
        {"group": "single", "gpu": "A"},
        0.1,
        0.09,
        "instances",
        problem=assuming(PROBLEM, prefill_utilisation_max=0.09),
    ),
    # 0.02 + 0.021 · 0.08 against 0.95 · 0.021.
    Case(
        "prefill_cycle",
        changed(PLAN, "cycle", point__cycle_s=0.021),
        {"group": "cycle", "gpu": "A"},
        0.02168,
        0.01995,
        "s",
    ),
    # ρ = 0.95 − 0.02 / 0.5 = 0.91: (1 + 1.82) / (2 · (1 − 0.8281)) · 1 call/s · 0.08² · (1 + 0.5).
    Case(
        "prefill_cycle_wait",
        changed(PLAN, "cycle", point__wait_s=0.01),
        {"group": "cycle", "gpu": "A"},
        2.82 / 0.3438 * 0.0096,
        0.01,
        "s",
    ),
    # 0.5 s · 1 call/s · 100 tokens.
    Case(
        "prefill_token_budget",
        PLAN,
        {"group": "cycle", "gpu": "A"},
        50,
        49,
        "tokens",
        problem=assuming(PROBLEM, prefill_token_budget=49),
    ),
    # (0.5 + 0.1 + 1.5 · 0.08 + 0.1 + 0.4) · 200 + (1 + 10 · 0.05) · 100 / 2 against 0.9 · 205.
    Case(
        "prefill_kv",
        changed(PLAN, "cycle", gpu="C"),
        {"group": "cycle", "gpu": "C"},
        319,
        184.5,
        "tokens",
    ),
    # 0.01 + 0.0101 · 2 · 10 · 0.003055.
    Case(
        "decode_step",
        changed(PLAN, "decode", point__step_s=0.0101),
        {"group": "decode", "gpu": "B"},
        0.01061711,
        0.0101,
        "s",
    ),
    # 0.052 · 2 · 10 sequences.
    Case(
        "decode_batch",
        changed(PLAN, "decode", point__step_s=0.052),
        {"group": "decode", "gpu": "B"},
        1.04,
        1,
        "sequences",
    ),
    # 0.05 · 2 · 10 · 205.5 against 0.9 · 215.
    Case(
        "decode_kv",
        changed(PLAN, "decode", gpu="C", tp=2, point__step_s=0.05),
        {"group": "decode", "gpu": "C"},
        205.5,
        193.5,
        "tokens",
    ),
    # 1 call/s · 0.08 s.
    Case(
        "mixed_share",
        changed(PLAN, "mixed", point__prefill_share=0.05),
        {"group": "mixed", "gpu": "B"},
        0.08,
        0.05,
        "instances",
    ),
    # 0.012 + 0.0125 / 0.75 · 10 · 0.003055.
    Case(
        "mixed_step",
        changed(PLAN, "mixed", point__decode_step_s=0.0125),
        {"group": "mixed", "gpu": "B"},
        0.012509166667,
        0.0125,
        "s",
    ),
    # 0.09 / 0.75 · 10 sequences.
    Case(
        "mixed_batch",
        changed(PLAN, "mixed", point__decode_step_s=0.09),
        {"group": "mixed", "gpu": "B"},
        1.2,
        1,
        "sequences",
        problem=limited(PROBLEM, tpot_limit_s=None),
    ),
    # 0.11² · (1 + 0.5) + 2 · 0.005 · 0.11 against 2 · 0.005.
    Case(
        "mixed_wait",
        changed(PLAN, "mixed", point__wait_s=0.005),
        {"group": "mixed", "gpu": "B"},
        0.01925,
        0.01,
        "s",
    ),
    # 1 call/s · (0.08 + 0.03) s; cycle is doubled to stay below 10.5 %.
    Case(
        "mixed_utilisation",
        changed(PLAN, "cycle", count=2),
        {"group": "mixed", "gpu": "B"},
        0.11,
        0.105,
        "instances",
        problem=assuming(PROBLEM, prefill_utilisation_max=0.105),
    ),
    # 2 · ((0.11 + 10 · 0.04) · 205.5 + 1 · 100 / 2) against 0.9 · 215.
    Case(
        "mixed_kv",
        changed(
            changed(changed(DOUBLED, "cycle", count=2), "decode", count=2), "mixed", gpu="C", tp=2
        ),
        {"group": "mixed", "gpu": "C"},
        309.61,
        193.5,
        "tokens",
    ),
    # 2 · 1.4611.
    Case(
        "path",
        PLAN,
        {"workflow": "agent"},
        LATENCY,
        2.9222,
        "s",
        problem=PROBLEM.model_copy(update={"slo_scale": 2.0}),
    ),
    # 5 GPUs in nodes of 4.
    Case("inventory", changed(PLAN, "single", count=4), {"gpu": "A"}, 2, 1, "nodes"),
    Case(
        "inventory",
        changed(PLAN, "single", tp=8),
        {"gpu": "A"},
        8,
        4,
        "GPUs per node",
        problem=PROBLEM.model_copy(update={"budget_per_hour": None}),
    ),
    # 4 · 1 + 4 · 2.
    Case(
        "budget", changed(changed(PLAN, "cycle", count=3), "decode", count=3), {}, 12, 10, "US$/h"
    ),
    Case(
        "cost",
        PLAN.model_copy(update={"cost_per_hour": 5.0}),
        {},
        5,
        6,
        "US$/h",
        restate=False,
    ),
    Case(
        "scale",
        PLAN.model_copy(update={"slo_scale": 2.0}),
        {"field": "slo_scale"},
        2,
        LATENCY / 1.4611,
        "",
        restate=False,
    ),
    Case(
        "scale",
        PLAN.model_copy(update={"latency_s": {"agent": 2.5}}),
        {"workflow": "agent", "field": "latency_s"},
        2.5,
        LATENCY,
        "s",
        restate=False,
    ),
    Case(
        "scale",
        PLAN.model_copy(update={"horizon_s": {"agent": 2.0}}),
        {"workflow": "agent", "field": "horizon_s"},
        2,
        1.4611,
        "s",
        restate=False,
    ),
]


def test_the_plan_that_is_corrupted_is_valid() -> None:
    assert check_plan(PROBLEM, PLAN) == []


def test_every_rule_is_broken_once() -> None:
    broken = {case.rule for case in CASES}
    assert sorted(broken) == sorted(rule.__name__ for rule in MODEL_RULES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_broken_rule_is_caught_and_nothing_else(case: Case) -> None:
    plan = restated(case.problem, case.plan) if case.restate else case.plan
    (violation,) = check_plan(case.problem, plan)
    assert violation.rule == case.rule
    assert violation.ids == case.ids
    assert violation.amount == pytest.approx(case.amount, rel=1e-9)
    assert violation.limit == pytest.approx(case.limit, rel=1e-9)
    assert violation.unit == case.unit
    assert all(name in str(violation) for name in (case.rule, *case.ids.values(), case.unit))


@pytest.mark.parametrize("field", ["latency_s", "horizon_s"])
def test_every_class_and_no_other_is_stated(field: str) -> None:
    (missing,) = check_plan(PROBLEM, PLAN.model_copy(update={field: {}}))
    assert missing.rule == "scale"
    assert missing.ids == {"workflow": "agent", "field": field}
    stated = {**getattr(PLAN, field), "ghost": 1.0}
    (unknown,) = check_plan(PROBLEM, PLAN.model_copy(update={field: stated}))
    assert unknown.rule == "scale"
    assert unknown.ids == {"workflow": "ghost", "field": field}
