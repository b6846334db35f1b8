"""What the steps of an unmeasured (LLM, GPU, tp) cost: operations against peaks × efficiencies.

Every operation of a layer takes ``launch + (arithmetic^s + traffic^s)^(1/s)``: its FLOPs over the
peak times an efficiency, its bytes over the bandwidth times an efficiency, and a sharpness s that
says how well the two overlap (Williams et al., Roofline, CACM 52, 2009, is s → ∞). Efficiencies
are properties of the GPU type, those of the all-reduce also of tp; they are fitted to tables.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hexsolve.models.base import Record
from hexsolve.models.hardware import GPU, NonNegative, Positive
from hexsolve.models.llm import DTYPE_BYTES, LLM
from hexsolve.models.memory import MemoryModel

Array = NDArray[np.float64]
ACTIVATION_BYTES = 2.0


class AllReduceEfficiency(Record):
    """All-reduce among tp GPUs of one node: ``latency + bytes/(fabric bandwidth · bandwidth)``."""

    latency_s: Positive
    bandwidth: Positive = Field(description="bytes reduced per byte/s of the fabric")


class GPUEfficiency(Record):
    """How much of its data sheet a GPU type delivers, per kind of operation."""

    gpu: str
    gemm_flops: Positive = Field(default=0.8, description="of the dense peak")
    gemm_bandwidth: Positive = Field(default=0.82, description="of the memory bandwidth")
    gemm_sharpness: float = Field(default=2.5, ge=1.0, le=20.0)
    gemm_launch_s: NonNegative = 3.5e-6
    prefill_attention_flops: Positive = Field(default=0.6, description="of the dense peak")
    prefill_attention_tile: NonNegative = Field(default=128.0, description="tokens")
    attention_launch_s: NonNegative = 8e-6
    decode_attention_bandwidth: Positive = Field(default=0.8, description="of the bandwidth")
    decode_sequence_s: NonNegative = Field(default=5e-8, description="s per sequence and layer")
    pointwise_bandwidth: Positive = Field(default=0.8, description="of the bandwidth")
    pointwise_launch_s: NonNegative = 3e-6
    expert_flops: Positive = Field(default=0.55, description="of the dense peak")
    expert_bandwidth: Positive = Field(default=0.9, description="of the bandwidth")
    expert_sharpness: float = Field(default=2.5, ge=1.0, le=20.0)
    expert_launch_s: NonNegative = 4e-5
    expert_skew: Positive = Field(
        default=0.83, le=1.0, description="distinct experts touched / those of uniform routing"
    )
    expert_padding: NonNegative = Field(default=64.0, description="tokens per touched expert")
    expert_traffic: NonNegative = Field(
        default=7.0, description="reads and writes of each routed activation"
    )
    all_reduce: dict[int, AllReduceEfficiency] = Field(
        default_factory=lambda: {
            2: AllReduceEfficiency(latency_s=6e-6, bandwidth=0.6),
            4: AllReduceEfficiency(latency_s=7e-6, bandwidth=0.5),
            8: AllReduceEfficiency(latency_s=8e-6, bandwidth=0.5),
        },
        description="by tp",
    )
    memory: MemoryModel = MemoryModel()
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

    def prefill_seconds(self, batch: Sequence[float] | Array, new: Any, cached: Any) -> Array:
        """Return the times of prefill batches of `batch` equal calls, s; arrays broadcast."""
        calls, fresh, old = (np.asarray(item, dtype=float) for item in (batch, new, cached))
        tokens = calls * fresh
        return self._tokens_seconds(tokens, calls) + self._prefill_attention(calls, fresh, old)

    def decode_seconds(self, batch: Sequence[float] | Array, context: Any) -> Array:
        """Return the times of decode steps of `batch` sequences with `context` tokens each, s."""
        sequences, length = (np.asarray(item, dtype=float) for item in (batch, context))
        return self._tokens_seconds(sequences, sequences) + self._decode_attention(
            sequences, length
        )

    def _tokens_seconds(self, tokens: Array, outputs: Array) -> Array:
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
            total = total + llm.moe_layers * self._experts(tokens)
        reductions = 2 * llm.layers + 1
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

    def _experts(self, tokens: Array) -> Array:
        """Router, shared experts and the grouped GEMMs of the routed ones.

        ``touched = E·(1 − (1 − skew·k/E)^tokens)`` experts are read; each pads its tokens.
        """
        llm, eff, tp = self._llm, self._eff, self._tp
        hidden, width = llm.hidden_size, llm.expert_intermediate_size / tp
        share = min(eff.expert_skew * llm.active_experts / llm.experts, 1.0)
        touched = np.maximum(1.0, llm.experts * (1.0 - (1.0 - share) ** tokens))
        routed = tokens * llm.active_experts
        size = DTYPE_BYTES[llm.routed_dtype]
        flops = 6.0 * hidden * width * (routed + touched * eff.expert_padding)
        # Four-bit experts are multiplied in bf16 or fp8; only their weights are smaller.
        peak = self._gpu.flops("bf16" if llm.routed_dtype == "fp4" else llm.routed_dtype)
        weights = touched * 3.0 * hidden * width * size
        moved = routed * (hidden + 2.0 * width) * ACTIVATION_BYTES * eff.expert_traffic
        total = self._gemm(tokens, llm.experts, hidden, "bf16") + _overlapped(
            flops / (peak * eff.expert_flops),
            (weights + moved) / (self._gpu.memory_bandwidth * eff.expert_bandwidth),
            eff.expert_sharpness,
            eff.expert_launch_s,
        )
        if llm.shared_experts:
            total = total + self._feed_forward(tokens, llm.shared_experts * width, 2)
        return total

    def _prefill_attention(self, calls: Array, new: Array, cached: Array) -> Array:
        """FLOPs ``2·heads·(key + value size)`` per pair; a tile of the diagonal counts whole."""
        llm, eff = self._llm, self._eff
        heads = llm.attention_heads / self._tp
        per_pair = 2.0 * heads * (2 * llm.head_size + llm.mla_rope_size)
        tile = eff.prefill_attention_tile
        rate = self._gpu.flops("bf16") * eff.prefill_attention_flops
        full = calls * new * (cached + (new + tile) / 2.0)
        total = llm.full_attention_layers * (eff.attention_launch_s + per_pair * full / rate)
        if llm.layers > llm.full_attention_layers:
            seen = np.minimum(cached + (new + tile) / 2.0, llm.sliding_window + tile)
            local = llm.layers - llm.full_attention_layers
            total = total + local * (eff.attention_launch_s + per_pair * calls * new * seen / rate)
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
        layers = max(1, llm.full_attention_layers)
        size = llm.kv_bytes_per_token_per_gpu(tp) / layers
        traffic = (
            sequences
            * context
            * size
            / (self._gpu.memory_bandwidth * eff.decode_attention_bandwidth)
        )
        seconds = eff.attention_launch_s + eff.decode_sequence_s * sequences + traffic
        if llm.is_mla:
            per_token = 2.0 * llm.attention_heads / tp * (2 * llm.kv_latent_size)
            rate = self._gpu.flops("bf16") * eff.prefill_attention_flops
            seconds = seconds + sequences * context * per_token / rate
        return np.asarray(seconds, dtype=float)

    def _gemm(self, rows: Array, width: float, depth: float, dtype: str) -> Array:
        eff = self._eff
        size = DTYPE_BYTES[dtype]
        flops = 2.0 * rows * width * depth
        moved = width * depth * size + rows * (width + depth) * ACTIVATION_BYTES
        return _overlapped(
            flops / (self._gpu.flops(dtype) * eff.gemm_flops),
            moved / (self._gpu.memory_bandwidth * eff.gemm_bandwidth),
            eff.gemm_sharpness,
            eff.gemm_launch_s,
        )

    def _pointwise(self, elements: Array) -> Array:
        bandwidth = self._gpu.memory_bandwidth * self._eff.pointwise_bandwidth
        return np.asarray(
            self._eff.pointwise_launch_s + elements * ACTIVATION_BYTES / bandwidth, dtype=float
        )

    def _all_reduce(self, tokens: Array) -> Array:
        if self._tp == 1:
            return np.zeros_like(tokens)
        moved = tokens * self._llm.hidden_size * ACTIVATION_BYTES
        bandwidth = self._gpu.fabric_bandwidth * self._reduce.bandwidth
        return np.asarray(self._reduce.latency_s + moved / bandwidth, dtype=float)


def _overlapped(arithmetic: Array, traffic: Array, sharpness: float, launch: float) -> Array:
    """Return ``launch + (arithmetic^s + traffic^s)^(1/s)`` without overflow."""
    high, low = np.maximum(arithmetic, traffic), np.minimum(arithmetic, traffic)
    ratio = low / np.maximum(high, 1e-30)
    return np.asarray(launch + high * (1.0 + ratio**sharpness) ** (1.0 / sharpness), dtype=float)
