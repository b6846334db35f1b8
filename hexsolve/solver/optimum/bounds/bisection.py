"""The largest α that a proof rules out, by doubling and bisection."""

import time
from collections.abc import Callable

PRECISION = 1e-3
LEAST = 1e-6


def largest_refuted(
    refuted: Callable[[float], bool],
    lowest: float,
    deadline: float,
    precision: float = PRECISION,
    highest: float = float("inf"),
) -> float:
    """Return the largest α found for which `refuted` holds, `lowest` if there is none above it.

    Parameters
    ----------
    refuted : callable
        Whether it is proven that α cannot be kept. What holds at α holds below it, too.
    lowest : float
        A value known to be a bound.
    deadline : float
        `time.monotonic` at which to stop.
    precision : float
        Relative; the search ends there.
    highest : float
        Where to stop looking, e.g. a value that a schedule achieves.
    """
    low, factor = lowest, 1.1
    high = highest
    while low < high and time.monotonic() < deadline:
        trial = min(max(low * factor, LEAST), high)
        if not refuted(trial):
            high = trial
            break
        low, factor = trial, factor * 1.5
    while high - low > precision * low and time.monotonic() < deadline:
        middle = (low + high) / 2.0
        if refuted(middle):
            low = middle
        else:
            high = middle
    return low
