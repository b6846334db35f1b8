"""Compiled list scheduling against the plain one, and that against every tick."""

import random

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from hexsolve.models.check.schedule import check_schedule
from hexsolve.solver.optimum.annealing import energy
from hexsolve.solver.optimum.lists import ListScheduler
from hexsolve.solver.optimum.placing import place_all, place_within
from hexsolve.solver.optimum.problem import SchedulingProblem
from hexsolve.solver.optimum.start import Incumbent, first_schedules
from hexsolve.solver.optimum.timetable import Placed
from hexsolve.solver.optimum.windows import Windows
from tests.solver.optimum.instances import as_schedule, problem_of, random_bindings, random_instance
from tests.solver.optimum.plain_lists import PlainLists, Pool

MODES = st.sampled_from(["nominal", "optimistic"])

USES = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 8), st.integers(0, 5)), min_size=1, max_size=12
)


def fits(pool: Pool, begin: int, end: int, tokens: int) -> bool:
    """Whether there is room at every tick."""
    for tick in range(begin, end):
        sizes = [size for b, e, size in pool.uses if b <= tick < e]
        if len(sizes) >= pool.limit or sum(sizes) + tokens > pool.room:
            return False
    return True


@given(
    uses=USES,
    limit=st.integers(1, 4),
    room=st.integers(5, 12),
    ready=st.integers(0, 25),
    spans=st.integers(1, 8),
    tokens=st.integers(0, 5),
)
def test_the_earliest_start_is_the_first_tick_with_room(
    uses: list[tuple[int, int, int]], limit: int, room: int, ready: int, spans: int, tokens: int
) -> None:
    pool = Pool(limit, room)
    for begin, length, size in uses:
        start = pool.earliest(begin, length, size)
        assert fits(pool, start, start + length, size)
        pool.take(start, start + length, size)
    expected = next(tick for tick in range(ready, 1000) if fits(pool, tick, tick + spans, tokens))
    assert pool.earliest(ready, spans, tokens) == expected


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 10**9), mode=MODES, batch=st.integers(1, 6))
def test_compiled_lists_are_plain_lists(seed: int, mode: str, batch: int) -> None:
    cluster, workflows = random_instance(seed, workflows=8)
    problem = problem_of(cluster, workflows, mode=mode, decode_batch=batch)
    plain, compiled = PlainLists(problem), ListScheduler(problem)
    assert plain.holds == compiled.flat.prompts_bind
    event(f"prompts bind: {plain.holds}")
    rng = random.Random(seed)
    for _ in range(4):
        keys = [rng.random() for _ in problem.calls]
        made = plain.schedule(keys)
        assert compiled.schedule(keys) == made
        fixed = some_with_ancestors(problem, made, rng)
        keys = [rng.random() for _ in problem.calls]
        assert compiled.schedule(keys, fixed) == plain.schedule(keys, fixed)


def some_with_ancestors(
    problem: SchedulingProblem, timetable: list[Placed], rng: random.Random
) -> dict[int, Placed]:
    """Calls drawn one by one, those whose parents are not drawn left out."""
    drawn: dict[int, Placed] = {}
    for c, call in enumerate(problem.calls):
        if all(parent in drawn for parent, _ in call.parents) and rng.random() < 0.6:
            drawn[c] = timetable[c]
    return drawn


def test_prompts_delay_calls_in_many_random_instances() -> None:
    """So that the comparison above is about them."""
    delayed = 0
    for seed in range(60):
        cluster, workflows = random_instance(seed, workflows=8)
        problem = problem_of(cluster, workflows)
        compiled = ListScheduler(problem)
        keys = np.random.default_rng(seed).random(len(problem.calls))
        arguments = (keys, compiled.anywhere, compiled.nothing)
        rows = place_all(compiled.flat, *arguments)
        roomy = compiled.flat._replace(prompts_bind=False)
        delayed += not np.array_equal(rows, place_all(roomy, *arguments))
    assert delayed > 10


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**9), mode=MODES)
def test_bound_to_any_instances_schedules_pass_the_checker(seed: int, mode: str) -> None:
    cluster, workflows = random_instance(seed, workflows=8)
    problem = problem_of(cluster, workflows, mode=mode)
    rng = np.random.default_rng(seed)
    keys = rng.random(len(problem.calls))
    bindings = random_bindings(problem, rng)
    compiled = ListScheduler(problem)
    timetable = compiled.timetable(place_all(compiled.flat, keys, bindings, compiled.nothing))
    for call, row, (p, d) in zip(problem.calls, timetable, bindings, strict=True):
        if p >= 0 and any(
            problem.prefill_rows[p] == each.p for each in call.prefills if each.source < 0
        ):
            assert row.option.p == problem.prefill_rows[p]
        column = problem.decode_rows[d]
        if d >= 0 and any(column == each for each, _ in call.decodes):
            assert row.d == column
    assert check_schedule(cluster, workflows, as_schedule(problem, workflows, timetable)) == []


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**9), mode=MODES)
def test_bound_to_where_they_are_lists_are_the_same(seed: int, mode: str) -> None:
    cluster, workflows = random_instance(seed, workflows=8)
    compiled = ListScheduler(problem_of(cluster, workflows, mode=mode))
    keys = np.random.default_rng(seed).random(compiled.flat.workflow.size)
    rows = place_all(compiled.flat, keys, compiled.anywhere, compiled.nothing)
    bindings = np.column_stack([compiled.flat.option_p[rows[:, 0]], rows[:, 1]])
    assert np.array_equal(place_all(compiled.flat, keys, bindings, compiled.nothing), rows)


@pytest.mark.parametrize("spare", [0, 2])
def test_what_is_given_up_would_have_been_worse(spare: int) -> None:
    tried = given_up = 0
    for seed in range(200):
        cluster, workflows = random_instance(seed, workflows=5)
        compiled = ListScheduler(problem_of(cluster, workflows))
        if compiled.problem.workflows <= spare:
            continue
        flat = compiled.flat._replace(spare=spare)
        keys = np.random.default_rng(seed).random(len(compiled.problem.calls))
        anywhere = compiled.anywhere
        whole = place_all(flat, keys, anywhere, compiled.nothing)
        reached, _, _ = energy(flat, whole)
        kept, done = place_within(flat, keys, anywhere, compiled.nothing, reached * (1 + 1e-9))
        tried += 1
        assert done
        assert np.array_equal(kept, whole)
        # By how much the schedule is worse shows on the way, and not only at its end.
        rows, _ = place_within(flat, keys, anywhere, compiled.nothing, 0.5 * reached)
        given_up += bool((rows[:, 0] < 0).any())
        assert not place_within(flat, keys, anywhere, compiled.nothing, reached * (1 - 1e-9))[1]
    assert given_up > tried / 2 > 50


def test_lists_stop_when_it_is_enough() -> None:
    cluster, workflows = random_instance(3)
    windows = Windows(problem_of(cluster, workflows))
    asked: list[int] = []

    def enough() -> bool:
        asked.append(1)
        return len(asked) == 2

    incumbent = Incumbent(windows)
    first_schedules(incumbent, enough)
    assert len(asked) == 2
    assert len(incumbent.timetable) == len(windows.problem.calls)
