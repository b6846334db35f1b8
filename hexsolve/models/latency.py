"""Coefficients to seconds: what one engine's prefill, decode and mixed steps cost."""

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from hexsolve.models.base import Record
from hexsolve.models.hardware import NonNegative, Positive

Share = Field(default=0.0, ge=0.0, le=1.0)


def prefill_work(new_tokens: float, cached_tokens: float) -> float:
    """Return ``n·(h + n/2)``: token pairs that attention of a call scores, token²."""
    return new_tokens * (cached_tokens + new_tokens / 2.0)


class PrefillCoefficients(Record):
    """Seconds of one prefill batch with T = Σn new tokens and W = Σ n·(h + n/2) token pairs.

    ``max(floor, p0 + p1·T + p2·W + p3·max(0, T − knee) + p4·(1 − exp(−T/scale)))``

    `p0` is launches and reading the weights, `p1` the tokens' share of a step that is still bound
    by memory, `p3` what a token costs on top once the GEMMs are bound by arithmetic (from `knee`
    on), `p4` the ramp in between: kernels that fill the GPU only gradually. Non-negative, so a
    longer batch never takes less time.
    """

    p0: NonNegative = Field(description="s per batch")
    p1: NonNegative = Field(description="s per new token")
    p2: NonNegative = Field(description="s per token pair of attention, n·(h + n/2)")
    floor: NonNegative = Field(default=0.0, description="least time of a batch, s")
    p3: NonNegative = Field(default=0.0, description="s per new token beyond the knee")
    knee: NonNegative = Field(default=0.0, description="new tokens of a batch")
    p4: NonNegative = Field(default=0.0, description="height of the ramp, s")
    scale: Positive = Field(default=512.0, description="width of the ramp, new tokens")

    def seconds(self, new_tokens: float, work: float) -> float:
        """Return the time of a batch with `new_tokens` in all and `work` token pairs, s."""
        return max(
            self.floor,
            self.p0
            + self.p1 * new_tokens
            + self.p2 * work
            + self.p3 * max(0.0, new_tokens - self.knee)
            - self.p4 * math.expm1(-new_tokens / self.scale),
        )

    def batch_seconds(self, calls: Sequence[tuple[float, float]]) -> float:
        """Return the time of a batch of (new tokens, cached tokens) calls, s; 0 if empty."""
        if not calls:
            return 0.0
        return self.seconds(
            sum(new for new, _ in calls), sum(prefill_work(new, cached) for new, cached in calls)
        )

    def call_seconds(self, new_tokens: float, cached_tokens: float) -> float:
        """Return the time of a batch of one call, s."""
        return self.seconds(new_tokens, prefill_work(new_tokens, cached_tokens))

    def affine_upper(self, token_budget: float) -> tuple[float, float, float]:
        """Return (fixed, per token, per pair), an upper bound for batches of 0…`token_budget`.

        ``seconds(T, W) ≤ fixed + per_token · T + per_pair · W``: the ramp at its full height, and
        the chord of the convex part beyond the knee.
        """
        chord = max(0.0, 1.0 - self.knee / token_budget)
        return max(self.floor, self.p0 + self.p4), self.p1 + self.p3 * chord, self.p2


class DecodeCoefficients(Record):
    """Seconds of one decode step of B sequences that hold C context tokens in all.

    ``d0 + d1·B + d2·C + d3·(1 − (1 − active_share)^B)``

    `d3` is the time to read all routed experts once, its factor the expected share that B tokens
    touch. Affine in C, concave and nondecreasing in B.
    """

    d0: NonNegative = Field(description="s per step")
    d1: NonNegative = Field(description="s per sequence")
    d2: NonNegative = Field(description="s per context token")
    d3: NonNegative = Field(default=0.0, description="s for reading every routed expert")
    active_share: float = Share

    def _untouched(self, batch: float) -> float:
        return float((1.0 - self.active_share) ** batch)

    def step_seconds(self, batch: float, context_tokens: float) -> float:
        """Return the time of one step, s."""
        return (
            self.d0
            + self.d1 * batch
            + self.d2 * context_tokens
            + self.d3 * (1.0 - self._untouched(batch))
        )

    def steps_seconds(self, batch: float, context_tokens: float, steps: float) -> float:
        """Return the time of `steps` steps in a row with a constant batch, s.

        Each step adds one token per sequence, so that
        ``Σ_{i<k} step(B, C + i·B) = k·step(B, C) + d2·B·k·(k − 1)/2``.
        """
        return steps * self.step_seconds(batch, context_tokens) + (
            self.d2 * batch * steps * (steps - 1.0) / 2.0
        )

    def affine_upper(self, batch_reference: float) -> tuple[float, float, float]:
        """Return (c0, c1, c2) with ``c0 + c1·B + c2·C ≥ step_seconds(B, C)`` for every B ≥ 0.

        The tangent of the concave part at `batch_reference`, where the two are equal.
        """
        untouched = self._untouched(batch_reference)
        slope = 0.0
        if 0.0 < self.active_share < 1.0:
            slope = -math.log1p(-self.active_share) * untouched
        c0 = self.d0 + self.d3 * (1.0 - untouched - slope * batch_reference)
        return c0, self.d1 + self.d3 * slope, self.d2


