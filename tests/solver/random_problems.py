"""Random tiny planning problems and operating points for them."""

import numpy as np

from hexsolve.models.assumptions import PlanningAssumptions
from hexsolve.models.hardware import GPU, Cluster, NodePool
from hexsolve.models.latency import (
    DecodeCoefficients,
    EnginePerformance,
    MixedCoefficients,
    PrefillCoefficients,
)
from hexsolve.models.llm import LLM
from hexsolve.models.plan import BatchCycle, DecodeStep, MixedStep, SingleCalls
from hexsolve.models.problem import PlanningProblem, Role
from hexsolve.models.workload import CallClass, WorkflowClass, Workload
from tests.solver.oracle import Candidate

LLAMA_LIKE = LLM(
    name="tiny",
    layers=32,
    hidden_size=4096,
    intermediate_size=14336,
    attention_heads=32,
    kv_heads=8,
    head_size=128,
    vocabulary=128256,
)
"""131,072 bytes of KV per token."""

Random = np.random.Generator


def random_problem(rng: Random) -> PlanningProblem:
    """Return a problem with 1–3 GPU types of a few GPUs and 1–2 workflow classes of 1–3 calls.

    The load fits about two thirds of the clusters. Limits on time to first token, time per output
    token, SLO scale and budget are there or not, and may make it infeasible.
    """
    types = int(rng.integers(1, 4))
    gpus, pools, engines = [], [], []
    for index in range(types):
        name = f"G{index}"
        gpus.append(
            GPU(
                name=name,
                memory_gib=80,
                memory_bandwidth_gb_s=2000,
                bf16_tflops=300,
                nic_gb_s=float(rng.choice([0.5, 5.0, 50.0])),
                price_per_hour=round(float(rng.uniform(1.0, 6.0)), 2),
            )
        )
        # Few GPUs of each of many types, more where there is one type only.
        gpus_per_node, nodes = [(1, 2), (2, 1), (2, 2), (4, 1), (1, 4), (3, 1)][
            int(rng.integers(0, 6 if types < 3 else 3))
        ]
        pools.append(
            NodePool(
                gpu=name,
                gpus_per_node=gpus_per_node,
                nodes=nodes,
                price_per_hour=round(float(rng.uniform(1.0, 6.0)), 2)
                if rng.random() < 0.3
                else None,
                billing="node" if rng.random() < 0.25 else "gpu",
            )
        )
        speed = float(rng.uniform(0.5, 2.0))
        engines += _engines(rng, name, gpus_per_node * nodes, gpus_per_node, speed)
    roles: tuple[Role, ...] = ("prefill", "decode", "mixed")
    if rng.random() < 0.3:
        roles = ("prefill", "decode")
    elif rng.random() < 0.1:
        roles = ("mixed",)
    workload = Workload(
        classes=tuple(_workflow(rng, f"w{i}") for i in range(int(rng.integers(1, 3)))),
        burstiness=float(rng.choice([1.0, 2.5])),
    )
    return PlanningProblem(
        name="random",
        llm=LLAMA_LIKE,
        cluster=Cluster(name="tiny", pools=tuple(pools)),
        gpus=tuple(gpus),
        workload=workload,
        engines=tuple(engines),
        roles=roles,
        slo_scale=round(float(rng.uniform(1.2, 4.0)), 2) if rng.random() < 0.5 else None,
        load=round(float(rng.uniform(0.3, 1.5)), 2),
        budget_per_hour=round(float(rng.uniform(6.0, 25.0)), 1) if rng.random() < 0.3 else None,
        assumptions=PlanningAssumptions(
            prefill_utilisation_max=float(rng.choice([0.8, 0.95])),
            transfer_latency_s=float(rng.choice([0.0, 0.002])),
            max_batch=int(rng.choice([16, 256])),
            prefill_token_budget=int(rng.choice([4096, 8192])),
            chunk_tokens=int(rng.choice([512, 2048])),
        ),
    )


def random_candidates(
    rng: Random, problem: PlanningProblem, most: int = 6
) -> tuple[Candidate, ...]:
    """Return up to `most` candidates on a problem's engines, every role among them if it can be."""
    drawn = [
        Candidate(engine, role, _point(rng, problem, engine, role))
        for role in problem.roles
        for engine in problem.engines
        for _ in range(2)
    ]
    shuffled = [drawn[i] for i in rng.permutation(len(drawn))]
    by_role = [[c for c in shuffled if c.role == role] for role in problem.roles]
    turns = max(len(group) for group in by_role)
    mixed = [group[turn] for turn in range(turns) for group in by_role if turn < len(group)]
    return tuple(mixed[:most])


