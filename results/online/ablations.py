"""What each part is worth: the planner without it, other budgets, wrong predictions.

    python results/online/ablations.py [--seeds 3] [--jobs 2]

Llama-3.1-70B on Hetero-1, a quarter of the workflows of settings.py, seeds from 1. Writes
ablations.csv and ABLATIONS.md: geometric means of variant/rule, paired by workload and seed.
"""

import argparse
import csv
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from settings import Setting

from hexsolve.models import slo
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.simulation.measures import flow_times
from hexsolve.models.simulation.policy import Policy
from hexsolve.solver.online.hexagent import HexAGenT
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.registry import make_policy
from hexsolve.solver.online.rolling.options import RollingOptions
from hexsolve.solver.online.rolling.planner import RollingPlanner

HERE = Path(__file__).resolve().parent
SETTINGS = [Setting("llama-3.1-70b", "hetero-1", w) for w in ("tool-calling", "agentic-mix")]


def rolling(**options: float | bool) -> Callable[[], Policy]:
    """Return a maker of a planner."""
    return lambda: RollingPlanner(RollingOptions(**options))


def asynchronous() -> Policy:
    """Return the rule that plans beside the serving path."""
    return HexAGenT(latency_s=0.01)


VARIANTS: dict[str, tuple[Callable[[], Policy], str]] = {
    "rule": (HexAGenT, "oracle"),
    "rule, plans apply 10 ms later": (asynchronous, "oracle"),
    "rule, always sorted once": (lambda: HexAGenT(iterate_up_to=0), "oracle"),
    "planner": (rolling(), "oracle"),
    "planner, no congestion price": (rolling(congestion_price=0.0), "oracle"),
    "planner, price doubled": (rolling(congestion_price=2.0), "oracle"),
    "planner, price only (no epochs' search)": (
        rolling(cp_sat=False, local_search=False), "oracle",
    ),
    "planner, no CP-SAT": (rolling(cp_sat=False), "oracle"),
    "planner, no local search": (rolling(local_search=False), "oracle"),
    "planner, look-ahead": (rolling(look_ahead=True), "oracle"),
    "planner, 5 ms": (rolling(budget_ms=5.0), "oracle"),
    "planner, 20 ms": (rolling(budget_ms=20.0), "oracle"),
    "planner, 200 ms": (rolling(budget_ms=200.0), "oracle"),
    "planner, 500 ms": (rolling(budget_ms=500.0), "oracle"),
    "workflow-fcfs + earliest completion": (
        lambda: make_policy("workflow-fcfs+earliest-completion"), "oracle",
    ),
    "llf + earliest completion": (lambda: make_policy("llf+earliest-completion"), "oracle"),
    "llf + llm-d": (lambda: make_policy("llf+llm-d"), "oracle"),
    "llf + least work": (lambda: make_policy("llf+least-work"), "oracle"),
    "rule, noise 0.25": (HexAGenT, "noise-0.25"),
    "rule, noise 0.5": (HexAGenT, "noise-0.5"),
    "rule, noise 1": (HexAGenT, "noise-1.0"),
    "planner, noise 0.25": (rolling(), "noise-0.25"),
    "planner, noise 0.5": (rolling(), "noise-0.5"),
    "planner, noise 1": (rolling(), "noise-1.0"),
    "planner, class means": (rolling(), "class-mean"),
}  # fmt: skip


def run(job: tuple[str, Setting, int]) -> dict[str, str | int | float]:
    """Run a variant."""
    name, setting, seed = job
    make, predictor = VARIANTS[name]
    cluster, workflows = setting.build(), setting.workflows(seed, quick=True)
    simulation = Simulation(cluster, workflows, make(), make_predictor(predictor, seed))
    flow = flow_times(simulation.run())
    slowdown = slo.slowdowns(flow, standalone_horizons(cluster, simulation.workflows))
    return {
        "variant": name,
        "setting": setting.name,
        "seed": seed,
        "req95": slo.required_scale(slowdown, 95),
        "req99": slo.required_scale(slowdown, 99),
        "mean": float(slowdown.mean()),
    }


def main() -> None:
    """Run all and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    seeds = range(1, given.seeds + 1)
    jobs = [(name, setting, seed) for setting in SETTINGS for seed in seeds for name in VARIANTS]
    with ProcessPoolExecutor(given.jobs) as pool:
        rows = list(pool.map(run, jobs))
    with (HERE / "ablations.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    value = {(r["variant"], r["setting"], r["seed"]): r for r in rows}
    lines = [
        "# Ablations",
        "",
        f"`python results/online/ablations.py --seeds {given.seeds}`; ratios to the rule with an "
        "oracle, lower is better; tool calling and mix apart.",
        "",
        "| variant | " + " | ".join(f"{s.workload} Req95 | Req99 | mean" for s in SETTINGS) + " |",
        "|---|" + "---:|" * (3 * len(SETTINGS)),
    ]
    for name in VARIANTS:
        cells = []
        for setting in SETTINGS:
            for key in ("req95", "req99", "mean"):
                logs = [
                    np.log(
                        float(value[name, setting.name, seed][key])
                        / float(value["rule", setting.name, seed][key])
                    )
                    for seed in seeds
                ]
                cells.append(f"{np.exp(np.mean(logs)):.3f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    (HERE / "ABLATIONS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
