"""Comparing values and bounds of a minimisation and of a maximisation in the same words."""

from dataclasses import dataclass

import pulp


@dataclass(frozen=True)
class Direction:
    """Which values are better: the smaller ones (`sign` 1) or the larger ones (−1)."""

    sign: float

    @classmethod
    def of(cls, model: pulp.LpProblem) -> "Direction":
        """Return the direction of a model."""
        return cls(1.0 if model.sense == pulp.LpMinimize else -1.0)

    def worse_by(self, value: float, amount: float) -> float:
        """Return the value that is worse than another by an amount (better, if negative)."""
        return value + self.sign * amount

    def excess(self, value: float, other: float) -> float:
        """Return by how much a value is worse than another."""
        return self.sign * (value - other)

    def better(self, value: float | None, other: float | None) -> bool:
        """Whether a value is better than another; no value is the worst."""
        if value is None or other is None:
            return value is not None
        return self.excess(value, other) < 0.0

    def tightest(self, bound: float | None, other: float) -> float:
        """Return the bound that says more: the worse of both."""
        if bound is None:
            return other
        return bound if self.excess(bound, other) > 0.0 else other

    def best(self, value: float, other: float) -> float:
        """Return the better of two values."""
        return value if self.better(value, other) else other
