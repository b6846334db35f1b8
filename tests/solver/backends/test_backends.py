"""What every backend may and may not claim: under limits, without a solution, in both senses."""

from collections.abc import Callable

import pulp
import pytest

from hexsolve.models.errors import UnsupportedError
from hexsolve.solver.backends import BACKENDS, Budget, Progress, backend
from hexsolve.solver.backends.base import stopping_limit
from hexsolve.solver.backends.highs import HiGHS
from hexsolve.solver.result import Limit, Status, derive_status
from tests.solver.backends.models import (
    hard_knapsack,
    infeasible_for_integers,
    infeasible_relaxation,
    market_split,
    small_knapsack,
)

SENSES = (pulp.LpMaximize, pulp.LpMinimize)


def relaxed(model: pulp.LpProblem) -> float:
    """The optimum of the LP relaxation, by CBC's simplex code."""
    model.solve(pulp.COIN_CMD(path=pulp.PULP_CBC_CMD.pulp_cbc_path, msg=False, mip=False))
    assert model.status == pulp.LpStatusOptimal
    return float(pulp.value(model.objective))


@pytest.mark.parametrize("sense", SENSES)
@pytest.mark.parametrize("name", BACKENDS)
def test_optimum_and_bound_in_both_senses(name: str, sense: int) -> None:
    model, optimum, _ = small_knapsack(sense)
    run = backend(name).solve(model, Budget(gap=0.0))
    assert run.objective == pytest.approx(optimum, abs=1e-6)
    assert run.bound == pytest.approx(optimum, abs=1e-6)
    assert run.limit is Limit.NONE
    assert not run.infeasible
    assert not run.unbounded
    assert float(pulp.value(model.objective)) == pytest.approx(optimum, abs=1e-6)


@pytest.mark.parametrize("sense", SENSES)
@pytest.mark.parametrize("name", BACKENDS)
def test_a_wide_gap_never_makes_a_false_bound(name: str, sense: int) -> None:
    model, optimum, linear = small_knapsack(sense)
    run = backend(name).solve(model, Budget(gap=0.5))
    assert run.objective is not None
    assert run.bound is not None
    direction = 1.0 if sense == pulp.LpMaximize else -1.0
    assert direction * run.objective <= direction * optimum + 1e-6
    # The bound lies between the optimum and the relaxation.
    assert direction * optimum - 1e-6 <= direction * run.bound
    assert direction * run.bound <= direction * linear + 1e-2
    if derive_status(run.objective, run.bound) is Status.OPTIMAL:
        assert run.objective == pytest.approx(optimum)
    else:
        assert run.limit is Limit.GAP


@pytest.mark.parametrize("sense", SENSES)
@pytest.mark.parametrize("name", BACKENDS)
def test_a_run_out_of_time_is_not_optimal(name: str, sense: int) -> None:
    run = backend(name).solve(hard_knapsack(sense), Budget(time_s=0.5, gap=0.0))
    assert run.limit is Limit.TIME
    assert run.objective is not None
    assert run.bound is not None
    assert derive_status(run.objective, run.bound) is Status.FEASIBLE
    direction = 1.0 if sense == pulp.LpMaximize else -1.0
    assert direction * run.bound > direction * run.objective
    # No looser than what the root's LP says.
    linear = relaxed(hard_knapsack(sense))
    assert direction * run.bound <= direction * linear + 1e-2


@pytest.mark.parametrize("sense", SENSES)
@pytest.mark.parametrize("name", BACKENDS)
def test_nothing_found_keeps_a_valid_bound_and_proves_nothing(name: str, sense: int) -> None:
    run = backend(name).solve(market_split(sense), Budget(time_s=0.5, gap=0.0))
    assert run.objective is None
    assert run.limit is Limit.TIME
    assert not run.infeasible
    assert derive_status(run.objective, run.bound) is Status.NO_SOLUTION
    if name == "scip":  # OR-Tools does not pass SCIP's bound on without a solution
        assert run.bound is None
        return
    assert run.bound is not None
    direction = 1.0 if sense == pulp.LpMaximize else -1.0
    linear = relaxed(market_split(sense))
    assert direction * run.bound <= direction * linear + 1e-2
    # A bound of some use: at most 5 % tighter than the LP.
    assert run.bound == pytest.approx(linear, rel=0.05)


@pytest.mark.parametrize("make", [infeasible_for_integers, infeasible_relaxation])
@pytest.mark.parametrize("name", BACKENDS)
def test_infeasible_is_proven(name: str, make: Callable[[], pulp.LpProblem]) -> None:
    run = backend(name).solve(make(), Budget(gap=0.0))
    assert run.infeasible
    assert (run.objective, run.bound, run.limit) == (None, None, Limit.NONE)


@pytest.mark.parametrize("sense", SENSES)
def test_relaxation_and_its_duals(sense: int) -> None:
    model, _, linear = small_knapsack(sense)
    run = HiGHS().relax(model, Budget())
    assert run.objective == pytest.approx(linear)
    assert run.bound == pytest.approx(linear)
    # Duals are those of a minimisation: a unit more capacity lowers -value, a unit more demand
    # raises the cost.
    (row,) = model.constraints()
    more = model.copy()
    (changed,) = more.constraints()
    changed.constant -= 0.01
    slope = (HiGHS().relax(more, Budget()).objective or 0.0) - linear
    in_minimised = -slope if sense == pulp.LpMaximize else slope
    assert float(row.pi) == pytest.approx(in_minimised / 0.01, rel=1e-4)


