"""What every MILP backend takes and gives."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import pulp

from hexsolve.solver.result import Limit


@dataclass(frozen=True)
class Progress:
    """A look at a running solve: best solution and proven bound so far (None = none yet)."""

    elapsed_s: float
    objective: float | None
    bound: float | None


@dataclass(frozen=True)
class Budget:
    """When to stop.

    Attributes
    ----------
    time_s : float
        Wall-clock limit of one run, s.
    gap : float
        Relative gap at which a run may stop.
    threads : int
        Solver threads; 1 repeats exactly.
    on_progress : callable, optional
        Called now and then with `Progress`, where the backend can report it.
    target : float, optional
        Objective value that is good enough to stop at (HiGHS only; others go on).
    cutoff : float, optional
        Objective value that a solution must improve on to matter (HiGHS only): a run may pass
        over worse ones, so that its bound never claims more than this value.
    enough_s : float, optional
        From when on any solution is good enough to stop with, s (HiGHS's MILPs only).
    heuristics : bool
        Whether to look for solutions by other means than branching (HiGHS only).
    stop : callable, optional
        Asked now and then whether to stop with what there is (HiGHS's MILPs only).
    grid : int
        Operating points of a placement per one of the usual grid: how much of the time goes into a
        finer model.
    """

    time_s: float = 60.0
    gap: float = 1e-4
    threads: int = 1
    on_progress: Callable[[Progress], None] | None = None
    target: float | None = None
    cutoff: float | None = None
    enough_s: float | None = None
    heuristics: bool = True
    stop: Callable[[], bool] | None = None
    grid: int = 1
    started: float = field(default_factory=time.perf_counter)

    @property
    def left_s(self) -> float:
        """Seconds left of the limit, counted from this object's creation; at least 0.01."""
        return max(0.01, self.time_s - (time.perf_counter() - self.started))


@dataclass(frozen=True)
class Run:
    """What a backend proved; variable values are left in the PuLP model.

    Attributes
    ----------
    objective : float or None
        Value of the best solution, None without one.
    bound : float or None
        The backend's proven bound in the model's own sense.
    limit : Limit
        Why it stopped.
    infeasible, unbounded : bool
        Proven, not merely "nothing found".
    """

    objective: float | None
    bound: float | None
    limit: Limit
    infeasible: bool = False
    unbounded: bool = False


class Backend(Protocol):
    """A MILP solver for PuLP models."""

    name: str

    def solve(self, model: pulp.LpProblem, budget: Budget) -> Run:
        """Solve `model`, leave the values in its variables, and report what was proven."""
        ...


def objective_unit(model: pulp.LpProblem) -> float:
    """Return what a model's objective counts multiples of: its ``hexsolve_unit``, else 1."""
    return float(getattr(model, "hexsolve_unit", 1.0))


def stopping_limit(objective: float | None, bound: float | None, stopped: Limit) -> Limit:
    """Return why a run stopped: at its own limit, or because the allowed gap was reached."""
    if stopped is not Limit.NONE:
        return stopped
    if objective is None or bound is None:
        return Limit.NONE
    # A natural end with the two apart can only be the allowed gap.
    return Limit.GAP if abs(objective - bound) > 1e-6 * max(1e-9, abs(objective)) else Limit.NONE
