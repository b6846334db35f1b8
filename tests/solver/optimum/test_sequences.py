"""Sequences against schedules, the checker and brute force."""

import time

import numpy as np
import pytest

from hexsolve.instances.benchmark.certificates import certificates_folder, load_certificate
from hexsolve.instances.benchmark.io import load_scheduling_instance
from hexsolve.models.check.schedule import check_schedule
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.solver.optimum.bounds.times import Ints
from hexsolve.solver.optimum.lists import ListScheduler
from hexsolve.solver.optimum.placing import place_all
from hexsolve.solver.optimum.problem import SchedulingProblem, build_problem
from hexsolve.solver.optimum.sequences.annealing import (
    SequenceAnnealer,
    anneal_sequences,
    schedule_of,
)
from hexsolve.solver.optimum.sequences.moves import move
from hexsolve.solver.optimum.sequences.places import (
    NONE,
    Layout,
    Sequences,
    duplicate,
    layout_of,
    sequences_of,
)
from hexsolve.solver.optimum.sequences.pools import bind, fits
from hexsolve.solver.optimum.sequences.timing import Timing, room_for, rows_of, time_all
from hexsolve.solver.optimum.smoothing import smoothed
from hexsolve.solver.optimum.start import Incumbent
from hexsolve.solver.optimum.timetable import slowdowns, timetable_of, value
from hexsolve.solver.optimum.windows import Windows
from tests.solver.optimum.instances import (
    as_schedule,
    list_schedule,
    listed_incumbent,
    problem_of,
    random_bindings,
    random_instance,
)
from tests.solver.optimum.oracle import Oracle
from tests.solver.optimum.test_search import tiny


def drawn_rows(lists: ListScheduler, problem: SchedulingProblem, rng: np.random.Generator) -> Ints:
    keys = rng.permutation(len(problem.calls)).astype(float)
    return place_all(lists.flat, keys, random_bindings(problem, rng), lists.nothing)


def timed(lists: ListScheduler, layout: Layout, s: Sequences) -> Timing | None:
    timing = room_for(lists.flat)
    return timing if time_all(lists.flat, layout, s, timing, np.inf) else None


def well_formed(layout: Layout, s: Sequences) -> bool:
    """Whether every operation is in the sequence of its place, once, linked both ways."""
    seen = []
    for place in range(layout.instance.size):
        before, op = NONE, int(s.first[place])
        while op >= 0:
            assert s.place[op] == place
            assert s.before[op] == before
            seen.append(op)
            before, op = op, int(s.after[op])
    calls = layout.last.size
    wanted = [*range(calls), *(int(op) for op in layout.last if op >= calls)]
    return sorted(seen) == wanted


@pytest.mark.parametrize(
    ("mode", "grid_s"), [("nominal", 0.125), ("optimistic", 0.125), ("optimistic", 2.0)]
)
def test_a_schedule_is_made_again_from_its_sequences_no_later(mode: str, grid_s: float) -> None:
    again_in_time = 0
    for seed in range(60):
        cluster, workflows = random_instance(seed, workflows=8)
        problem = problem_of(cluster, workflows, mode=mode, grid_s=grid_s)
        lists, rng = ListScheduler(problem), np.random.default_rng(seed)
        layout = layout_of(lists.flat)
        rows = drawn_rows(lists, problem, rng)
        s = sequences_of(lists.flat, layout, rows)
        assert well_formed(layout, s)
        timing = timed(lists, layout, s)
        if timing is None:
            # What takes no time may be in an order that only a clock of no ticks allows.
            assert grid_s > 1.0
            continue
        again_in_time += 1
        again = rows_of(lists.flat, layout, s, timing)
        if mode == "nominal":
            # Optimistic prefills may take no time at all, and then wait for none in lists.
            assert (again[:, 5] <= rows[:, 5]).all()
        assert (again[:, 1] == rows[:, 1]).all()
        expected = slowdowns(problem, lists.timetable(again))
        assert np.maximum(0.0, timing.slowdown) == pytest.approx(expected)
    assert again_in_time > 55


def test_moved_sequences_are_whole_and_their_schedules_keep_the_rules() -> None:
    moved = kept = 0
    for seed in range(80):
        cluster, workflows = random_instance(seed, workflows=8)
        problem = problem_of(cluster, workflows)
        lists, rng = ListScheduler(problem), np.random.default_rng(seed)
        f, layout = lists.flat, layout_of(lists.flat)
        s = sequences_of(f, layout, drawn_rows(lists, problem, rng))
        for _ in range(30):
            timing = timed(lists, layout, s)
            assert timing is not None
            tried = duplicate(s)
            if not move(f, layout, tried, timing, float(timing.slowdown.max()), rng):
                assert all((a == b).all() for a, b in zip(s, tried, strict=True))
                continue
            assert any((a != b).any() for a, b in zip(s, tried, strict=True))
            assert well_formed(layout, tried)
            after = timed(lists, layout, tried)
            if after is None:
                continue
            moved += 1
            s = tried
            rows = rows_of(f, layout, s, after)
            if fits(f, rows):
                kept += 1
                timetable = lists.timetable(rows)
                schedule = as_schedule(problem, workflows, timetable)
                assert check_schedule(cluster, workflows, schedule) == []
    assert moved > 1000
    assert kept > 300


