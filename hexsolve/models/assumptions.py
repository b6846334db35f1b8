"""What a plan assumes about the engines beyond their measured latencies."""

from pydantic import Field

from hexsolve.models.base import Record
from hexsolve.models.hardware import NonNegative, Positive


class PlanningAssumptions(Record):
    """Limits and margins of the planning model; every one can be set in the instance file."""

    prefill_utilisation_max: float = Field(
        default=0.95, gt=0, lt=1, description="share of time that a prefill engine may be busy"
    )
    kv_fill_max: float = Field(
        default=0.9, gt=0, le=1, description="share of a KV pool filled on average"
    )
    link_utilisation_max: float = Field(
        default=0.5, gt=0, lt=1, description="share of an instance's network bandwidth used"
    )
    transfer_latency_s: NonNegative = Field(
        default=0.002, description="fixed time of one KV transfer, s"
    )
    max_batch: int = Field(
        default=256, ge=1, le=100_000, description="sequences that one engine decodes at once"
    )
    prefill_token_budget: int = Field(
        default=8192, ge=1, description="prompt tokens that one prefill batch may hold"
    )
    chunk_tokens: int = Field(
        default=2048, ge=1, description="prompt tokens that a mixed engine adds to one step"
    )
    reference_tpot_s: Positive = Field(
        default=0.05,
        description="time per output token assumed for how long a prefill engine must keep a "
        "session's prefix until its next call, s",
    )
