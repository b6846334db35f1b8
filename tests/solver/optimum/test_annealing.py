"""Compiled list scheduling against the plain one, and annealing against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.check.schedule import check_schedule
from hexsolve.solver.optimum.annealing import Annealer
from hexsolve.solver.optimum.fast_lists import FastLists, prompts_fit
from hexsolve.solver.optimum.flat import flatten
from hexsolve.solver.optimum.lists import ListScheduler
from hexsolve.solver.optimum.placing import ANY, place_all
from hexsolve.solver.optimum.problem import SchedulingProblem
from hexsolve.solver.optimum.start import Incumbent
from hexsolve.solver.optimum.timetable import Placed
from hexsolve.solver.optimum.windows import Windows
from tests.solver.optimum.instances import (
    as_schedule,
    list_schedule,
    problem_of,
    random_instance,
)
from tests.solver.optimum.oracle import Oracle
from tests.solver.optimum.test_search import tiny

MODES = st.sampled_from(["nominal", "optimistic"])


def as_timetable(problem: SchedulingProblem, rows: np.ndarray) -> list[Placed]:
    """The rows as they are, whether the prompts fit or not."""
    lists = ListScheduler(problem)
    lists.holds = False
    return FastLists(lists).timetable(rows)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**9), mode=MODES, batch=st.integers(1, 3))
def test_compiled_list_scheduling_is_list_scheduling(seed: int, mode: str, batch: int) -> None:
    cluster, workflows = random_instance(seed, workflows=8)
    problem = problem_of(cluster, workflows, mode=mode, decode_batch=batch)
    lists = ListScheduler(problem)
    lists.holds = False
    rng = np.random.default_rng(seed)
    for _ in range(4):
        keys = rng.random(len(problem.calls))
        rows = place_all(flatten(problem), keys, np.full(keys.size, ANY))
        assert as_timetable(problem, rows) == lists.schedule(keys.tolist())


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**9), mode=MODES)
def test_bound_to_any_decode_instances_schedules_are_sound(seed: int, mode: str) -> None:
    cluster, workflows = random_instance(seed, workflows=8)
    problem = problem_of(cluster, workflows, mode=mode)
    rng = np.random.default_rng(seed)
    keys = rng.random(len(problem.calls))
    wanted = rng.integers(-1, len(problem.decode_rows), keys.size)
    timetable = as_timetable(problem, place_all(flatten(problem), keys, wanted))
    for call, row, d in zip(problem.calls, timetable, wanted, strict=True):
        column = problem.decode_rows[d]
        if d >= 0 and any(column == each for each, _ in call.decodes):
            assert row.d == column
    found = check_schedule(cluster, workflows, as_schedule(problem, workflows, timetable))
    # Only prompts in prefill pools are not looked at, and that is what `prompts_fit` is for.
    assert {each.rule for each in found} <= {"prefill_kv"}
    assert prompts_fit(problem, timetable) == (not found)


@pytest.mark.parametrize("objective", ["req95", "req100"])
def test_annealing_finds_most_optima_of_tiny_instances(
    objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hexsolve.models.schedule.PERCENT", {"req95": 60, "req99": 40, "req100": 100}
    )
    found = 0
    for seed in range(100_000, 120_000, 1000):
        problem, workflows = tiny(seed, objective, "nominal")
        best = Oracle(problem).run()
        incumbent = Incumbent(Windows(problem))
        incumbent.offer(list_schedule(problem, seed), "random")
        Annealer(incumbent, seed).rounds(400)
        assert incumbent.value >= best * (1 - 1e-9)
        schedule = as_schedule(problem, workflows, incumbent.timetable)
        assert check_schedule(problem.cluster, workflows, schedule) == []
        found += incumbent.value <= best * (1 + 1e-9)
    assert found >= 18


def test_annealing_repeats() -> None:
    cluster, workflows = random_instance(7, workflows=8)
    problem = problem_of(cluster, workflows)
    values = []
    for _ in range(2):
        incumbent = Incumbent(Windows(problem))
        incumbent.offer(list_schedule(problem), "random")
        Annealer(incumbent, 5).counted(0.01)
        values.append(incumbent.timetable)
    assert values[0] == values[1]
