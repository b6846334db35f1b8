"""Fitting the efficiencies of GPU types to tables: the roofline for models without a table."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hexsolve.instances.calibration.table import Row, grouped
from hexsolve.instances.catalog import Catalog
from hexsolve.models.hardware import GPU
from hexsolve.models.llm import LLM
from hexsolve.models.roofline import AllReduceEfficiency, GPUEfficiency, Roofline

Array = NDArray[np.float64]


class _Field(NamedTuple):
    """How a field is fitted: on a logarithmic scale, within limits that physics allows.

    `spread` is the standard deviation of the logarithm over GPU types: the fit is pulled to its
    start by that much, which decides what a table leaves open (two models on one GPU type cannot
    tell launches from bandwidth everywhere).
    """

    low: float
    high: float
    spread: float


COMMON = {
    "gemm_flops": _Field(0.3, 1.1, 0.15),
    "gemm_bandwidth": _Field(0.4, 1.0, 0.1),
    "gemm_sharpness": _Field(1.2, 12.0, 0.4),
    "gemm_launch_s": _Field(1e-6, 1.5e-5, 0.4),
    "prefill_attention_flops": _Field(0.1, 0.95, 0.2),
    "prefill_attention_tile": _Field(32.0, 512.0, 0.4),
    "prefill_attention_launch_s": _Field(3e-6, 1e-4, 0.4),
    "decode_attention_launch_s": _Field(2e-6, 5e-5, 0.5),
    "decode_attention_bandwidth": _Field(0.3, 1.0, 0.1),
    "decode_sequence_s": _Field(1e-9, 5e-7, 0.5),
    "pointwise_bandwidth": _Field(0.1, 1.0, 0.4),
    "pointwise_launch_s": _Field(5e-7, 1e-5, 0.3),
}
EXPERTS = {
    "expert_flops": _Field(0.15, 1.1, 0.3),
    "expert_bandwidth": _Field(0.4, 1.1, 0.1),
    "expert_sharpness": _Field(1.2, 12.0, 0.4),
    "expert_launch_s": _Field(3e-6, 1e-4, 0.4),
    "expert_skew": _Field(0.4, 1.0, 0.1),
    "expert_padding": _Field(4.0, 256.0, 0.4),
    "expert_traffic": _Field(1.0, 20.0, 0.4),
}
QK_NORM = {"qk_norm_s": _Field(1e-6, 1e-4, 0.3)}
FP8 = {
    "fp8_gemm_flops": _Field(0.1, 1.0, 0.4),
    "fp8_launch_s": _Field(1e-6, 2e-4, 0.5),
}
FP8_EXPERTS = {"fp8_expert_flops": _Field(0.05, 1.0, 0.5)}
FP4_EXPERTS = {
    "fp4_expert_flops": _Field(0.05, 1.0, 0.4),
    "fp4_expert_bandwidth": _Field(0.2, 1.1, 0.2),
}
LATENT = {
    "latent_launch_s": _Field(1e-6, 3e-4, 0.5),
    "latent_flops": _Field(0.1, 1.0, 0.3),
}
REDUCE = {
    "latency_s": _Field(1e-6, 1e-4, 0.5),
    "bandwidth": _Field(0.005, 1.2, 1.0),
    "ring_latency_s": _Field(1e-6, 1e-3, 1.0),
    "ring_bandwidth": _Field(0.005, 1.2, 0.7),
}
# Sizes of an all-reduce at which engines may change from their own kernel to the ring, bytes.
SWITCHES = (0.75e6, 3e6)
SCOUT_ROUNDS = 5
ROUNDS = 25
# A pull of one spread weighs as much as this many rows that are off by `ROBUST`.
PRIOR = 2.0
# Relative error beyond which a row counts linearly, not squared.
ROBUST = 0.08
# Start for GPUs without a fabric of their own: over PCIe more GPUs share the same root ports.
PCIE_REDUCE = {
    2: AllReduceEfficiency(latency_s=5e-6, bandwidth=0.5, ring_bandwidth=0.5),
    4: AllReduceEfficiency(latency_s=1e-5, bandwidth=0.12, ring_bandwidth=0.12),
    8: AllReduceEfficiency(latency_s=1.5e-5, bandwidth=0.06, ring_bandwidth=0.06),
}


def fit_efficiencies(
    rows: Sequence[Row],
    catalog: Catalog,
    source: str,
    start: Mapping[str, GPUEfficiency] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[GPUEfficiency]:
    """Fit one `GPUEfficiency` per GPU type of a table.

    Minimises Σ ρ(log(predicted/measured)) with the soft-L1 loss over all rows of the type,
    every group of (LLM, tp, phase) with the same weight, plus a weak pull to `start`.

    Parameters
    ----------
    rows : sequence of Row
    catalog : Catalog
        Defines the LLMs and GPUs of the table.
    source : str
        Named in the result.
    start : mapping of GPU name to GPUEfficiency, optional
        Starting values, which also stand for what the table cannot tell.
    progress : callable
        Called with each GPU type once it is fitted.
    """
    fits = []
    for gpu in dict.fromkeys(row.gpu for row in rows):
        begin = (start or {}).get(gpu) or default_efficiency(catalog.gpus[gpu])
        fits.append(_Problem([r for r in rows if r.gpu == gpu], catalog, begin).solve(source))
        progress(gpu)
    return fits


def default_efficiency(gpu: GPU) -> GPUEfficiency:
    """Return what is assumed of a GPU type before any table is seen."""
    if gpu.nvlink_gb_s > 0:
        return GPUEfficiency(gpu=gpu.name)
    return GPUEfficiency(gpu=gpu.name, all_reduce=PCIE_REDUCE)


class _Problem:
    """Fit of one GPU type: a vector of logarithms ↔ efficiencies ↔ relative errors."""

    def __init__(self, rows: Sequence[Row], catalog: Catalog, begin: GPUEfficiency):
        self._begin = begin
        self._gpu = catalog.gpus[rows[0].gpu]
        self._groups = []
        count = 0
        for (name, _, tp), phases in grouped(rows).items():
            for phase, group in phases.items():
                if group:
                    table = np.array([(r.batch, r.new, r.cached, r.seconds) for r in group]).T
                    self._groups.append((catalog.llms[name], tp, phase, table))
                    count += len(group)
        mean = count / len(self._groups)
        self._weights = np.concatenate(
            [np.full(table.shape[1], mean / table.shape[1]) ** 0.5 for *_, table in self._groups]
        )
        self._tps = sorted({tp for _, tp, _, _ in self._groups if tp > 1})
        self._fields = _fields([llm for llm, *_ in self._groups])
        self._bounds = [*self._fields.values(), *list(REDUCE.values()) * len(self._tps)]
        self._pull = ROBUST * PRIOR / np.array([field.spread for field in self._bounds])

    def solve(self, source: str) -> GPUEfficiency:
        """Return the best fit; a few rounds decide among the candidates for `switch_bytes`."""
        candidates = SWITCHES if self._tps else SWITCHES[:1]
        tries = [self._refine(self._start(), switch, SCOUT_ROUNDS) for switch in candidates]
        best = min(range(len(tries)), key=lambda index: tries[index][0])
        _, vector = self._refine(tries[best][1], candidates[best], ROUNDS)
        models = len({llm.name for llm, *_ in self._groups})
        return self._efficiency(vector, candidates[best]).model_copy(
            update={"source": source, "models": models}
        )

    def _start(self) -> Array:
        lower, upper = self._limits()
        return np.clip(self._vector(self._begin), lower + 1e-6, upper - 1e-6)

    def _limits(self) -> tuple[Array, Array]:
        return (
            np.log([field.low for field in self._bounds]),
            np.log([field.high for field in self._bounds]),
        )

    def _refine(self, vector: Array, switch: float, rounds: int) -> tuple[float, Array]:
        from scipy.optimize import least_squares

        result = least_squares(
            self._residuals,
            vector,
            args=(self._start(), switch),
            bounds=self._limits(),
            loss="soft_l1",
            f_scale=ROBUST,
            max_nfev=rounds,
            ftol=1e-5,
            xtol=1e-5,
        )
        return float(result.cost), np.asarray(result.x, dtype=float)

    def _vector(self, efficiency: GPUEfficiency) -> Array:
        values = [getattr(efficiency, name) for name in self._fields]
        for tp in self._tps:
            reduce = efficiency.all_reduce_at(tp)
            values += [getattr(reduce, name) for name in REDUCE]
        return np.asarray(np.log(np.maximum(values, 1e-12)), dtype=float)

    def _efficiency(self, vector: Array, switch: float) -> GPUEfficiency:
        values = [float(value) for value in np.exp(vector)]
        fields: dict[str, object] = dict(zip(self._fields, values, strict=False))
        rest = values[len(self._fields) :]
        reduces = dict(self._begin.all_reduce)
        for index, tp in enumerate(self._tps):
            part = rest[index * len(REDUCE) : (index + 1) * len(REDUCE)]
            reduces[tp] = AllReduceEfficiency(
                switch_bytes=switch, **dict(zip(REDUCE, part, strict=True))
            )
        return self._begin.model_copy(update=fields | {"all_reduce": reduces})

    def _residuals(self, vector: Array, first: Array, switch: float) -> Array:
        efficiency = self._efficiency(vector, switch)
        errors: list[Array] = []
        for llm, tp, phase, (batch, new, cached, seconds) in self._groups:
            roofline = Roofline(llm, self._gpu, tp, efficiency)
            if phase == "prefill":
                predicted = roofline.prefill_seconds(batch, new, cached)
            else:
                predicted = roofline.decode_seconds(batch, cached)
            errors.append(np.log(predicted / seconds))
        residuals = np.concatenate(errors) * self._weights
        pull = self._pull * (vector - first)
        joined: Array = np.append(residuals, pull)
        return joined


def _fields(llms: Sequence[LLM]) -> dict[str, _Field]:
    """Return the fields that a table of these models can tell."""
    kinds = [
        (COMMON, True),
        (EXPERTS, any(llm.experts for llm in llms)),
        (QK_NORM, any(llm.qk_norm for llm in llms)),
        (FP8, any(llm.weight_dtype == "fp8" for llm in llms)),
        (FP8_EXPERTS, any(llm.experts and llm.routed_dtype == "fp8" for llm in llms)),
        (FP4_EXPERTS, any(llm.experts and llm.routed_dtype == "fp4" for llm in llms)),
        (LATENT, any(llm.is_mla for llm in llms)),
    ]
    return {name: field for fields, told in kinds if told for name, field in fields.items()}
