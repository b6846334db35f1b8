"""A plan within the rules from a solution that broke them by a solver's tolerance."""

import pulp

from hexsolve.models.plan import Plan
from hexsolve.solver.backends import Budget
from hexsolve.solver.backends.highs import HiGHS
from hexsolve.solver.placement.extract import extract_plan
from hexsolve.solver.placement.formulation import Formulation, Variation
from hexsolve.solver.placement.task import Task

# How much of the load or SLO scale is given up so that every rule holds.
MARGIN = 1e-7


def repaired(task: Task, formulation: Formulation, budget: Budget) -> Plan | None:
    """Return a plan with the same instances and flows of its own; None where there is none.

    With counts fixed, all rules on flows are linear and homogeneous: the flows that carry the most
    load θ, by an LP with tight tolerances, keep every rule with room to spare when they are
    scaled down to the load that is asked for. Where the load itself was maximised, all but
    `MARGIN` of θ remains.

    Parameters
    ----------
    task : Task
    formulation : Formulation
        Solved; its counts are kept.
    budget : Budget
    """
    counts = {
        column: round(variable.varValue or 0.0) for column, variable in formulation.count.items()
    }
    chosen = [column for column, count in counts.items() if count >= 1]
    problem = task.problem
    if isinstance(formulation.scale, pulp.LpVariable):
        scale = (formulation.scale.varValue or 0.0) * (1.0 + MARGIN)
        problem = problem.model_copy(update={"slo_scale": scale})
    ignore = frozenset({"inventory", "budget"})
    given = Variation(ignore=ignore, counts={column: counts[column] for column in chosen})
    again = Formulation(problem, task.traffic, task.candidates, "load", given, chosen)
    most = HiGHS().relax(again.model, budget, exact=True).objective
    if most is None or most <= 0.0:
        return None
    wanted = most * (1.0 - MARGIN) if task.objective == "load" else task.problem.load
    if wanted > most:
        return None
    for variable in (again.load, *again.flow.values()):
        assert isinstance(variable, pulp.LpVariable)
        variable.varValue = (variable.varValue or 0.0) * (wanted / most)
    return extract_plan(again, settle=task.objective != "slo")
