"""The preemptive relaxation with chains: calls that follow one another are not done at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse import csc_matrix

from hexsolve.solver.optimum.bounds.bisection import largest_refuted
from hexsolve.solver.optimum.bounds.certificate import MARGIN, spans
from hexsolve.solver.optimum.bounds.chains import NO_KIND, Chains, Stage, find_chains
from hexsolve.solver.optimum.bounds.items import Question
from hexsolve.solver.optimum.bounds.linear import row_duals
from hexsolve.solver.optimum.bounds.times import Floats, Ints

INTERVALS = (256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4)
VARIABLES = (6_000, 40_000)
"""Of a first LP, which soon raises the bound, and of a finer one, which raises it further."""

PRECISION = 2e-3
BUSY = 0.2
"""Part of its window from which on a chain has rows in the LP."""


@dataclass(frozen=True, slots=True)
class ChainPrices:
    """Prices of machine time, shape (K, I), and of the time of each chain, shape (C, I); ≥ 0."""

    edges: Floats
    machine: Floats
    chain: Floats


class ChainLP:
    """Refutes α by an LP over intervals, kinds of instances and chains.

    ``x[j, o, i]`` is the part of piece j that is done in way o in interval i; least θ with

    - ``covered``: Σ_{o,i} x[j, o, i] + z_w(j) ≥ 1, over the intervals that j's window meets;
    - ``machine_time``: Σ work[j, o]·x[j, o, i] ≤ θ·count_k·length_i;
    - ``chain_time``: Σ_{j in chain} latency[j, o]·x[j, o, i] ≤ θ·|window of the chain in i|;
    - ``dropped``: Σ_w z_w ≤ number of workflows that may be slower; 0 ≤ z ≤ 1.

    As with `Preemptive`, only dual values are taken from the solver, and `proves_with_chains`
    decides.
    """

    def __init__(self, question: Question, variables: Sequence[int] = VARIABLES) -> None:
        self._question = question
        self._variables = variables
        self._chains = find_chains(question)

    def refutes(
        self, alpha: float, deadline: float = float("inf"), variables: int | None = None
    ) -> bool:
        """Return whether it is proven, until `deadline` (`time.monotonic`), that α cannot be."""
        question, chains = self._question, self._chains
        if question.dropped < int(np.count_nonzero(~question.possible(alpha))):
            return True
        edges = self._grid(alpha, variables or self._variables[-1])
        if edges is None:
            return False
        prices = _solve(question, chains, alpha, edges, deadline)
        return prices is not None and proves_with_chains(question, chains, alpha, prices)

    def bound(self, lowest: float, deadline: float) -> float:
        """Return the largest α that is refuted until `deadline`, at least `lowest`."""
        for variables in self._variables:
            refutes = partial(self.refutes, deadline=deadline, variables=variables)
            lowest = largest_refuted(refutes, lowest, deadline, PRECISION)
        return lowest

    def _grid(self, alpha: float, variables: int) -> Floats | None:
        """Return the edges of as many intervals as the number of variables allows."""
        question = self._question
        possible = question.possible(alpha)
        points = []
        for stage in self._chains.stages:
            kept = possible[question.times.workflow[stage.call]]
            points += [stage.start[kept], _ends(question, stage, alpha)[kept]]
        every: Floats = np.concatenate(points)
        if not every.size:
            return None
        for count in INTERVALS:
            shares = np.linspace(0.0, 1.0, count + 1)
            edges = np.asarray(np.unique(np.quantile(every, shares, method="nearest")))
            if edges.size < 2:
                return None
            size = 0
            for stage in self._chains.stages:
                merged = _Merged(question, self._chains, stage, alpha, edges)
                ways = np.isfinite(merged.work).sum(axis=1)
                size += int((ways * (merged.final - merged.first + 1)).sum())
            if size <= variables:
                break
        return np.asarray(edges)


def _ends(question: Question, stage: Stage, alpha: float) -> Floats:
    due = question.arrivals + alpha * question.horizons
    return np.asarray(due[question.times.workflow[stage.call]] - stage.after)


def chain_lengths(question: Question, chains: Chains, alpha: float, edges: Floats) -> Floats:
    """Return how much of each interval lies in the window of each chain, s, shape (C, I)."""
    ends = chains.ends(question, alpha)
    begin = np.maximum(edges[:-1], chains.start[:, None])
    end = np.minimum(edges[1:], ends[:, None])
    lengths: Floats = np.maximum(0.0, end - begin)
    return lengths


def proves_with_chains(
    question: Question, chains: Chains, alpha: float, prices: ChainPrices
) -> bool:
    """Return whether `prices` prove that more than the allowed share must exceed slowdown α.

    Each piece pays for machine time and for time of its chain, in the cheapest way and interval
    of its window; of each chain there is no more than its window, of a workflow's payments that
    much is its own. As in `certificate.proves`, the workflows that pay most are dropped, and the
    others must not pay more than all machine time costs.
    """
    times = question.times
    possible = question.possible(alpha)
    dropped = question.dropped - int(np.count_nonzero(~possible))
    if dropped < 0:
        return True
    count = question.arrivals.size
    with_chains, without = np.zeros(count), np.zeros(count)
    for stage in chains.stages:
        owner = times.workflow[stage.call]
        ends = _ends(question, stage, alpha)
        inside = (stage.start >= prices.edges[0]) & (ends <= prices.edges[-1]) & possible[owner]
        for sums, chain in ((with_chains, prices.chain), (without, None)):
            paid = _cheapest(chains, stage, prices, chain, ends)
            sums += np.bincount(owner, weights=np.where(inside, paid, 0.0), minlength=count)
    own = (chain_lengths(question, chains, alpha, prices.edges) * prices.chain).sum(axis=1)
    spent = np.bincount(chains.workflow, weights=own, minlength=count)
    terms = np.where(possible, np.maximum(with_chains - spent, without), 0.0)
    kept = np.sort(terms)[: count - dropped]
    available = float(
        (times.counts[:, None] * np.diff(prices.edges)[None, :] * prices.machine).sum()
    )
    rounding = available + float(with_chains.sum() + spent.sum() + without.sum())
    return float(kept.sum()) > available + MARGIN * rounding


def _cheapest(
    chains: Chains, stage: Stage, prices: ChainPrices, chain: Floats | None, ends: Floats
) -> Floats:
    """Return the least that each piece pays in the intervals that its window meets."""
    first, final = spans(prices.edges, stage.start, ends)
    interval = np.arange(prices.edges.size - 1)
    allowed = (first[:, None] <= interval) & (interval <= final[:, None])
    paid = np.full(stage.call.size, np.inf)
    for way, kind in enumerate(stage.kind.tolist()):
        usable = np.isfinite(stage.work[:, way])
        cost = np.zeros(allowed.shape)
        if kind != NO_KIND:
            cost += np.where(usable, stage.work[:, way], 0.0)[:, None] * prices.machine[kind]
        if chain is not None:
            latency = np.where(usable, stage.latency[:, way], 0.0)
            cost += latency[:, None] * chain[chains.of_call[stage.call]]
        least = np.where(allowed, cost, np.inf).min(axis=1)
        paid = np.where(usable, np.minimum(paid, least), paid)
    return paid


class _Merged:
    """Pieces of one stage of a chain that meet the same intervals, put together."""

    def __init__(
        self, question: Question, chains: Chains, stage: Stage, alpha: float, edges: Floats
    ) -> None:
        kept = question.possible(alpha)[question.times.workflow[stage.call]]
        chain = chains.of_call[stage.call[kept]]
        first, final = spans(edges, stage.start[kept], _ends(question, stage, alpha)[kept])
        key = (chain * edges.size + first) * edges.size + final
        _, one, group = np.unique(key, return_index=True, return_inverse=True)
        self.chain: Ints = chain[one]
        self.first, self.final = first[one], final[one]
        self.kind = stage.kind
        self.work = np.zeros((one.size, stage.kind.size))
        self.latency = np.zeros_like(self.work)
        np.add.at(self.work, group.reshape(-1), stage.work[kept])
        np.add.at(self.latency, group.reshape(-1), stage.latency[kept])


def _solve(
    question: Question, chains: Chains, alpha: float, edges: Floats, deadline: float
) -> ChainPrices | None:
    """Return the dual prices of machine and chain time at α; None if the solver has none."""
    kinds, intervals = len(question.times.kinds), edges.size - 1
    capacity = question.times.counts[:, None] * np.diff(edges)[None, :]
    lengths = chain_lengths(question, chains, alpha, edges)
    busy = (chains.least >= BUSY * lengths.sum(axis=1)) & (lengths.sum(axis=1) > 0.0)
    busy &= question.possible(alpha)[chains.workflow]
    limited = busy[:, None] & (lengths > 1e-9)
    chain_row = np.cumsum(limited.reshape(-1)).reshape(limited.shape) - 1
    merged = [_Merged(question, chains, stage, alpha, edges) for stage in chains.stages]
    pieces = sum(each.chain.size for each in merged)
    machine_rows = pieces
    chain_rows = machine_rows + kinds * intervals
    dropped_row = chain_rows + int(limited.sum())
    row: list[Ints] = []
    column: list[Ints] = []
    value: list[Floats] = []

    def enter(rows: Ints, columns: Ints, values: Floats) -> None:
        row.append(rows)
        column.append(columns)
        value.append(values)

    variable, base = 0, 0
    owners = []
    for each in merged:
        owners.append(chains.workflow[each.chain])
        for way, kind in enumerate(each.kind.tolist()):
            for interval in range(intervals):
                jobs = np.flatnonzero(
                    np.isfinite(each.work[:, way])
                    & (each.first <= interval)
                    & (interval <= each.final)
                )
                columns = variable + np.arange(jobs.size)
                variable += jobs.size
                enter(base + jobs, columns, np.ones(jobs.size))
                if kind != NO_KIND:
                    rows = np.full(jobs.size, machine_rows + kind * intervals + interval)
                    enter(rows, columns, -each.work[jobs, way] / capacity[kind, interval])
                of = each.chain[jobs]
                bound = limited[of, interval]
                rows = chain_rows + chain_row[of[bound], interval]
                spent = each.latency[jobs[bound], way] / lengths[of[bound], interval]
                enter(rows, columns[bound], -spent)
        base += each.chain.size
    workflows, place = np.unique(np.concatenate(owners), return_inverse=True)
    left = question.dropped - int(np.count_nonzero(~question.possible(alpha)))
    theta = variable + workflows.size
    enter(np.arange(pieces), variable + place.reshape(-1), np.ones(pieces))
    spared = variable + np.arange(workflows.size)
    enter(np.full(workflows.size, dropped_row), spared, -np.ones(workflows.size))
    limits = np.arange(machine_rows, dropped_row)
    enter(limits, np.full(limits.size, theta), np.ones(limits.size))
    matrix = csc_matrix(
        (np.concatenate(value), (np.concatenate(row), np.concatenate(column))),
        shape=(dropped_row + 1, theta + 1),
    )
    lower = np.zeros(dropped_row + 1)
    lower[:pieces] = 1.0
    lower[dropped_row] = -float(max(0, left))
    upper = np.full(theta + 1, np.inf)
    upper[variable:theta] = 1.0 if left > 0 else 0.0
    dual = row_duals(matrix, lower, upper, deadline)
    if dual is None:
        return None
    machine = np.maximum(0.0, dual[machine_rows:chain_rows].reshape(kinds, intervals)) / capacity
    chain = np.zeros_like(lengths)
    chain[limited] = np.maximum(0.0, dual[chain_rows:dropped_row]) / lengths[limited]
    return ChainPrices(edges, machine, chain)
