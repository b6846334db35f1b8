"""Synthetic workflows calibrated to published figures, and arrival processes."""

from hexsolve.instances.generators.arrivals import (
    ArrivalProcess,
    burst,
    cap_tool_seconds,
    compose_arrivals,
    constant,
    from_trace,
    gamma,
    poisson,
)
from hexsolve.instances.generators.registry import SHAPES
from hexsolve.instances.generators.shape import Shape, mix

__all__ = [
    "SHAPES",
    "ArrivalProcess",
    "Shape",
    "burst",
    "cap_tool_seconds",
    "compose_arrivals",
    "constant",
    "from_trace",
    "gamma",
    "mix",
    "poisson",
]
