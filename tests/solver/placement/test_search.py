"""The relaxation's penalties are proofs, and the staged search finds what one big MILP finds."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import islice

import highspy
import pytest

from hexsolve.models.check import check_plan
from hexsolve.models.hardware import NodePool
from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.backends import BACKENDS, Progress, backend
from hexsolve.solver.backends.highs import HiGHS
from hexsolve.solver.placement.direction import Direction
from hexsolve.solver.placement.ladder import GROWTH, Ladder
from hexsolve.solver.placement.relaxation import Relaxation, relax
from hexsolve.solver.placement.report import answer
from hexsolve.solver.placement.search import search
from hexsolve.solver.placement.solve import as_checked, make_task, solve
from hexsolve.solver.placement.task import Task
from hexsolve.solver.placement.totals import add_totals
from hexsolve.solver.result import Limit, Status
from tests.solver.placement.tiny import OBJECTIVES, drawn, exact, small, solved

TOLERANCE = 1e-5


def rented_by_node(problem: PlanningProblem, nodes: bool) -> PlanningProblem:
    """The problem with every pool billed by node, or none."""
    billing = "node" if nodes else "gpu"
    pools = tuple(
        NodePool(**{**pool.model_dump(), "billing": billing}) for pool in problem.cluster.pools
    )
    cluster = problem.cluster.model_copy(update={"pools": pools})
    return problem.model_copy(update={"cluster": cluster})


@pytest.mark.parametrize("by_node", [False, True])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_penalties_are_lower_bounds(objective: Objective, by_node: bool) -> None:
    """Forcing an instance of a candidate worsens the LP at least by its penalty."""
    compared = strict = 0
    for seed in range(4):
        problem = rented_by_node(drawn(seed), by_node)
        whole = make_task(problem, objective).formulation()
        relaxation = relax(whole, exact())
        value = relaxation.run.objective
        if value is None:
            continue
        better = -1.0 if objective == "load" else 1.0
        for column in whole.active[::5]:
            whole.count[column].lowBound = 1.0
            forced = HiGHS().relax(whole.model, exact())
            whole.count[column].lowBound = 0.0
            if forced.objective is None:
                assert forced.infeasible
                continue
            worse = better * (forced.objective - value)
            penalty = relaxation.penalty[column]
            assert worse >= penalty - TOLERANCE * max(1.0, abs(value)), (seed, column)
            compared += 1
            strict += penalty > 1e-3 * abs(value)
    assert compared > 12
    # Penalties of zero would be lower bounds too.
    assert strict > 8


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_staged_search_equals_the_whole_model_at_once(objective: Objective) -> None:
    budgets = nodes = stages = paths = compared = 0
    for seed in range(200, 260):
        problem = small(seed, 36 if objective == "load" else 55, objective)
        if problem is None:
            continue
        task = make_task(problem, objective)
        found = search(task, exact())
        whole = task.formulation()
        expected = backend("highs").solve(whole.model, exact())
        assert found.run.infeasible == expected.infeasible, seed
        if expected.objective is not None:
            assert found.run.objective == pytest.approx(expected.objective, rel=1e-6), seed
            assert found.run.bound == pytest.approx(expected.objective, rel=1e-6), seed
        compared += 1
        budgets += problem.budget_per_hour is not None
        nodes += any(pool.billing == "node" for pool in problem.cluster.pools)
        stages += any(engine.pp > 1 for engine in problem.engines)
        paths += problem.slo_scale is not None
        if compared == 9:
            break
    assert min(budgets, nodes, stages, paths) >= 1


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_wide_gap_keeps_its_promise(objective: Objective) -> None:
    """Whatever is stopped early: plan and bound enclose the optimum, within the gap."""
    better = 1.0 if objective == "load" else -1.0
    compared = 0
    for seed in range(300, 345):
        problem = small(seed, 36, objective)
        if problem is None:
            continue
        best = solved(problem, objective).outcome
        if best.objective is None:
            continue
        for gap in (0.3, 0.02):
            early = solve(problem, objective, replace(exact(), gap=gap))
            outcome = early.outcome
            assert outcome.objective is not None
            assert outcome.bound is not None
            assert outcome.gap is not None
            slack = 1e-6 * best.objective
            assert better * outcome.objective <= better * best.objective + slack
            assert better * outcome.bound >= better * best.objective - slack
            assert outcome.gap <= gap * (1.0 + 1e-6)
            assert early.plan is not None
            assert check_plan(as_checked(problem, objective), early.plan) == []
            # OPTIMAL exactly where the two numbers meet.
            assert (outcome.status is Status.OPTIMAL) == (outcome.gap <= 1e-6)
            assert (outcome.limit is Limit.NONE) == (outcome.status is Status.OPTIMAL)
        compared += 1
        if compared == 4:
            break
    assert compared >= 3


@cache
def optimum_of(seed: int, objective: Objective) -> float:
    best = solved(drawn(seed), objective).outcome.objective
    assert best is not None
    return best


@pytest.mark.parametrize("solver", BACKENDS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_out_of_time_claims_nothing_false(objective: Objective, solver: str) -> None:
    problem = drawn(4)
    best = optimum_of(4, objective)
    better = 1.0 if objective == "load" else -1.0
    for limit in (0.01, 0.15):
        outcome = solve(problem, objective, replace(exact(), time_s=limit), solver).outcome
        slack = 1e-6 * best
        assert outcome.status is not Status.INFEASIBLE
        if outcome.bound is not None:
            assert better * outcome.bound >= better * best - slack
        if outcome.objective is None:
            assert outcome.status is Status.NO_SOLUTION
            assert outcome.limit is Limit.TIME
        else:
            assert better * outcome.objective <= better * best + slack
            if outcome.status is Status.OPTIMAL:
                assert outcome.objective == pytest.approx(best, rel=2e-6)


@pytest.mark.parametrize("seed", [3, 5])
def test_progress_shows_only_bounds_that_hold_and_never_a_worse_one(seed: int) -> None:
    problem = drawn(seed)
    task = make_task(problem, "load")
    linear = relax(task.formulation(), exact()).run.objective
    assert linear is not None
    seen: list[Progress] = []
    found = search(task, replace(exact(), on_progress=seen.append))
    assert seen
    best, known = found.run.objective, linear
    assert best is not None
    for progress in seen:
        assert progress.bound is not None
        assert best - 1e-6 <= progress.bound <= known + 1e-6
        assert progress.objective is None or progress.objective <= best + 1e-6
        known = progress.bound


def after(calls: int) -> Callable[[], bool]:
    """Return what says no so many times, and then yes."""
    left = iter(range(calls))
    return lambda: next(left, None) is None


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_stopped_search_has_what_it_found(objective: Objective) -> None:
    """Whenever it is stopped, plan and bound enclose the optimum."""
    problem = drawn(4)
    way = Direction(-1.0 if objective == "load" else 1.0)
    best = optimum_of(4, objective)
    plans = 0
    for asked in (1, 3, 10, 30, 100):
        made = answer(problem, objective, replace(exact(), stop=after(asked)))
        if made.limit is not Limit.INTERRUPT:
            assert made.objective == pytest.approx(best, rel=1e-6)
            continue
        assert made.bound is not None
        assert way.excess(made.bound, best) <= 1e-6 * best
        if made.objective is None:
            assert made.bottleneck == "no plan was found before Ctrl-C"
        else:
            plans += 1
            assert way.excess(made.objective, best) >= -1e-6 * best
            assert made.plan is not None
    assert plans >= 1


def test_runs_repeat_exactly() -> None:
    for seed, objective in ((4, "slo"), (3, "load"), (5, "cost")):
        first, second = (solved(drawn(seed), objective) for _ in range(2))
        assert first.plan == second.plan
        assert first.outcome.bound == second.outcome.bound


def relaxed_and_solved(objective: Objective) -> Iterator[tuple[Task, Relaxation, float, float]]:
    """Yield random problems with their relaxation, its value, and the optimum of the whole MILP."""
    for seed in range(200, 260):
        problem = small(seed, 36 if objective == "load" else 55, objective)
        if problem is None:
            continue
        task = make_task(problem, objective)
        whole = task.formulation()
        relaxation = relax(whole, exact())
        best = backend("highs").solve(whole.model, exact()).objective
        linear = relaxation.run.objective
        if best is not None and linear is not None and best >= 1e-6:
            yield task, relaxation, linear, best


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_ladder_finds_the_optimum_with_and_without_a_plan(objective: Objective) -> None:
    """From nothing and from a poor plan; some need several rungs."""
    rungs = 0
    cases = list(islice(relaxed_and_solved(objective), 5))
    assert len(cases) == 5
    for task, relaxation, _, best in cases:
        for known in (None, best * (0.7 if objective == "load" else 1.3)):
            ladder = Ladder(task, exact(), relaxation, None)
            first = ladder.rung
            found = ladder.climb(task.formulation(), known)
            assert found.run.objective == pytest.approx(best, rel=1e-6), known
            assert found.run.bound == pytest.approx(best, rel=1e-6), known
            rungs += ladder.rung > 2.0 * GROWTH * first
    assert rungs >= 3


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_rung_raises_the_bound_and_none_beyond_the_optimum(objective: Objective) -> None:
    apart = (
        case for case in relaxed_and_solved(objective) if abs(case[3] - case[2]) >= 0.02 * case[3]
    )
    cases = list(islice(apart, 3))
    assert len(cases) == 3
    for task, relaxation, linear, best in cases:
        whole, shown = task.formulation(), list[Progress]()
        way = Direction.of(whole.model)
        budget = replace(exact(), on_progress=shown.append)
        Ladder(task, budget, relaxation, None).climb(whole, None)
        bounds = [progress.bound for progress in shown if progress.bound is not None]
        assert len({round(bound / best, 4) for bound in bounds}) > 1
        for bound in bounds:
            assert way.excess(bound, linear) >= -1e-6 * best
            assert way.excess(bound, best) <= 1e-6 * best


def test_totals_survive_presolve() -> None:
    """Otherwise nothing could branch on them, and proofs would take a hundred times the nodes."""
    formulation = make_task(drawn(3), "cost").formulation()
    add_totals(formulation)
    HiGHS().solve(formulation.model, replace(exact(), time_s=2.0))
    engine = formulation.model.solverModel
    integers = {}
    for rules in (0, engine.getOptionValue("presolve_rule_off")[1]):
        engine.clearSolver()
        engine.setOptionValue("presolve_rule_off", rules)
        engine.presolve()
        kinds = engine.getPresolvedLp().integrality_
        integers[rules] = sum(kind == highspy.HighsVarType.kInteger for kind in kinds)
    assert len(integers) == 2
    without, kept = integers.values()
    assert kept >= without + 3


def test_a_bound_on_the_load_tightens_the_relaxation_and_keeps_the_optimum() -> None:
    compared = tighter = 0
    for seed in range(200, 260):
        problem = small(seed, 36, "load")
        if problem is None:
            continue
        task = make_task(problem, "load")
        loose = relax(task.formulation(), exact()).run.objective
        if loose is None:
            continue
        best = backend("highs").solve(task.formulation().model, exact()).objective
        assert best is not None
        tight = task.formulation(load_bound=loose * (1.0 + 1e-7))
        relaxed = relax(tight, exact()).run.objective
        assert relaxed is not None
        slack = 1e-6 * best
        assert best - slack <= relaxed <= loose + slack, seed
        tighter += relaxed < loose * (1.0 - 1e-3)
        again = backend("highs").solve(tight.model, exact()).objective
        assert again == pytest.approx(best, rel=1e-6), seed
        compared += 1
        if compared == 8:
            break
    assert compared == 8
    assert tighter >= 2
