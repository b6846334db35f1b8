"""One contract for every solver: what I have, why I stopped, and how far from optimal at most."""

from pydantic import Field

from hexsolve.models.base import Record
from hexsolve.models.status import (
    OPTIMALITY_TOLERANCE,
    Limit,
    Status,
    derive_status,
    relative_gap,
)

__all__ = [
    "OPTIMALITY_TOLERANCE",
    "Limit",
    "Outcome",
    "Status",
    "derive_status",
    "relative_gap",
]


class Outcome(Record):
    """Result of one solver run.

    `objective` is null when there is no solution; a valid `bound` is kept even then.
    """

    status: Status
    limit: Limit
    objective: float | None
    bound: float | None
    runtime_s: float = Field(ge=0)
    solver: str

    @property
    def gap(self) -> float | None:
        """Relative optimality gap, or null without objective or bound; see `relative_gap`."""
        return relative_gap(self.objective, self.bound)
