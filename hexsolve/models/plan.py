"""A plan: engine instances with roles and operating points, and the traffic each serves."""

from typing import Annotated, Literal

from pydantic import Field

from hexsolve.models.base import Record
from hexsolve.models.hardware import Name, NonNegative
from hexsolve.models.problem import Role

Objective = Literal["load", "cost", "slo"]


BurstShare = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        description="most of a call class's calls that go to one instance, as a share: siblings "
        "that start together meet there with this probability",
    ),
]


class SingleCalls(Record):
    """Prefill one call at a time, first come first served, with a stated mean wait."""

    kind: Literal["single"] = "single"
    wait_s: NonNegative = Field(
        description="mean wait promised to calls without siblings, and to the first of siblings, s"
    )
    burst_share: BurstShare = 1.0


class BatchCycle(Record):
    """Prefill in back-to-back batches: each takes whatever arrived during the one before."""

    kind: Literal["cycle"] = "cycle"
    cycle_s: float = Field(gt=0, description="mean duration of one batch, s")
    wait_s: NonNegative = Field(
        description="mean delay because batches vary and calls meet the longer ones, s"
    )
    burst_share: BurstShare = 1.0


class DecodeStep(Record):
    """Decode with a stated step time, which is also the time per output token."""

    kind: Literal["decode"] = "decode"
    step_s: float = Field(gt=0, description="mean duration of one decode step, s")
    batch_reference: float = Field(
        ge=1, description="batch size at which the concave (MoE) step time is linearised"
    )


class MixedStep(Record):
    """Decode steps that also carry prefill chunks (chunked prefill) on one engine."""

    kind: Literal["mixed"] = "mixed"
    decode_step_s: float = Field(gt=0, description="duration of a step without its chunk, s")
    prefill_share: float = Field(gt=0, lt=1, description="share of time spent on prefill work")
    wait_s: NonNegative = Field(description="mean wait before a prompt's first chunk, s")
    batch_reference: float = Field(ge=1)
    burst_share: BurstShare = 1.0

    @property
    def step_s(self) -> float:
        """Mean time per output token: ``decode_step_s / (1 − prefill_share)``, s."""
        return self.decode_step_s / (1.0 - self.prefill_share)


OperatingPoint = Annotated[
    SingleCalls | BatchCycle | DecodeStep | MixedStep, Field(discriminator="kind")
]


class CallFlow(Record):
    """Calls per second of one call class that a group of instances serves."""

    workflow: Name
    call: Name
    calls_per_s: NonNegative


class InstanceGroup(Record):
    """Equal instances in one role at one operating point."""

    id: str
    role: Role
    gpu: Name
    tp: int = Field(ge=1)
    pp: int = Field(ge=1)
    count: int = Field(ge=1)
    operating_point: OperatingPoint
    flows: tuple[CallFlow, ...]

    @property
    def gpus(self) -> int:
        """GPUs of the whole group."""
        return self.count * self.tp * self.pp


class Plan(Record):
    """What to run, and what it promises.

    `slo_scale` is the largest mean latency of a workflow class over its standalone horizon.
    """

    groups: tuple[InstanceGroup, ...]
    load: float = Field(ge=0, description="factor on all arrival rates that the plan sustains")
    cost_per_hour: NonNegative = Field(description="US$/h")
    slo_scale: NonNegative
    latency_s: dict[str, float] = Field(description="promised mean latency per workflow class, s")
    horizon_s: dict[str, float] = Field(description="standalone horizon per workflow class, s")
