"""How many tokens of KV an instance can hold."""

import math

from pydantic import Field

from hexsolve.models.base import Record
from hexsolve.models.hardware import GIB, GPU, NonNegative
from hexsolve.models.llm import LLM

MIB = 2**20


class MemoryModel(Record):
    """What an engine needs besides weights and KV.

    KV budget of one GPU = utilisation · memory − weights − activations − runtime − communication.
    The figures are those of vLLM engines as the public package aiconfigurator-core 0.12
    (Apache-2.0) accounts for them; activations are
    ``width_factor(tp) · batched_tokens · heads · head_size · 2 bytes``.
    """

    gpu: str = Field(default="", description="GPU type that it holds for; empty = any")
    utilisation: float = Field(
        default=0.92, gt=0, le=1, description="share of the memory that the engine may use"
    )
    runtime_gib: NonNegative = Field(default=3.5, description="CUDA context, libraries, graphs")
    communication_mib: tuple[float, float, float] = Field(
        default=(0.0, 342.0, 392.0), description="collective buffers at tp 1, 2, 4 and more"
    )
    dense_width_factor: tuple[float, float, float] = Field(
        default=(11.0, 6.5, 5.0), description="activation width at tp 1, 2, 4 and more, dense"
    )
    moe_width_factor: tuple[float, float, float] = Field(
        default=(22.0, 13.0, 10.0), description="the same, mixture of experts"
    )
    batched_tokens: int = Field(default=8192, ge=1, description="most tokens of one step")
    source: str = "user"

    def activation_bytes(self, llm: LLM, tp: int) -> float:
        """Return the activations of one GPU, bytes."""
        factor = self.moe_width_factor if llm.experts else self.dense_width_factor
        width = llm.attention_heads * llm.head_size
        workspace = 0.0
        if llm.is_mla and llm.experts:
            # Block-scaled dispatch keeps one 4-byte scale per 128 elements and routed expert.
            pairs = llm.experts * llm.active_experts
            workspace = self.batched_tokens * llm.hidden_size * pairs * 4.0 / 128.0
        return _at_tp(factor, tp) * self.batched_tokens * width * 2.0 + workspace

    def overhead_bytes(self, llm: LLM, tp: int) -> float:
        """Return activations, runtime and communication buffers of one GPU, bytes."""
        return (
            self.activation_bytes(llm, tp)
            + self.runtime_gib * GIB
            + _at_tp(self.communication_mib, tp) * MIB
        )

    def kv_capacity_tokens(self, llm: LLM, gpu: GPU, tp: int, pp: int = 1) -> int:
        """Return the KV pool of an instance in tokens; 0 when the weights do not fit.

        Every GPU holds its share of each token's KV, so the pool of one GPU is the instance's.
        """
        budget = (
            self.utilisation * gpu.memory_bytes
            - llm.weight_bytes_per_gpu(tp, pp)
            - self.overhead_bytes(llm, tp)
        )
        return max(0, math.floor(budget / llm.kv_bytes_per_token_per_gpu(tp, pp)))


def _at_tp(values: tuple[float, float, float], tp: int) -> float:
    return values[min(max(tp - 1, 0).bit_length(), 2)]
