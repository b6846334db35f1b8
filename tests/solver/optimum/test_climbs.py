"""Bounds from below: every way up, alone and in a thread of its own."""

import time
from threading import Event

import pytest

from hexsolve.instances.benchmark.best_known import best_known
from hexsolve.instances.benchmark.io import load_scheduling_instance
from hexsolve.models.schedule import ScheduleTimes
from hexsolve.solver.optimum import prover
from hexsolve.solver.optimum.answer import optimum
from hexsolve.solver.optimum.clock import Clock, SearchOptions
from hexsolve.solver.optimum.cpsat.model import ASCENTS, Effort, ask
from hexsolve.solver.optimum.cpsat.objective import UNIT
from hexsolve.solver.optimum.cpsat.scope import Scope
from hexsolve.solver.optimum.problem import SchedulingProblem
from hexsolve.solver.optimum.prover import TESTS_LOST, Prover, State
from hexsolve.solver.optimum.timetable import Timetable, value, worst_slowdown
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
        # From where it is known to end: the optimum itself is not cut off.
        assert up.placed is not None
        best = worst_slowdown(problem, up.placed)
        again = ask(scope, Effort(10.0), hint, minimise_from=best, ascent=ascent)
        assert again.optimal
        assert again.placed is not None
        assert worst_slowdown(problem, again.placed) == pytest.approx(best, abs=2.0 / UNIT)
        assert best >= again.bound >= best - 3.0 / UNIT


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


def test_two_workers_prove_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    name, started = "xs02-chat-1p1d-8b-busy", []
    known = best_known()[name, "req100", "nominal"]
    run = Prover._run

    def counted(self: Prover) -> None:
        started.append(self)
        run(self)

    monkeypatch.setattr(Prover, "_run", counted)
    times = ScheduleTimes(decode_batch=known.decode_batch)
    options = SearchOptions(time_limit_s=60.0, workers=2)
    made = optimum(load_scheduling_instance(name), "req100", options, times)
    assert made.status == "optimal"
    assert made.objective == pytest.approx(known.value.value, rel=1e-6)
    assert len(started) == 1


def test_the_prover_gives_its_threads_back_when_it_is_through() -> None:
    problem, hint = drawn(0)
    clock = Clock(SearchOptions(time_limit_s=60.0, workers=4))
    go = Event()

    def state() -> State:
        go.wait(10.0)
        return State(2.0 * value(problem, hint), hint, 0.0)

    with Prover(Windows(problem), clock, state) as thread:
        assert clock.workers == 2
        go.set()
        while thread.climbing:
            time.sleep(0.01)
        assert clock.workers == 4
        *better, last = thread.replies()
        assert better[-1].optimal
        assert last.infeasible


def test_tests_halve_the_gap_from_below_and_are_no_proof() -> None:
    raised = 0
    for seed in range(0, 10_000, 1000):
        problem, hint = drawn(seed)
        best = search(problem, SearchOptions(time_limit_s=20.0)).objective
        known = State(1.5 * best, hint, 0.5 * best)
        clock = Clock(SearchOptions(time_limit_s=60.0, workers=2))
        with Prover(Windows(problem), clock, lambda known=known: known, climbs=False) as thread:
            while thread.climbing:
                time.sleep(0.01)
            assert not thread.proven
            replies = list(thread.replies())
        assert sum(not reply.infeasible for reply in replies) == TESTS_LOST
        assert all(reply.placed is not None for reply in replies if not reply.infeasible)
        bounds = [reply.bound for reply in replies if reply.infeasible]
        assert all(bound < best for bound in bounds)
        assert bounds == sorted(bounds)
        raised += bounds != [] and bounds[-1] > 0.85 * best
    assert raised == 10


def test_large_instances_are_tested_too() -> None:
    """Beyond what is worth a climb; what is refuted is the bound, and says so."""
    name = "m08-deep-research-hetero-2-235b-calm"
    started = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prover, "_climb", lambda _: started.append("climb"))
        patch.setattr(Prover, "_test", lambda _: started.append("tests"))
        optimum(load_scheduling_instance(name), "req100", SearchOptions(2.0, workers=2))
    assert started == ["tests"]


def test_the_prover_ends_amid_a_climb() -> None:
    instance = load_scheduling_instance("s07-plan-execute-2p2d-235b-overload")
    problem = problem_of(instance.cluster, instance.workflows, "req100", grid_s=0.001)
    hint = list_schedule(problem)
    clock = Clock(SearchOptions(time_limit_s=600.0, workers=2))
    state = State(value(problem, hint), hint, 0.0)
    with Prover(Windows(problem), clock, lambda: state) as thread:
        time.sleep(2.0)
        assert thread.climbing
        began = time.perf_counter()
    assert not thread.climbing
    assert time.perf_counter() - began < 10.0


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
