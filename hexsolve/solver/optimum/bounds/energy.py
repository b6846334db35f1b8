"""Machine-group energy: the work that must lie inside one interval against what machines do."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_matrix

from hexsolve.solver.optimum.bounds.bisection import largest_refuted
from hexsolve.solver.optimum.bounds.certificate import Prices, proves
from hexsolve.solver.optimum.bounds.items import Bools, Question
from hexsolve.solver.optimum.bounds.linear import row_duals
from hexsolve.solver.optimum.bounds.times import Floats

BEGINNINGS = 16
ENDS = 24
SAMPLE = 3000


@dataclass(frozen=True, slots=True)
class Proof:
    """Where an interval begins, s, and prices of the kinds, shape (K,)."""

    begin: float
    price: Floats


class Energy:
    """Refutes α by one interval [a, b] between a release and a due date.

    The items whose windows lie inside it must be done there:
    ``Σ_j min_k y_k·work[j, k] ≤ (b − a)·Σ_k count_k·y_k`` for any prices y ≥ 0 of the kinds, the
    workflows that pay most dropped. Prices are those of the best fractional division of all
    prefills, of all decode steps, and of both together.
    """

    def __init__(self, question: Question) -> None:
        self._question = question
        decodes = question.items.decodes
        chosen = (~decodes, decodes, np.ones_like(decodes))
        found = [kind_prices(question, each) for each in chosen]
        self._prices = [price for price in found if price is not None]
        self._last: Proof | None = None

    def refutes(self, alpha: float) -> bool:
        """Return whether it is proven that α cannot be kept."""
        if self._last is not None and _proves_again(self._question, alpha, self._last):
            return True
        for price in self._prices:
            found = _find(self._question, alpha, price)
            if found is not None:
                self._last = found
                return True
        return False

    def bound(self, lowest: float, deadline: float) -> float:
        """Return the largest α that is refuted until `deadline`, at least `lowest`."""
        return largest_refuted(self.refutes, lowest, deadline)


def kind_prices(question: Question, chosen: Bools) -> Floats | None:
    """Return prices of the kinds' machine time, shape (K,), with Σ count·price = 1.

    Dual values of dividing the chosen items' work fractionally for the least makespan θ, which
    maximise ``Σ_j min_k y_k·work[j, k]``. None if there is nothing to divide.
    """
    work = question.items.work[chosen]
    work = work[np.isfinite(work).any(axis=1)]
    if not work.size or not (work > 0).all(axis=1).any():
        return None
    if len(work) > SAMPLE:
        work = work[np.linspace(0, len(work) - 1, SAMPLE).astype(np.int64)]
    counts = question.times.counts
    size, kinds = work.shape
    rows, columns = np.nonzero(np.isfinite(work))
    # Σ_k x[j, k] ≥ 1, count_k·θ − Σ_j work[j, k]·x[j, k] ≥ 0; the least θ.
    part = np.arange(rows.size)
    matrix = csc_matrix(
        (
            np.concatenate([np.ones(rows.size), -work[rows, columns], counts]),
            (
                np.concatenate([rows, size + columns, size + np.arange(kinds)]),
                np.concatenate([part, part, np.full(kinds, rows.size)]),
            ),
        ),
        shape=(size + kinds, rows.size + 1),
    )
    lower = np.concatenate([np.ones(size), np.zeros(kinds)])
    dual = row_duals(matrix, lower, np.full(rows.size + 1, np.inf))
    price = np.zeros(kinds) if dual is None else np.maximum(0.0, dual[size:])
    total = float((counts * price).sum())
    return price / total if total > 0.0 else np.full(kinds, 1.0 / counts.sum())


def _find(question: Question, alpha: float, price: Floats) -> Proof | None:
    """Return a proof of one of many intervals."""
    items, possible = question.items, question.possible(alpha)
    dropped = question.dropped - int(np.count_nonzero(~possible))
    ends = question.ends(alpha)
    with np.errstate(invalid="ignore"):
        paid = np.where(np.isfinite(items.work), items.work * price, np.inf).min(axis=1)
    paid = np.where(possible[items.workflow], paid, 0.0)
    useful = paid > 0
    if not useful.any():
        return None
    begins = _spread(items.start[useful], BEGINNINGS)
    dues = _spread(ends[useful], ENDS)
    count = question.arrivals.size
    best: tuple[float, float, float] | None = None
    for a in begins:
        late = useful & (items.start >= a)
        owners, weights, due = items.workflow[late], paid[late], ends[late]
        for b in dues[dues > a]:
            inside = due <= b
            if not inside.any():
                continue
            sums = np.bincount(owners[inside], weights=weights[inside], minlength=count)
            if dropped > 0:
                sums = np.partition(sums, count - dropped)[: count - dropped]
            excess = float(sums.sum()) - (b - a)
            if best is None or excess > best[0]:
                best = (excess, float(a), float(b))
    if best is None or best[0] <= 0.0:
        return None
    prices = Prices(np.array(best[1:]), price[:, None])
    return Proof(best[1], price) if proves(question, alpha, prices) else None


def _proves_again(question: Question, alpha: float, proof: Proof) -> bool:
    """Return whether an interval that begins where an earlier proof's did proves α, too."""
    inside = question.items.start >= proof.begin
    end = float(question.ends(alpha)[inside].max(initial=proof.begin))
    if end <= proof.begin:
        return False
    edges = np.array([proof.begin, end])
    return proves(question, alpha, Prices(edges, proof.price[:, None]))


def _spread(values: Floats, most: int) -> Floats:
    """Return `values`' distinct ones, thinned to `most` quantiles."""
    distinct = np.unique(values)
    if distinct.size <= most:
        return distinct
    return np.unique(np.quantile(values, np.linspace(0.0, 1.0, most), method="nearest"))
