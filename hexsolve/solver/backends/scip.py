"""SCIP through OR-Tools' linear solver wrapper."""

import math

import pulp
from ortools.linear_solver import pywraplp

from hexsolve.models.errors import UnsupportedError
from hexsolve.solver.backends.base import Budget, Run, objective_unit, stopping_limit
from hexsolve.solver.result import Limit

_SENSES = {
    pulp.LpConstraintLE: (-math.inf, 0.0),
    pulp.LpConstraintEQ: (0.0, 0.0),
    pulp.LpConstraintGE: (0.0, math.inf),
}


class SCIP:
    """The third backend, for cross-checks."""

    name = "scip"

    def solve(self, model: pulp.LpProblem, budget: Budget) -> Run:
        """Solve with SCIP; see `Backend.solve`."""
        solver = pywraplp.Solver.CreateSolver("SCIP")
        if solver is None:
            raise UnsupportedError(
                "this build of OR-Tools comes without SCIP; use --solver highs or cbc"
            )
        variables = _translate(model, solver)
        solver.SetTimeLimit(int(budget.left_s * 1000))
        solver.SetSolverSpecificParametersAsString("numerics/feastol = 1e-9\n")
        parameters = pywraplp.MPSolverParameters()
        parameters.SetDoubleParam(pywraplp.MPSolverParameters.RELATIVE_MIP_GAP, budget.gap)
        status = solver.Solve(parameters)
        if status == pywraplp.Solver.INFEASIBLE:
            return Run(None, None, Limit.NONE, infeasible=True)
        if status == pywraplp.Solver.UNBOUNDED:
            return Run(None, None, Limit.NONE, unbounded=True)
        found = status in (pywraplp.Solver.OPTIMAL, pywraplp.Solver.FEASIBLE)
        if found:
            for variable in model.variables():
                variable.varValue = variables[variable.name].solution_value()
        unit = objective_unit(model)
        objective = solver.Objective().Value() * unit if found else None
        # Without a solution OR-Tools says 0, whatever SCIP has proven.
        best = solver.Objective().BestBound() if found else math.inf
        bound = best * unit if math.isfinite(best) and abs(best) < 1e19 else None
        stopped = Limit.NONE if status == pywraplp.Solver.OPTIMAL else Limit.TIME
        return Run(objective, bound, stopping_limit(objective, bound, stopped))


def _translate(model: pulp.LpProblem, solver: pywraplp.Solver) -> "dict[str, pywraplp.Variable]":
    """Copy a PuLP model into an OR-Tools solver; returns its variables by name."""
    variables = {}
    for variable in model.variables():
        low = -math.inf if variable.lowBound is None else variable.lowBound
        high = math.inf if variable.upBound is None else variable.upBound
        integer = variable.cat == pulp.LpInteger
        variables[variable.name] = solver.Var(low, high, integer, variable.name)
    for constraint in model.constraints():
        low, high = _SENSES[constraint.sense]
        # PuLP keeps the right-hand side as a constant on the left.
        row = solver.Constraint(low - constraint.constant, high - constraint.constant)
        for variable, coefficient in constraint.items():
            row.SetCoefficient(variables[variable.name], float(coefficient))
    target = solver.Objective()
    for variable, coefficient in model.objective.items():
        target.SetCoefficient(variables[variable.name], float(coefficient))
    target.SetOffset(float(model.objective.constant))
    if model.sense == pulp.LpMaximize:
        target.SetMaximization()
    else:
        target.SetMinimization()
    return variables
