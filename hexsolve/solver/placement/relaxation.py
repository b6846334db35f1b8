"""The LP relaxation: a bound, and a proof of which candidates cannot matter.

The LP's duals price demand, latency, nodes and money. One instance of a candidate costs so much
and its flows earn at most what its rules let them; the difference is how much worse than the LP
bound any plan with that instance is (reduced-cost fixing).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pulp
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

from hexsolve.solver.backends import Budget, Run
from hexsolve.solver.backends.highs import HiGHS
from hexsolve.solver.placement.formulation import Formulation
from hexsolve.solver.placement.traffic import Vector

TOLERANCE = 1e-7


@dataclass(frozen=True)
class Relaxation:
    """A solved LP relaxation.

    Attributes
    ----------
    run : Run
        Its value, which is a bound, or the proof that nothing is feasible.
    duals : dict of str to float
        Dual of every constraint, as in the documentation, for the problem as a minimisation.
    penalty : dict of int to float
        Candidate → how much worse than the LP a plan with one instance of it is, at least.
    own : dict of int to float
        Candidate → what one instance costs at the duals, flows aside.
    used : list of int
        Candidates that the LP uses.
    """

    run: Run
    duals: dict[str, float]
    penalty: dict[int, float]
    own: dict[int, float]
    used: list[int]

    def promising(self, share: float) -> list[int]:
        """Return the candidates in use, or whose penalty is a small share of what they cost.

        Measured against the instance itself, the choice is the same at every cluster size.
        """
        chosen = [
            column
            for column, penalty in self.penalty.items()
            if penalty <= share * self.own[column]
        ]
        return sorted({*chosen, *self.used})

    def below(self, allowance: float) -> list[int]:
        """Return the candidates that a plan within `allowance` of the LP value could use."""
        return [column for column, penalty in self.penalty.items() if penalty <= allowance]


def relax(formulation: Formulation, budget: Budget) -> Relaxation:
    """Solve the LP relaxation of a formulation (integer counts may be fractional).

    Cost: one interior-point solve; about 3 s for 25,000 columns.
    """
    run = HiGHS().relax(formulation.model, budget)
    if run.objective is None:
        return Relaxation(run, {}, {}, {}, [])
    # Rows of single candidates are among the duals too; only shared rows enter the penalties.
    rows = formulation.model.constraints()
    unit = formulation.model.hexsolve_unit
    duals = {
        name: float(solved.pi or 0.0) * unit / row.unit
        for (name, row), solved in zip(formulation.rows.items(), rows, strict=True)
    }
    used = [
        column for column, count in formulation.count.items() if (count.varValue or 0.0) > TOLERANCE
    ]
    own = {column: _own_cost(formulation, duals, column) for column in formulation.active}
    earned = _earnings(formulation, duals, _most_flow(formulation, run.objective))
    penalty = {column: own[column] - earned[column] for column in formulation.active}
    return Relaxation(run, duals, penalty, own, used)


def _own_cost(formulation: Formulation, dual: dict[str, float], column: int) -> float:
    """Return what one instance costs: ``c − Σ π · inventory − π_budget · price``."""
    price = formulation.cost(column)
    own = price if formulation.objective == "cost" and not formulation.bought else 0.0
    own -= dual.get("budget", 0.0) * price
    return own - sum(dual[name] * amount for name, amount in formulation.inventory(column))


def _most_flow(formulation: Formulation, value: float) -> float:
    """Return the most that a flow can be: the load, or the LP's where it is maximised."""
    if not isinstance(formulation.load, pulp.LpVariable):
        return formulation.load
    return np.inf if formulation.bought else value / formulation.unit * (1.0 + TOLERANCE)


def _earnings(formulation: Formulation, dual: dict[str, float], most: float) -> dict[int, float]:
    """Return per candidate the most that the flows of one instance can earn.

    ``max Σ_c v_c · f_c`` over ``Σ_c a_rc · f_c ≤ 1`` for its rules r and ``0 ≤ f_c ≤ most``, with
    ``v_c = Σ π · column``. One LP holds all candidates as independent blocks. What is returned
    is computed from its dual λ ≥ 0, ``Σ_r λ_r + most · Σ_c max(0, v_c − Σ_r λ_r · a_rc)``, which
    bounds the earnings whatever the accuracy of λ.
    """
    rate = formulation.rate
    blocks: list[tuple[int, Vector, Vector]] = []
    earned = dict.fromkeys(formulation.active, 0.0)
    for column in formulation.active:
        serves = formulation.candidates[column].serves
        value = np.zeros(len(rate))
        for row in np.flatnonzero(serves):
            value[row] = sum(
                dual[name] * amount for name, amount in formulation.flow_column(int(row), column)
            )
        paid = value > 0
        if paid.any():
            rules = np.array([(usage * rate)[paid] for usage in formulation.rules(column).values()])
            blocks.append((column, value[paid], rules))
    if not blocks:
        return earned
    multipliers = _block_duals(blocks, most)
    for column, value, rules in blocks:
        price, multipliers = multipliers[: len(rules)], multipliers[len(rules) :]
        covered = price @ rules
        if np.isinf(most):
            # without a bound on flows λ must cover every value; where it cannot, no bound is known
            with np.errstate(divide="ignore"):
                price = price * max(1.0, float((value / covered).max()))
            earned[column] = float(price.sum()) if np.isfinite(price).all() else np.inf
        else:
            left = np.maximum(0.0, value - covered)
            earned[column] = float(price.sum() + most * left.sum())
    return earned


def _block_duals(blocks: list[tuple[int, Vector, Vector]], most: float) -> Vector:
    """Return the rules' duals, all blocks after each other; zeros where the LP fails."""
    row_index: list[NDArray[np.int64]] = []
    column_index: list[NDArray[np.int64]] = []
    rows = columns = 0
    for _, _, rules in blocks:
        mine, other = np.indices(rules.shape)
        row_index.append((mine + rows).ravel())
        column_index.append((other + columns).ravel())
        rows += rules.shape[0]
        columns += rules.shape[1]
    places = (np.concatenate(row_index), np.concatenate(column_index))
    matrix: Any = csr_array(
        (np.concatenate([rules.ravel() for _, _, rules in blocks]), places), shape=(rows, columns)
    )
    values = np.concatenate([value for _, value, _ in blocks])
    solved = linprog(-values, matrix, np.ones(rows), bounds=(0.0, most), method="highs-ds")
    if solved.ineqlin is None or solved.status != 0:
        return np.zeros(rows)
    return np.maximum(0.0, -np.asarray(solved.ineqlin.marginals, dtype=np.float64))
