"""Infeasible instances whose clash is known, and changes that are enough and least."""

import re
from functools import partial
from operator import add

import pytest

from hexsolve.models.answer import Change
from hexsolve.models.errors import InputError
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.infeasible import Diagnosis, diagnose
from hexsolve.solver.placement.report import answer
from hexsolve.solver.placement.solve import solve
from tests.solver.placement.hand import engine, problem
from tests.solver.placement.tiny import exact, limited, optimum, small, with_nodes

CASES: dict[str, tuple[PlanningProblem, set[str], set[str]]] = {
    # two instances are needed, each at 1 US$/h each
    "budget": (problem(rate=8.0, budget_per_hour=1.0), {"budget"}, {"load", "budget_per_hour"}),
    "inventory": (problem(nodes=1, rate=20.0), {"inventory"}, {"load", "gpus.G0"}),
    # the wait alone is above 0.1 % of the horizon
    "path": (problem(slo_scale=1.001), {"path"}, {"slo_scale"}),
    # a prefill takes 0.1105 s, and a first decode step comes on top
    "ttft": (problem(ttft_limit_s=0.1101), {"ttft"}, {"ttft_limit_s"}),
    # a step takes 10 ms and more for every sequence
    "tpot": (problem(tpot_limit_s=0.00999), {"tpot"}, {"tpot_limit_s"}),
    "inventory and tpot": (
        problem(tpot_limit_s=0.0101),
        {"inventory", "tpot"},
        {"load", "gpus.G0", "tpot_limit_s"},
    ),
    "budget and path": (
        problem(nodes=30, slo_scale=1.06, budget_per_hour=3.0),
        {"budget", "path"},
        {"load", "slo_scale", "budget_per_hour"},
    ),
    # with a pool as large as in the other cases four instances carry it
    "inventory and kv": (
        problem(nodes=4, rate=8.0, engines=(engine("G0", kv_tokens=3000),)),
        {"inventory", "kv"},
        {"load", "gpus.G0"},
    ),
    "two types": (
        problem(prices=(1.0, 2.0), nodes=1, rate=15.0),
        {"inventory"},
        {"load", "gpus", "gpus.G0", "gpus.G1"},
    ),
}


@pytest.fixture(scope="module", params=list(CASES))
def case(
    request: pytest.FixtureRequest,
) -> tuple[PlanningProblem, set[str], set[str], Diagnosis]:
    posed, conflict, changes = CASES[request.param]
    return posed, conflict, changes, diagnose(posed, Budget(time_s=60.0))


Case = tuple[PlanningProblem, set[str], set[str], Diagnosis]


def test_the_conflict_is_exactly_the_known_one(case: Case) -> None:
    posed, conflict, _, diagnosis = case
    assert solve(posed, "cost", exact()).outcome.status == "infeasible"
    assert set(diagnosis.conflict) == conflict
    assert "time ran out" not in diagnosis.text()


def applied(posed: PlanningProblem, change: Change, needed: float) -> PlanningProblem:
    """The problem after a change; `needed` replaces the change's own figure."""
    if change.what in ("load", "slo_scale", "budget_per_hour"):
        return posed.model_copy(update={change.what: needed})
    if change.what in ("ttft_limit_s", "tpot_limit_s"):
        return limited(posed, **{change.what: needed})
    for count, gpu in re.findall(r"(\d+) nodes? of \d+ (\w+)", change.text):
        posed = with_nodes(posed, partial(add, int(count)), gpu)
    assert posed.cluster.gpus == needed
    return posed


def feasible(posed: PlanningProblem) -> bool:
    return solve(posed, "cost", Budget(time_s=30.0, gap=1e6)).outcome.objective is not None


def test_each_change_is_enough_and_least(case: Case) -> None:
    posed, _, expected, diagnosis = case
    changes = {change.what: change for change in diagnosis.changes}
    assert set(changes) == expected
    for what, change in changes.items():
        assert feasible(applied(posed, change, change.needed)), what
        if what == "load":
            assert change.needed < change.now
            assert not feasible(applied(posed, change, change.needed * 1.03))
        elif what.startswith("gpus"):
            assert change.needed > change.now
            if what != "gpus":
                one_less = int(change.needed - change.now) - 1
                fewer = with_nodes(posed, partial(add, one_less), what[5:])
                assert not feasible(fewer)
        else:
            assert change.needed > change.now
            assert not feasible(applied(posed, change, change.needed * 0.97)), what


def test_the_figure_in_the_text_is_enough_too(case: Case) -> None:
    posed, _, _, diagnosis = case
    stated = {
        "load": r"serve ([\d.]+)×",
        "slo_scale": r"scale of ([\d.]+) instead",
        "budget_per_hour": r"to ([\d.,]+) US\$/h",
        "ttft_limit_s": r"first token of ([\d.]+) s",
        "tpot_limit_s": r"output token of ([\d.]+) s",
    }
    for change in diagnosis.changes:
        if change.what in stated:
            found = re.search(stated[change.what], change.text)
            assert found, change.text
            assert feasible(applied(posed, change, float(found[1].replace(",", "")))), change.text


def test_random_infeasible_problems_get_enough_changes() -> None:
    told = 0
    for seed in range(400, 460):
        posed = small(seed, 40, "cost")
        if posed is None:
            continue
        try:
            if optimum(posed, "cost") is not None:
                continue
        except InputError:
            continue
        diagnosis = diagnose(posed, Budget(time_s=60.0))
        assert diagnosis.conflict
        for change in diagnosis.changes:
            if change.what in ("load", "slo_scale", "budget_per_hour"):
                assert feasible(applied(posed, change, change.needed)), (seed, change)
        told += 1
        if told == 3:
            break
    assert told >= 2


def test_answer_of_an_infeasible_problem() -> None:
    made = answer(problem(rate=8.0, budget_per_hour=1.0), "cost", Budget(gap=0.0))
    assert made.status == "infeasible"
    assert made.limit == "none"
    assert (made.objective, made.gap, made.plan, made.cost_per_hour) == (None, None, None, None)
    assert made.conflict == ("budget",)
    assert "budget" in made.bottleneck
    assert made.changes


@pytest.mark.parametrize("objective", ["load", "cost", "slo"])
def test_a_call_that_no_engine_holds_is_refused(objective: str) -> None:
    posed = problem(new_tokens=20_000_000.0)
    with pytest.raises(InputError, match=r"'answer'.*'chat'.*20,000,200 tokens.*10,000,000"):
        solve(posed, objective)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no room for any engine"):
        solve(problem(nodes=0), objective)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="without prefill or without decode"):
        solve(problem(roles=("prefill",)), objective)  # type: ignore[arg-type]
