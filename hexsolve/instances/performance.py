"""What an LLM achieves on GPUs of a type: measured coefficients, else the roofline's."""

from math import log
from typing import NamedTuple

from hexsolve.instances.catalog import Catalog
from hexsolve.models.fitting import derive_mixed, fit_decode, fit_prefill
from hexsolve.models.hardware import GPU
from hexsolve.models.latency import (
    DecodeCoefficients,
    EnginePerformance,
    MeasuredRange,
    PrefillCoefficients,
)
from hexsolve.models.llm import LLM
from hexsolve.models.memory import MemoryModel
from hexsolve.models.roofline import GPUEfficiency, Roofline, mean_all_reduce

# Points at which the roofline is evaluated before coefficients are fitted to it.
PREFILL_GRID = [
    (batch, new, cached)
    for batch in (1, 4)
    for new in (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
    for cached in (0, 8192)
] + [(1, new, 65536) for new in (64, 256, 1024, 4096)]
DECODE_GRID = [
    (batch, context)
    for batch in (1, 2, 4, 8, 16, 32, 64, 128, 256)
    for context in (256, 1024, 4096, 16384, 65536)
    if batch * context <= 2_097_152
]
ROOFLINE_ITERATIONS = 5
GENERAL_MEMORY = MemoryModel()
TPS = (2, 4, 8)
# Models a GPU type must have been fitted to before its efficiencies stand for other types.
LEAST_MODELS = 2


def engine_performance(
    catalog: Catalog, llm: LLM, gpu: GPU, tp: int, pp: int = 1
) -> EnginePerformance | None:
    """Return what one instance does, or None where it cannot be built.

    Parameters
    ----------
    catalog : Catalog
        Where coefficients and efficiencies come from.
    llm, gpu
        Need not be part of the catalog.
    tp, pp : int
        Tensor- and pipeline-parallel GPUs; the instance has tp·pp of them.

    Returns
    -------
    EnginePerformance or None
        None when weights and runtime leave no room for KV, or when heads, widths or layers do
        not divide evenly.
    """
    if tp < 1 or pp < 1 or not llm.divides(tp) or pp > llm.layers:
        return None
    capacity = memory_model(catalog, gpu).kv_capacity_tokens(llm, gpu, tp, pp)
    if capacity <= 0:
        return None
    steps = step_coefficients(catalog, llm, gpu, tp)
    decode = pipelined(steps.decode, pp)
    return EnginePerformance(
        llm=llm.name,
        gpu=gpu.name,
        tp=tp,
        pp=pp,
        prefill=steps.prefill,
        decode=decode,
        mixed=derive_mixed(steps.prefill, decode),
        kv_capacity_tokens=capacity,
        kv_bytes_per_token=llm.kv_bytes_per_token,
        origin="measured" if steps.measured is not None and pp == 1 else "roofline",
        measured=steps.measured if pp == 1 else None,
    )


class StepCoefficients(NamedTuple):
    """Coefficients of one (LLM, GPU, tp); `measured` is None where they come from the roofline."""

    prefill: PrefillCoefficients
    decode: DecodeCoefficients
    measured: MeasuredRange | None


def step_coefficients(catalog: Catalog, llm: LLM, gpu: GPU, tp: int) -> StepCoefficients:
    """Return the fitted coefficients of a catalog, else the roofline's.

    Memory is not looked at: what does not fit still has step times.
    """
    fitted = catalog.coefficients.get((llm.name, gpu.name, tp))
    if fitted is not None and catalog.llms.get(llm.name) == llm:
        return StepCoefficients(fitted.prefill, fitted.decode, fitted.measured)
    return StepCoefficients(
        *roofline_coefficients(llm, gpu, tp, gpu_efficiency(catalog, gpu)), None
    )


def memory_model(catalog: Catalog, gpu: GPU) -> MemoryModel:
    """Return the memory model of a GPU type, else the general one."""
    return catalog.memory.get(gpu.name, GENERAL_MEMORY)


def gpu_efficiency(catalog: Catalog, gpu: GPU) -> GPUEfficiency:
    """Return the efficiencies of a GPU type, else those of the most similar one.

    Similar means of the same architecture, with or without a fabric alike, and near in memory
    bandwidth, less so in FLOP/s, among types that were fitted to several models. Over PCIe the
    all-reduce depends on the board more than on the GPU: there it is the mean of what was fitted.
    """
    if gpu.name in catalog.efficiencies:
        return catalog.efficiencies[gpu.name]
    fitted = {
        name: catalog.gpus[name]
        for name, item in catalog.efficiencies.items()
        if name in catalog.gpus and item.models >= LEAST_MODELS
    }
    if not fitted:
        return GPUEfficiency(gpu=gpu.name)
    nearest = min(fitted, key=lambda name: (_distance(gpu, fitted[name]), name))
    found = catalog.efficiencies[nearest]
    over_pcie = [
        catalog.efficiencies[name] for name, other in fitted.items() if not other.nvlink_gb_s
    ]
    if gpu.nvlink_gb_s or not over_pcie:
        return found
    reduces = {tp: mean_all_reduce([item.all_reduce_at(tp) for item in over_pcie]) for tp in TPS}
    return found.model_copy(update={"all_reduce": reduces})


def _distance(one: GPU, other: GPU) -> float:
    return (
        (1.5 if one.architecture != other.architecture else 0.0)
        + (1.0 if bool(one.nvlink_gb_s) != bool(other.nvlink_gb_s) else 0.0)
        + abs(log(one.memory_bandwidth_gb_s / other.memory_bandwidth_gb_s))
        + 0.3 * abs(log(one.bf16_tflops / other.bf16_tflops))
    )


def pipelined(decode: DecodeCoefficients, pp: int) -> DecodeCoefficients:
    """Return the coefficients of a step when pp micro-batches of B/pp share the stages.

    A stage takes 1/pp of ``d0 + d1·B/pp + d2·C/pp + d3·(1 − (1 − s)^(B/pp))``; a sequence passes
    pp stages, so its step is the sum, with s' = 1 − (1 − s)^(1/pp).
    """
    if pp == 1:
        return decode
    return DecodeCoefficients(
        d0=decode.d0,
        d1=decode.d1 / pp,
        d2=decode.d2 / pp,
        d3=decode.d3,
        active_share=1.0 - (1.0 - decode.active_share) ** (1.0 / pp),
    )


def roofline_coefficients(
    llm: LLM, gpu: GPU, tp: int, efficiency: GPUEfficiency
) -> tuple[PrefillCoefficients, DecodeCoefficients]:
    """Return coefficients fitted to the roofline's step times on a fixed grid."""
    return _project(Roofline(llm, gpu, tp, efficiency), llm, efficiency)


def _project(
    roofline: Roofline, llm: LLM, efficiency: GPUEfficiency
) -> tuple[PrefillCoefficients, DecodeCoefficients]:
    batch, new, cached = zip(*PREFILL_GRID, strict=True)
    times = roofline.prefill_seconds(batch, new, cached)
    prefill, _ = fit_prefill(list(zip(batch, new, cached, times, strict=True)), ROOFLINE_ITERATIONS)
    sequences, context = zip(*DECODE_GRID, strict=True)
    steps = roofline.decode_seconds(sequences, context)
    share = efficiency.expert_skew * llm.active_experts / llm.experts if llm.experts else 0.0
    decode, _ = fit_decode(
        list(zip(sequences, context, steps, strict=True)), [share], ROOFLINE_ITERATIONS
    )
    return prefill, decode
