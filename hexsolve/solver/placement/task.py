"""What is to be solved, and what came of it."""

from dataclasses import dataclass

import pulp

from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.backends import Run
from hexsolve.solver.placement.candidates import Candidate
from hexsolve.solver.placement.formulation import Formulation, Variation
from hexsolve.solver.placement.pricing import TOLERANCE
from hexsolve.solver.placement.relaxation import Relaxation
from hexsolve.solver.placement.traffic import Traffic


@dataclass(frozen=True)
class Task:
    """What to optimise: a problem with its candidates, objective and deviations."""

    problem: PlanningProblem
    traffic: Traffic
    candidates: list[Candidate]
    objective: Objective
    variation: Variation | None = None

    def formulation(
        self,
        active: list[int] | None = None,
        load_bound: float | None = None,
        cuts: frozenset[str] | None = None,
    ) -> Formulation:
        """Build the MILP over some candidates (default all); the others as in `Formulation`."""
        return Formulation(
            self.problem,
            self.traffic,
            self.candidates,
            self.objective,
            self.variation,
            active,
            load_bound,
            cuts,
        )


@dataclass(frozen=True)
class Found:
    """A solved task: the formulation holds the values, `relaxation` the duals (HiGHS only).

    The duals are those of the model without a bound on the load that more nodes would exceed: with
    it they would price only this inventory, and an estimate of what more nodes gain be too low.
    """

    formulation: Formulation
    run: Run
    relaxation: Relaxation | None

    @property
    def carries_nothing(self) -> bool:
        """Whether load is maximised and proven to be 0, up to the solver's tolerance."""
        bound = self.run.bound
        return (
            isinstance(self.formulation.load, pulp.LpVariable)
            and bound is not None
            and bound <= TOLERANCE * self.formulation.unit
        )
