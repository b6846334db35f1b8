"""CBC as bundled with PuLP; the bound is read from its log."""

import re
import tempfile
from pathlib import Path

import pulp

from hexsolve.solver.backends.base import Budget, Run, stopping_limit
from hexsolve.solver.result import Limit

_NUMBER = r"([-+0-9.eE]+)"
_LOWER = re.compile(rf"^(?:Lower|Upper) bound:\s+{_NUMBER}", re.MULTILINE)
_OBJECTIVE = re.compile(rf"^Objective value:\s+{_NUMBER}", re.MULTILINE)


class CBC:
    """The second backend, for cross-checks."""

    name = "cbc"

    def solve(self, model: pulp.LpProblem, budget: Budget) -> Run:
        """Solve with CBC; see `Backend.solve`."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "cbc.log"
            solver = pulp.COIN_CMD(
                path=pulp.PULP_CBC_CMD.pulp_cbc_path,
                msg=False,
                gapRel=budget.gap,
                gapAbs=0.0,
                timeLimit=budget.left_s,
                threads=budget.threads if budget.threads > 1 else None,
                logPath=str(log),
                options=["primalTolerance 1e-9", "integerTolerance 1e-7"],
            )
            model.solve(solver)
            text = log.read_text(errors="replace")
        return _read(model, text)


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
    printed = _LOWER.search(text)
    bound: float | None = None
    if printed is not None:
        # PuLP hands CBC a minimisation; its log speaks in that sense.
        sign = -1.0 if model.sense == pulp.LpMaximize else 1.0
        bound = sign * float(printed.group(1))
        if objective is not None and bound * sign > objective * sign:
            bound = objective  # the log rounds to a few digits
    elif stopped is Limit.NONE:
        bound = objective
    return Run(objective, bound, stopping_limit(objective, bound, stopped))
