"""All instances of a phase as one resource: nothing is lost by it, and much is seen."""

import pytest

from hexsolve.instances.benchmark.best_known import best_known
from hexsolve.instances.benchmark.io import load_scheduling_instance
from hexsolve.models.schedule import ScheduleTimes
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.solver.optimum.cpsat import model
from hexsolve.solver.optimum.cpsat.model import Effort, ask
from hexsolve.solver.optimum.cpsat.scope import Scope
from hexsolve.solver.optimum.problem import build_problem
from hexsolve.solver.optimum.timetable import value
from hexsolve.solver.optimum.windows import Windows
from tests.solver.optimum.instances import list_schedule, problem_of, random_instance


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many intervals each model had, and how many of them had more than two options."""
    seen: list[tuple[int, int]] = []
    add = model.joint_capacity

    def counting(*arguments: object) -> None:
        add(*arguments)
        occupations = arguments[2].occupations
        seen.append((len(occupations), sum(len(o.ticks) > 2 for o in occupations)))

    monkeypatch.setattr(model, "joint_capacity", counting)
    return seen


@pytest.mark.parametrize(("objective", "workflows"), [("req100", 6), ("req95", 40)])
def test_every_schedule_keeps_it(
    counted: list[tuple[int, int]],
    objective: str,
    workflows: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spared = refused = 0
    for seed in range(40):
        cluster, drawn = random_instance(seed, workflows, calls=120)
        problem = problem_of(cluster, drawn, objective, decode_batch=1 + seed % 3)
        spared += problem.spare > 0
        hint = list_schedule(problem, seed)
        scope = Scope(Windows(problem), value(problem, hint))
        if ask(scope, Effort(10.0), hint, fix_hint=True).placed is None:
            # A list may compute anew what is cached where that costs nothing; the model does not.
            refused += 1
            with monkeypatch.context() as inside:
                inside.setattr(model, "joint_capacity", lambda *_: None)
                assert ask(scope, Effort(10.0), hint, fix_hint=True).placed is None, seed
    assert refused < 4
    assert sum(count > 0 for count, _ in counted) > 10
    assert sum(many for _, many in counted) > 10
    assert (spared > 5) == (objective == "req95")


def test_the_optimum_is_that_without(
    counted: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(30):
        cluster, drawn = random_instance(seed, workflows=5, calls=7)
        problem = problem_of(cluster, drawn, grid_s=0.5, decode_batch=1)
        hint = list_schedule(problem, seed)
        scope = Scope(Windows(problem), value(problem, hint))
        found = ask(scope, Effort(20.0), hint, minimise_from=0.0)
        with monkeypatch.context() as inside:
            inside.setattr(model, "joint_capacity", lambda *_: None)
            plain = ask(scope, Effort(20.0), hint, minimise_from=0.0)
        assert found.optimal, seed
        assert plain.optimal, seed
        assert found.bound == plain.bound, seed
    assert sum(count > 0 for count, _ in counted) > 8


def test_energy_is_seen_without_the_lp(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "xs07-tool-calling-2p2d-70b-overload"
    instance = load_scheduling_instance(name)
    times = ScheduleTimes(decode_batch=best_known()[name, "req100", "nominal"].decode_batch)
    horizons = standalone_horizons(instance.cluster, instance.workflows)
    problem = build_problem(instance.cluster, instance.workflows, horizons, times, "req100")
    scope = Scope(Windows(problem), 1.74)
    work = Effort(60.0, deterministic=0.5)
    assert ask(scope, work, linear=False).infeasible
    monkeypatch.setattr(model, "joint_capacity", lambda *_: None)
    assert not ask(scope, work, linear=False).infeasible
