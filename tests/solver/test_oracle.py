"""The oracle against itself without short cuts, against the checker, and by hand."""

import numpy as np
import pytest

from hexsolve.models.assumptions import PlanningAssumptions
from hexsolve.models.check import check_plan
from hexsolve.models.hardware import GPU, Cluster, NodePool
from hexsolve.models.latency import (
    DecodeCoefficients,
    EnginePerformance,
    MixedCoefficients,
    PrefillCoefficients,
)
from hexsolve.models.plan import DecodeStep, Objective, SingleCalls
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import CallClass, WorkflowClass, Workload
from tests.solver.oracle import Candidate, brute_force
from tests.solver.oracle_counts import count_vectors, spread_enough
from tests.solver.oracle_lp import FlowLP
from tests.solver.oracle_plan import as_plan
from tests.solver.random_problems import LLAMA_LIKE, random_candidates, random_problem

OBJECTIVES: tuple[Objective, ...] = ("load", "cost", "slo")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_checker_accepts_the_oracles_plans_and_finds_their_objective(
    objective: Objective,
) -> None:
    accepted = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        problem = random_problem(rng)
        candidates = random_candidates(rng, problem)
        result = brute_force(problem, candidates, objective)
        if not result.objective:
            continue
        plan = as_plan(problem, candidates, result)
        free = problem.model_copy(update={"slo_scale": None}) if objective == "slo" else problem
        assert check_plan(free, plan) == []
        seen = {"load": plan.load, "cost": plan.cost_per_hour, "slo": plan.slo_scale}[objective]
        assert seen == pytest.approx(result.objective, rel=1e-6)
        accepted += 1
    assert 20 <= accepted < 60, "the random problems should be neither all feasible nor all not"


@pytest.mark.parametrize("seed", range(12))
def test_short_cuts_change_nothing(seed: int) -> None:
    """Solve every count vector's linear program instead of pruning by dual prices."""
    rng = np.random.default_rng([seed, 99])
    problem = random_problem(rng)
    candidates = random_candidates(rng, problem, most=4)
    counts, costs = count_vectors(problem, candidates)
    lp = FlowLP(problem, candidates, problem.load)
    free = FlowLP(problem, candidates, None)
    paths = np.zeros((0, lp.columns))
    if problem.slo_scale is not None:
        paths = lp.path_rows(problem.slo_scale)
    spread = counts[spread_enough(problem, candidates, counts)]
    loads = [free.most_load(row, paths, counts[:1])[0] for row in spread]
    best = brute_force(problem, candidates, "load")
    assert best.objective == pytest.approx(max(loads), rel=1e-7, abs=1e-9)

    needed = problem.load * (1 - 1e-9)
    loads = [lp.most_load(row, paths, counts[:1])[0] for row in counts]
    feasible = [cost for cost, load in zip(costs, loads, strict=True) if load >= needed]
    least = brute_force(problem, candidates, "cost")
    assert least.objective == (pytest.approx(min(feasible)) if feasible else None)

    cost = np.zeros(lp.columns)
    cost[lp.alpha] = 1.0
    solutions = [lp.solve(row, lp.path_rows(None), cost, problem.load) for row in counts]
    scales = [solution[0] for solution in solutions if solution is not None]
    scale = brute_force(problem, candidates, "slo")
    assert scale.objective == (pytest.approx(min(scales), rel=1e-7) if scales else None)


def test_more_of_anything_never_hurts() -> None:
    for seed in range(20):
        rng = np.random.default_rng([seed, 5])
        problem = random_problem(rng)
        candidates = random_candidates(rng, problem, most=4)
        richer = problem.model_copy(update={"budget_per_hour": None})
        before = brute_force(problem, candidates, "load").objective
        after = brute_force(richer, candidates, "load").objective
        assert before is not None
        assert after is not None
        assert after >= before - 1e-7


def test_by_hand() -> None:
    """Prefill takes 0.1 s, decode steps 0.02 s at any batch up to 10: counted on the fingers.

    With W = 0.1 s: λ·(0.01 + 0.2·0.1) ≤ 0.2·N, so 6.67 calls/s per prefill instance; with
    11 output tokens a call decodes 10 · 0.02 = 0.2 s, so 50 calls/s per decode instance.
    """
    engine = EnginePerformance(
        llm="tiny",
        gpu="G",
        tp=1,
        pp=1,
        prefill=PrefillCoefficients(p0=0.1, p1=0.0, p2=0.0),
        decode=DecodeCoefficients(d0=0.02, d1=0.0, d2=0.0),
        mixed=MixedCoefficients(m0=0.02, m1=0.0, m2=0.0, d1=0.0, d2=0.0),
        kv_capacity_tokens=10**6,
        kv_bytes_per_token=1.0,
        origin="roofline",
    )
    problem = PlanningProblem(
        name="by-hand",
        llm=LLAMA_LIKE,
        cluster=Cluster(name="c", pools=(NodePool(gpu="G", gpus_per_node=1, nodes=4),)),
        gpus=(
            GPU(
                name="G",
                memory_gib=80,
                memory_bandwidth_gb_s=2000,
                bf16_tflops=300,
                nic_gb_s=1e6,
                price_per_hour=2.0,
            ),
        ),
        workload=Workload(
            classes=(
                WorkflowClass(
                    name="w",
                    rate_per_s=10.0,
                    calls=(CallClass(name="c", new_tokens=100, output_tokens=11),),
                ),
            )
        ),
        engines=(engine,),
        load=1.0,
        assumptions=PlanningAssumptions(max_batch=10),
    )
    candidates = (
        Candidate(engine, "prefill", SingleCalls(wait_s=0.1)),
        Candidate(engine, "decode", DecodeStep(step_s=0.02, batch_reference=1)),
    )
    most = brute_force(problem, candidates, "load")
    assert most.counts == (3, 1)
    assert most.objective == pytest.approx(3 * (0.2 / 0.03) / 10.0)
    least = brute_force(problem, candidates, "cost")
    assert (least.counts, least.objective) == ((2, 1), 6.0)
    # 0.1 wait + 0.1 prefill + 0.2 decode + transfer, over the same without the wait.
    sent = 0.002 + 100 * 131072 / (1e15 * 0.5)
    alone = 0.1 + 0.2 + 0.002 + 100 * 131072 / 1e15
    scale = brute_force(
        problem.model_copy(update={"roles": ("prefill", "decode")}), candidates, "slo"
    )
    assert scale.objective == pytest.approx((0.4 + sent) / alone, rel=1e-9)
    over = problem.model_copy(update={"load": 3.0})
    assert brute_force(over, candidates, "cost").objective is None
    assert brute_force(over, candidates, "slo").objective is None
