"""Shares, elasticities and gains against finite differences and solving again."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from hexsolve.models.answer import Gain
from hexsolve.models.latency import EnginePerformance
from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.placement.explain import (
    RESOURCES,
    Bottleneck,
    bottleneck,
    estimated_gains,
    exact_gains,
    extrapolations,
)
from hexsolve.solver.placement.report import possible_gains
from hexsolve.solver.placement.rules import GroupRules
from hexsolve.solver.placement.solve import Solution
from tests.solver.placement.hand import engine, problem
from tests.solver.placement.tiny import OBJECTIVES, exact, small, solved, with_nodes

STEP = 1e-3


def headroom_after(
    solution: Solution, factors: dict[str, float], scale: float | None = None
) -> float:
    """The headroom of the same instances with what a rule's resource offers multiplied."""
    task = solution.task
    candidates = [
        replace(
            candidate,
            usage={
                rule: values / factors.get(RESOURCES[rule], 1.0)
                for rule, values in candidate.usage.items()
            },
        )
        for candidate in task.candidates
    ]
    changed = replace(task, candidates=candidates)
    if scale is not None:
        changed = replace(changed, problem=task.problem.model_copy(update={"slo_scale": scale}))
    found = bottleneck(replace(solution, task=changed))
    assert found is not None
    return found.headroom


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_shares_are_elasticities(objective: Objective) -> None:
    compared = 0
    for seed in range(500, 560):
        posed = small(seed, 40, objective)
        if posed is None:
            continue
        solution = solved(posed, objective)
        limits = bottleneck(solution)
        if limits is None:
            continue
        assert solution.plan is not None
        assert sum(limits.shares.values()) == pytest.approx(1.0, abs=1e-4)
        assert list(limits.shares.values()) == sorted(limits.shares.values(), reverse=True)
        assert limits.headroom >= solution.plan.load * (1.0 - 1e-6)
        if objective == "load":
            # What was maximised over all instances is maximal for those chosen, too.
            assert limits.headroom == pytest.approx(solution.plan.load, rel=1e-5)
        for resource in sorted(set(RESOURCES.values())):
            share = limits.shares.get(resource, 0.0)
            more = headroom_after(solution, {resource: 1.0 + STEP})
            less = headroom_after(solution, {resource: 1.0 - STEP})
            # Headroom is concave in what a resource offers: its share lies between the slopes.
            assert more / limits.headroom - 1.0 <= share * STEP + 2e-6, (seed, resource)
            assert 1.0 - less / limits.headroom >= share * STEP - 2e-6, (seed, resource)
        everything = dict.fromkeys(RESOURCES.values(), 1.0 + STEP)
        assert headroom_after(solution, everything) == pytest.approx(
            limits.headroom * (1.0 + STEP), rel=1e-5
        )
        scale = posed.slo_scale
        if scale is not None and objective != "slo":
            assert limits.scale_elasticity is not None
            looser = headroom_after(solution, {}, scale * (1.0 + STEP))
            tighter = headroom_after(solution, {}, scale * (1.0 - STEP))
            slope = limits.scale_elasticity * STEP
            assert looser / limits.headroom - 1.0 <= slope + 2e-5
            assert 1.0 - tighter / limits.headroom >= slope * 0.98 - 2e-5
        compared += 1
        if compared == 4:
            break
    assert compared >= 3


def with_engines(solution: Solution, changed: EnginePerformance) -> float:
    """The headroom of the same groups on a changed engine."""
    task = solution.task
    rules = GroupRules(task.problem, task.traffic)
    candidates = []
    for candidate in task.candidates:
        made = rules.at(changed, candidate.role, candidate.point)
        assert made is not None
        candidates.append(replace(made, key=candidate.key))
    found = bottleneck(replace(solution, task=replace(task, candidates=candidates)))
    assert found is not None
    return found.headroom


def test_one_percent_more_kv_memory() -> None:
    """A pool that is short: 1 % more tokens allow as many percent more load as its share."""
    posed = problem(rate=5.0, engines=(engine("G0", kv_tokens=3000),), roles=("prefill", "decode"))
    solution = solved(posed, "cost")
    limits = bottleneck(solution)
    assert limits is not None
    share = sum(value for name, value in limits.shares.items() if name.startswith("KV memory"))
    assert share > 0.9
    more = with_engines(solution, engine("G0", kv_tokens=3030))
    assert more / limits.headroom - 1.0 == pytest.approx(0.01 * share, rel=0.02)


def test_one_percent_faster_decode() -> None:
    posed = problem(rate=5.0, roles=("prefill", "decode"), new_tokens=100.0, output_tokens=500.0)
    solution = solved(posed, "cost")
    limits = bottleneck(solution)
    assert limits is not None
    share = limits.shares["decode compute"]
    assert share > 0.9
    faster = with_engines(solution, engine("G0", decode=1.0 / 1.01))
    assert faster / limits.headroom - 1.0 == pytest.approx(0.01 * share, rel=0.02)
    same = with_engines(solution, engine("G0", prefill=1.0 / 1.01))
    assert same == pytest.approx(limits.headroom, rel=1e-6)


