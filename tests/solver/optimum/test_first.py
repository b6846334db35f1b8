"""The choice of the decode batch, and problems that differ in it only."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.instances.benchmark import load_scheduling_instance
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.solver.optimum.decode_batch import candidates, choose_batch
from hexsolve.solver.optimum.problem import with_decode_batch
from hexsolve.solver.optimum.start import Incumbent, first_schedules
from hexsolve.solver.optimum.windows import Windows
from tests.solver.optimum.instances import problem_of, random_instance


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**9),
    batch=st.integers(1, 70),
    mode=st.sampled_from(["nominal", "optimistic"]),
)
def test_another_decode_batch_is_a_build_from_scratch(seed: int, batch: int, mode: str) -> None:
    cluster, workflows = random_instance(seed)
    problem = problem_of(cluster, workflows, mode=mode, decode_batch=3)
    made = with_decode_batch(problem, workflows, batch)
    assert made == problem_of(cluster, workflows, mode=mode, decode_batch=batch)


@pytest.mark.parametrize(
    ("largest", "expected"),
    [(1, [1]), (4, [1, 2, 4]), (64, [1, 2, 4, 8, 16, 32, 64]), (256, [1, 2, 4, 8, 16, 32, 64])],
)
def test_batches_up_to_the_largest_that_an_instance_takes(
    largest: int, expected: list[int]
) -> None:
    assert sorted(candidates(largest)) == expected


@pytest.mark.parametrize(
    "name", ["xs03-chat-2p2d-70b-overload", "xs22-agentic-mix-hetero-1-70b-busy"]
)
def test_no_other_batch_has_better_lists(name: str) -> None:
    instance = load_scheduling_instance(name)
    horizons = standalone_horizons(instance.cluster, instance.workflows)
    chosen = choose_batch(instance, horizons, "req100", 1e-3)
    largest = max(spec.max_batch for spec in instance.cluster.instances if spec.role == "decode")
    for batch in candidates(largest):
        other = Incumbent(Windows(with_decode_batch(chosen.problem, instance.workflows, batch)))
        first_schedules(other)
        assert chosen.value <= other.value


def test_short_of_time_the_first_batch_still_has_a_list() -> None:
    instance = load_scheduling_instance("xs03-chat-2p2d-70b-overload")
    horizons = standalone_horizons(instance.cluster, instance.workflows)
    chosen = choose_batch(instance, horizons, "req100", 1e-3, lambda: 2.0)
    assert len(chosen.timetable) == instance.calls


def test_half_the_time_is_left_for_the_rules_of_the_best_batch() -> None:
    instance = load_scheduling_instance("xs03-chat-2p2d-70b-overload")
    horizons = standalone_horizons(instance.cluster, instance.workflows)
    chosen = choose_batch(instance, horizons, "req100", 1e-3, lambda: 0.75)
    assert chosen.problem.times.decode_batch == candidates(2)[0]
    assert chosen.source != "list: workflow-fcfs"