def test_relaxation_that_is_infeasible() -> None:
    run = HiGHS().relax(infeasible_relaxation(), Budget())
    assert run.infeasible
    assert run.objective is None


@pytest.mark.parametrize("sense", SENSES)
def test_progress_is_told_in_the_models_own_sense(sense: int) -> None:
    seen: list[Progress] = []
    budget = Budget(time_s=0.7, gap=0.0, on_progress=seen.append)
    run = backend("highs").solve(hard_knapsack(sense), budget)
    assert seen
    assert run.objective is not None
    direction = 1.0 if sense == pulp.LpMaximize else -1.0
    linear = relaxed(hard_knapsack(sense))
    best: float | None = None
    for progress in seen:
        assert 0.0 <= progress.elapsed_s < 10.0
        if progress.objective is None:
            assert best is None
            continue
        # Incumbents only get better and never beat the bound.
        assert best is None or direction * progress.objective >= direction * best - 1e-6
        best = progress.objective
        assert direction * best <= direction * run.objective + 1e-6
        if progress.bound is not None:
            assert direction * progress.bound >= direction * best - 1e-6
            assert direction * progress.bound <= direction * linear + 1e-2
    times = [progress.elapsed_s for progress in seen]
    assert times == sorted(times)


def test_any_solution_is_enough_after_a_while() -> None:
    budget = Budget(time_s=60.0, gap=0.0, enough_s=0.3)
    run = backend("highs").solve(hard_knapsack(pulp.LpMaximize), budget)
    assert run.objective is not None
    assert run.bound is not None
    assert run.bound >= run.objective
    assert run.limit is Limit.INTERRUPT
    assert budget.left_s > 30.0


def test_a_run_can_be_stopped() -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 20

    budget = Budget(time_s=60.0, gap=0.0, stop=stop)
    run = backend("highs").solve(hard_knapsack(pulp.LpMaximize), budget)
    assert run.limit is Limit.INTERRUPT
    assert budget.left_s > 30.0


@pytest.mark.parametrize("sense", SENSES)
def test_a_cutoff_is_not_taken_for_a_solution(sense: int) -> None:
    """Nothing is better than the optimum: no solution is reported, in progress or at the end."""
    best = relaxed(hard_knapsack(sense))
    direction = 1.0 if sense == pulp.LpMaximize else -1.0
    seen: list[Progress] = []
    cutoff = best + direction * 0.01 * abs(best)
    for heuristics in (True, False):
        budget = Budget(
            time_s=5.0, gap=0.0, cutoff=cutoff, heuristics=heuristics, on_progress=seen.append
        )
        run = backend("highs").solve(hard_knapsack(sense), budget)
        assert run.objective is None or direction * run.objective < direction * cutoff
        assert run.bound == pytest.approx(cutoff)
    assert all(
        progress.objective is None or direction * progress.objective < direction * cutoff
        for progress in seen
    )


def test_a_start_solution_is_taken_up() -> None:
    model = hard_knapsack(pulp.LpMaximize)
    run = backend("highs").solve(model, Budget(time_s=1.0, gap=0.0))
    again = hard_knapsack(pulp.LpMaximize)
    again.hexsolve_start = {v.name: float(v.varValue) for v in model.variables()}
    limited = backend("highs").solve(again, Budget(time_s=0.05, gap=0.0))
    assert limited.objective is not None
    assert run.objective is not None
    assert limited.objective >= run.objective - 1e-6


def test_unknown_solver() -> None:
    with pytest.raises(UnsupportedError, match=r"'cplex'.*highs, cbc, scip"):
        backend("cplex")


@pytest.mark.parametrize(
    ("objective", "bound", "stopped", "limit"),
    [
        (10.0, 10.0, Limit.NONE, Limit.NONE),
        (10.0, 10.001, Limit.NONE, Limit.GAP),
        (10.0, 9.999, Limit.NONE, Limit.GAP),
        (10.0, 10.0, Limit.TIME, Limit.TIME),
        (None, 10.0, Limit.NONE, Limit.NONE),
        (None, None, Limit.TIME, Limit.TIME),
        (0.0, 0.0, Limit.NONE, Limit.NONE),
    ],
)
def test_stopping_limit(
    objective: float | None, bound: float | None, stopped: Limit, limit: Limit
) -> None:
    assert stopping_limit(objective, bound, stopped) is limit


@pytest.mark.parametrize("sense", [pulp.LpMinimize, pulp.LpMaximize])
@pytest.mark.parametrize("start", [False, True])
def test_a_cutoff_hides_only_what_lies_beyond_it(sense: int, start: bool) -> None:
    """Better solutions are found as ever; without any the bound is the cutoff, no better."""
    best = backend("highs").solve(hard_knapsack(sense, 14, 3), Budget(gap=0.0)).objective
    assert best is not None
    better = 1.0 if sense == pulp.LpMinimize else -1.0
    for share in (-0.05, -0.001, 0.001, 0.05):
        cutoff = best * (1.0 + better * share)
        model = hard_knapsack(sense, 14, 3)
        if start:
            # everything left behind
            model.hexsolve_start = {v.name: float(v.lowBound) for v in model.variables()}
        run = backend("highs").solve(model, Budget(gap=0.0, cutoff=cutoff))
        assert not run.infeasible
        assert run.bound is not None
        if share > 0:
            assert run.objective == pytest.approx(best, rel=1e-6)
            assert run.bound == pytest.approx(best, rel=1e-6)
        else:
            # whatever else was found on the way is a solution, and the bound is honest
            assert run.objective is None or better * run.objective >= better * best - 1e-6
            assert run.bound == pytest.approx(cutoff, rel=1e-9)
