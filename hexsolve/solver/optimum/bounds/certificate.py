"""Proof in plain arithmetic that slowdown α cannot be kept, from any prices of machine time."""

from dataclasses import dataclass

import numpy as np

from hexsolve.solver.optimum.bounds.items import Bools, Question
from hexsolve.solver.optimum.bounds.times import Floats, Ints

MARGIN = 1e-7
"""A proof must be this much, relative to its terms, beyond what rounding errors could do."""


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
    """
    possible = question.possible(alpha)
    dropped = question.dropped - int(np.count_nonzero(~possible))
    if dropped < 0:
        return True
    paid = payments(question, alpha, prices, possible)
    by_workflow = np.bincount(
        question.items.workflow, weights=paid, minlength=question.arrivals.size
    )
    kept = np.sort(by_workflow)[: by_workflow.size - dropped]
    available = float(
        (question.times.counts[:, None] * np.diff(prices.edges)[None, :] * prices.price).sum()
    )
    due = float(kept.sum()) - _restarts(question, paid)
    return due > available + MARGIN * (available + float(by_workflow.sum()))


def payments(question: Question, alpha: float, prices: Prices, possible: Bools) -> Floats:
    """Return the least that each item pays, shape (m,); 0 for workflows that are not possible."""
    items, edges = question.items, prices.edges
    ends = question.ends(alpha)
    first, final = spans(edges, items.start, ends)
    # Outside the edges time is free.
    inside = (items.start >= edges[0]) & (ends <= edges[-1]) & possible[items.workflow]
    paid = np.full(items.start.size, np.inf)
    for kind in range(prices.price.shape[0]):
        work = items.work[:, kind]
        usable = np.isfinite(work)
        cheapest = _range_minima(prices.price[kind])[first, final]
        paid[usable] = np.minimum(paid[usable], (cheapest * np.where(usable, work, 0.0))[usable])
    return np.where(inside, paid, 0.0)


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
