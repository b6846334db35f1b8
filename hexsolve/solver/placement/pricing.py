"""What candidates cost and earn at given duals, whether or not they are in the LP.

The LP's duals price demand, latency, nodes and money. One instance of a candidate costs so much
and its flows earn at most what its rules let them; the difference, its penalty, is how much worse
than the LP value any plan with that instance is (reduced-cost fixing).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pulp
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

from hexsolve.solver.placement.formulation import Column, Formulation
from hexsolve.solver.placement.traffic import Vector

TOLERANCE = 1e-7


@dataclass(frozen=True)
class Priced:
    """Candidates at some duals.

    Attributes
    ----------
    own : dict of int to float
        Candidate → what one instance costs: ``c − Σ π · inventory − π_budget · price``.
    earned : dict of int to float
        Candidate → what the flows of one instance earn, at most.
    capped : set of (int, int)
        (class, candidate) of the flows that would earn more if they could be more than the load.
    """

    own: dict[int, float]
    earned: dict[int, float]
    capped: frozenset[tuple[int, int]]


class Pricing:
    """The columns of some candidates, which depend on no other, so that pricing is matrix products.

    Parameters
    ----------
    formulation : Formulation
        Any of the task.
    columns : iterable of int
        Candidates.
    """

    def __init__(self, formulation: Formulation, columns: Iterable[int]) -> None:
        self.columns = np.array(sorted(columns), dtype=np.int64)
        candidates, rate = formulation.candidates, formulation.rate
        self._cost = np.array([formulation.cost(int(column)) for column in self.columns])
        self._counts_cost = formulation.objective == "cost" and not formulation.bought
        self._rows: dict[str, int] = {}
        self._inventory = self._matrix([formulation.inventory(int(c)) for c in self.columns])
        flows: list[Column] = []
        rules: list[list[NDArray[np.float64]]] = []
        of: list[tuple[int, int]] = []
        for place, column in enumerate(self.columns):
            served = np.flatnonzero(candidates[column].serves)
            of.extend((place, int(row)) for row in served)
            flows.extend(formulation.flow_column(int(row), int(column)) for row in served)
            usages = formulation.rules(int(column)).values()
            rules.append([(usage * rate)[served] for usage in usages])
        self._flows = self._matrix(flows)
        self._candidate, self._class = np.array(of, dtype=np.int64).reshape(-1, 2).T
        self._rule_of = np.repeat(np.arange(len(rules)), [len(each) for each in rules])
        self._rules: Any = _blocks(rules) if of else csr_array((0, 0), dtype=np.float64)

    def _matrix(self, columns: list[Column]) -> Any:
        """Return columns over shared rows as a sparse matrix, a line each; rows get numbers."""
        lines = np.repeat(np.arange(len(columns)), [len(column) for column in columns])
        entries = [entry for column in columns for entry in column]
        places = [self._rows.setdefault(name, len(self._rows)) for name, _ in entries]
        values = np.array([value for _, value in entries], dtype=np.float64)
        most = len(columns), max(len(self._rows), 1)
        return csr_array((values, (lines, np.array(places, dtype=np.int64))), shape=most)

    def price(self, duals: dict[str, float], most: float) -> Priced:
        """Return what candidates cost and earn.

        What one instance earns is ``max Σ_c v_c · f_c`` over ``Σ_c a_rc · f_c ≤ 1`` for its rules r
        and ``0 ≤ f_c ≤ most``, with ``v_c = Σ π · column``. One LP holds all candidates as
        independent blocks. What is returned is computed from its dual λ ≥ 0,
        ``Σ_r λ_r + most · Σ_c max(0, v_c − Σ_r λ_r · a_rc)``, which bounds the earnings whatever
        the accuracy of λ.

        Parameters
        ----------
        duals : dict of str to float
            Of all shared rows, those of the problem as a minimisation.
        most : float
            The most that a flow can be; may be infinite.
        """
        if not self.columns.size:
            return Priced({}, {}, frozenset())
        prices = np.array([duals[name] for name in self._rows])
        own = (self._cost if self._counts_cost else 0.0) - duals.get("budget", 0.0) * self._cost
        own = own - self._inventory @ prices[: self._inventory.shape[1]]
        value = self._flows @ prices[: self._flows.shape[1]]
        multipliers, size = self._multipliers(value, most), len(self.columns)
        covered = self._rules.T @ multipliers
        earned = np.bincount(self._rule_of, multipliers, size)
        left = np.maximum(0.0, value - covered)
        if np.isinf(most):
            # Without a bound on flows λ must cover every value; where it cannot, no bound is known.
            with np.errstate(divide="ignore", invalid="ignore"):
                short = np.where(value > 0.0, value / covered, 0.0)
            factor = np.ones(size)
            np.maximum.at(factor, self._candidate, short)
            with np.errstate(invalid="ignore"):
                earned = np.where(np.isfinite(factor), earned * factor, np.inf)
        else:
            earned = earned + most * np.bincount(self._candidate, left, size)
        over = np.flatnonzero(left > TOLERANCE * np.maximum(1.0, np.abs(value)))
        capped = zip(self._class[over], self.columns[self._candidate[over]], strict=True)
        names = self.columns.tolist()
        return Priced(
            dict(zip(names, own.tolist(), strict=True)),
            dict(zip(names, earned.tolist(), strict=True)),
            frozenset((int(row), int(column)) for row, column in capped),
        )

    def _multipliers(self, value: Vector, most: float) -> Vector:
        """Return the rules' duals λ; zeros where the LP fails."""
        rows = self._rules.shape[0]
        worth = np.flatnonzero(value > 0.0)
        if not worth.size:
            return np.zeros(rows)
        solved = linprog(
            -value[worth],
            self._rules[:, worth],
            np.ones(rows),
            bounds=(0.0, most),
            method="highs-ds",
        )
        if solved.ineqlin is None or solved.status != 0:
            return np.zeros(rows)
        return np.maximum(0.0, -np.asarray(solved.ineqlin.marginals, dtype=np.float64))


def most_flow(formulation: Formulation, value: float) -> float:
    """Return the most that a flow can be: the load, or the LP's where it is maximised."""
    if not isinstance(formulation.load, pulp.LpVariable):
        return formulation.load
    return np.inf if formulation.bought else value / formulation.unit * (1.0 + TOLERANCE)


def _blocks(rules: list[list[NDArray[np.float64]]]) -> Any:
    """Return the rules of all candidates as a sparse matrix of independent blocks."""
    row_index: list[NDArray[np.int64]] = []
    column_index: list[NDArray[np.int64]] = []
    values: list[NDArray[np.float64]] = []
    rows = columns = 0
    for each in rules:
        block = np.array(each)
        mine, other = np.indices(block.shape)
        row_index.append((mine + rows).ravel())
        column_index.append((other + columns).ravel())
        values.append(block.ravel())
        rows += block.shape[0]
        columns += block.shape[1]
    places = (np.concatenate(row_index), np.concatenate(column_index))
    return csr_array((np.concatenate(values), places), shape=(rows, columns))
