"""LLM architecture to bytes, FLOPs and KV bytes per token."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hexsolve.models.base import Record
from hexsolve.models.hardware import Name

DTYPE_BYTES = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.5}
DType = Literal["bf16", "fp8", "fp4"]

# Ten to a thousand times what any architecture has; keeps products far from overflow.
Size = Annotated[int, Field(gt=0, le=10_000_000)]
Count = Annotated[int, Field(ge=0, le=10_000_000)]


class LLM(Record):
    """A decoder-only transformer, dense or mixture-of-experts, with GQA or latent (MLA) KV."""

    name: Name
    layers: int = Field(gt=0, le=1000)
    hidden_size: Size
    intermediate_size: Count = Field(description="width of the dense feed-forward layers")
    attention_heads: Size
    kv_heads: Size
    head_size: Size
    vocabulary: Size
    qk_norm: bool = Field(default=False, description="queries and keys are normalised per head")
    tied_embeddings: bool = Field(default=False, description="input and output embedding shared")
    ffn_matrices: Literal[2, 3] = Field(
        default=3, description="matrices of a dense feed-forward layer: 3 gated, 2 plain"
    )
    experts: Count = Field(default=0, description="routed experts per layer; 0 = dense")
    active_experts: Count = Field(default=0, description="routed experts used per token")
    shared_experts: Count = Field(default=0, description="experts that every token uses")
    expert_intermediate_size: Count = Field(default=0, description="width of one expert")
    dense_layers: Count = Field(default=0, description="leading layers without experts")
    kv_latent_size: Count = Field(
        default=0, description="MLA: elements kept per token and layer (latent + rope key)"
    )
    mla_rope_size: Count = Field(
        default=0, description="MLA: elements of the rope key within kv_latent_size"
    )
    query_latent_size: Count = Field(default=0, description="MLA: rank of the query projection")
    sliding_window: Count = Field(
        default=0, description="attention window of the local layers, tokens; 0 = none"
    )
    sliding_layers: Count = Field(default=0, description="layers that use the window")
    weight_dtype: DType = "bf16"
    kv_dtype: Literal["bf16", "fp8"] = "bf16"
    expert_dtype: DType | None = Field(
        default=None, description="dtype of routed experts where it differs from weight_dtype"
    )
    context_limit: int = Field(default=131072, gt=0, le=1_000_000_000, description="tokens")
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
        if self.mla_rope_size and self.mla_rope_size >= self.kv_latent_size:
            raise ValueError("mla_rope_size must be smaller than kv_latent_size")
        return self

    @property
    def is_mla(self) -> bool:
        """Whether keys and values are kept as one latent vector (multi-head latent attention)."""
        return self.kv_latent_size > 0

    @property
    def moe_layers(self) -> int:
        """Layers with routed experts."""
        return self.layers - self.dense_layers if self.experts else 0

    @property
    def full_attention_layers(self) -> int:
        """Layers that attend to the whole context."""
        return self.layers - (self.sliding_layers if self.sliding_window else 0)

    @property
    def routed_dtype(self) -> DType:
        """The dtype of routed experts."""
        return self.expert_dtype or self.weight_dtype

    @property
    def expert_parameters(self) -> int:
        """Weights of one expert: gate, up and down projection."""
        return 3 * self.hidden_size * self.expert_intermediate_size

    def attention_parameters(self, tp: int = 1) -> float:
        """Return the weights of one layer's attention projections on one of `tp` GPUs.

        Grouped-query attention keeps whole KV heads, at least one per GPU. MLA follows
        DeepSeek-V2 (arXiv 2405.04434): down-projections on every GPU, up-projections per head.
        """
        heads = self.attention_heads / tp
        out = heads * self.head_size * self.hidden_size
        if not self.is_mla:
            kv_heads = self.kv_heads_per_gpu(tp)
            return out + self.hidden_size * self.head_size * (heads + 2 * kv_heads)
        rank = self.kv_latent_size - self.mla_rope_size
        query = heads * (self.head_size + self.mla_rope_size)
        down = self.hidden_size * (self.query_latent_size + self.kv_latent_size)
        up = query * (self.query_latent_size or self.hidden_size) + rank * heads * (
            2 * self.head_size
        )
        return out + down + up

    def kv_heads_per_gpu(self, tp: int = 1) -> int:
        """Return ⌈kv_heads/tp⌉: with more GPUs than KV heads each head lies on several."""
        return -(-self.kv_heads // tp)

    def weight_bytes_per_gpu(self, tp: int = 1, pp: int = 1) -> float:
        """Return the bytes of weights on one GPU under tensor and pipeline parallelism."""
        size = DTYPE_BYTES[self.weight_dtype]
        embeddings = (1 if self.tied_embeddings else 2) * self.vocabulary * self.hidden_size / tp
        dense = self.layers - self.moe_layers
        ffn = dense * self.ffn_matrices * self.hidden_size * self.intermediate_size / tp
        router = self.moe_layers * self.experts * self.hidden_size
        shared = self.moe_layers * self.shared_experts * self.expert_parameters / tp
        routed = self.moe_layers * self.experts * self.expert_parameters / tp
        attention = self.layers * self.attention_parameters(tp)
        plain = (embeddings + router) * DTYPE_BYTES["bf16"]
        return (
            plain + (attention + ffn + shared) * size + routed * DTYPE_BYTES[self.routed_dtype]
        ) / pp

    @property
    def weight_bytes(self) -> float:
        """Bytes of all weights; norms and biases are left out (below 0.1 %)."""
        return self.weight_bytes_per_gpu()

    @property
    def parameters(self) -> float:
        """Number of weights."""
        return self._parameters(self.experts)

    @property
    def active_parameters(self) -> float:
        """Number of weights that one token uses, embedding tables included."""
        return self._parameters(self.active_experts)

    def _parameters(self, experts: int) -> float:
        embeddings = (1 if self.tied_embeddings else 2) * self.vocabulary * self.hidden_size
        dense = self.layers - self.moe_layers
        return (
            embeddings
            + self.layers * self.attention_parameters()
            + dense * self.ffn_matrices * self.hidden_size * self.intermediate_size
            + self.moe_layers
            * (
                self.experts * self.hidden_size
                + (self.shared_experts + experts) * self.expert_parameters
            )
        )

    @property
    def flops_per_token(self) -> float:
        """FLOPs of the matrix products of one token, attention scores left out: ≈ 2·active."""
        lookup = 0 if self.tied_embeddings else self.vocabulary * self.hidden_size
        return 2.0 * (self.active_parameters - lookup)

    @property
    def attention_flops_per_pair(self) -> float:
        """FLOPs per (new token, context token) pair over all layers: scores and weighted sum."""
        qk = self.head_size + self.mla_rope_size
        return 2.0 * self.layers * self.attention_heads * (qk + self.head_size)

    def kv_bytes_per_token_per_gpu(self, tp: int = 1, pp: int = 1) -> float:
        """Return the KV bytes per token of context on one GPU.

        Whole KV heads, so replicated when tp > kv_heads; a latent (MLA) lies on every GPU. Layers
        with a sliding window count only while the window is not full, i.e. not at all: they add a
        constant per sequence (`sliding_kv_bytes_per_gpu`).
        """
        return self.kv_bytes_per_layer(tp) * self.full_attention_layers / pp

    def sliding_kv_bytes_per_gpu(self, tp: int = 1, pp: int = 1) -> float:
        """Return the KV bytes that a sequence keeps on one GPU for its full windows."""
        layers = self.layers - self.full_attention_layers
        return self.kv_bytes_per_layer(tp) * layers * self.sliding_window / pp

    def kv_bytes_per_layer(self, tp: int = 1) -> float:
        """Return the KV bytes per token of one layer on one GPU."""
        if self.is_mla:
            return self.kv_latent_size * DTYPE_BYTES[self.kv_dtype]
        return 2.0 * self.kv_heads_per_gpu(tp) * self.head_size * DTYPE_BYTES[self.kv_dtype]

    @property
    def kv_bytes_per_token(self) -> float:
        """KV bytes per token of context, each head once: what a transfer has to move."""
        return self.kv_bytes_per_token_per_gpu()

    def divides(self, tp: int) -> bool:
        """Return whether heads and widths split evenly over `tp` GPUs."""
        widths = [self.attention_heads]
        if self.moe_layers < self.layers:
            widths.append(self.intermediate_size)
        if self.experts:
            widths.append(self.expert_intermediate_size)
        grouped = self.is_mla or self.kv_heads % tp == 0 or tp % self.kv_heads == 0
        return grouped and all(width % tp == 0 for width in widths)
