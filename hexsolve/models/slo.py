"""Slowdown, SLO attainment and the SLO scale that a share of workflows needs.

Workflow w with arrival a_w, completion C_w and standalone horizon H_w has flow time
F_w = C_w − a_w and slowdown F_w / H_w; it meets SLO scale α iff F_w ≤ α·H_w.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hexsolve.models.errors import InputError

Floats = npt.NDArray[np.float64]


def slowdowns(flow_times: npt.ArrayLike, horizons: npt.ArrayLike) -> Floats:
    """Return F_w / H_w.

    Parameters
    ----------
    flow_times, horizons : array_like, shape (workflows,)
        Seconds; horizons are positive, flow times not negative.

    Raises
    ------
    InputError
        If the shapes differ, there is no workflow, or a value is out of range.
    """
    flow = np.asarray(flow_times, dtype=np.float64)
    horizon = np.asarray(horizons, dtype=np.float64)
    if flow.shape != horizon.shape or flow.ndim != 1 or not flow.size:
        raise InputError(
            f"flow times have shape {flow.shape}, horizons {horizon.shape}; needed: equal, "
            "one-dimensional, not empty"
        )
    if not (np.isfinite(flow).all() and np.isfinite(horizon).all()):
        raise InputError("flow times and horizons must be finite")
    if (flow < 0).any() or (horizon <= 0).any():
        raise InputError("flow times must be ≥ 0 s and horizons > 0 s")
    return flow / horizon


def required_scale(values: npt.ArrayLike, percent: float) -> float:
    """Return Req_q: the smallest α that at least `percent` % of the slowdowns do not exceed.

    An order statistic: the k-th smallest, k = ⌈q·n/100⌉; never interpolated.
    """
    sample = np.sort(np.asarray(values, dtype=np.float64))
    return float(sample[_rank(sample.size, percent) - 1])


def _rank(size: int, percent: float) -> int:
    if not size:
        raise InputError("no slowdowns; at least one is needed")
    if not 0.0 < percent <= 100.0:
        raise InputError(f"percent is {percent}; allowed: above 0, at most 100")
    # 95 % of 20 is 19 although 0.95 · 20 is 19.000000000000004 in floating point.
    return max(1, math.ceil(percent * size / 100.0 - 1e-9))


def attainment(values: npt.ArrayLike, scale: float) -> float:
    """Return the share of slowdowns that do not exceed `scale`."""
    sample = np.asarray(values, dtype=np.float64)
    return float(np.count_nonzero(sample <= scale)) / sample.size


def attainment_curve(values: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return (α, attainment at α) at each distinct slowdown, ascending: a step function."""
    sample = np.sort(np.asarray(values, dtype=np.float64))
    scales, last = np.unique(sample[::-1], return_index=True)
    return scales, (sample.size - last) / sample.size


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its percentile-bootstrap confidence interval."""

    value: float
    low: float
    high: float


def bootstrap(
    values: npt.ArrayLike,
    statistic: Callable[[Floats], float],
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Return `statistic` of the sample with a percentile-bootstrap interval over workflows.

    Efron & Tibshirani, An Introduction to the Bootstrap (1993), ch. 13. Workflows of one run
    compete, so the interval covers the choice of workflows, not of the load; replicate seeds
    for that.
    """
    sample = np.asarray(values, dtype=np.float64)
    picks = rng.integers(0, sample.size, size=(resamples, sample.size))
    draws = np.array([statistic(sample[row]) for row in picks])
    return _interval(statistic(sample), draws, confidence)


def required_scale_interval(
    values: npt.ArrayLike,
    percent: float,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Return Req_q with its percentile-bootstrap interval.

    Same distribution as `bootstrap`, drawn directly: the rank of a resample's k-th smallest value
    is the k-th smallest of n uniform ranks, ⌈n·U⌉ with U ~ Beta(k, n + 1 − k).
    """
    sample = np.sort(np.asarray(values, dtype=np.float64))
    size = sample.size
    k = _rank(size, percent)
    ranks = np.ceil(size * rng.beta(k, size + 1 - k, size=resamples)).astype(np.int64)
    draws = sample[np.clip(ranks, 1, size) - 1]
    return _interval(float(sample[k - 1]), draws, confidence)


def paired_difference(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    statistic: Callable[[Floats], float],
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Return ``statistic(second) − statistic(first)``, resampling workflows in pairs.

    Row w of both samples is the same workflow under two policies.
    """
    one = np.asarray(first, dtype=np.float64)
    two = np.asarray(second, dtype=np.float64)
    if one.shape != two.shape:
        raise InputError(f"samples of shapes {one.shape} and {two.shape} cannot be paired")
    picks = rng.integers(0, one.size, size=(resamples, one.size))
    draws = np.array([statistic(two[row]) - statistic(one[row]) for row in picks])
    return _interval(statistic(two) - statistic(one), draws, confidence)


def _interval(value: float, draws: Floats, confidence: float) -> Interval:
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence is {confidence}; allowed: between 0 and 1")
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail], method="inverted_cdf")
    return Interval(value, float(low), float(high))
