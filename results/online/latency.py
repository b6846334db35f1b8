"""Time the decisions themselves: the rule with 200 waiting calls, and the planner's epochs.

    python results/online/latency.py [--epochs 10000] [--budget-ms 50]

Hetero-2 (10 + 10 instances), tool calling. The rule is timed whenever 180 to 220 calls wait; the
planner runs with a real budget and two CP-SAT workers in its own process. Writes latency.json.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from settings import Setting

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.view import ClusterView
from hexsolve.solver.online.hexagent import HexAGenT
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.projected import waiting_calls
from hexsolve.solver.online.rolling.options import RollingOptions
from hexsolve.solver.online.rolling.planner import RollingPlanner

HERE = Path(__file__).resolve().parent
SETTING = Setting("llama-3.1-70b", "hetero-2", "tool-calling")


class Timed(HexAGenT):
    """The rule, with a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def place(self, view: ClusterView, ready: Sequence[RevealedCall]):
        """Time the decision if about 200 calls wait."""
        waiting = len(waiting_calls(view))
        started = time.perf_counter()
        decisions = super().place(view, ready)
        if 180 <= waiting <= 220:
            self.seconds.append(time.perf_counter() - started)
        return decisions


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return count, mean and quantiles in ms."""
    p50, p95, p99 = np.quantile(values, (0.5, 0.95, 0.99))
    named = {"mean": np.mean(values), "p50": p50, "p95": p95, "p99": p99, "max": max(values)}
    return {"count": len(values)} | {k: round(float(v) * 1e3, 2) for k, v in named.items()}


def rule() -> dict[str, float]:
    """Return the times of the rule."""
    seconds: list[float] = []
    seed = 1
    while len(seconds) < 500 and seed < 20:
        policy = Timed()
        flows = SETTING.workflows(seed)
        # Twice the rate: more calls wait at once.
        flows = [type(each)(each.name, each.arrival_s / 2, each.calls, each.workflow_class)
                 for each in flows]  # fmt: skip
        Simulation(SETTING.build(), flows, policy, make_predictor("oracle", seed)).run()
        seconds += policy.seconds
        seed += 1
    return quantiles(seconds)


def planner(epochs: int, budget_ms: float) -> dict[str, Any]:
    """Return the times of the planner's epochs, and how many went over."""
    seconds: list[float] = []
    status: dict[str, int] = {}
    seed = 1
    while len(seconds) < epochs:
        policy = RollingPlanner(RollingOptions(budget_ms=budget_ms, deterministic=False, seed=seed))
        flows = SETTING.workflows(seed)
        Simulation(SETTING.build(), flows, policy, make_predictor("oracle", seed)).run()
        policy.close()
        seconds += [epoch.epoch_s for epoch in policy.log.epochs]
        for name, count in policy.log.summary()["status"].items():
            status[name] = status.get(name, 0) + count
        seed += 1
    over = sum(value > (budget_ms + 10.0) / 1e3 for value in seconds)
    return {
        "budget_ms": budget_ms,
        "over_budget_plus_10_ms": over,
        "status": status,
        **quantiles(seconds),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10_000)
    parser.add_argument("--budget-ms", type=float, default=50.0)
    given = parser.parse_args()
    found = {
        "hexagent_ms_200_waiting_10p_10d": rule(),
        "rolling_epoch_ms": planner(given.epochs, given.budget_ms),
    }
    text = json.dumps(found, indent=2)
    (HERE / "latency.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
