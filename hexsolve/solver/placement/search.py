"""From a formulation to its proven optimum: LP bound, restricted MILP, exact completion."""

from dataclasses import dataclass, replace

import pulp

from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.backends import Budget, Progress, Run, backend
from hexsolve.solver.placement.candidates import Candidate
from hexsolve.solver.placement.formulation import Formulation, Variation
from hexsolve.solver.placement.relaxation import Relaxation, relax
from hexsolve.solver.placement.traffic import Traffic
from hexsolve.solver.result import Limit, relative_gap

# Candidates whose use costs at most this share of the LP value enter the first MILP.
PROMISING = 0.002


@dataclass(frozen=True)
class Task:
    """What to optimise: a problem with its candidates, objective and deviations."""

    problem: PlanningProblem
    traffic: Traffic
    candidates: list[Candidate]
    objective: Objective
    variation: Variation | None = None

    def formulation(self, active: list[int] | None = None) -> Formulation:
        """Build the MILP over some candidates (default all)."""
        return Formulation(
            self.problem, self.traffic, self.candidates, self.objective, self.variation, active
        )


@dataclass(frozen=True)
class Found:
    """A solved task: the formulation holds the values, `relaxation` the duals (HiGHS only)."""

    formulation: Formulation
    run: Run
    relaxation: Relaxation | None


def search(task: Task, budget: Budget, solver: str = "highs") -> Found:
    """Solve a task to the allowed gap.

    With HiGHS in three steps, each of which may end it: the LP over all candidates gives a
    bound; a MILP over the promising ones gives a plan; a MILP over all that could still improve
    on it (reduced-cost fixing) closes the gap. CBC and SCIP solve the whole model at once, so
    that a cross-check shares none of this.
    """
    whole = task.formulation()
    if solver != "highs":
        return Found(whole, backend(solver).solve(whole.model, budget), None)
    relaxation = relax(whole, budget)
    bound = relaxation.run.objective
    if bound is None:
        if relaxation.run.infeasible:
            return Found(whole, relaxation.run, relaxation)
        return Found(whole, backend(solver).solve(whole.model, budget), None)
    sense = whole.model.sense
    budget = _reporting_bound(budget, bound, sense)
    first = task.formulation(relaxation.promising(PROMISING))
    run = backend(solver).solve(first.model, budget)
    if run.objective is not None:
        gap = relative_gap(run.objective, bound)
        if gap is not None and gap <= budget.gap:
            limit = Limit.GAP if gap > 1e-9 else Limit.NONE
            return Found(first, Run(run.objective, bound, limit), relaxation)
        rest = relaxation.improving(run.objective, sense)
        if set(rest) <= set(first.active):
            return Found(first, replace(run, bound=_tightest(run.bound, bound, sense)), relaxation)
        second = task.formulation(sorted({*rest, *relaxation.used}))
    else:
        second = whole
    second.model.hexsolve_start = _values(first) if run.objective is not None else None
    final = backend(solver).solve(second.model, budget)
    if final.objective is None and run.objective is not None:
        # Everything that could improve was searched; the first plan stands.
        proven = run.objective if final.infeasible else bound
        return Found(first, Run(run.objective, proven, final.limit), relaxation)
    if run.objective is not None and _better(run.objective, final.objective, sense):
        known = _capped(final.bound, run.objective, sense)
        return Found(first, Run(run.objective, known, final.limit), relaxation)
    if final.objective is None:
        return Found(second, replace(final, bound=final.bound or bound), relaxation)
    known = final.bound if run.objective is None else _capped(final.bound, run.objective, sense)
    return Found(second, replace(final, bound=_tightest(known, bound, sense)), relaxation)


def _values(formulation: Formulation) -> dict[str, float]:
    return {v.name: float(v.varValue or 0.0) for v in formulation.model.variables()}


def _better(mine: float, other: float | None, sense: int) -> bool:
    if other is None:
        return True
    return mine < other if sense == pulp.LpMinimize else mine > other


def _capped(bound: float | None, incumbent: float, sense: int) -> float | None:
    """Return a bound over the kept candidates as one over all: those left out only tie."""
    if bound is None:
        return None
    return min(bound, incumbent) if sense == pulp.LpMinimize else max(bound, incumbent)


def _tightest(mine: float | None, other: float, sense: int) -> float:
    if mine is None:
        return other
    return max(mine, other) if sense == pulp.LpMinimize else min(mine, other)


def _reporting_bound(budget: Budget, bound: float, sense: int) -> Budget:
    """Return the budget with progress that never shows a bound worse than the LP's."""
    report = budget.on_progress
    if report is None:
        return budget

    def show(progress: Progress) -> None:
        report(replace(progress, bound=_tightest(progress.bound, bound, sense)))

    return replace(budget, on_progress=show)