def test_pools_that_do_not_hold_a_schedule_are_found() -> None:
    """The checker says the same."""
    answers = []
    for seed in range(200):
        cluster, workflows = random_instance(seed, workflows=8)
        problem = problem_of(cluster, workflows)
        lists, rng = ListScheduler(problem), np.random.default_rng(seed)
        f = lists.flat
        # As if pools were endless.
        endless = f._replace(prompts_bind=False, decode_kv=np.zeros_like(f.decode_kv))
        keys = rng.permutation(len(problem.calls)).astype(float)
        rows = place_all(endless, keys, lists.anywhere, lists.nothing)
        broken = check_schedule(
            cluster, workflows, as_schedule(problem, workflows, lists.timetable(rows))
        )
        assert {each.rule for each in broken} <= {"prefill_kv", "decode_kv"}
        assert fits(f, rows) == (broken == [])
        answers.append(broken == [])
    assert 20 < sum(answers) < 180


def test_what_is_too_slow_is_given_up_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hexsolve.models.schedule.PERCENT", {"req95": 60, "req100": 100})
    given_up = 0
    for seed in range(60):
        cluster, workflows = random_instance(seed, workflows=8)
        problem = problem_of(cluster, workflows, "req95" if seed % 2 else "req100")
        lists, rng = ListScheduler(problem), np.random.default_rng(seed)
        layout = layout_of(lists.flat)
        s = sequences_of(lists.flat, layout, drawn_rows(lists, problem, rng))
        timing = timed(lists, layout, s)
        assert timing is not None
        reached = smoothed(timing.slowdown, lists.flat.spare)[0]
        for limit in (0.5 * reached, 0.99 * reached, reached, 1.5 * reached):
            again = room_for(lists.flat)
            within = time_all(lists.flat, layout, s, again, limit)
            assert within == (reached <= limit)
            given_up += not within
    assert given_up > 60


@pytest.mark.parametrize("objective", ["req95", "req100"])
def test_it_finds_most_optima_of_tiny_instances(
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
        SequenceAnnealer(incumbent, seed, 1e-9).rounds(3000)
        assert incumbent.value >= best * (1 - 1e-9)
        schedule = as_schedule(problem, workflows, incumbent.timetable)
        assert check_schedule(problem.cluster, workflows, schedule) == []
        found += incumbent.value <= best * (1 + 1e-9)
    assert found >= 17


def test_it_repeats() -> None:
    found = []
    for _ in range(2):
        incumbent = listed_incumbent()
        annealer = SequenceAnnealer(incumbent, 5, 1e-9)
        for rounds in (700, 1, 2299):
            annealer.rounds(rounds)
        found.append(incumbent.timetable)
    assert found[0] == found[1]


def test_it_stops_after_a_part_when_asked_to() -> None:
    incumbent = listed_incumbent()
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) > 2

    annealer = SequenceAnnealer(incumbent, 5, 1e6, stop)
    annealer.rounds(10**9)
    assert len(asked) == 3
    run = annealer._run
    assert run is not None
    assert 0 < run.done < run.rounds


@pytest.mark.parametrize("calls", [1, 30])
def test_it_takes_about_the_time_that_it_is_given(calls: int) -> None:
    incumbent = listed_incumbent(calls)
    annealer = SequenceAnnealer(incumbent, 5, 1.0)
    annealer.rounds(1)
    began = time.perf_counter()
    annealer.run(0.3)
    assert 0.1 < time.perf_counter() - began < 1.5


def test_where_pools_bind_schedules_that_they_hold_are_found_and_followed() -> None:
    improved = 0
    for seed in range(40):
        cluster, workflows = random_instance(seed, workflows=8)
        problem = problem_of(cluster, workflows)
        incumbent = Incumbent(Windows(problem))
        if len(problem.calls) < 15 or not bind(incumbent.lists.flat):
            continue
        incumbent.offer(list_schedule(problem), "random")
        before = incumbent.value
        annealer = SequenceAnnealer(incumbent, seed, 1e-9)
        annealer.rounds(6000)
        improved += incumbent.value < before
        assert annealer._chains.main.value >= incumbent.value
        schedule = as_schedule(problem, workflows, incumbent.timetable)
        assert check_schedule(cluster, workflows, schedule) == []
    assert improved >= 8


def test_a_certificate_is_made_again_and_a_bad_list_is_improved() -> None:
    name = "s08-map-reduce-2p2d-70b-overload"
    instance = load_scheduling_instance(name)
    certificate = load_certificate(certificates_folder() / f"{name}.req100.json")
    horizons = standalone_horizons(instance.cluster, instance.workflows)
    problem = build_problem(
        instance.cluster, instance.workflows, horizons, certificate.times, "req100"
    )
    lists = ListScheduler(problem)
    f, layout = lists.flat, layout_of(lists.flat)
    rows = lists.rows(dict(enumerate(timetable_of(problem, certificate.calls))))
    s = sequences_of(f, layout, rows)
    made = lists.timetable(schedule_of(f, layout, s))
    assert certificate.objective is not None
    assert value(problem, made) <= certificate.objective * (1 + 1e-9)
    listed = lists.rows(dict(enumerate(lists.schedule([float(c) for c in range(len(rows))]))))
    begun = sequences_of(f, layout, listed)
    rng = np.random.default_rng(0)
    (best, _), best_s, _ = anneal_sequences(f, layout, begun, rng, 0, 20_000, 20_000, 0.005, 1e-4)
    assert best == pytest.approx(value(problem, lists.timetable(schedule_of(f, layout, best_s))))
    assert best < 0.95 * value(problem, lists.timetable(listed))
