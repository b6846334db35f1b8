"""Bounds from below: every way up, alone and in a thread of its own."""

import time

import pytest

from hexsolve.solver.optimum import prover
from hexsolve.solver.optimum.clock import Clock, SearchOptions
from hexsolve.solver.optimum.cpsat.model import ASCENTS, Effort, ask
from hexsolve.solver.optimum.cpsat.objective import UNIT
from hexsolve.solver.optimum.cpsat.scope import Scope
from hexsolve.solver.optimum.problem import SchedulingProblem
from hexsolve.solver.optimum.prover import Prover, State
from hexsolve.solver.optimum.timetable import Timetable, value
from hexsolve.solver.optimum.windows import Windows
from tests.solver.optimum.instances import list_schedule, problem_of, random_instance, search


def drawn(seed: int) -> tuple[SchedulingProblem, Timetable]:
    cluster, workflows = random_instance(seed, workflows=4, calls=4, instances=4)
    problem = problem_of(cluster, workflows, "req100", grid_s=0.5, decode_batch=2)
    return problem, list_schedule(problem)


@pytest.mark.parametrize("ascent", range(len(ASCENTS)))
def test_every_ascent_ends_where_descent_does(ascent: int) -> None:
    for seed in range(0, 10_000, 1000):
        problem, hint = drawn(seed)
        scope = Scope(Windows(problem), value(problem, hint))
        down = ask(scope, Effort(10.0), hint, minimise_from=0.0)
        up = ask(scope, Effort(10.0), hint, minimise_from=0.0, ascent=ascent)
        assert down.optimal
        assert up.optimal
        assert up.bound == pytest.approx(down.bound, abs=1.0 / UNIT), seed


@pytest.mark.parametrize("linear", [False, True])
def test_tests_answer_alike(linear: bool) -> None:
    for seed in range(0, 10_000, 2500):
        problem, hint = drawn(seed)
        windows = Windows(problem)
        best = search(problem, SearchOptions(time_limit_s=20.0))
        assert best.objective == pytest.approx(best.bound, rel=1e-6)
        scope = Scope(windows, best.objective)
        assert ask(scope, Effort(10.0), hint, linear=linear).placed is not None
        below = Scope(windows, best.objective, strict=True)
        assert ask(below, Effort(10.0), hint, linear=linear).infeasible


def test_two_workers_prove_what_one_does() -> None:
    for seed in range(0, 10_000, 2500):
        problem, _ = drawn(seed)
        one = search(problem, SearchOptions(time_limit_s=20.0))
        two = search(problem, SearchOptions(time_limit_s=20.0, workers=2))
        assert two.objective == pytest.approx(one.objective, rel=1e-9)
        assert two.bound == pytest.approx(one.bound, rel=1e-6)


def test_the_prover_gives_its_threads_back_and_ends_at_once() -> None:
    problem, hint = drawn(0)
    windows = Windows(problem)
    clock = Clock(SearchOptions(time_limit_s=60.0, workers=4))
    state = State(value(problem, hint), hint, 0.0)
    began = time.perf_counter()
    with Prover(windows, clock, lambda: state) as thread:
        assert clock.workers == 2
        while not (replies := list(thread.replies())):
            time.sleep(0.01)
    assert clock.workers == 4
    assert replies[0].optimal
    assert time.perf_counter() - began < 30.0


def test_what_goes_wrong_in_the_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no solver")

    monkeypatch.setattr(prover, "ask", broken)
    problem, hint = drawn(0)
    clock = Clock(SearchOptions(time_limit_s=60.0, workers=2))
    state = State(value(problem, hint), hint, 0.0)
    thread = Prover(Windows(problem), clock, lambda: state)
    with thread:
        pass
    with pytest.raises(RuntimeError, match="no solver"):
        list(thread.replies())
