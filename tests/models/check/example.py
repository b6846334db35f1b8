"""A small plan with round numbers, valid, and worked out by hand.

Every call has n = 100 new and h = 100 cached tokens and o = 11 output tokens, so

* d = 10 decode steps at a mean context of x = 205.5 tokens; w = 100 · 150 = 15,000 token pairs;
* prefill alone s = 0.02 + 0.0005 · 100 + 2e-6 · 15,000 = 0.1 s; in a batch m = 0.08 s, f0 = 0.02 s;
* a decode step costs c0 = 0.01 s and per sequence c1 + c2 · x = 0.001 + 1e-5 · 205.5 = 0.003055 s;
* chunks on a mixed engine e = 0.0005 · 100 + 2e-6 · 15,000 = 0.08 s, c0 = 0.012 s;
* KV to send y = 200 tokens · 1000 bytes = 200,000 bytes.

Links: A and C 1e6 bytes/s per GPU, B 2e6, half of it usable; a transfer takes 0.1 s + y / (b/2).
"""

import math

from hexsolve.models.assumptions import PlanningAssumptions
from hexsolve.models.hardware import GPU, Cluster, NodePool
from hexsolve.models.latency import (
    DecodeCoefficients,
    EnginePerformance,
    MixedCoefficients,
    PrefillCoefficients,
)
from hexsolve.models.llm import LLM
from hexsolve.models.plan import (
    BatchCycle,
    CallFlow,
    DecodeStep,
    InstanceGroup,
    MixedStep,
    Plan,
    SingleCalls,
)
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import CallClass, WorkflowClass, Workload

ONE_KILOBYTE_PER_TOKEN = LLM(
    name="small",
    layers=1,
    hidden_size=250,
    intermediate_size=1000,
    attention_heads=1,
    kv_heads=1,
    head_size=250,
    vocabulary=1000,
)


def gpu(name: str, price: float, nic_gb_s: float) -> GPU:
    return GPU(
        name=name,
        memory_gib=80,
        memory_bandwidth_gb_s=2000,
        bf16_tflops=300,
        nic_gb_s=nic_gb_s,
        price_per_hour=price,
    )


def engine(gpu_name: str, tp: int = 1, pp: int = 1, kv_tokens: int = 1000) -> EnginePerformance:
    return EnginePerformance(
        llm="small",
        gpu=gpu_name,
        tp=tp,
        pp=pp,
        prefill=PrefillCoefficients(p0=0.02, p1=0.0005, p2=2e-6),
        decode=DecodeCoefficients(d0=0.01, d1=0.001, d2=1e-5),
        mixed=MixedCoefficients(m0=0.012, m1=0.0005, m2=2e-6, d1=0.001, d2=1e-5),
        kv_capacity_tokens=kv_tokens,
        kv_bytes_per_token=1000.0,
        origin="roofline",
    )


def call(name: str, **fields: object) -> CallClass:
    tokens = {"new_tokens": 100, "cached_tokens": 100, "output_tokens": 11}
    return CallClass.model_validate({"name": name, **tokens, **fields})


# Calls per second at load 1: plan 1 · 1, act 1 · 2.
PROBLEM = PlanningProblem(
    name="example",
    llm=ONE_KILOBYTE_PER_TOKEN,
    cluster=Cluster(
        name="abc",
        pools=tuple(NodePool(gpu=name, gpus_per_node=4, nodes=1) for name in ("A", "B", "C")),
    ),
    gpus=(gpu("A", 1.0, 0.001), gpu("B", 2.0, 0.002), gpu("C", 1.0, 0.001)),
    workload=Workload(
        classes=(
            WorkflowClass(
                name="agent",
                rate_per_s=1.0,
                calls=(
                    call("plan"),
                    call("act", after=("plan",), parallel=2.0, tool_seconds=1.0),
                ),
                ttft_limit_s=1.0,
                tpot_limit_s=0.055,
            ),
        ),
    ),
    engines=(
        engine("A"),
        engine("A", pp=2),
        engine("A", tp=8),
        engine("B"),
        engine("C", kv_tokens=205),
        engine("C", tp=2, kv_tokens=215),
    ),
    slo_scale=3.0,
    budget_per_hour=10.0,
    assumptions=PlanningAssumptions(
        transfer_latency_s=0.1, max_batch=1, prefill_token_budget=60, reference_tpot_s=0.05
    ),
)


def flow(call_name: str, calls_per_s: float) -> CallFlow:
    return CallFlow(workflow="agent", call=call_name, calls_per_s=calls_per_s)