def test_one_percent_faster_prefill() -> None:
    posed = problem(rate=5.0, roles=("prefill", "decode"), new_tokens=4000.0, output_tokens=2.0)
    solution = solved(posed, "cost")
    limits = bottleneck(solution)
    assert limits is not None
    assert limits.shares["prefill compute"] > 0.9
    faster = with_engines(solution, engine("G0", prefill=1.0 / 1.01))
    # The fixed part of a prefill gets no faster, its wait a little more so.
    assert faster / limits.headroom - 1.0 == pytest.approx(0.01, rel=0.1)


def test_words_name_the_limit_first() -> None:
    posed = problem(rate=5.0, engines=(engine("G0", kv_tokens=3000),), roles=("prefill", "decode"))
    limits = bottleneck(solved(posed, "cost"))
    assert limits is not None
    assert limits.text().startswith("limited by KV memory for decode (")
    percent = [int(number) for number in re.findall(r"\((\d+)%\)", limits.text())]
    assert sum(percent) == pytest.approx(100, abs=2)


def without_pipelines(posed: PlanningProblem) -> PlanningProblem:
    """Without engines that only a larger inventory could build, the horizon stays the same."""
    return posed.model_copy(update={"engines": tuple(e for e in posed.engines if e.pp == 1)})


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_exact_gains_are_those_of_a_larger_inventory(objective: Objective) -> None:
    compared = gained = 0
    for seed in range(600, 660):
        posed = small(seed, 24, objective)
        if posed is None:
            continue
        posed = without_pipelines(posed)
        solution = solved(posed, objective)
        reached = solution.outcome.objective
        if reached is None:
            continue
        relaxation = solution.found.relaxation
        assert relaxation is not None
        linear = relaxation.run.objective
        assert linear is not None
        better = 1.0 if objective == "load" else -1.0
        estimates = {gain.gpu: gain for gain in estimated_gains(solution.task, relaxation)}
        for gain in exact_gains(solution, exact()):
            assert gain.exact
            larger = with_nodes(posed, lambda nodes: nodes + 1, gain.gpu)
            best = solved(larger, objective).outcome.objective
            assert best is not None
            node = better * (best - reached)
            assert gain.one_node == pytest.approx(node, rel=1e-5, abs=1e-6 * abs(reached)), seed
            assert gain.one_gpu is not None
            assert gain.one_node is not None
            assert -1e-12 <= gain.one_gpu <= gain.one_node + 1e-6 * abs(reached)
            # The dual estimate bounds the gain, given what the plan at hand is short of the LP.
            short = better * (linear - reached)
            estimate = estimates[gain.gpu]
            assert estimate.one_node is not None
            assert estimate.one_gpu is not None
            assert gain.one_node <= estimate.one_node + short + 1e-6 * abs(reached), seed
            assert gain.one_gpu <= estimate.one_gpu + short + 1e-6 * abs(reached), seed
            gained += gain.one_node > 1e-4 * abs(reached)
        compared += 1
        if compared == 3:
            break
    assert compared == 3
    if objective == "load":
        assert gained >= 2


@pytest.mark.parametrize("billing", ["gpu", "node"])
def test_gains_where_every_gpu_is_used(billing: str) -> None:
    """A large cluster at its limit: one of 50 nodes more is worth a fiftieth of the load."""
    posed = problem(nodes=50, rate=5.0, gpus_per_node=4)
    pools = tuple(pool.model_copy(update={"billing": billing}) for pool in posed.cluster.pools)
    posed = posed.model_copy(update={"cluster": posed.cluster.model_copy(update={"pools": pools})})
    solution = solved(posed, "load")
    assert solution.outcome.objective is not None
    assert solution.found.relaxation is not None
    (estimate,) = estimated_gains(solution.task, solution.found.relaxation)
    assert estimate.one_node == pytest.approx(solution.outcome.objective / 50.0, rel=0.02)
    # Where whole nodes are rented nobody gets a single GPU.
    single = solution.outcome.objective / 200.0 if billing == "gpu" else 0.0
    assert estimate.one_gpu == pytest.approx(single, rel=0.02, abs=1e-6)
    (gain,) = exact_gains(solution, exact())
    assert gain.one_node == pytest.approx(estimate.one_node, rel=0.05)
    assert gain.one_gpu == pytest.approx(single, rel=0.2, abs=1e-5)


def test_an_elasticity_that_rounds_to_nothing_is_not_told() -> None:
    told = Bottleneck(1.0, {"decode compute": 1.0}, 0.05).text()
    assert "0.1 % more load" in told
    assert "latency-bound" not in Bottleneck(1.0, {"decode compute": 1.0}, 0.04).text()


@pytest.mark.parametrize(("objective", "most"), [("slo", 0.178), ("cost", 1.178), ("load", 9.0)])
def test_no_estimate_is_beyond_what_there_is_to_gain(objective: Objective, most: float) -> None:
    solution = SimpleNamespace(
        outcome=SimpleNamespace(objective=1.178), task=SimpleNamespace(objective=objective)
    )
    (gain,) = possible_gains(
        (Gain(gpu="h100", one_gpu=0.1, one_node=9.0, exact=False),), cast("Solution", solution)
    )
    assert (gain.one_gpu, gain.one_node) == (0.1, pytest.approx(most))


def test_extrapolated_engines_are_named() -> None:
    solution = solved(problem(), "cost")
    assert solution.plan is not None
    notes = extrapolations(solution.plan, solution.task)
    assert notes == ("tiny on G0 tp=1 pp=1: latencies extrapolated (roofline), not measured",)
