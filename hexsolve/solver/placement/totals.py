"""Integer totals to branch on: instances per engine and role, and per GPU type."""

import re
from collections import defaultdict

import pulp

from hexsolve.solver.placement.candidates import engine_key
from hexsolve.solver.placement.formulation import Formulation


def add_totals(formulation: Formulation) -> None:
    """Add integer variables equal to sums of counts; the feasible plans stay the same.

    A plan of 12 decode instances can split them over operating points in many ways of nearly the
    same value. Branching on one count leaves the others to make up for it, and the bound does not
    move; branching on their sum cuts all of these off at once. HiGHS's presolve would eliminate the
    sums; the backend forbids that (figures in results/plan_scale).
    """
    members: dict[str, list[pulp.LpVariable]] = defaultdict(list)
    for column, count in formulation.count.items():
        candidate = formulation.candidates[column]
        members[f"{candidate.role}_{engine_key(candidate.engine)}"].append(count)
        members[f"all_{candidate.engine.gpu}"].append(count)
    for name, counts in members.items():
        label = re.sub(r"[^A-Za-z0-9]", "_", name)
        total = formulation.model.add_variable(f"total_{label}", 0, None, pulp.LpInteger)
        expression = pulp.LpAffineExpression([*((count, 1.0) for count in counts), (total, -1.0)])
        formulation.model.addConstraint(
            pulp.LpConstraint(expression, pulp.LpConstraintEQ, f"sum_{label}", 0.0)
        )
