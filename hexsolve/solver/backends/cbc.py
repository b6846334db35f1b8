"""CBC as bundled with PuLP; the bound is read from its log."""

import re
import tempfile
import time
from pathlib import Path

import pulp

from hexsolve.solver.backends.base import Budget, Run, objective_unit, stopping_limit
from hexsolve.solver.result import Limit

_NUMBER = r"([-+0-9.eE]+)"
_BOUND = re.compile(rf"^(?:Lower|Upper) bound:\s+{_NUMBER}", re.MULTILINE)
# CBC prints bounds with three digits after the point.
_ROUNDING = 5e-4


class CBC:
    """The second backend, for cross-checks."""

    name = "cbc"

    def solve(self, model: pulp.LpProblem, budget: Budget) -> Run:
        """Solve with CBC; see `Backend.solve`."""
        started = time.perf_counter()
        allowed = budget.left_s
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "cbc.log"
            solver = pulp.COIN_CMD(
                path=pulp.PULP_CBC_CMD.pulp_cbc_path,
                msg=False,
                gapRel=budget.gap,
                gapAbs=0.0,
                timeLimit=allowed,
                threads=budget.threads if budget.threads > 1 else None,
                logPath=str(log),
                options=["primalTolerance 1e-9", "integerTolerance 1e-7"],
            )
            model.solve(solver)
            text = log.read_text(errors="replace")
        run = _read(model, text)
        if run.infeasible and time.perf_counter() - started >= allowed:
            # CBC's preprocessing says infeasible where its time was up before it could tell.
            return Run(None, None, Limit.TIME)
        return run


def _read(model: pulp.LpProblem, text: str) -> Run:
    if "proven infeasible" in text or "Problem is infeasible" in text:
        return Run(None, None, Limit.NONE, infeasible=True)
    if model.status == pulp.LpStatusInfeasible and "infeasible" in text.lower():
        return Run(None, None, Limit.NONE, infeasible=True)
    if model.status == pulp.LpStatusUnbounded:
        return Run(None, None, Limit.NONE, unbounded=True)
    stopped = Limit.TIME if "Stopped on time" in text else Limit.NONE
    has_solution = model.sol_status in (
        pulp.LpSolutionOptimal,
        pulp.LpSolutionIntegerFeasible,
    )
    # PuLP's own sum is exact; CBC's printed objective is rounded.
    objective = float(pulp.value(model.objective)) if has_solution else None
    printed = _BOUND.search(text)
    bound: float | None = None
    if printed is not None:
        # The log speaks in the model's own sense; what it rounded off is given back.
        if model.sense == pulp.LpMaximize:
            bound = float(printed.group(1)) + _ROUNDING
            bound = bound if objective is None else max(bound, objective)
        else:
            bound = float(printed.group(1)) - _ROUNDING
            bound = bound if objective is None else min(bound, objective)
    elif stopped is Limit.NONE:
        bound = objective
    unit = objective_unit(model)
    objective = None if objective is None else objective * unit
    bound = None if bound is None else bound * unit
    return Run(objective, bound, stopping_limit(objective, bound, stopped))
