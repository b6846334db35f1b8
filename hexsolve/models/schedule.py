"""The answer of `hexsolve optimum`: a schedule of all calls with its proof; docs/optimum.md."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from pydantic import Field

from hexsolve.models.answer import Parameter, Sha256
from hexsolve.models.base import Record
from hexsolve.models.hardware import Name, NonNegative, Positive
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.status import Limit, Status
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

    objective: float = Field(description="the same Req_q, simulated")
    mean_slowdown: float
    stale: int = Field(default=0, description="calls that the simulator had to place anew")


class Schedule(Record):
    """A schedule with its proof: everything that is needed to check and to repeat it.

    `objective` is null and `calls` empty when there is no schedule; a valid `bound` is kept even
    then. `gap` is `relative_gap(objective, bound)`.
    """

    schema_version: Literal[1] = 1
    kind: Literal["schedule"] = "schedule"
    hexsolve_version: str
    instance_name: str
    instance_hash: Sha256 = Field(description="`scheduling_hash` of cluster and workflows")
    parameters: dict[str, Parameter] = Field(
        default_factory=dict, description="options of the run that are not part of the instance"
    )
    seed: int | None = None
    times: ScheduleTimes
    status: Status
    limit: Limit
    objective_kind: ScheduleObjective
    objective: float | None = Field(description="Req_q of the schedule, a multiple of H_w")
    bound: float | None = Field(description="no schedule of the model has a smaller Req_q")
    bound_source: str = Field(default="", description="which bound that is")
    gap: NonNegative | None = Field(description="relative optimality gap, a fraction")
    runtime_s: NonNegative
    solver: str
    replay: Replay | None = Field(default=None, description="the schedule in the simulator")
    calls: tuple[ScheduledCall, ...] = Field(
        default=(), description="all calls, by workflow and position"
    )


def scheduling_hash(cluster: SimulatedCluster, workflows: Sequence[Workflow]) -> str:
    """Return the SHA-256 (hex) of cluster and workflows as canonical JSON.

    Canonical as in `problem_hash`; names of workflows, classes and steps count, metadata do not.
    """
    rows: list[dict[str, Any]] = []
    for workflow in workflows:
        row = asdict(workflow)
        del row["metadata"]
        rows.append(row)
    data = {"cluster": cluster.model_dump(mode="json"), "workflows": rows}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
