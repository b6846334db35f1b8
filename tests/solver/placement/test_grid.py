"""The grid of operating points: limits are points of it, and it is the same at every scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.plan import DecodeStep, MixedStep, SingleCalls
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.placement.grid import candidate_groups
from hexsolve.solver.placement.traffic import Traffic
from tests.solver.placement.hand import engine, problem
from tests.solver.placement.tiny import limited, optimum, scaled, small, with_nodes

FEW = 24
SLACK = 1e-6


def test_the_limits_themselves_are_operating_points() -> None:
    posed = problem(ttft_limit_s=0.12)
    found = candidate_groups(posed, Traffic.of(posed))
    firsts = [float(c.ttft[0]) for c in found if isinstance(c.point, SingleCalls)]
    assert max(firsts) == pytest.approx(0.12)
    posed = problem(tpot_limit_s=0.0125)
    found = candidate_groups(posed, Traffic.of(posed))
    for kind in (DecodeStep, MixedStep):
        steps = [c.point.step_s for c in found if isinstance(c.point, kind)]
        assert max(steps) == pytest.approx(0.0125)


def test_a_plan_exists_exactly_at_the_limits() -> None:
    """At the limit a step of one sequence or a prefill without wait has to be possible."""
    prompt, context = 1000.0, 1000.0 + 200.0 / 2.0
    step = engine("G0").decode.step_seconds(1, context)
    first = engine("G0").prefill.call_seconds(prompt, 0.0)
    apart = problem(nodes=4000, rate=0.01, roles=("prefill", "decode"))
    fixed, _, _ = engine("G0").decode.affine_upper(1.0)
    assert fixed < step
    assert optimum(limited(apart, tpot_limit_s=step * 1.0001), "cost") is not None
    assert optimum(limited(apart, tpot_limit_s=fixed * 0.9999), "cost") is None
    assert optimum(limited(apart, ttft_limit_s=first * 1.001), "cost") is not None
    assert optimum(limited(apart, ttft_limit_s=first * 0.9999), "cost") is None


def test_load_scales_with_the_cluster() -> None:
    """Ten times the rates on ten times the nodes: the same load within 1 %, never less."""
    compared = 0
    for seed in range(700, 760):
        posed = small(seed, FEW, "load")
        if posed is None:
            continue
        # Large enough that whole instances hardly matter, and that every pipeline is buildable.
        posed = scaled(posed, 40)
        once, ten = optimum(posed, "load"), optimum(scaled(posed, 10), "load")
        assert once is not None
        assert ten is not None
        assert ten >= once * (1.0 - SLACK), seed
        if posed.budget_per_hour is None or posed.budget_per_hour > 400:
            assert ten == pytest.approx(once, rel=0.01), seed
        compared += 1
        if compared == 4:
            break
    assert compared == 4


def tiny_seeds(objective: str) -> list[int]:
    return [s for s in range(800, 900) if small(s, FEW, objective) is not None][:12]  # type: ignore[arg-type]


LOAD_SEEDS, COST_SEEDS = tiny_seeds("load"), tiny_seeds("cost")


def of(seed: int, objective: str) -> PlanningProblem:
    posed = small(seed, FEW, objective)  # type: ignore[arg-type]
    assert posed is not None
    # Pipelines that only a larger inventory can build would change the horizon.
    return posed.model_copy(update={"engines": tuple(e for e in posed.engines if e.pp == 1)})


@settings(deadline=None, derandomize=True, max_examples=5)
@given(st.sampled_from(LOAD_SEEDS), st.integers(1, 2))
def test_more_gpus_never_lower_the_load(seed: int, more: int) -> None:
    posed = of(seed, "load")
    before, after = (
        optimum(with_nodes(posed, lambda nodes: nodes + extra), "load")  # noqa: B023
        for extra in (0, more)
    )
    assert before is not None
    assert after is not None
    assert after >= before * (1.0 - SLACK)


@settings(deadline=None, derandomize=True, max_examples=10)
@given(st.sampled_from(COST_SEEDS), st.floats(1.2, 3.0), st.floats(1.0, 2.0))
def test_a_looser_scale_never_costs_more(seed: int, scale: float, factor: float) -> None:
    posed = of(seed, "cost")
    tight = optimum(posed.model_copy(update={"slo_scale": scale}), "cost")
    loose = optimum(posed.model_copy(update={"slo_scale": scale * factor}), "cost")
    if tight is not None:
        assert loose is not None
        assert loose <= tight * (1.0 + SLACK)


@settings(deadline=None, derandomize=True, max_examples=10)
@given(st.sampled_from(COST_SEEDS), st.floats(0.1, 1.0), st.floats(1.0, 2.0))
def test_more_load_never_costs_less(seed: int, load: float, factor: float) -> None:
    posed = of(seed, "cost")
    low = optimum(posed.model_copy(update={"load": load}), "cost")
    high = optimum(posed.model_copy(update={"load": load * factor}), "cost")
    if high is not None:
        assert low is not None
        assert low <= high * (1.0 + SLACK)


@pytest.mark.parametrize("seed", range(900, 906))
def test_the_grid_does_not_depend_on_the_number_of_nodes(seed: int) -> None:
    rng_problem = small(seed, 10_000, "load")
    if rng_problem is None:
        rng_problem = problem()
    large = scaled(rng_problem, 100)
    larger = scaled(large, 10)
    points = [
        [(c.engine, c.role, c.point) for c in candidate_groups(p, Traffic.of(p))]
        for p in (large, larger)
    ]
    assert len(points[0]) == len(points[1])
    for (engine_a, role_a, a), (engine_b, role_b, b) in zip(*points, strict=True):
        assert (engine_a, role_a, a.kind) == (engine_b, role_b, b.kind)
        first = np.array([v for v in a.model_dump().values() if isinstance(v, float)])
        second = np.array([v for v in b.model_dump().values() if isinstance(v, float)])
        assert second == pytest.approx(first, rel=1e-9)
