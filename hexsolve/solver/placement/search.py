"""From a formulation to its proven optimum: LP bound, a first plan, then rung by rung."""

from collections.abc import Callable
from dataclasses import replace

import pulp

from hexsolve.solver.backends import Budget, Progress, Run, backend
from hexsolve.solver.placement.direction import Direction
from hexsolve.solver.placement.formulation import Formulation
from hexsolve.solver.placement.ladder import Ladder
from hexsolve.solver.placement.pricing import TOLERANCE
from hexsolve.solver.placement.relaxation import Relaxation
from hexsolve.solver.placement.sifting import sift
from hexsolve.solver.placement.task import Found, Task
from hexsolve.solver.placement.totals import add_totals
from hexsolve.solver.result import Limit, relative_gap

# Candidates whose penalty is at most this share of what they cost enter the first MILP.
PROMISING = 0.05
# Share of the time left in which the first MILP improves its plan, and how much closer it aims than
# asked.
FIRST_TIME = 0.3
FIRST_GAP = 0.25


def search(task: Task, budget: Budget, solver: str = "highs") -> Found:
    """Solve a task to the allowed gap.

    With HiGHS in three steps, each of which may end it: the LP over all candidates (see `sift`)
    gives a bound; a MILP over the promising ones gives a plan; MILPs over all that better plans
    could use close the gap from the side of the bound (see `Ladder`). CBC and SCIP solve the whole
    model at once, so that a cross-check shares none of this.
    """
    if solver != "highs":
        whole = task.formulation()
        return Found(whole, backend(solver).solve(whole.model, budget), None)
    linear, priced = sift(task, budget)
    linear, relaxation = _tightened(task, linear, priced, budget)
    bound = relaxation.run.objective
    if bound is None:
        # The LP was over all candidates then.
        if relaxation.run.infeasible:
            return Found(linear, relaxation.run, relaxation)
        return Found(linear, backend(solver).solve(linear.model, budget), None)
    way = Direction.of(linear.model)
    first = task.formulation(relaxation.promising(PROMISING), linear.load_bound)
    add_totals(first)
    run = backend(solver).solve(first.model, _first_budget(budget, bound, way))
    gap = relative_gap(run.objective, bound)
    if gap is not None and gap <= budget.gap:
        limit = Limit.GAP if gap > 1e-9 else Limit.NONE
        return Found(first, Run(run.objective, bound, limit), priced)
    found = Ladder(task, budget, relaxation, linear.load_bound).climb(first, run.objective)
    return replace(found, relaxation=priced)


def _tightened(
    task: Task, linear: Formulation, relaxation: Relaxation, budget: Budget
) -> tuple[Formulation, Relaxation]:
    """Relax the formulation once more where the load found bounds flows from above.

    Where the load is maximised, the first LP's is a bound on it, and ``flow ≤ load · count``
    becomes a valid inequality that cuts off fractions of an instance serving whole classes. On
    large clusters no instance can serve a whole class, and there is nothing to repeat.
    """
    value = relaxation.run.objective
    if value is None or linear.bought or not isinstance(linear.load, pulp.LpVariable):
        return linear, relaxation
    if value <= 1e-6 * linear.unit:
        # Next to nothing is carried: the inequality would be below the solver's tolerances.
        return linear, relaxation
    load_bound = value * (1.0 + TOLERANCE) + TOLERANCE
    if len(task.formulation(linear.active, load_bound).rows) == len(linear.rows):
        return linear, relaxation
    tighter, again = sift(task, budget, linear.active, load_bound)
    if again.run.objective is None:
        # Out of time, or numerical trouble: what the first LP proved stands.
        return linear, relaxation
    return tighter, again


def _first_budget(budget: Budget, bound: float, way: Direction) -> Budget:
    """Return the first MILP's budget: it ends as soon as its plan is within the gap of the LP.

    It has all the time that there is to find any plan at all, and `FIRST_TIME` of it for a better
    one: the ladder asks for good plans only, and would come back without any.
    """
    return replace(
        budget,
        enough_s=budget.time_s - (1.0 - FIRST_TIME) * budget.left_s,
        gap=FIRST_GAP * budget.gap,
        target=way.worse_by(bound, 0.99 * budget.gap * abs(bound)),
        on_progress=_reporting_bound(budget.on_progress, bound),
    )


def _reporting_bound(
    report: Callable[[Progress], None] | None, bound: float
) -> Callable[[Progress], None] | None:
    """Return what tells of a MILP over some candidates: its plans are plans, its bound is none."""
    if report is None:
        return None

    def show(progress: Progress) -> None:
        report(replace(progress, bound=bound))

    return show
