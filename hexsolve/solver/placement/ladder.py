"""Is there a plan within 0.1 % of the bound? Within 0.2 %? … : the bound climbs until one is found.

A plan that uses a candidate is worse than the LP value by its penalty at least, so that a question
about plans near the LP value concerns few candidates, and "no" comes quickly. Every "no" is a new
bound. The time of a question grows exponentially with the distance from the LP value, so that a
single question, about all that is better than the best plan known so far, is the worst order.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from hexsolve.solver.backends import Budget, Progress, Run, backend
from hexsolve.solver.placement.direction import Direction
from hexsolve.solver.placement.formulation import Formulation
from hexsolve.solver.placement.pricing import TOLERANCE
from hexsolve.solver.placement.relaxation import Relaxation
from hexsolve.solver.placement.task import Found, Task
from hexsolve.solver.placement.totals import add_totals
from hexsolve.solver.result import Limit, relative_gap

# How far from the LP value the first rung is, as a share of it, and how much farther the next.
FIRST_RUNG = 1e-3
GROWTH = 1.6
# Farther from the LP value than this, where there is no plan yet, any plan is searched for.
LAST_RUNG = 0.5


class Ladder:
    """A climb from an LP value to a plan that is proven good enough.

    Parameters
    ----------
    task : Task
    budget : Budget
    relaxation : Relaxation
        The LP over all candidates, with a value.
    load_bound : float, optional
        As in `Formulation`.
    """

    def __init__(
        self, task: Task, budget: Budget, relaxation: Relaxation, load_bound: float | None
    ) -> None:
        assert relaxation.run.objective is not None
        self.task = task
        self.budget = budget
        self.relaxation = relaxation
        self.load_bound = load_bound
        self.start = self.bound = relaxation.run.objective
        self.rung = max(FIRST_RUNG, budget.gap) * abs(self.start)
        # Only the inequalities that bind in the LP: the others slow the search's many LPs down.
        self.cuts = relaxation.cuts

    def climb(self, best: Formulation, value: float | None) -> Found:
        """Return the best plan, the one known or a better one, and a bound over all candidates.

        Cost: one MILP a rung. Rungs grow by `GROWTH`, and what the lower ones take is little.

        Parameters
        ----------
        best : Formulation
            With the plan known in its variables.
        value : float or None
            Its objective; None where no plan is known.
        """
        way = Direction.of(best.model)
        limit = Limit.NONE
        while not self._good_enough(value):
            if self.budget.stop is not None and self.budget.stop():
                limit = Limit.INTERRUPT
                break
            cutoff, last = self._next(value, way)
            formulation = self._formulation(cutoff, way)
            budget = replace(
                self.budget,
                cutoff=cutoff,
                heuristics=cutoff is None,
                on_progress=self._report(value, cutoff, way),
            )
            run = backend("highs").solve(formulation.model, budget)
            if run.infeasible:
                return Found(formulation, run, self.relaxation)
            if way.better(run.objective, value):
                best, value = formulation, run.objective
            if run.bound is not None:
                self.bound = way.tightest(run.bound, self.bound)
            self._tell(value)
            if last or run.limit not in (Limit.NONE, Limit.GAP):
                limit = run.limit
                break
        if value is not None:
            # Rounding may put the bound on the wrong side of the plan that it is a bound on.
            self.bound = way.best(self.bound, value)
        if limit is Limit.NONE and value != self.bound:
            limit = Limit.GAP
        return Found(best, Run(value, self.bound, limit), self.relaxation)

    def _good_enough(self, value: float | None) -> bool:
        gap = relative_gap(value, self.bound)
        return gap is not None and gap <= self.budget.gap

    def _tell(self, value: float | None) -> None:
        if self.budget.on_progress is not None:
            elapsed = time.perf_counter() - self.budget.started
            self.budget.on_progress(Progress(elapsed, value, self.bound))

    def _report(
        self, value: float | None, cutoff: float | None, way: Direction
    ) -> Callable[[Progress], None] | None:
        """Return what tells of a rung's progress, counting in the plan and the bound known."""
        report, known = self.budget.on_progress, self.bound
        if report is None:
            return None

        def show(progress: Progress) -> None:
            best = progress.objective if way.better(progress.objective, value) else value
            bound = progress.bound
            for cap in (cutoff, best):
                if bound is not None and cap is not None:
                    bound = way.best(bound, cap)
            report(replace(progress, objective=best, bound=way.tightest(bound, known)))

        return show

    def _next(self, value: float | None, way: Direction) -> tuple[float | None, bool]:
        """Return what a plan of the next rung must be better than, and whether it is the last.

        None stands for any plan at all.
        """
        rung, self.rung = self.rung, GROWTH * self.rung
        cutoff = way.worse_by(self.start, rung)
        if rung <= TOLERANCE or (value is None and rung > LAST_RUNG * abs(self.start)):
            return None, True
        if value is None:
            return cutoff, False
        spared = max(0.0, 0.99 * self.budget.gap - TOLERANCE) * abs(value)
        worth = way.worse_by(value, -spared)
        return (cutoff, False) if way.better(cutoff, worth) else (worth, True)

    def _formulation(self, cutoff: float | None, way: Direction) -> Formulation:
        """Return the MILP over the candidates that plans better than the cutoff can use."""
        active = None
        if cutoff is not None:
            rounding = TOLERANCE * max(1.0, abs(cutoff))
            near = self.relaxation.below(way.excess(cutoff, self.start) + rounding)
            active = sorted({*near, *self.relaxation.used})
        formulation = self.task.formulation(active, self.load_bound, self.cuts)
        add_totals(formulation)
        return formulation
