"""The log of a planner's epochs, and its summary."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Epoch:
    """One re-planning."""

    at_s: float
    """Simulated time at which it began."""
    calls: int
    """Calls whose prefill had not begun."""
    window: int
    """Calls in the CP-SAT model."""
    status: str
    """OPTIMAL, FEASIBLE, UNKNOWN, MODEL_INVALID, INFEASIBLE; TIMEOUT, ERROR or CRASH; SKIPPED."""
    limit_s: float
    """What CP-SAT might take of the budget, s."""
    objective: float | None
    bound: float | None
    gap: float | None
    solver_s: float
    """Real seconds in CP-SAT."""
    epoch_s: float
    """Real seconds of the whole epoch."""
    best: str
    """greedy, previous, cp-sat or local-search: whose plan had the best projected score."""
    applied: str
    """The same if that plan was carried out; none: what is in force stays."""
    score_ratio: float
    """Score of the best plan divided by the greedy plan's; at most 1."""
    message: str = ""
    """What went wrong, if anything did."""


class EpochLog:
    """Keeps the epochs of a run and writes them as JSON lines."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []

    def add(self, epoch: Epoch) -> None:
        """Take note of an epoch."""
        self.epochs.append(epoch)

    def write(self, stream: IO[str]) -> None:
        """Write a JSON object per epoch and line."""
        for epoch in self.epochs:
            stream.write(json.dumps(asdict(epoch)) + "\n")

    def summary(self) -> dict[str, Any]:
        """Return counts and shares over all epochs; nothing of it depends on real time."""
        epochs = self.epochs
        count = len(epochs)
        statuses = Counter(epoch.status for epoch in epochs)
        best = Counter(epoch.best for epoch in epochs)
        applied = Counter(epoch.applied for epoch in epochs)
        solved = [epoch for epoch in epochs if epoch.status != "SKIPPED"]
        fallback = sum(epoch.status not in ("OPTIMAL", "FEASIBLE") for epoch in solved)
        return {
            "epochs": count,
            "status": dict(sorted(statuses.items())),
            "best": dict(sorted(best.items())),
            "applied": dict(sorted(applied.items())),
            "share_optimal": _share(statuses["OPTIMAL"], len(solved)),
            "share_feasible": _share(statuses["FEASIBLE"], len(solved)),
            "share_fallback": _share(fallback, len(solved)),
        }

    def times(self) -> dict[str, dict[str, float]]:
        """Return quantiles of the real seconds of epochs, and of CP-SAT in them."""
        return {
            "epoch_s": _quantiles([epoch.epoch_s for epoch in self.epochs]),
            "solver_s": _quantiles([e.solver_s for e in self.epochs if e.status != "SKIPPED"]),
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p95, p99 = np.quantile(values, (0.5, 0.95, 0.99))
    return {
        "mean": float(np.mean(values)),
        "p50": float(p50),
        "p95": float(p95),
        "p99": float(p99),
        "max": float(max(values)),
    }