# Latency of plan: 0.1 wait + 0.1 prefill + 10 · 0.02 decode + transfer 0.1 + 0.2e6/0.5e6 = 0.9 s.
# Of act, half by cycle and decode, 1.5 · 0.5 + 0.1 + 0.08 + 0.2 + 0.5 = 1.63 s, half mixed,
# 0.1 + (0.08 + 0.03) + 0.015 + 10 · 0.04 = 0.625 s: 1.1275 s, after 1 s of tools. Its two siblings
# meet with k = 0.5, at D = (1 − 0.5²)/0.5 = 1.5 instances: by cycle a call waits 0.5 · 0.08 s for
# the other and the last is ln 1.5 · (0.1 + 0.04) s late, mixed 0.25 · 0.11 s and
# ln 1.5 · (0.1 + 0.0275 + 0.079375/0.75) + 0.5 · 0.25 · 0.03 s; chunks of
# 0.25 · 0.08 + 0.25 · (0.21 + 0.0275) = 0.079375 s delay the end by that over 0.75.
# Best engine: mixed, 0.1 + 10 · (0.01 + 0.003055) = 0.23055 s a call.
# Cost: 2 · 1 US$/h for A, 2 · 2 US$/h for B.
BY_CYCLE = 1.63 + 0.04 + math.log(1.5) * 0.14
STRETCH = 0.079375 / 0.75
BY_MIXED = 0.625 + 0.0275 + STRETCH + math.log(1.5) * (0.1275 + STRETCH) + 0.00375
LATENCY = 0.9 + 1.0 + (BY_CYCLE + BY_MIXED) / 2
PLAN = Plan(
    groups=(
        InstanceGroup(
            id="single",
            role="prefill",
            gpu="A",
            tp=1,
            pp=1,
            count=1,
            operating_point=SingleCalls(wait_s=0.1),
            flows=(flow("plan", 1.0),),
        ),
        InstanceGroup(
            id="cycle",
            role="prefill",
            gpu="A",
            tp=1,
            pp=1,
            count=1,
            operating_point=BatchCycle(cycle_s=0.5, wait_s=0.1, burst_share=0.5),
            flows=(flow("act", 1.0),),
        ),
        InstanceGroup(
            id="decode",
            role="decode",
            gpu="B",
            tp=1,
            pp=1,
            count=1,
            operating_point=DecodeStep(step_s=0.02, batch_reference=1),
            flows=(flow("plan", 1.0), flow("act", 1.0)),
        ),
        InstanceGroup(
            id="mixed",
            role="mixed",
            gpu="B",
            tp=1,
            pp=1,
            count=1,
            operating_point=MixedStep(
                decode_step_s=0.03,
                prefill_share=0.25,
                wait_s=0.1,
                batch_reference=1,
                burst_share=0.5,
            ),
            flows=(flow("act", 1.0),),
        ),
    ),
    load=1.0,
    cost_per_hour=6.0,
    slo_scale=LATENCY / 1.4611,
    latency_s={"agent": LATENCY},
    horizon_s={"agent": 0.23055 + 1.0 + 0.23055},
)


def changed(plan: Plan, group_id: str, **fields: object) -> Plan:
    """Return the plan with fields of one group (or, dotted by `__`, of its point) changed."""
    groups = []
    for group in plan.groups:
        if group.id == group_id:
            point = {k.split("__")[1]: v for k, v in fields.items() if k.startswith("point__")}
            direct = {k: v for k, v in fields.items() if not k.startswith("point__")}
            if point:
                direct["operating_point"] = group.operating_point.model_copy(update=point)
            group = group.model_copy(update=direct)
        groups.append(group)
    return plan.model_copy(update={"groups": tuple(groups)})


def scaled(plan: Plan, factor: float) -> Plan:
    """Return the plan with its load and all flows multiplied; nothing else is restated."""
    groups = tuple(
        group.model_copy(
            update={
                "flows": tuple(
                    f.model_copy(update={"calls_per_s": f.calls_per_s * factor})
                    for f in group.flows
                )
            }
        )
        for group in plan.groups
    )
    return plan.model_copy(update={"groups": groups, "load": plan.load * factor})


def assuming(problem: PlanningProblem, **assumptions: object) -> PlanningProblem:
    """Return the problem with some assumptions changed."""
    return problem.model_copy(
        update={"assumptions": problem.assumptions.model_copy(update=assumptions)}
    )


def limited(problem: PlanningProblem, **limits: object) -> PlanningProblem:
    """Return the problem with limits of its workflow class changed."""
    (workflow,) = problem.workload.classes
    classes = (workflow.model_copy(update=limits),)
    return problem.model_copy(
        update={"workload": problem.workload.model_copy(update={"classes": classes})}
    )
