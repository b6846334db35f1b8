"""Arrival processes, and giving workflows their arrival times."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from hexsolve.instances.generators.draws import Floats
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Workflow

ArrivalProcess = Callable[[int, Generator], Floats]
"""``process(count, rng)`` gives `count` arrival times in seconds, in order, from 0 on."""


def _positive(value: float, field: str) -> float:
    if not 0.0 < value < float("inf"):
        raise InputError(f"is {value}; allowed: a finite number > 0", field=field)
    return value


def poisson(rate: float) -> ArrivalProcess:
    """Return Poisson arrivals of `rate` workflows/s."""
    return gamma(rate, 1.0)


def gamma(rate: float, cv: float) -> ArrivalProcess:
    """Return a renewal process with gamma gaps of mean 1/rate and coefficient of variation `cv`.

    The shape is 1/cv². ServeGen (arXiv 2505.09999) finds cv about 3.4 for production clients; 1
    is Poisson.
    """
    scale = _positive(cv, "cv") ** 2 / _positive(rate, "rate")
    shape = 1 / cv**2

    def times(count: int, rng: Generator) -> Floats:
        return np.cumsum(rng.gamma(shape, scale, count))

    return times


def gap_variation(burstiness: float) -> float:
    """Return the CV of gaps between arrivals for a workload's burstiness β = (1 + CV²)/2."""
    return math.sqrt(2.0 * burstiness - 1.0)


def burst(rate: float, size: int) -> ArrivalProcess:
    """Return bursts of `size` simultaneous workflows, bursts Poisson, `rate` workflows/s in all."""
    if size < 1:
        raise InputError(f"is {size}; allowed: at least 1", field="size")
    bursts = poisson(_positive(rate, "rate") / size)

    def times(count: int, rng: Generator) -> Floats:
        return np.repeat(bursts(-(-count // size), rng), size)[:count]

    return times


def constant(rate: float) -> ArrivalProcess:
    """Return arrivals every 1/rate seconds, the first at 0."""
    gap = 1 / _positive(rate, "rate")

    def times(count: int, rng: Generator) -> Floats:
        del rng
        return np.arange(count, dtype=np.float64) * gap

    return times


def from_trace(arrivals: Sequence[float], rate: float | None = None) -> ArrivalProcess:
    """Return the gaps of a trace, from a random place on, around its end to its beginning.

    Parameters
    ----------
    arrivals : sequence of float
        Arrival times in order, s; at least two, not all equal.
    rate : float, optional
        Stretch the gaps so that the trace has this many arrivals per second; as is if left out.

    Raises
    ------
    InputError
        Too few times, or times out of order.
    """
    gaps = np.diff(np.asarray(arrivals, dtype=np.float64))
    if len(gaps) < 1 or not np.all(np.isfinite(gaps)) or gaps.min() < 0 or gaps.sum() <= 0:
        raise InputError(
            f"{len(arrivals)} times; allowed: two or more finite times in order, not all equal",
            field="arrivals",
        )
    if rate is not None:
        gaps = gaps / (gaps.mean() * _positive(rate, "rate"))

    def times(count: int, rng: Generator) -> Floats:
        start = int(rng.integers(len(gaps)))
        taken = np.resize(np.roll(gaps, -start), count)
        # The first arrives at once, as in the trace; its gap closes the circle.
        return np.cumsum(taken) - (taken[0] if count else 0.0)

    return times


def compose_arrivals(
    workflows: Sequence[Workflow], process: ArrivalProcess, rng: Generator
) -> list[Workflow]:
    """Return the same workflows, in their order, with arrival times from `process`.

    No public agentic trace has arrivals across sessions; a study that composes them has to say
    which process it took.
    """
    times = process(len(workflows), rng)
    return [
        replace(workflow, arrival_s=float(time))
        for workflow, time in zip(workflows, times, strict=True)
    ]


def cap_tool_seconds(workflows: Sequence[Workflow], most: float) -> list[Workflow]:
    """Return the same workflows with tool delays cut to `most` seconds.

    Real sessions hold pauses of hours while the user sleeps, which no cache outlives.

    Raises
    ------
    InputError
        `most` is negative or not finite.
    """
    if not 0.0 <= most < float("inf"):
        raise InputError(f"is {most}; allowed: a finite number ≥ 0", field="most")
    return [
        replace(
            workflow,
            calls=tuple(
                replace(call, tool_seconds=most) if call.tool_seconds > most else call
                for call in workflow.calls
            ),
        )
        for workflow in workflows
    ]
