"""The LP over all candidates by way of LPs over some: what is missing shows in its price."""

from collections import defaultdict

import pulp

from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.formulation import Formulation
from hexsolve.solver.placement.pricing import Pricing, most_flow
from hexsolve.solver.placement.relaxation import Relaxation, relax, repriced
from hexsolve.solver.placement.task import Task

FEW = 100
"""Candidates up to which the LP is solved over all of them at once."""

STEP = 5
"""Of the operating points of an engine in a role, every so many are in the first LP."""

NEAR = 0.3
"""What has a penalty of at most this share of what it costs remains after the first LP."""

MISSING = 1e-9
"""Penalty below zero, as a share of what an instance costs, from which on a candidate is missing.

What all instances of a plan together take from the bound is such a share of what they cost.
"""

MORE = 10.0
"""A flow may be so many times the load that no plan exceeds while candidates are missing: the duals
also say what a plan would gain by more nodes, and with them it may carry more than that."""


def sift(
    task: Task, budget: Budget, start: list[int] | None = None, load_bound: float | None = None
) -> tuple[Formulation, Relaxation]:
    """Return a formulation over some candidates, and its LP, whose value bounds all plans.

    It is the value of the LP over all candidates; where the load is maximised it may be less, as
    then a flow of one instance beyond any load adds nothing.

    A candidate without which the LP's value is what it is has a penalty of at least zero: its
    columns' reduced costs are not negative. Those with a penalty below zero enter, and the LP is
    solved again, until there are none; the relaxation has penalties of all candidates. Where an LP
    over some has no solution, or counts are given, it is solved over all.

    Cost: three to four LPs of a few hundred candidates, whatever the number of all, and as many
    pricings of all; about half the time of the whole LP and its pricing for 1,800 candidates.

    Parameters
    ----------
    task : Task
    budget : Budget
    start : list of int, optional
        Candidates of the first LP; left out: every `STEP`-th operating point.
    load_bound : float, optional
        As in `Formulation`.
    """
    if len(task.candidates) <= FEW or (task.variation and task.variation.counts):
        return _over_all(task, budget, load_bound)
    active = start or _spread(task)
    pricing: Pricing | None = None
    first = start is None
    while True:
        formulation = task.formulation(active, load_bound)
        pricing = pricing or Pricing(formulation, range(len(task.candidates)))
        # Not what this LP says: with what is missing more load may be carried.
        most = formulation.load_most
        if isinstance(formulation.load, pulp.LpVariable) and load_bound is None:
            most *= MORE
        relaxation = relax(formulation, budget, pricing, most)
        value = relaxation.run.objective
        if value is None:
            return _over_all(task, budget, load_bound)
        missing = [
            column
            for column, penalty in relaxation.penalty.items()
            if column not in formulation.count and penalty < -MISSING * abs(relaxation.own[column])
        ]
        if not missing:
            if (proven := most_flow(formulation, value)) < most:
                relaxation = repriced(relaxation, formulation, pricing, proven)
            return formulation, relaxation
        near = set(relaxation.promising(NEAR)) if first else set(active)
        # Nothing leaves a second time, so that this ends.
        active, first = sorted({*near.intersection(active), *missing}), False


def _over_all(
    task: Task, budget: Budget, load_bound: float | None
) -> tuple[Formulation, Relaxation]:
    whole = task.formulation(load_bound=load_bound)
    return whole, relax(whole, budget)


def _spread(task: Task) -> list[int]:
    """Return some operating points of every engine in every role."""
    groups: dict[tuple[str, str, int, int], list[int]] = defaultdict(list)
    for column, candidate in enumerate(task.candidates):
        engine = candidate.engine
        groups[candidate.role, engine.gpu, engine.tp, engine.pp].append(column)
    return sorted(column for group in groups.values() for column in group[::STEP])
