"""A problem small enough to work out by hand, and one knob for each thing that can go short."""

from hexsolve.models.assumptions import PlanningAssumptions
from hexsolve.models.hardware import GPU, Cluster, NodePool
from hexsolve.models.latency import (
    DecodeCoefficients,
    EnginePerformance,
    MixedCoefficients,
    PrefillCoefficients,
)
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import CallClass, WorkflowClass, Workload
from tests.solver.random_problems import LLAMA_LIKE

# So large that it never binds unless a test lowers it.
KV_TOKENS = 10_000_000


def gpu(name: str, price: float) -> GPU:
    return GPU(
        name=name,
        memory_gib=80,
        memory_bandwidth_gb_s=2000,
        bf16_tflops=300,
        nic_gb_s=50.0,
        price_per_hour=price,
    )


def engine(
    name: str, prefill: float = 1.0, decode: float = 1.0, kv_tokens: int = KV_TOKENS, tp: int = 1
) -> EnginePerformance:
    """An engine: 10 ms + 0.1 ms a prompt token; 10 ms + 0.1 ms a sequence per step.

    `prefill` and `decode` are factors on the parts that grow with the work.
    """
    return EnginePerformance(
        llm="tiny",
        gpu=name,
        tp=tp,
        pp=1,
        prefill=PrefillCoefficients(p0=0.01, p1=1e-4 * prefill, p2=1e-9 * prefill, floor=0.0),
        decode=DecodeCoefficients(
            d0=0.01, d1=1e-4 * decode, d2=1e-7 * decode, d3=0.0, active_share=0.0
        ),
        mixed=MixedCoefficients(
            m0=0.01,
            m1=1e-4 * prefill,
            m2=1e-9 * prefill,
            d1=1e-4 * decode,
            d2=1e-7 * decode,
            d3=0.0,
            active_share=0.0,
        ),
        kv_capacity_tokens=kv_tokens,
        kv_bytes_per_token=LLAMA_LIKE.kv_bytes_per_token,
        origin="roofline",
    )


def problem(
    nodes: int = 8,
    rate: float = 5.0,
    prices: tuple[float, ...] = (1.0,),
    ttft_limit_s: float | None = None,
    tpot_limit_s: float | None = None,
    engines: tuple[EnginePerformance, ...] | None = None,
    new_tokens: float = 1000.0,
    output_tokens: float = 200.0,
    gpus_per_node: int = 1,
    **fields: object,
) -> PlanningProblem:
    """Chat of 1000 tokens in, 200 out on nodes of G0 (and G1 …); a GPU carries about 6 calls/s."""
    names = [f"G{index}" for index in range(len(prices))]
    chat = WorkflowClass(
        name="chat",
        rate_per_s=rate,
        calls=(CallClass(name="answer", new_tokens=new_tokens, output_tokens=output_tokens),),
        ttft_limit_s=ttft_limit_s,
        tpot_limit_s=tpot_limit_s,
    )
    given: dict[str, object] = {
        "name": "hand",
        "llm": LLAMA_LIKE,
        "cluster": Cluster(
            name="hand",
            pools=tuple(
                NodePool(gpu=name, gpus_per_node=gpus_per_node, nodes=nodes) for name in names
            ),
        ),
        "gpus": tuple(gpu(name, price) for name, price in zip(names, prices, strict=True)),
        "workload": Workload(classes=(chat,)),
        "engines": engines or tuple(engine(name) for name in names),
        "assumptions": PlanningAssumptions(),
    }
    return PlanningProblem(**{**given, **fields})  # type: ignore[arg-type]
