"""What the steps of an unmeasured (LLM, GPU, tp) cost: operations against peaks × efficiencies.

Every operation of a layer takes ``launch + (arithmetic^s + traffic^s)^(1/s)``: its FLOPs over the
peak times an efficiency, its bytes over the bandwidth times an efficiency, and a sharpness s that
says how well the two overlap (Williams et al., Roofline, CACM 52, 2009, is s → ∞). Efficiencies
are properties of the GPU type, those of the all-reduce also of tp; they are fitted to tables.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hexsolve.models.base import Record
from hexsolve.models.hardware import GPU, NonNegative, Positive
from hexsolve.models.llm import DTYPE_BYTES, LLM

Array = NDArray[np.float64]
Points = Sequence[float] | Array
ACTIVATION_BYTES = 2.0


class AllReduceEfficiency(Record):
    """All-reduce among tp GPUs of one node.

    Up to `switch_bytes` an engine uses a kernel of its own, ``latency + bytes/(fabric bandwidth ·
    bandwidth)``; beyond, the vendor's ring with a latency and a bandwidth of its own.
    """

    latency_s: Positive
    bandwidth: Positive = Field(description="bytes reduced per byte/s of the fabric")
    switch_bytes: Positive = Field(default=3e6, description="size at which the ring takes over")
    ring_latency_s: Positive = 1e-5
    ring_bandwidth: Positive = 0.55

    def seconds(self, size: Array, fabric_bandwidth: float) -> Array:
        """Return the time of reducing `size` bytes, s."""
        own = self.latency_s + size / (fabric_bandwidth * self.bandwidth)
        ring = self.ring_latency_s + size / (fabric_bandwidth * self.ring_bandwidth)
        return np.where(size <= self.switch_bytes, own, ring)


def mean_all_reduce(items: Sequence[AllReduceEfficiency]) -> AllReduceEfficiency:
    """Return the geometric mean of each field."""
    names = list(AllReduceEfficiency.model_fields)
    return AllReduceEfficiency(
        **{n: float(np.exp(np.mean([np.log(getattr(item, n)) for item in items]))) for n in names}
    )


class GPUEfficiency(Record):
    """How much of its data sheet a GPU type delivers, per kind of operation."""

    gpu: str
    gemm_flops: Positive = Field(default=0.77, description="of the dense peak")
    gemm_bandwidth: Positive = Field(default=0.84, description="of the memory bandwidth")
    gemm_sharpness: float = Field(default=4.0, ge=1.0, le=20.0)
    gemm_launch_s: NonNegative = 4e-6
    fp8_gemm_flops: Positive = Field(default=0.5, description="of the dense fp8 peak")
    fp8_launch_s: NonNegative = Field(
        default=3e-5, description="quantising the input of one fp8 GEMM, s"
    )
    prefill_attention_flops: Positive = Field(default=0.62, description="of the dense peak")
    prefill_attention_tile: NonNegative = Field(default=128.0, description="tokens")
    prefill_attention_launch_s: NonNegative = 2e-5
    qk_norm_s: NonNegative = Field(
        default=2.6e-5, description="normalising queries and keys of one prefill layer, s"
    )
    decode_attention_launch_s: NonNegative = 9e-6
    decode_attention_bandwidth: Positive = Field(default=0.87, description="of the bandwidth")
    decode_sequence_s: NonNegative = Field(default=3e-8, description="s per sequence and layer")
    latent_launch_s: NonNegative = Field(
        default=1.5e-5, description="further kernels of one MLA layer, s"
    )
    latent_flops: Positive = Field(default=0.75, description="MLA attention, of the dense peak")
    pointwise_bandwidth: Positive = Field(default=0.5, description="of the bandwidth")
    pointwise_launch_s: NonNegative = 3e-6
    expert_flops: Positive = Field(default=0.65, description="of the dense peak")
    expert_bandwidth: Positive = Field(default=0.88, description="of the bandwidth")
    expert_sharpness: float = Field(default=2.5, ge=1.0, le=20.0)
    expert_launch_s: NonNegative = 3e-5
    expert_skew: Positive = Field(
        default=0.8, le=1.0, description="distinct experts touched / those of uniform routing"
    )
    expert_padding: NonNegative = Field(default=48.0, description="tokens per touched expert")
    expert_traffic: NonNegative = Field(
        default=5.0, description="reads and writes of each routed activation"
    )
    fp8_expert_flops: Positive = Field(default=0.5, description="of the dense fp8 peak")
    fp4_expert_flops: Positive = Field(default=0.5, description="of the dense bf16 peak")
    fp4_expert_bandwidth: Positive = Field(default=0.75, description="of the bandwidth")
    all_reduce: dict[int, AllReduceEfficiency] = Field(
        default_factory=lambda: {
            2: AllReduceEfficiency(latency_s=4e-6, bandwidth=0.5),
            4: AllReduceEfficiency(latency_s=5e-6, bandwidth=0.4),
            8: AllReduceEfficiency(latency_s=6e-6, bandwidth=0.4),
        },
        description="by tp",
    )
    models: int = Field(default=1, ge=0, description="LLMs that the fit rests on")
    source: str = ""

    def all_reduce_at(self, tp: int) -> AllReduceEfficiency:
        """Return the entry of `tp`, else of the nearest tp that has one."""
        if tp in self.all_reduce:
            return self.all_reduce[tp]
        nearest = min(self.all_reduce, key=lambda size: (abs(np.log2(size / tp)), size))
        return self.all_reduce[nearest]


class Roofline:
    """Step times of one LLM on `tp` GPUs of one type.

    Parameters
    ----------
    llm, gpu, tp
        What runs where.
    efficiency : GPUEfficiency
        Shares of the peaks of `gpu`.
    """

    def __init__(self, llm: LLM, gpu: GPU, tp: int, efficiency: GPUEfficiency):
        self._llm, self._gpu, self._tp, self._eff = llm, gpu, tp, efficiency
        self._reduce = efficiency.all_reduce_at(tp)

    def prefill_seconds(self, batch: Points, new: Points, cached: Points) -> Array:
        """Return the times of prefill batches of `batch` equal calls, s; arrays broadcast."""
        calls, fresh, old = (np.asarray(item, dtype=float) for item in (batch, new, cached))
        return self._tokens_seconds(calls * fresh, calls, decode=False) + self._prefill_attention(
            calls, fresh, old
        )

    def decode_seconds(self, batch: Points, context: Points) -> Array:
        """Return the times of decode steps of `batch` sequences with `context` tokens each, s."""
        sequences, length = (np.asarray(item, dtype=float) for item in (batch, context))
        return self._tokens_seconds(sequences, sequences, decode=True) + self._decode_attention(
            sequences, length
        )

    def _tokens_seconds(self, tokens: Array, outputs: Array, decode: bool) -> Array:
        """Everything but attention: `tokens` pass the layers, `outputs` the output embedding."""
        llm, tp = self._llm, self._tp
        hidden, dtype = llm.hidden_size, llm.weight_dtype
        total = llm.layers * 2 * self._pointwise(tokens * 4 * hidden)
        for width, depth in self._attention_shapes():
            total = total + llm.layers * self._gemm(tokens, width, depth, dtype)
        dense = llm.layers - llm.moe_layers
        if dense:
            total = total + dense * self._feed_forward(
                tokens, llm.intermediate_size / tp, llm.ffn_matrices - 1
            )
        if llm.moe_layers:
            total = total + llm.moe_layers * self._experts(tokens, decode)
        # Attention and feed-forward outputs; engines with shared experts reduce their dispatch
        # and combination apart.
        reductions = 2 * llm.layers + 1 + (2 * llm.moe_layers if llm.shared_experts else 0)
        total = total + reductions * self._all_reduce(tokens)
        total = total + self._pointwise(tokens * 2 * hidden)
        return total + self._gemm(outputs, llm.vocabulary / tp, hidden, "bf16")

    def _attention_shapes(self) -> list[tuple[float, float]]:
        """(width, depth) of the projections of one layer on one GPU."""
        llm, tp = self._llm, self._tp
        heads = llm.attention_heads / tp
        out: tuple[float, float] = (llm.hidden_size, heads * llm.head_size)
        if not llm.is_mla:
            keys = 2 * llm.kv_heads_per_gpu(tp) * llm.head_size
            return [(heads * llm.head_size + keys, llm.hidden_size), out]
        query = heads * (llm.head_size + llm.mla_rope_size)
        rank = llm.kv_latent_size - llm.mla_rope_size
        shapes: list[tuple[float, float]] = [
            (llm.query_latent_size + llm.kv_latent_size, llm.hidden_size)
        ]
        shapes.append((query, llm.query_latent_size or llm.hidden_size))
        shapes.append((heads * 2 * llm.head_size, rank))
        return [*shapes, out]

    def _feed_forward(self, tokens: Array, width: float, inputs: int) -> Array:
        hidden, dtype = self._llm.hidden_size, self._llm.weight_dtype
        return (
            self._gemm(tokens, inputs * width, hidden, dtype)
            + self._pointwise(tokens * (inputs + 1) * width)
            + self._gemm(tokens, hidden, width, dtype)
        )

    def _experts(self, tokens: Array, decode: bool) -> Array:
        """Router, routed and shared experts of one layer.

        ``touched = E·(1 − (1 − skew·k/E)^tokens)`` experts are read; each pads its tokens. In
        decode the shared experts run beside the routed ones, in prefill after them.
        """
        llm, eff, tp = self._llm, self._eff, self._tp
        hidden, width = llm.hidden_size, llm.expert_intermediate_size / tp
        share = min(eff.expert_skew * llm.active_experts / llm.experts, 1.0)
        touched = np.maximum(1.0, llm.experts * (1.0 - (1.0 - share) ** tokens))
        assigned = tokens * llm.active_experts
        flops = 6.0 * hidden * width * (assigned + touched * eff.expert_padding)
        weights = touched * 3.0 * hidden * width * DTYPE_BYTES[llm.routed_dtype]
        moved = assigned * (hidden + 2.0 * width) * ACTIVATION_BYTES * eff.expert_traffic
        rate, bandwidth = self._expert_rates()
        routed = _overlapped(
            flops / rate,
            weights / bandwidth + moved / (self._gpu.memory_bandwidth * eff.expert_bandwidth),
            eff.expert_sharpness,
            eff.expert_launch_s,
        )
        router = self._gemm(tokens, llm.experts, hidden, "bf16")
        if not llm.shared_experts:
            return router + routed
        shared = self._feed_forward(tokens, llm.shared_experts * width, 2)
        return router + (np.maximum(shared, routed) if decode else shared + routed)

    def _expert_rates(self) -> tuple[float, float]:
        """FLOP/s and bytes/s of the routed experts; four-bit ones are multiplied in bf16."""
        eff, gpu = self._eff, self._gpu
        plain = gpu.memory_bandwidth * eff.expert_bandwidth
        match self._llm.routed_dtype:
            case "fp8":
                return gpu.flops("fp8") * eff.fp8_expert_flops, plain
            case "fp4":
                bandwidth = gpu.memory_bandwidth * eff.fp4_expert_bandwidth
                return gpu.flops("bf16") * eff.fp4_expert_flops, bandwidth
            case _:
                return gpu.flops("bf16") * eff.expert_flops, plain

    def _prefill_attention(self, calls: Array, new: Array, cached: Array) -> Array:
        """FLOPs ``2·heads·(key + value size)`` per pair; a tile of the diagonal counts whole."""
        llm, eff = self._llm, self._eff
        heads = llm.attention_heads / self._tp
        per_pair = 2.0 * heads * (2 * llm.head_size + llm.mla_rope_size)
        share = eff.latent_flops if llm.is_mla else eff.prefill_attention_flops
        rate = self._gpu.flops("bf16") * share
        launch = eff.prefill_attention_launch_s
        launch += eff.qk_norm_s if llm.qk_norm else 0.0
        launch += eff.latent_launch_s if llm.is_mla else 0.0
        reach = cached + (new + eff.prefill_attention_tile) / 2.0
        full = llm.full_attention_layers
        total = full * (launch + per_pair * calls * new * reach / rate)
        if llm.layers > full:
            seen = np.minimum(reach, llm.sliding_window + eff.prefill_attention_tile)
            total = total + (llm.layers - full) * (launch + per_pair * calls * new * seen / rate)
        return total

    def _decode_attention(self, sequences: Array, context: Array) -> Array:
        """Read the KV of every sequence once; with MLA the heads' arithmetic can weigh more."""
        llm = self._llm
        total = llm.full_attention_layers * self._decode_layer(sequences, context)
        local = llm.layers - llm.full_attention_layers
        if local:
            seen = np.minimum(context, float(llm.sliding_window))
            total = total + local * self._decode_layer(sequences, seen)
        return np.asarray(total, dtype=float)

    def _decode_layer(self, sequences: Array, context: Array) -> Array:
        llm, eff, tp = self._llm, self._eff, self._tp
        tokens = sequences * context
        bandwidth = self._gpu.memory_bandwidth * eff.decode_attention_bandwidth
        reading = tokens * llm.kv_bytes_per_layer(tp) / bandwidth
        launch = eff.decode_attention_launch_s + eff.decode_sequence_s * sequences
        if not llm.is_mla:
            return np.asarray(launch + reading, dtype=float)
        # Each head scores and sums over the whole latent.
        flops = tokens * 4.0 * llm.attention_heads / tp * llm.kv_latent_size
        arithmetic = flops / (self._gpu.flops("bf16") * eff.latent_flops)
        return launch + eff.latent_launch_s + np.maximum(reading, arithmetic)

    def _gemm(self, rows: Array, width: float, depth: float, dtype: str) -> Array:
        eff = self._eff
        size = DTYPE_BYTES[dtype]
        flops = 2.0 * rows * width * depth
        moved = width * depth * size + rows * (width + depth) * ACTIVATION_BYTES
        eight = dtype == "fp8" and self._gpu.fp8_tflops is not None
        share = eff.fp8_gemm_flops if eight else eff.gemm_flops
        return _overlapped(
            flops / (self._gpu.flops(dtype) * share),
            moved / (self._gpu.memory_bandwidth * eff.gemm_bandwidth),
            eff.gemm_sharpness,
            eff.gemm_launch_s + (eff.fp8_launch_s if eight else 0.0),
        )

    def _pointwise(self, elements: Array) -> Array:
        bandwidth = self._gpu.memory_bandwidth * self._eff.pointwise_bandwidth
        return np.asarray(
            self._eff.pointwise_launch_s + elements * ACTIVATION_BYTES / bandwidth, dtype=float
        )

    def _all_reduce(self, tokens: Array) -> Array:
        if self._tp == 1:
            return np.zeros_like(tokens)
        return self._reduce.seconds(
            tokens * self._llm.hidden_size * ACTIVATION_BYTES, self._gpu.fabric_bandwidth
        )


def _overlapped(arithmetic: Array, traffic: Array, sharpness: float, launch: float) -> Array:
    """Return ``launch + (arithmetic^s + traffic^s)^(1/s)`` without overflow."""
    high, low = np.maximum(arithmetic, traffic), np.minimum(arithmetic, traffic)
    ratio = low / np.maximum(high, 1e-30)
    return np.asarray(launch + high * (1.0 + ratio**sharpness) ** (1.0 / sharpness), dtype=float)