def _workflow(rng: Random, name: str) -> WorkflowClass:
    calls: list[CallClass] = []
    for index in range(int(rng.integers(1, 4))):
        after: tuple[str, ...] = ()
        if calls:
            parents = rng.permutation(len(calls))[: int(rng.integers(0, len(calls) + 1))]
            after = tuple(calls[int(i)].name for i in sorted(parents))
        calls.append(
            CallClass(
                name=f"c{index}",
                new_tokens=float(rng.integers(100, 4000)),
                cached_tokens=float(rng.integers(0, 6000)) if rng.random() < 0.5 else 0.0,
                # One output token: no decode step at all.
                output_tokens=1.0 if rng.random() < 0.1 else float(rng.integers(10, 400)),
                new_tokens_cv=float(rng.choice([0.0, 0.7, 1.5])),
                repeat=float(rng.choice([1.0, 1.0, 2.5])),
                parallel=float(rng.choice([1.0, 1.0, 3.0])),
                tool_seconds=float(rng.choice([0.0, 0.0, 1.5])),
                after=after,
            )
        )
    return WorkflowClass(
        name=name,
        rate_per_s=round(float(rng.uniform(0.05, 1.0)), 3),
        calls=tuple(calls),
        ttft_limit_s=round(float(rng.uniform(0.5, 4.0)), 2) if rng.random() < 0.3 else None,
        tpot_limit_s=round(float(rng.uniform(0.03, 0.1)), 3) if rng.random() < 0.3 else None,
    )


def _engines(
    rng: Random, gpu: str, gpus: int, gpus_per_node: int, speed: float
) -> list[EnginePerformance]:
    shapes = [(1, 1)]
    if gpus_per_node >= 2 and rng.random() < 0.5:
        shapes.append((2, 1))
    if gpus >= 2 and rng.random() < 0.3:
        shapes.append((1, 2))
    sparse = rng.random() < 0.3
    engines = []
    for tp, pp in shapes:
        faster = speed * tp**0.8
        d0 = float(rng.uniform(0.008, 0.02)) / faster
        d1 = float(rng.uniform(5e-5, 3e-4)) / faster / pp
        d2 = float(rng.uniform(3e-8, 2e-7)) / faster / pp
        d3 = float(rng.uniform(0.005, 0.02)) / faster if sparse else 0.0
        share = float(rng.choice([0.03, 0.25])) if sparse else 0.0
        p1 = float(rng.uniform(5e-5, 2e-4)) / faster
        p2 = float(rng.uniform(1e-9, 1e-8)) / faster
        beyond = float(rng.random() < 0.3)
        engines.append(
            EnginePerformance(
                llm="tiny",
                gpu=gpu,
                tp=tp,
                pp=pp,
                prefill=PrefillCoefficients(
                    p0=float(rng.uniform(0.01, 0.03)),
                    p1=p1,
                    p2=p2,
                    floor=float(rng.choice([0.0, 0.05])),
                    p3=beyond * p1 * 0.5,
                    knee=500.0,
                    p4=beyond * 0.01,
                ),
                decode=DecodeCoefficients(d0=d0, d1=d1, d2=d2, d3=d3, active_share=share),
                mixed=MixedCoefficients(
                    m0=d0 * 1.2, m1=p1 * 1.1, m2=p2, d1=d1, d2=d2, d3=d3, active_share=share
                ),
                kv_capacity_tokens=int(rng.integers(6_000, 200_000)) * tp * pp,
                kv_bytes_per_token=LLAMA_LIKE.kv_bytes_per_token,
                origin="roofline",
            )
        )
    return engines


def _point(
    rng: Random, problem: PlanningProblem, engine: EnginePerformance, role: Role
) -> SingleCalls | BatchCycle | DecodeStep | MixedStep:
    share = 1.0 / float(rng.choice([1, 1, 2, 3]))
    if role == "prefill":
        if rng.random() < 0.5:
            # Rarely a wait of 0, at which nothing can be served.
            wait = float(rng.choice([0.0, 0.1, 0.3, 0.5, 1.0, 3.0]))
            return SingleCalls(wait_s=wait, burst_share=share)
        budget = problem.assumptions.prefill_token_budget
        overhead = engine.prefill.affine_upper(budget)[0]
        return BatchCycle(
            cycle_s=overhead * float(rng.uniform(0.8, 20.0)),
            wait_s=float(rng.choice([0.0, 0.3, 1.0, 3.0, 10.0])),
            burst_share=share,
        )
    reference = float(rng.choice([1.0, 8.0, 32.0]))
    if role == "decode":
        overhead, per_sequence, per_token = engine.decode.affine_upper(reference)
        batch = float(rng.uniform(0.0, 48.0))
        step = overhead + batch * (per_sequence + per_token * 3000.0)
        return DecodeStep(step_s=step * float(rng.uniform(0.95, 1.2)), batch_reference=reference)
    overhead, per_sequence, per_token = engine.mixed.affine_upper(reference)
    batch = float(rng.uniform(1.0, 48.0))
    return MixedStep(
        decode_step_s=overhead + batch * (per_sequence + per_token * 3000.0),
        prefill_share=float(rng.uniform(0.1, 0.8)),
        wait_s=float(rng.choice([0.3, 1.0, 3.0])),
        batch_reference=reference,
        burst_share=share,
    )