class MixedCoefficients(Record):
    """Seconds of one step that decodes B sequences and prefills a chunk of q tokens.

    ``m0 + m1·q + m2·W + d1·B + d2·C + d3·(1 − (1 − active_share)^B)``

    The weights are read once for both, so a mixed step is cheaper than the two apart and dearer
    than either; it therefore has coefficients of its own.
    """

    m0: NonNegative = Field(description="s per step")
    m1: NonNegative = Field(description="s per prefilled token")
    m2: NonNegative = Field(description="s per token pair of the prefilled chunk")
    d1: NonNegative = Field(description="s per decoding sequence")
    d2: NonNegative = Field(description="s per context token of the decoding sequences")
    d3: NonNegative = Field(default=0.0, description="s for reading every routed expert")
    active_share: float = Share

    def step_seconds(
        self, batch: float, context_tokens: float, prefill_tokens: float, prefill_work: float
    ) -> float:
        """Return the time of one step, s; `prefill_work` = Σ n·(h + n/2) of the chunk."""
        untouched = float((1.0 - self.active_share) ** batch)
        return (
            self.m0
            + self.m1 * prefill_tokens
            + self.m2 * prefill_work
            + self.d1 * batch
            + self.d2 * context_tokens
            + self.d3 * (1.0 - untouched)
        )

    def affine_upper(self, batch_reference: float) -> tuple[float, float, float]:
        """Return (c0, c1, c2) that bound a step without its chunk, as for decode."""
        c0, c1, c2 = DecodeCoefficients(
            d0=self.m0, d1=self.d1, d2=self.d2, d3=self.d3, active_share=self.active_share
        ).affine_upper(batch_reference)
        return c0, c1, c2

    def prefill_seconds(self, new_tokens: float, work: float) -> float:
        """Return what a prompt's chunks add to the steps that carry them, s."""
        return self.m1 * new_tokens + self.m2 * work


class MeasuredRange(Record):
    """The box that the rows behind a set of coefficients span; outside it is extrapolation."""

    new_tokens: tuple[float, float] = Field(description="least and most per call")
    cached_tokens: tuple[float, float] = Field(description="least and most per call")
    prefill_batch: tuple[float, float] = Field(default=(1.0, 1.0), description="calls per batch")
    decode_batch: tuple[float, float] = Field(description="sequences per step")
    context: tuple[float, float] = Field(description="context tokens per sequence")

    def prefill_extrapolates(
        self, new_tokens: float, cached_tokens: float, batch: float = 1
    ) -> bool:
        """Return whether a prefill lies below the smallest or beyond the largest measured."""
        return not (
            _inside(new_tokens, self.new_tokens)
            and _inside(cached_tokens, self.cached_tokens)
            and _inside(batch, self.prefill_batch)
        )

    def decode_extrapolates(self, batch: float, context_tokens: float) -> bool:
        """Return whether a step of `batch` sequences with `context_tokens` in all does."""
        return not (
            _inside(batch, self.decode_batch)
            and _inside(context_tokens / max(batch, 1e-9), self.context)
        )


def _inside(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]


class EnginePerformance(Record):
    """One engine: an LLM on tp·pp GPUs of a type, what its steps cost and what KV it holds.

    With pipeline parallelism pp micro-batches are under way at once: a prefill keeps its latency
    and occupies the engine for ``seconds / pp``; a decode step of B sequences takes
    ``d0 + (d1·B + d2·C)/pp + d3·(1 − (1 − active_share)^(B/pp))``, which `decode` already holds.
    """

    llm: str
    gpu: str
    tp: int = Field(ge=1, description="GPUs that share every layer (tensor parallelism)")
    pp: int = Field(default=1, ge=1, description="pipeline stages")
    prefill: PrefillCoefficients
    decode: DecodeCoefficients
    mixed: MixedCoefficients
    kv_capacity_tokens: int = Field(gt=0, description="tokens that the whole instance holds")
    kv_bytes_per_token: Positive = Field(description="bytes to transfer per token of context")
    origin: Literal["measured", "roofline"] = Field(
        description="coefficients fitted to a table of this LLM, GPU and tp, or extrapolated"
    )
    measured: MeasuredRange | None = None

    @property
    def gpus(self) -> int:
        """GPUs of one instance."""
        return self.tp * self.pp

    def prefill_occupancy_seconds(self, seconds: float) -> float:
        """Return how long a prefill of latency `seconds` keeps the engine from the next, s."""
        return seconds / self.pp
