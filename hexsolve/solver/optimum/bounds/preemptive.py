"""The preemptive relaxation: an LP over intervals and kinds of machines for each α.

After Lawler and Labetoulle, On preemptive scheduling of unrelated parallel processors by linear
programming, J. ACM 25 (1978), doi 10.1145/322092.322101, with release and due dates as intervals.
"""

import numpy as np
from scipy.sparse import csc_matrix

from hexsolve.solver.optimum.bounds.bisection import largest_refuted
from hexsolve.solver.optimum.bounds.certificate import Prices, proves, spans
from hexsolve.solver.optimum.bounds.items import Bools, Question
from hexsolve.solver.optimum.bounds.linear import row_duals
from hexsolve.solver.optimum.bounds.times import Floats, Ints

INTERVALS = (48, 32, 24, 16, 12, 8, 6, 4, 2, 1)
VARIABLES = 40_000
PRECISION = 5e-3


class Preemptive:
    """Refutes α by the relaxation, of which an LP solver finds the prices.

    For each α the LP finds the least factor θ by which all machine time must be multiplied so
    that the work fits: ``x[j, k, i]`` is the part of item j that kind k does in interval i,

    - ``covered``: Σ_{k,i} x[j, k, i] + z_w(j) ≥ 1, over the intervals that j's window meets;
    - ``machine_time``: Σ_j work[j, k]·x[j, k, i] ≤ θ·count_k·length_i;
    - ``dropped``: Σ_w z_w ≤ number of workflows that may be slower; 0 ≤ z ≤ 1.

    θ > 1 refutes α. That is not taken from the solver: its dual values of ``machine_time`` are
    prices, and `certificate.proves` decides. So neither a status nor a tolerance of the solver
    can make a bound wrong, and items may be merged to `variables` without harm.
    """

    def __init__(self, question: Question, variables: int = VARIABLES) -> None:
        self._question = question
        self._variables = variables
        self._last: Prices | None = None

    def refutes(self, alpha: float, deadline: float = float("inf")) -> bool:
        """Return whether it is proven, until `deadline` (`time.monotonic`), that α cannot be."""
        question = self._question
        if question.dropped < int(np.count_nonzero(~question.possible(alpha))):
            return True
        edges = _grid(question, alpha, self._variables)
        if edges is None:
            return False
        last = self._last
        # Prices of another α often do on the grid of this one.
        if (
            last is not None
            and last.price.shape[1] == edges.size - 1
            and proves(question, alpha, Prices(edges, last.price))
        ):
            return True
        prices = _solve(question, alpha, edges, deadline)
        if prices is None or not proves(question, alpha, prices):
            return False
        self._last = prices
        return True

    def bound(self, lowest: float, deadline: float) -> float:
        """Return the largest α that is refuted until `deadline`, at least `lowest`."""
        return largest_refuted(
            lambda alpha: self.refutes(alpha, deadline), lowest, deadline, PRECISION
        )


def _grid(question: Question, alpha: float, variables: int) -> Floats | None:
    """Return the edges of as many intervals as `variables` allows."""
    possible = question.possible(alpha)[question.items.workflow]
    if not possible.any():
        return None
    starts, ends = question.items.start[possible], question.ends(alpha)[possible]
    kinds = np.isfinite(question.items.work[possible]).sum(axis=1)
    points = np.concatenate([starts, ends])
    low, high = float(points.min()), float(points.max())
    for count in INTERVALS:
        quantiles = np.quantile(points, np.linspace(0.0, 1.0, count + 1), method="nearest")
        edges = np.unique(np.concatenate([[low], quantiles, [high]]))
        if edges.size < 2:
            return None
        first, final = spans(edges, starts, ends)
        merged = _merge(question, possible, first, final)[1]
        size = float((kinds * (final - first + 1))[merged].sum())
        if size <= variables or count == INTERVALS[-1]:
            return edges
    return None


def _merge(question: Question, possible: Bools, first: Ints, final: Ints) -> tuple[Ints, Ints]:
    """Return the group of each item (same workflow, stage and intervals) and one item of each."""
    items = question.items
    base = int(final.max()) + 1
    key = ((items.workflow[possible] * 2 + items.decodes[possible]) * base + first) * base + final
    _, one, group = np.unique(key, return_index=True, return_inverse=True)
    return group.reshape(-1), one


def _solve(question: Question, alpha: float, edges: Floats, deadline: float) -> Prices | None:
    """Return the dual prices of machine time at α; None if the solver has none."""
    items, times = question.items, question.times
    possible = question.possible(alpha)[items.workflow]
    first, final = spans(edges, items.start[possible], question.ends(alpha)[possible])
    group, one = _merge(question, possible, first, final)
    kinds, intervals = len(times.kinds), edges.size - 1
    work = np.zeros((one.size, kinds))
    np.add.at(work, group, items.work[possible])
    owner = items.workflow[possible][one]
    first, final = first[one], final[one]
    capacity = times.counts[:, None] * np.diff(edges)[None, :]

    row, column, value = [], [], []
    variable = 0
    for kind in range(kinds):
        for interval in range(intervals):
            jobs = np.flatnonzero(
                np.isfinite(work[:, kind]) & (first <= interval) & (interval <= final)
            )
            columns = variable + np.arange(jobs.size)
            variable += jobs.size
            row += [jobs, np.full(jobs.size, one.size + kind * intervals + interval)]
            column += [columns, columns]
            value += [np.ones(jobs.size), -work[jobs, kind] / capacity[kind, interval]]
    # z_w, then θ.
    dropped_row = one.size + kinds * intervals
    workflows, place = np.unique(owner, return_inverse=True)
    z = variable + place.reshape(-1)
    row += [np.arange(one.size), np.full(workflows.size, dropped_row)]
    column += [z, variable + np.arange(workflows.size)]
    value += [np.ones(one.size), -np.ones(workflows.size)]
    theta = variable + workflows.size
    row.append(one.size + np.arange(kinds * intervals))
    column.append(np.full(kinds * intervals, theta))
    value.append(np.ones(kinds * intervals))
    matrix = csc_matrix(
        (np.concatenate(value), (np.concatenate(row), np.concatenate(column))),
        shape=(dropped_row + 1, theta + 1),
    )
    left = question.dropped - int(np.count_nonzero(~question.possible(alpha)))
    lower = np.zeros(dropped_row + 1)
    lower[: one.size] = 1.0
    lower[dropped_row] = -float(max(0, left))
    upper = np.full(theta + 1, np.inf)
    upper[variable:theta] = 1.0
    dual = row_duals(matrix, lower, upper, deadline)
    if dual is None:
        return None
    price = dual[one.size : dropped_row].reshape(kinds, intervals) / capacity
    return Prices(edges, np.maximum(0.0, price))
