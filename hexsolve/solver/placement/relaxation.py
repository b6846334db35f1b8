"""The LP relaxation: a bound, and a proof of which candidates cannot matter.

The LP's duals price demand, latency, nodes and money. One instance of a candidate costs so much
and its flows earn at most what its tightest rule lets them; the difference is how much worse
than the LP bound any plan with that instance is (reduced-cost fixing).
"""

import math
from dataclasses import dataclass

import numpy as np
import pulp

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
        Dual of every constraint for the problem as a minimisation.
    penalty : dict of int to float
        Candidate → how much worse than the LP a plan with one instance of it is, at least.
    used : list of int
        Candidates that the LP uses.
    """

    run: Run
    duals: dict[str, float]
    penalty: dict[int, float]
    used: list[int]

    def promising(self, share: float) -> list[int]:
        """Return the candidates in use or with a penalty below a share of the LP value."""
        value = self.run.objective
        assert value is not None
        limit = share * max(abs(value), TOLERANCE)
        chosen = [column for column, penalty in self.penalty.items() if penalty <= limit]
        return sorted({*chosen, *self.used})

    def improving(self, incumbent: float, sense: int) -> list[int]:
        """Return the candidates that a plan better than `incumbent` could use."""
        value = self.run.objective
        assert value is not None
        slack = incumbent - value if sense == pulp.LpMinimize else value - incumbent
        allowance = slack + TOLERANCE * max(1.0, abs(incumbent))
        return [column for column, penalty in self.penalty.items() if penalty <= allowance]


def relax(formulation: Formulation, budget: Budget) -> Relaxation:
    """Solve the LP relaxation of a formulation (integer counts may be fractional).

    Cost: one interior-point solve; about 3 s for 25,000 columns.
    """
    run = HiGHS().relax(formulation.model, budget)
    if run.objective is None:
        return Relaxation(run, {}, {}, [])
    # Rows of single candidates are among the duals too; only shared rows enter the penalties.
    rows = formulation.model.constraints()
    duals = {name: float(row.pi or 0.0) for name, row in zip(formulation.rows, rows, strict=True)}
    used = [
        column for column, count in formulation.count.items() if (count.varValue or 0.0) > TOLERANCE
    ]
    penalty = {column: _penalty(formulation, duals, column) for column in formulation.active}
    return Relaxation(run, duals, penalty, used)


def _penalty(formulation: Formulation, dual: dict[str, float], column: int) -> float:
    """Return a lower bound on the reduced cost of one instance with its best flows.

    An instance costs ``c − Σ π · inventory − π_budget · price`` and its flows earn
    ``Σ_c v_c · flow_c`` with ``v_c = Σ π · column``. One rule alone, ``Σ a_c · flow_c ≤ 1``,
    caps the earnings at ``max_c v_c / a_c``; the least of these caps is taken.
    """
    candidate = formulation.candidates[column]
    price = formulation.cost(column)
    own = price if formulation.objective == "cost" and not formulation.bought else 0.0
    own -= dual.get("budget", 0.0) * price
    own -= sum(dual[name] * amount for name, amount in formulation.inventory(column))
    rate = formulation.traffic.rate
    value = np.array(
        [
            sum(dual[name] * amount for name, amount in formulation.flow_column(row, column))
            if candidate.serves[row]
            else 0.0
            for row in range(len(rate))
        ]
    )
    return own - _earnings(value, [usage * rate for usage in formulation.rules(column).values()])


def _earnings(value: Vector, rules: list[Vector]) -> float:
    """Return an upper bound on ``max Σ v·f`` over ``a_r · f ≤ 1`` for all r, ``f ≥ 0``."""
    paid = value > 0
    if not paid.any():
        return 0.0
    best = math.inf
    for usage in rules:
        amounts = usage[paid]
        if (amounts > 0).all():
            best = min(best, float((value[paid] / amounts).max()))
    return best
