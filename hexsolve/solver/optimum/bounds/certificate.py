"""Proof in plain arithmetic that slowdown α cannot be kept, from any prices of machine time."""

from dataclasses import dataclass

import numpy as np

from hexsolve.solver.optimum.bounds.items import Question
from hexsolve.solver.optimum.bounds.times import Floats, Ints

MARGIN = 1e-7
"""A proof must be this much, relative to its terms, beyond what rounding errors could do."""

LATENCY_FACTORS = (0.03, 0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a machine second by kind of instance and interval, ≥ 0.

    Attributes
    ----------
    edges : array, shape (I + 1,)
        Bounds of the intervals, s, ascending; nothing outside them has a price.
    price : array, shape (K, I)
    """

    edges: Floats
    price: Floats


def spans(edges: Floats, starts: Floats, ends: Floats) -> tuple[Ints, Ints]:
    """Return the first and last interval that each window [start, end] meets."""
    last = edges.size - 2
    first = np.clip(np.searchsorted(edges, starts, side="right") - 1, 0, last)
    final = np.clip(np.searchsorted(edges, ends, side="left") - 1, 0, last)
    return first, np.maximum(first, final)


def proves(question: Question, alpha: float, prices: Prices) -> bool:
    """Return whether `prices` prove that more than the allowed share must exceed slowdown α.

    If every kept workflow's items were done inside their windows, each would pay at least its
    cheapest price, and all together at most the price of all machine time. So α cannot be kept
    if, whichever workflows are dropped, the former exceeds the latter: drop those that pay most.

    Latency has a price, too, one for each workflow: an item on its critical path may be done with
    less work at a longer latency, and all that is added to the least latencies there is at most
    the slack at α. Each workflow takes the price, of a few, that proves most.
    """
    possible = question.possible(alpha)
    dropped = question.dropped - int(np.count_nonzero(~possible))
    if dropped < 0:
        return True
    items = question.items
    ends = question.ends(alpha)
    first, final = spans(prices.edges, items.start, ends)
    # Outside the edges time is free.
    inside = (items.start >= prices.edges[0]) & (ends <= prices.edges[-1])
    inside &= possible[items.workflow]
    cheapest = np.stack([_range_minima(row)[first, final] for row in prices.price], axis=1)
    cheapest = np.where(inside[:, None], cheapest, 0.0)
    count = question.arrivals.size
    available = float(
        (question.times.counts[:, None] * np.diff(prices.edges)[None, :] * prices.price).sum()
    )
    by_workflow = np.zeros(count)
    for price in (0.0, *latency_prices(question, float(prices.price.max()))):
        paid = payments(question, cheapest, price)
        sums = np.bincount(items.workflow, weights=paid, minlength=count)
        sums = np.where(possible, sums - price * question.slack(alpha), 0.0)
        by_workflow = np.maximum(by_workflow, sums)
        kept = np.sort(by_workflow)[: count - dropped]
        due = float(kept.sum()) - _restarts(question, paid)
        if due > available + MARGIN * (available + float(by_workflow.sum())):
            return True
    return False


def latency_prices(question: Question, scale: float) -> list[float]:
    """Return prices of a second of latency worth a try, none if latencies do not differ."""
    if not question.items.option_excess.any():
        return []
    return [scale * factor for factor in LATENCY_FACTORS]


def payments(question: Question, cheapest: Floats, latency_price: float) -> Floats:
    """Return the least that each item pays, shape (m,).

    `cheapest` are prices of a machine second, shape (m, K); `latency_price` that of a second
    of latency above the least.
    """
    items = question.items
    paid = np.full(items.start.size, np.inf)
    for option, kind in enumerate(items.option_kind.tolist()):
        work = items.option_work[:, option]
        usable = np.isfinite(work)
        cost = cheapest[:, kind] * np.where(usable, work, 0.0)
        if latency_price:
            cost += latency_price * items.option_excess[:, option]
        paid = np.where(usable, np.minimum(paid, cost), paid)
    return paid


def _range_minima(values: Floats) -> Floats:
    """Return the matrix of min values[a…b], inf for a > b."""
    size = values.size
    minima = np.full((size, size), np.inf)
    for a in range(size):
        minima[a, a:] = np.minimum.accumulate(values[a:])
    return minima


def _restarts(question: Question, paid: Floats) -> float:
    """Return by how much the allowed number of restarts can lower all payments, at most.

    A restart makes one decode step unnecessary, and relieves prefills that its call's generated
    tokens are part of. No step pays more than
    twice the mean of its call's.
    """
    times, items = question.times, question.items
    if not times.restarts:
        # None: payments know what restarts cost.
        return 0.0
    of_call = np.bincount(
        items.call[items.decodes], weights=paid[items.decodes], minlength=times.steps.size
    )
    decodes = times.steps > 0
    steps = times.steps[decodes]
    by_step = 2.0 * of_call[decodes] / steps
    order = np.argsort(-by_step, kind="stable")
    half = (steps[order] + 1) // 2
    used = np.clip(times.restarts - (np.cumsum(half) - half), 0, half)
    saved = float(np.minimum(by_step[order] * used, of_call[decodes][order]).sum())
    if times.relief.size:
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = times.relief_work / times.prefill_work
        share = np.where(np.isfinite(ratio), ratio, 0.0).max(axis=1)
        relieved = np.minimum(1.0, share) * paid[: share.size]
        by_other = np.bincount(
            times.relief[:, 1], weights=relieved[times.relief[:, 0]], minlength=share.size
        )
        saved += float(np.sort(by_other)[::-1][: times.restarts].sum())
    return saved
