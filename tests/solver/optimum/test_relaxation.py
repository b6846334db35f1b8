"""The preemptive relaxation in the model's own times: below every schedule, above the paths."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models import schedule as schedule_module
from hexsolve.solver.optimum.relaxation import relaxation_bound
from hexsolve.solver.optimum.timetable import value
from hexsolve.solver.optimum.windows import Windows
from tests.solver.optimum.instances import list_schedule, problem_of, random_instance
from tests.solver.optimum.oracle import Oracle


@pytest.fixture(autouse=True, scope="module")
def _workflows_may_be_spared() -> object:
    """95 % of three workflows are three: let it be 60 %, which spares one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(schedule_module.PERCENT, "req95", 60)
        yield


@pytest.mark.parametrize("mode", ["nominal", "optimistic"])
@pytest.mark.parametrize("objective", ["req95", "req100"])
def test_never_above_what_brute_force_finds(objective: str, mode: str) -> None:
    compared = stronger = 0
    for seed in range(60):
        cluster, workflows = random_instance(seed, workflows=3, calls=4, instances=3)
        problem = problem_of(
            cluster, workflows, objective, mode=mode, grid_s=0.5, decode_batch=1 + seed % 2
        )
        prompts = sum(call.prefill_kv for call in problem.calls)
        if prompts > min(problem.prefill_room[p] for p in problem.prefill_rows):
            continue
        bound = relaxation_bound(problem, 1.0).value
        assert bound <= Oracle(problem).run() * (1 + 1e-12), seed
        compared += 1
        stronger += bound > Windows(problem).critical_path_bound() * 1.001
    assert compared > 15
    if objective == "req100" and mode == "nominal":
        assert stronger > 0


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**9),
    objective=st.sampled_from(["req95", "req100"]),
    mode=st.sampled_from(["nominal", "optimistic"]),
    batch=st.integers(1, 4),
)
def test_never_above_a_list_schedule(seed: int, objective: str, mode: str, batch: int) -> None:
    cluster, workflows = random_instance(seed, workflows=8)
    problem = problem_of(cluster, workflows, objective, mode=mode, decode_batch=batch)
    bound = relaxation_bound(problem, 0.3).value
    for draw in range(4):
        assert bound <= value(problem, list_schedule(problem, draw)) * (1 + 1e-12)
