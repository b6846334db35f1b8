"""The LP relaxation: a bound, and a proof of which candidates cannot matter."""

from dataclasses import dataclass, replace

from hexsolve.solver.backends import Budget, Run
from hexsolve.solver.backends.highs import HiGHS
from hexsolve.solver.placement.formulation import Formulation
from hexsolve.solver.placement.pricing import TOLERANCE, Pricing, most_flow


@dataclass(frozen=True)
class Relaxation:
    """A solved LP relaxation.

    Attributes
    ----------
    run : Run
        Its value, which is a bound, or the proof that nothing is feasible.
    duals : dict of str to float
        Dual of every constraint of the LP, as in the documentation, for the problem as a
        minimisation.
    penalty : dict of int to float
        Candidate → how much worse than the LP a plan with one instance of it is, at least.
    own : dict of int to float
        Candidate → what one instance costs at the duals, flows aside.
    used : list of int
        Candidates that the LP uses.
    cuts : frozenset of str
        Inequalities ``flow ≤ θ · count`` that bind, also those of candidates outside the LP.
    """

    run: Run
    duals: dict[str, float]
    penalty: dict[int, float]
    own: dict[int, float]
    used: list[int]
    cuts: frozenset[str] = frozenset()

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


def relax(
    formulation: Formulation,
    budget: Budget,
    pricing: Pricing | None = None,
    most: float | None = None,
) -> Relaxation:
    """Solve the LP relaxation of a formulation (integer counts may be fractional).

    Cost: one interior-point solve, about 3 s for 25,000 columns; a pricing.

    Parameters
    ----------
    formulation : Formulation
    budget : Budget
    pricing : Pricing, optional
        Of the candidates that get a penalty; left out: those of the formulation.
    most : float, optional
        The most that a flow can be; left out, what the LP's value says, which is a bound on the
        load only if no candidate is missing.
    """
    run = HiGHS().relax(formulation.model, budget)
    if run.objective is None:
        return Relaxation(run, {}, {}, {}, [])
    # Rows of single candidates are among the duals too; only shared rows enter the penalties.
    rows = formulation.model.constraints()
    unit = formulation.model.hexsolve_unit
    duals = {
        name: float(made.pi or 0.0) * unit / row.unit
        for (name, row), made in zip(formulation.rows.items(), rows, strict=True)
    }
    used = [
        column for column, count in formulation.count.items() if (count.varValue or 0.0) > TOLERANCE
    ]
    pricing = pricing or Pricing(formulation, formulation.active)
    if most is None:
        most = most_flow(formulation, run.objective)
    return repriced(Relaxation(run, duals, {}, {}, used), formulation, pricing, most)


def repriced(
    relaxation: Relaxation, formulation: Formulation, pricing: Pricing, most: float
) -> Relaxation:
    """Return a relaxation with the penalties for flows of at most `most`."""
    duals = relaxation.duals
    priced = pricing.price(duals, most)
    penalty = {column: own - priced.earned[column] for column, own in priced.own.items()}
    outside = (each for each in priced.capped if each[1] not in formulation.count)
    cuts = {
        *(name for name, dual in duals.items() if dual != 0.0),
        *(formulation.built_row(row, column) for row, column in outside),
    }
    return replace(relaxation, penalty=penalty, own=priced.own, cuts=frozenset(cuts))
