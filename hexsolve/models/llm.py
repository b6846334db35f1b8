"""LLM architecture to bytes, FLOPs and KV bytes per token."""

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from hexsolve.models.base import Record
from hexsolve.models.hardware import Name

DTYPE_BYTES = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.5}
DType = Literal["bf16", "fp8", "fp4"]


class LLM(Record):
    """A decoder-only transformer, dense or mixture-of-experts, with GQA or latent (MLA) KV."""

    name: Name
    layers: int = Field(gt=0, le=1000)
    hidden_size: int = Field(gt=0)
    intermediate_size: int = Field(ge=0, description="width of the dense feed-forward layers")
    attention_heads: int = Field(gt=0)
    kv_heads: int = Field(gt=0)
    head_size: int = Field(gt=0)
    vocabulary: int = Field(gt=0)
    tied_embeddings: bool = Field(default=False, description="input and output embedding shared")
    experts: int = Field(default=0, ge=0, description="routed experts per layer; 0 = dense")
    active_experts: int = Field(default=0, ge=0, description="routed experts used per token")
    shared_experts: int = Field(default=0, ge=0, description="experts that every token uses")
    expert_intermediate_size: int = Field(default=0, ge=0, description="width of one expert")
    dense_layers: int = Field(default=0, ge=0, description="leading layers without experts")
    kv_latent_size: int = Field(
        default=0, ge=0, description="MLA: elements kept per token and layer (latent + rope key)"
    )
    query_latent_size: int = Field(default=0, ge=0, description="MLA: rank of the query projection")
    sliding_window: int = Field(
        default=0, ge=0, description="attention window of the local layers, tokens; 0 = none"
    )
    sliding_layers: int = Field(default=0, ge=0, description="layers that use the window")
    weight_dtype: DType = "bf16"
    kv_dtype: Literal["bf16", "fp8"] = "bf16"
    expert_dtype: DType | None = Field(
        default=None, description="dtype of routed experts where it differs from weight_dtype"
    )
    context_limit: int = Field(default=131072, gt=0, description="tokens")
    aliases: tuple[str, ...] = ()
    source: str = "user"
    as_of: date | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "LLM":
        if self.attention_heads % self.kv_heads:
            raise ValueError(
                f"attention_heads ({self.attention_heads}) must be a multiple of kv_heads "
                f"({self.kv_heads})"
            )
        if self.experts and not (0 < self.active_experts <= self.experts):
            raise ValueError(f"active_experts must be 1…{self.experts}, is {self.active_experts}")
        if self.experts and not self.expert_intermediate_size:
            raise ValueError("expert_intermediate_size is needed when experts > 0")
        if self.dense_layers > self.layers or self.sliding_layers > self.layers:
            raise ValueError("dense_layers and sliding_layers cannot exceed layers")
        return self
