"""From a formulation to its proven optimum: LP bound, restricted MILP, exact completion."""

from dataclasses import dataclass, replace

import pulp

from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.backends import Budget, Progress, Run, backend
from hexsolve.solver.placement.candidates import Candidate
from hexsolve.solver.placement.formulation import Formulation, Variation
from hexsolve.solver.placement.relaxation import TOLERANCE, Relaxation, relax
from hexsolve.solver.placement.totals import add_totals
from hexsolve.solver.placement.traffic import Traffic
from hexsolve.solver.result import Limit, relative_gap

# Candidates whose penalty is at most this share of what they cost enter the first MILP.
PROMISING = 0.05
# Share of the time limit that the first MILP may take, and how much closer it aims than asked.
FIRST_TIME = 0.3
FIRST_GAP = 0.25


@dataclass(frozen=True)
class Task:
    """What to optimise: a problem with its candidates, objective and deviations."""

    problem: PlanningProblem
    traffic: Traffic
    candidates: list[Candidate]
    objective: Objective
    variation: Variation | None = None

    def formulation(
        self, active: list[int] | None = None, load_bound: float | None = None
    ) -> Formulation:
        """Build the MILP over some candidates (default all); `load_bound` as in `Formulation`."""
        return Formulation(
            self.problem,
            self.traffic,
            self.candidates,
            self.objective,
            self.variation,
            active,
            load_bound,
        )


@dataclass(frozen=True)
class Found:
    """A solved task: the formulation holds the values, `relaxation` the duals (HiGHS only).

    The duals are those of the model without a bound on the load: with it they would price only
    this inventory, and an estimate of what more nodes gain would be too low.
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


def search(task: Task, budget: Budget, solver: str = "highs") -> Found:
    """Solve a task to the allowed gap.

    With HiGHS in three steps, each of which may end it: the LP over all candidates gives a
    bound; a MILP over the promising ones gives a plan; a MILP over all that a plan better by more
    than the allowed gap could use closes the gap (reduced-cost fixing). CBC and SCIP solve the
    whole model at once, so that a cross-check shares none of this.
    """
    whole = task.formulation()
    if solver != "highs":
        return Found(whole, backend(solver).solve(whole.model, budget), None)
    priced = relax(whole, budget)
    whole, relaxation = _tightened(task, whole, priced, budget)
    bound = relaxation.run.objective
    if bound is None:
        if relaxation.run.infeasible:
            return Found(whole, relaxation.run, relaxation)
        return Found(whole, backend(solver).solve(whole.model, budget), None)
    sense = whole.model.sense
    budget = _reporting_bound(budget, bound, sense)
    first = task.formulation(relaxation.promising(PROMISING), whole.load_bound)
    add_totals(first)
    run = backend(solver).solve(first.model, _first_budget(budget, bound, sense))
    if run.objective is None:
        final = backend(solver).solve(whole.model, budget)
        return Found(whole, replace(final, bound=_tightest(final.bound, bound, sense)), priced)
    gap = relative_gap(run.objective, bound)
    if gap is not None and gap <= budget.gap:
        limit = Limit.GAP if gap > 1e-9 else Limit.NONE
        return Found(first, Run(run.objective, bound, limit), priced)
    return replace(_completed(task, budget, Found(first, run, relaxation)), relaxation=priced)


def _tightened(
    task: Task, whole: Formulation, relaxation: Relaxation, budget: Budget
) -> tuple[Formulation, Relaxation]:
    """Relax the whole formulation once more where the load found bounds flows from above.

    Where the load is maximised, the first LP's is a bound on it, and ``flow ≤ load · count``
    becomes a valid inequality that cuts off fractions of an instance serving whole classes. On
    large clusters no instance can serve a whole class, and there is nothing to repeat.
    """
    value = relaxation.run.objective
    if value is None or whole.bought or not isinstance(whole.load, pulp.LpVariable):
        return whole, relaxation
    if value <= 1e-6 * whole.unit:
        # Next to nothing is carried: the inequality would be below the solver's tolerances.
        return whole, relaxation
    tighter = task.formulation(load_bound=value * (1.0 + TOLERANCE) + TOLERANCE)
    if len(tighter.rows) == len(whole.rows):
        return whole, relaxation
    again = relax(tighter, budget)
    if again.run.objective is None:
        # Out of time, or numerical trouble: what the first LP proved stands.
        return whole, relaxation
    return tighter, again


def _completed(task: Task, budget: Budget, known: Found) -> Found:
    """Prove a plan good enough, or find a better one, over all candidates that matter.

    A plan with a candidate whose penalty is above the allowance is worse than the LP value by more
    than that: without those candidates, no plan that is missed is better than `limit`.
    """
    first, run, relaxation = known.formulation, known.run, known.relaxation
    assert relaxation is not None
    assert run.objective is not None
    bound = relaxation.run.objective
    assert bound is not None
    sense = first.model.sense
    # What the plan may be improved by without being off by more than the gap.
    spared = max(0.0, 0.99 * budget.gap * abs(run.objective) - TOLERANCE * abs(run.objective))
    allowance = abs(run.objective - bound) - spared + TOLERANCE * max(1.0, abs(run.objective))
    limit = bound + (allowance if sense == pulp.LpMinimize else -allowance)
    rest = relaxation.below(allowance)
    if set(rest) <= set(first.active) and run.limit in (Limit.NONE, Limit.GAP):
        return Found(first, _with_bound(run, limit, bound, sense), relaxation)
    second = task.formulation(sorted({*rest, *relaxation.used, *_built(first)}), first.load_bound)
    add_totals(second)
    second.model.hexsolve_start = _values(first)
    final = backend("highs").solve(second.model, replace(budget, cutoff=limit))
    if _better(run.objective, final.objective, sense):
        # Nothing better among all that could be: the first plan stands.
        final = replace(final, objective=run.objective)
        return Found(first, _with_bound(final, limit, bound, sense), relaxation)
    return Found(second, _with_bound(final, limit, bound, sense), relaxation)


def _first_budget(budget: Budget, bound: float, sense: int) -> Budget:
    """Return the first MILP's budget: it ends as soon as its plan is within the gap of the LP."""
    margin = 0.99 * budget.gap * abs(bound)
    return replace(
        budget,
        time_s=budget.time_s - (1.0 - FIRST_TIME) * budget.left_s,
        gap=FIRST_GAP * budget.gap,
        target=bound + (margin if sense == pulp.LpMinimize else -margin),
    )


def _built(formulation: Formulation) -> list[int]:
    return [column for column, count in formulation.count.items() if (count.varValue or 0.0) > 0.5]


def _with_bound(run: Run, limit: float, relaxed: float, sense: int) -> Run:
    """Return a run over some candidates with its bound valid over all.

    Plans with others are no better than `limit`, and none is better than the LP.
    """
    mine = run.bound
    if mine is not None:
        mine = min(mine, limit) if sense == pulp.LpMinimize else max(mine, limit)
        if run.objective is not None:
            mine = _capped(mine, run.objective, sense)
    return replace(run, bound=_tightest(mine, relaxed, sense))


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
