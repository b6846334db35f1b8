"""Coefficients fitted to a table, with what they were fitted to and how well."""

from pydantic import Field

from hexsolve.models.base import Record
from hexsolve.models.latency import DecodeCoefficients, MeasuredRange, PrefillCoefficients


class FittedCoefficients(Record):
    """Prefill and decode coefficients of one (LLM, GPU type, tp)."""

    llm: str
    gpu: str
    tp: int = Field(ge=1, le=1024)
    prefill: PrefillCoefficients
    decode: DecodeCoefficients
    measured: MeasuredRange
    prefill_rows: int = Field(default=0, ge=0)
    decode_rows: int = Field(default=0, ge=0)
    prefill_mape: float = Field(default=0.0, ge=0, description="in-sample error, a fraction")
    decode_mape: float = Field(default=0.0, ge=0, description="in-sample error, a fraction")
    source: str = Field(default="", description="the table")
