"""Lists that go on from a checkpoint against lists from the beginning."""

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from hexsolve.solver.optimum.lists import ListScheduler
from hexsolve.solver.optimum.placing import place_within
from hexsolve.solver.optimum.resuming import _same, accept, place_changed, remember
from tests.solver.optimum.instances import problem_of, random_bindings, random_instance


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 10**9), mode=st.sampled_from(["nominal", "optimistic"]))
def test_a_changed_list_is_the_list_from_the_beginning(seed: int, mode: str) -> None:
    """Whatever was accepted before, and whether it is given up on the way or not."""
    cluster, workflows = random_instance(seed, workflows=8)
    problem = problem_of(cluster, workflows, mode=mode)
    lists = ListScheduler(problem)
    flat, nothing = lists.flat._replace(spare=len(workflows) // 4), lists.nothing
    rng = np.random.default_rng(seed)
    calls = len(problem.calls)
    most = [len(problem.prefill_rows), len(problem.decode_rows)]
    keys = rng.permutation(calls).astype(float)
    bindings = random_bindings(problem, rng)
    memory = remember(flat, keys, bindings)
    rows, _ = place_within(flat, keys, bindings, nothing, np.inf)
    assert np.array_equal(memory.states.rows, rows)
    for _ in range(25):
        tried, moved = keys.copy(), bindings.copy()
        for c in rng.integers(calls, size=rng.integers(1, 4)):
            kind = rng.integers(3)
            if kind == 0:
                tried[c] += rng.normal() * 5.0
            elif kind == 1:
                moved[c] = rng.integers(-1, most)
            else:
                for other in problem.of(problem.calls[c].workflow):
                    tried[other] += 3.5
        limit = float(rng.choice([np.inf, 1.0, 2.0, 4.0]))
        expected, whole = place_within(flat, tried, moved, nothing, limit)
        assert place_changed(flat, keys, tried, bindings, moved, memory, limit) == whole
        if whole:
            event("whole")
            assert np.array_equal(memory.work.rows, expected)
            if rng.random() < 0.6:
                accept(memory)
                assert np.array_equal(memory.states.rows, expected)
                keys = np.argsort(np.argsort(tried, kind="stable")).astype(float)
                bindings = moved


def test_about_half_of_a_list_is_not_placed_again() -> None:
    """With one call moved at random; that is what it is for."""
    same = whole = 0
    for seed in range(30):
        cluster, workflows = random_instance(seed, workflows=8)
        lists = ListScheduler(problem_of(cluster, workflows))
        rng = np.random.default_rng(seed)
        keys = rng.permutation(lists.flat.workflow.size).astype(float)
        memory = remember(lists.flat, keys, lists.anywhere)
        for c in range(keys.size):
            tried = keys.copy()
            tried[c] = rng.random() * keys.size
            same += _same(lists.flat, memory, keys, tried, lists.anywhere, lists.anywhere)
            whole += keys.size
    assert 0.3 < same / whole < 0.7
