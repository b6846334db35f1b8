"""How often workflows arrive, and how unevenly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Workflow

DEFAULT_RATE = 1.0
"""Workflows per second where neither the trace nor the user gives a rate."""

MOST_BURSTY = 1000.0
"""Largest burstiness that `Workload` accepts."""


@dataclass(frozen=True, slots=True)
class ArrivalRate:
    """Workflows per second, burstiness of the calls' arrivals, and where they come from."""

    per_second: float
    burstiness: float
    origin: str


def arrival_rate(workflows: Sequence[Workflow], rate: float | None) -> ArrivalRate:
    """Return the rate to plan for.

    The user's `rate` comes first, then the arrival times (N − 1 gaps over their span), then
    `DEFAULT_RATE`.

    Burstiness is (1 + CV²)/2 with the CV of the gaps between workflows, the Kingman factor of a
    G/·/1 queue. It applies to calls that start a workflow; later calls come at their parents'
    ends, whose superposition is close to Poisson. The mean over calls is reported:
    1 + (share of first calls)·((1 + CV²)/2 − 1), not below 1.

    Raises
    ------
    InputError
        `rate` is not positive and finite.
    """
    if rate is not None and not 0.0 < rate < float("inf"):
        raise InputError(f"is {rate}; allowed: workflows per second > 0", field="rate")
    times = np.sort(np.array([workflow.arrival_s for workflow in workflows]))
    span = float(times[-1] - times[0]) if len(times) else 0.0
    burstiness = 1.0
    if span > 0:
        gaps = np.diff(times)
        calls = sum(len(workflow.calls) for workflow in workflows)
        first = sum(not call.parents for workflow in workflows for call in workflow.calls)
        squared = float(gaps.var() / gaps.mean() ** 2)
        burstiness += (first / calls) * ((1 + squared) / 2 - 1)
        burstiness = float(np.clip(burstiness, 1.0, MOST_BURSTY))
    if rate is not None:
        return ArrivalRate(rate, burstiness, f"rate {rate:g} workflows/s as given")
    if span > 0:
        measured = (len(times) - 1) / span
        return ArrivalRate(
            measured, burstiness, f"rate {measured:.6g} workflows/s from the arrival times"
        )
    return ArrivalRate(
        DEFAULT_RATE, 1.0, f"no arrival times: rate {DEFAULT_RATE:g} workflows/s by default"
    )
