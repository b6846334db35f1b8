"""Paired comparisons against the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from hexsolve.studies.cells import Cell

METRICS = ("req95", "req99", "mean_slowdown")
RESAMPLES = 2000
CONFIDENCE = 0.95
LEAST_PAIRS = 6
"""Pairs below which a bootstrap interval says little more than the range, and is not shown; with
five, p cannot fall below 0.05 either."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A policy against the baseline in one metric, over all pairs of (instance, seed).

    Attributes
    ----------
    pairs : int
        Runs of both that are complete.
    ratio, low, high : float
        Geometric mean of policy/baseline, with a 95 % bootstrap interval; below 1 is better.
    best, worst : float
        Least and largest geometric mean over the seeds of an instance.
    wins, ties, losses : int
        Pairs in which the policy is better, equal, worse.
    p_value : float
        Wilcoxon signed-rank on the logarithms, two-sided, Holm-corrected over the policies.
    """

    policy: str
    metric: str
    pairs: int
    ratio: float
    low: float
    high: float
    best: float
    worst: float
    wins: int
    ties: int
    losses: int
    p_value: float


def compare(
    rows: Mapping[Cell, Mapping[str, str]], policies: Sequence[str], baseline: str, metric: str
) -> list[Comparison]:
    """Return each policy but the baseline against it; policies without a pair are left out."""
    found = []
    for policy in policies:
        if policy == baseline:
            continue
        logs, by_instance = _log_ratios(rows, policy, baseline, metric)
        if not logs:
            continue
        low, high = _interval(logs)
        means = [float(np.exp(np.mean(values))) for values in by_instance.values()]
        found.append(
            Comparison(
                policy=policy,
                metric=metric,
                pairs=len(logs),
                ratio=float(np.exp(np.mean(logs))),
                low=low,
                high=high,
                best=min(means),
                worst=max(means),
                wins=sum(value < 0.0 for value in logs),
                ties=sum(value == 0.0 for value in logs),
                losses=sum(value > 0.0 for value in logs),
                p_value=_wilcoxon(logs),
            )
        )
    return _holm(found)


def _log_ratios(
    rows: Mapping[Cell, Mapping[str, str]], policy: str, baseline: str, metric: str
) -> tuple[list[float], dict[str, list[float]]]:
    logs: list[float] = []
    by_instance: dict[str, list[float]] = {}
    for cell in sorted(rows):
        other = rows.get(Cell(cell.instance, baseline, cell.seed))
        if cell.policy != policy or other is None:
            continue
        if rows[cell]["status"] != "ok" or other["status"] != "ok":
            continue
        value = float(np.log(float(rows[cell][metric]) / float(other[metric])))
        logs.append(value)
        by_instance.setdefault(cell.instance, []).append(value)
    return logs, by_instance


def _interval(logs: Sequence[float]) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the geometric mean."""
    if len(logs) < 2 or float(np.ptp(logs)) == 0.0:
        mean = float(np.exp(np.mean(logs)))
        return mean, mean
    interval = stats.bootstrap(
        (np.asarray(logs),),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(np.exp(interval.low)), float(np.exp(interval.high))


def _wilcoxon(logs: Sequence[float]) -> float:
    values = [value for value in logs if value != 0.0]
    if not values:
        return 1.0
    return float(stats.wilcoxon(values, method="exact" if len(values) <= 25 else "auto").pvalue)


def _holm(comparisons: list[Comparison]) -> list[Comparison]:
    """Return the comparisons with p-values corrected by Holm's step-down method."""
    order = sorted(range(len(comparisons)), key=lambda index: comparisons[index].p_value)
    corrected = list(comparisons)
    largest = 0.0
    for rank, index in enumerate(order):
        value = min(1.0, comparisons[index].p_value * (len(order) - rank))
        largest = max(largest, value)
        corrected[index] = replace(comparisons[index], p_value=largest)
    return corrected
