"""Sifting finds the LP's value over all candidates, and its penalties are proofs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from hexsolve.models.plan import Objective
from hexsolve.solver.placement import sifting
from hexsolve.solver.placement.direction import Direction
from hexsolve.solver.placement.formulation import Variation
from hexsolve.solver.placement.pricing import Pricing
from hexsolve.solver.placement.relaxation import relax
from hexsolve.solver.placement.search import search
from hexsolve.solver.placement.sifting import sift
from hexsolve.solver.placement.solve import make_task, solve
from hexsolve.solver.result import Status
from tests.solver.placement.tiny import OBJECTIVES, drawn, exact, limited


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small cases have few candidates; the fewer in the first LP the more are missing."""
    monkeypatch.setattr(sifting, "FEW", 0)
    monkeypatch.setattr(sifting, "STEP", 9)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_has_the_value_of_the_whole_lp(objective: Objective) -> None:
    compared = sifted = 0
    for seed in range(8):
        task = make_task(drawn(seed), objective)
        whole = task.formulation()
        way = Direction.of(whole.model)
        reference = relax(whole, exact())
        formulation, relaxation = sift(task, exact())
        assert relaxation.run.infeasible == reference.run.infeasible
        value, expected = relaxation.run.objective, reference.run.objective
        if value is None or expected is None:
            continue
        assert set(relaxation.penalty) == set(range(len(task.candidates)))
        outside = [c for c in relaxation.penalty if c not in formulation.count]
        assert all(relaxation.penalty[c] >= -1e-6 * abs(relaxation.own[c]) for c in outside)
        # Where the load is maximised a cap on each flow may cut off a part of the LP.
        if objective == "load":
            assert value <= expected * (1 + 1e-6)
            best = search(task, exact()).run.objective
            assert best is not None
            assert way.excess(best, value) >= -1e-6 * best
        else:
            assert value == pytest.approx(expected, rel=1e-6)
        compared += 1
        sifted += bool(outside)
    assert compared >= 4
    assert sifted >= 3


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_plans_are_as_good_as_without(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0
    for seed in range(20, 22):
        task = make_task(drawn(seed), objective)
        found = search(task, exact()).run
        monkeypatch.setattr(sifting, "FEW", 10**6)
        expected = search(task, exact()).run
        monkeypatch.setattr(sifting, "FEW", 0)
        assert found.infeasible == expected.infeasible
        if expected.objective is not None:
            assert found.objective == pytest.approx(expected.objective, rel=2e-6)
            assert found.bound == pytest.approx(expected.bound, rel=2e-6)
            compared += 1
    assert compared >= 1


def test_what_is_priced_does_not_depend_on_what_is_in_the_lp() -> None:
    task = make_task(drawn(3), "cost")
    whole = task.formulation()
    duals = relax(whole, exact()).duals
    every = Pricing(whole, whole.active).price(duals, whole.load_most)
    some = whole.active[::7]
    few = Pricing(task.formulation(some), some).price(duals, whole.load_most)
    assert few.own == {column: every.own[column] for column in some}
    assert few.earned == pytest.approx({column: every.earned[column] for column in some})


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("share", [1.0, 1e-3, np.inf])
def test_prices_are_those_of_a_small_lp_per_candidate(objective: Objective, share: float) -> None:
    """What an instance costs, and the most that its flows can earn, one candidate at a time."""
    whole = make_task(drawn(3), objective).formulation()
    duals = relax(whole, exact()).duals
    most = share * whole.load_most
    priced = Pricing(whole, whole.active).price(duals, most)
    earning = 0
    for column in whole.active:
        price = whole.cost(column)
        own = (objective == "cost") * price - duals.get("budget", 0.0) * price
        own -= sum(duals[name] * amount for name, amount in whole.inventory(column))
        assert priced.own[column] == pytest.approx(own, rel=1e-9, abs=1e-12)
        served = np.flatnonzero(whole.candidates[column].serves)
        worth = np.array(
            [sum(duals[n] * a for n, a in whole.flow_column(int(row), column)) for row in served]
        )
        rules = np.array([(usage * whole.rate)[served] for usage in whole.rules(column).values()])
        made = linprog(-worth, rules, np.ones(len(rules)), bounds=(0.0, most))
        assert made.status == 0
        assert priced.earned[column] == pytest.approx(-made.fun, rel=1e-6, abs=1e-9)
        earning += bool(made.fun < 0.0)
    assert earning >= 10


def test_no_candidate_at_all_carries_nothing() -> None:
    problem = limited(drawn(0), ttft_limit_s=1e-6, tpot_limit_s=1e-9)
    task = make_task(problem, "load")
    assert task.candidates == []
    found = solve(problem, "load", exact())
    assert found.outcome.status is Status.OPTIMAL
    assert found.outcome.objective == pytest.approx(0.0, abs=1e-9)
    assert sift(task, exact())[1].penalty == {}


def test_given_counts_are_kept() -> None:
    """The counts of a plan are about candidates that may not be in the first LP."""
    problem = drawn(3)
    found = search(make_task(problem, "cost"), exact())
    counts = {c: round(count.varValue) for c, count in found.formulation.count.items()}
    variation = Variation(counts={c: n for c, n in counts.items() if n})
    task = replace(make_task(problem, "cost"), variation=variation)
    formulation, relaxation = sift(task, exact())
    assert len(formulation.active) == len(task.candidates)
    assert relaxation.run.objective == pytest.approx(found.run.objective, rel=1e-6)
