"""Annealing against brute force; it repeats."""

import numpy as np
import pytest

from hexsolve.instances.benchmark.certificates import certificates_folder, load_certificate
from hexsolve.instances.benchmark.io import load_scheduling_instance
from hexsolve.models.check.schedule import check_schedule
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.solver.optimum.annealing import PATIENCE, Annealer, _ahead, _exchange, energy
from hexsolve.solver.optimum.bounds.times import Ints
from hexsolve.solver.optimum.flat import FlatProblem
from hexsolve.solver.optimum.lists import ListScheduler
from hexsolve.solver.optimum.placing import ANY, DECODE, PREFILL, place_all
from hexsolve.solver.optimum.problem import build_problem
from hexsolve.solver.optimum.start import Incumbent, first_schedules
from hexsolve.solver.optimum.timetable import timetable_of, value
from hexsolve.solver.optimum.windows import Windows
from tests.solver.optimum.instances import (
    as_schedule,
    list_schedule,
    listed_incumbent,
    problem_of,
    random_instance,
)
from tests.solver.optimum.oracle import Oracle
from tests.solver.optimum.test_search import tiny


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
    values = []
    for _ in range(2):
        incumbent = listed_incumbent()
        Annealer(incumbent, 5).counted(0.01)
        values.append(incumbent.timetable)
    assert values[0] == values[1]


def test_annealing_in_parts_is_annealing_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for part_s in (1e-9, 1e3):
        monkeypatch.setattr("hexsolve.solver.optimum.annealing.PART_S", part_s)
        incumbent = listed_incumbent()
        annealer = Annealer(incumbent, 5)
        annealer.rounds(500)
        found.append((annealer.value, incumbent.timetable))
    assert found[0] == found[1]


def test_annealing_stops_after_a_part_when_asked_to() -> None:
    incumbent = listed_incumbent()
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) >= 2

    Annealer(incumbent, 5, stop).rounds(10**9)
    assert len(asked) == 2


def waited_for(f: FlatProblem, rows: Ints, c: int, x: int) -> bool:
    """Whether x held an instance or a slot while c of another workflow waited for it."""
    parents = range(f.parent_first[c], f.parent_first[c + 1])
    ready = max([f.release[c], *(rows[f.parent[k], 5] + f.delay[k] for k in parents)])
    option = rows[x, 0]
    same = f.option_p[option] == f.option_p[rows[c, 0]]
    prefill = same and ready < rows[x, 2] + f.occupied[option] and rows[x, 2] < rows[c, 2]
    slot = rows[x, 1] == rows[c, 1] and rows[c, 3] < rows[x, 5] and rows[x, 4] < rows[c, 4]
    return bool(f.workflow[c] != f.workflow[x] and (prefill or slot))


def test_a_waiting_call_is_put_before_one_it_waits_for() -> None:
    moved = 0
    for seed in range(100):
        cluster, workflows = random_instance(seed, workflows=8)
        problem = problem_of(cluster, workflows)
        lists = ListScheduler(problem)
        rng = np.random.default_rng(seed)
        calls = len(problem.calls)
        before = rng.permutation(calls).astype(float)
        rows = place_all(lists.flat, before, lists.anywhere, lists.nothing)
        for c in range(calls):
            after = before.copy()
            changed = _ahead(lists.flat, c, after, rows, rng)
            different = np.flatnonzero(after != before)
            assert different.size == changed
            for x in different:
                # It passed the other one of the two: whichever of them is first now has waited.
                others = [y for y in range(calls) if y != x]
                passed = [y for y in others if (before[x] < before[y]) != (after[x] < after[y])]
                pairs = [(x, y) if after[x] < before[x] else (y, x) for y in passed]
                assert any(waited_for(lists.flat, rows, *pair) for pair in pairs)
                moved += 1
    assert moved > 100


