"""The answer of `hexsolve optimum`: a schedule of all calls with its proof; docs/optimum.md."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from pydantic import Field

from hexsolve.models.base import Record
from hexsolve.models.hardware import Name, Positive
from hexsolve.models.proven import ProvenAnswer, canonical_hash
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.workflow import Workflow

ScheduleObjective = Literal["req95", "req99", "req100"]
"""Req_q: the ⌈q·n/100⌉-th smallest slowdown F_w/H_w of n workflows."""

PERCENT: dict[str, int] = {"req95": 95, "req99": 99, "req100": 100}
"""Objective → q."""


class ScheduleTimes(Record):
    """Which fixed times the scheduling model gives to calls; docs/optimum.md has the formulas."""

    mode: Literal["nominal", "optimistic"] = Field(
        default="nominal",
        description="nominal: a schedule to carry out; optimistic: a relaxation of the simulator, "
        "whose bound no simulated run beats",
    )
    decode_batch: int = Field(
        default=1,
        ge=1,
        description="nominal: decode steps take the time of a batch of so many sequences, and no "
        "more are admitted; optimistic: 1",
    )
    grid_s: Positive = Field(default=1e-3, description="length of a tick, s")


class ScheduledCall(Record):
    """Where and when one call runs; times in ticks from 0.

    A call of fewer than two output tokens has no transfer and no decode and ends with its
    prefill. Otherwise it decodes from `transfer_end` to `finish`.
    """

    workflow: int = Field(ge=0, description="position of the workflow in the instance")
    call: int = Field(ge=0, description="position of the call in its workflow")
    prefill: Name = Field(description="prefill instance")
    decode: Name | None = Field(default=None, description="decode instance; null = none needed")
    cached_tokens: int = Field(default=0, ge=0, description="prompt tokens found in its cache")
    prefill_start: int = Field(ge=0)
    prefill_end: int = Field(ge=0)
    transfer_start: int | None = Field(default=None, ge=0)
    transfer_end: int | None = Field(default=None, ge=0)
    finish: int = Field(ge=0)


class Replay(Record):
    """What the simulator made of the schedule: its placements and its order."""

    objective: float = Field(description="the same Req_q, simulated on the cluster as it is")
    limited: float = Field(
        description="the same where instances take no more at once than the model: one prefill, "
        "`decode_batch` calls in decode"
    )
    mean_slowdown: float = Field(description="of the run on the cluster as it is")
    preemptions: int = Field(default=0, description="calls preempted in the simulator")


class Schedule(ProvenAnswer):
    """A schedule with its proof.

    `calls` is empty when there is no schedule. The objective is Req_q, a multiple of H_w; no
    schedule of the model has one below the bound. The hash is `scheduling_hash`.
    """

    kind: Literal["schedule"] = "schedule"
    times: ScheduleTimes
    objective_kind: ScheduleObjective
    bound_source: str = Field(default="", description="which bound that is")
    replay: Replay | None = Field(default=None, description="the schedule in the simulator")
    calls: tuple[ScheduledCall, ...] = Field(
        default=(), description="all calls, by workflow and position"
    )


def scheduling_hash(cluster: SimulatedCluster, workflows: Sequence[Workflow]) -> str:
    """Return the SHA-256 (hex) of cluster and workflows; see `canonical_hash`.

    Names of workflows, classes and steps count, metadata do not.
    """
    rows: list[dict[str, Any]] = []
    for workflow in workflows:
        row = asdict(workflow)
        del row["metadata"]
        rows.append(row)
    return canonical_hash({"cluster": cluster.model_dump(mode="json"), "workflows": rows})
