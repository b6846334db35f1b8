"""HiGHS through PuLP; the bound is read from HiGHS itself."""

import math
import time
from typing import Any

import highspy
import pulp

from hexsolve.solver.backends.base import (
    Budget,
    Progress,
    Run,
    objective_unit,
    stopping_limit,
)
from hexsolve.solver.result import Limit

_STOPPED = {
    highspy.HighsModelStatus.kTimeLimit: Limit.TIME,
    highspy.HighsModelStatus.kIterationLimit: Limit.NODES,
    highspy.HighsModelStatus.kSolutionLimit: Limit.NODES,
    highspy.HighsModelStatus.kMemoryLimit: Limit.MEMORY,
    highspy.HighsModelStatus.kInterrupt: Limit.INTERRUPT,
    highspy.HighsModelStatus.kHighsInterrupt: Limit.INTERRUPT,
}

_REPORT_EVERY_S = 0.05

# Presolve would replace the totals of totals.py by their sums, and nothing could branch on them:
# bits 8 (free column substitution) and 12 (aggregator) of HiGHS's list of rules.
_KEEP_TOTALS = 1 << 8 | 1 << 12
_NO_HEURISTICS = {
    "mip_heuristic_effort": 0.0,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_root_reduced_cost": False,
}

# No model of hexsolve is unbounded: loads are capped by inventory or given, costs are positive.
_INFEASIBLE = (
    highspy.HighsModelStatus.kInfeasible,
    highspy.HighsModelStatus.kUnboundedOrInfeasible,
)


class HiGHS:
    """The default backend."""

    name = "highs"

    def solve(self, model: pulp.LpProblem, budget: Budget) -> Run:
        """Solve with HiGHS; see `Backend.solve`."""
        sign = (-1.0 if model.sense == pulp.LpMaximize else 1.0) * objective_unit(model)
        # Both are in the sense of a minimisation, whatever the model's.
        limits = {"objective_target": budget.target, "objective_bound": budget.cutoff}
        options = {name: limit / sign for name, limit in limits.items() if limit is not None}
        solver = _ReportingHiGHS(
            msg=False,
            gapRel=budget.gap,
            gapAbs=0.0,
            threads=budget.threads,
            timeLimit=budget.left_s,
            random_seed=0,
            # The LPs are highly degenerate: interior point at the root and in sub-MIPs halves
            # the time to a proof.
            mip_lp_solver="ipm",
            # Most of the time to a proof is strong branching; with one trial a variable it halves.
            mip_pscost_minreliable=1,
            presolve_rule_off=_KEEP_TOTALS,
            mip_feasibility_tolerance=1e-7,
            primal_feasibility_tolerance=1e-8,
            **({} if budget.heuristics else _NO_HEURISTICS),
            **options,
        )
        solver.attach(model, budget)
        model.solve(solver)
        engine: highspy.Highs = model.solverModel
        status = engine.getModelStatus()
        info = engine.getInfo()
        if status in _INFEASIBLE and budget.cutoff is None:
            return Run(None, None, Limit.NONE, infeasible=True)
        if status in (*_INFEASIBLE, highspy.HighsModelStatus.kObjectiveBound):
            # Whether there are solutions beyond the cutoff nobody looked.
            return Run(None, budget.cutoff, Limit.NONE)
        if status == highspy.HighsModelStatus.kUnbounded:
            return Run(None, None, Limit.NONE, unbounded=True)
        objective = None
        if info.primal_solution_status == 2:  # feasible
            objective = sign * info.objective_function_value
        bound = None
        if math.isfinite(info.mip_dual_bound):
            bound = sign * info.mip_dual_bound
        if bound is not None and budget.cutoff is not None:
            bound = sign * min(bound / sign, budget.cutoff / sign)
        stopped = _STOPPED.get(status, Limit.NONE)
        return Run(objective, bound, stopping_limit(objective, bound, stopped))

    def relax(self, model: pulp.LpProblem, budget: Budget, exact: bool = False) -> Run:
        """Solve the LP relaxation; values, reduced costs and duals (``pi``) stay in the model.

        Interior point with crossover: five times faster than simplex on large plans, and the
        crossover gives the vertex duals that pricing needs. Duals are those of a minimisation.
        `exact`: simplex with the tightest tolerance on rows that HiGHS knows.
        """
        how: dict[str, str | float] = {"solver": "ipm"}
        if exact:
            how = {"solver": "simplex", "primal_feasibility_tolerance": 1e-10}
        solver = pulp.HiGHS(
            mip=False, msg=False, threads=budget.threads, timeLimit=budget.left_s, **how
        )
        model.solve(solver)
        engine: highspy.Highs = model.solverModel
        status = engine.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            sign = (-1.0 if model.sense == pulp.LpMaximize else 1.0) * objective_unit(model)
            value = sign * engine.getInfo().objective_function_value
            return Run(value, value, Limit.NONE)
        stopped = _STOPPED.get(status, Limit.NONE)
        return Run(None, None, stopped, infeasible=status in _INFEASIBLE)


class _ReportingHiGHS(pulp.HiGHS):  # type: ignore[misc]
    """Reports and can be stopped while it runs, and tells HiGHS a start solution."""

    def attach(self, model: pulp.LpProblem, budget: Budget) -> None:
        """Prepare the progress callback."""
        if budget.on_progress is None and budget.stop is None and budget.enough_s is None:
            return
        sign = (-1.0 if model.sense == pulp.LpMaximize else 1.0) * objective_unit(model)
        report, stop = budget.on_progress, budget.stop
        # HiGHS shows the cutoff as its best value until it has a solution.
        nothing = math.inf if budget.cutoff is None else budget.cutoff / sign
        nothing -= 1e-9 * abs(nothing) if math.isfinite(nothing) else 0.0

        def number(value: float) -> float | None:
            return sign * value if math.isfinite(value) else None

        last = [time.perf_counter() - _REPORT_EVERY_S]

        def callback(_kind: Any, _message: str, out: Any, control: Any, _data: Any) -> None:
            if stop is not None and stop():
                control.user_interrupt = True
            now = time.perf_counter()
            solved = out.mip_primal_bound < nothing
            if solved and budget.enough_s is not None and now - budget.started > budget.enough_s:
                control.user_interrupt = True
            if report is not None and now - last[0] >= _REPORT_EVERY_S:
                last[0] = now
                best = number(out.mip_primal_bound) if solved else None
                report(Progress(now - budget.started, best, number(out.mip_dual_bound)))

        # HiGHS's callback for its log says nothing while the log is off; this one asks, a
        # thousand times a second, whether to go on.
        self.callbackTuple = (callback, None)
        self.callbacksToActivate = [highspy.cb.HighsCallbackType.kCallbackMipInterrupt]

    def callSolver(self, lp: pulp.LpProblem) -> None:  # noqa: N802 (PuLP's name)
        """Run HiGHS, from the values in the model where they were marked as a start."""
        start = getattr(lp, "hexsolve_start", None)
        if start is not None:
            solution = highspy.HighsSolution()
            solution.col_value = [float(start.get(v.name, 0.0)) for v in lp.variables()]
            lp.solverModel.setSolution(solution)
        lp.solverModel.run()