@pytest.mark.parametrize("role", [PREFILL, DECODE])
def test_two_calls_that_run_at_the_same_time_change_places(role: int) -> None:
    moved = 0
    for seed in range(60):
        cluster, workflows = random_instance(seed, workflows=8)
        lists = ListScheduler(problem_of(cluster, workflows))
        rng = np.random.default_rng(seed)
        keys = rng.permutation(lists.flat.workflow.size).astype(float)
        rows = place_all(lists.flat, keys, lists.anywhere, lists.nothing)
        used = np.column_stack([lists.flat.option_p[rows[:, 0]], rows[:, 1]])[:, role]
        begin, end = (rows[:, 2], rows[:, 3]) if role == PREFILL else (rows[:, 3], rows[:, 5])
        for c in np.flatnonzero(used >= 0):
            bindings = lists.anywhere.copy()
            changed = _exchange(lists.flat, role, c, bindings, rows, rng)
            bound, _ = np.nonzero(bindings != ANY)
            there = [
                x
                for x in np.flatnonzero(used >= 0)
                if used[x] != used[c] and max(begin[x], begin[c]) < min(end[x], end[c])
            ]
            assert changed == (there != [])
            if changed:
                (x,) = set(bound.tolist()) - {c}
                assert x in there
                assert (bindings[c, role], bindings[x, role]) == (used[x], used[c])
                assert (bindings[:, 1 - role] == ANY).all()
                moved += 1
    assert moved > 100


def test_an_annealer_that_is_stuck_begins_anew() -> None:
    """Time and again from the first order, as if it had just been made."""
    incumbent = listed_incumbent()
    annealer = Annealer(incumbent, 5)
    ranks, bindings = annealer._anew()
    young = []
    for _ in range(20 * PATIENCE):
        annealer.rounds(30)
        if not any(annealer._chains.young is each for each in young):
            young.append(annealer._chains.young)
    assert len(young) >= 4
    assert all(each.stale == PATIENCE for each in young[:-1])
    assert (annealer._anew().ranks == ranks).all()
    assert (annealer._anew().bindings == bindings).all()


def test_annealing_begins_where_the_best_list_is() -> None:
    """With two unequal decode instances the order of starts does not make it again."""
    lost = 0
    for seed in range(40):
        cluster, workflows = random_instance(seed, workflows=8)
        problem = problem_of(cluster, workflows)
        incumbent = Incumbent(Windows(problem))
        first_schedules(incumbent)
        annealer = Annealer(incumbent, seed)
        annealer.rounds(0)
        assert annealer.value == pytest.approx(incumbent.value, rel=1e-12)
        starts = [float(row.start) for row in incumbent.timetable]
        lost += value(problem, incumbent.lists.schedule(starts)) > incumbent.value
    assert lost > 0


@pytest.mark.parametrize(
    "name", ["s10-text-to-sql-2p2d-70b-overload", "m11-plan-execute-2p2d-8b-overload"]
)
def test_annealing_goes_on_from_where_calls_are_prefilled(name: str) -> None:
    """Schedules that CP-SAT improved are far from where each call ends first."""
    instance = load_scheduling_instance(name)
    stored = load_certificate(certificates_folder() / f"{name}.req100.json")
    horizons = standalone_horizons(instance.cluster, instance.workflows)
    problem = build_problem(instance.cluster, instance.workflows, horizons, stored.times, "req100")
    incumbent = Incumbent(Windows(problem))
    incumbent.offer(timetable_of(problem, stored.calls), "stored")
    ranks, bindings = Annealer(incumbent, 0)._first
    flat, nothing = incumbent.lists.flat, incumbent.lists.nothing
    reached, _, _ = energy(flat, place_all(flat, ranks, bindings, nothing))
    assert reached <= incumbent.value * 1.002
    bindings = bindings.copy()
    bindings[:, PREFILL] = ANY
    free, _, _ = energy(flat, place_all(flat, ranks, bindings, nothing))
    assert free > incumbent.value * 1.01
