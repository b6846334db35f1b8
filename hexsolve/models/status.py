"""What an answer claims: what there is, why the search stopped, how far from optimal at most."""

from enum import StrEnum

OPTIMALITY_TOLERANCE = 1e-6


class Status(StrEnum):
    """What the solver has."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    NO_SOLUTION = "no_solution"
    ERROR = "error"


class Limit(StrEnum):
    """Why it stopped; NONE = it ran to its natural end."""

    NONE = "none"
    TIME = "time"
    GAP = "gap"
    NODES = "nodes"
    MEMORY = "memory"
    INTERRUPT = "interrupt"


def relative_gap(objective: float | None, bound: float | None) -> float | None:
    """Return ``|objective − bound| / max(|objective|, 1e-9)``; null where either is missing."""
    if objective is None or bound is None:
        return None
    return abs(objective - bound) / max(abs(objective), 1e-9)


def derive_status(objective: float | None, bound: float | None) -> Status:
    """Return OPTIMAL only when the bound proves it; backends' own words are not trusted.

    PuLP calls a run "Optimal" that its time limit stopped, CP-SAT one that its gap limit
    stopped; the two numbers cannot lie about it.
    """
    if objective is None:
        return Status.NO_SOLUTION
    gap = relative_gap(objective, bound)
    if gap is not None and gap <= OPTIMALITY_TOLERANCE:
        return Status.OPTIMAL
    return Status.FEASIBLE
