"""What each part is worth: the planner without it, other budgets, wrong predictions.

    python results/online/ablations.py [--seeds 3] [--jobs 2]
        [--first-seed 1] [--whole] [--workload NAME]... [--variant NAME]... [--out ablations]

Llama-3.1-70B on Hetero-1, tool calling and mix, a quarter of the workflows of settings.py (all of
them with `--whole`). Writes OUT.csv and OUT.md (in capitals): geometric means of variant/rule,
paired by workload and seed.
"""

import argparse
import csv
import shlex
import sys
from collections.abc import Callable, Sequence
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
WORKLOADS = ("tool-calling", "agentic-mix")


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


def run(job: tuple[str, Setting, int, bool]) -> dict[str, str | int | float]:
    """Run a variant."""
    name, setting, seed, whole = job
    make, predictor = VARIANTS[name]
    cluster, workflows = setting.build(), setting.workflows(seed, quick=not whole)
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
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--whole", action="store_true", help="all workflows, not a quarter")
    parser.add_argument("--workload", action="append", help="instead of tool calling and mix")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="besides the rule")
    parser.add_argument("--out", default="ablations")
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    names = ["rule", *(each for each in given.variant or VARIANTS if each != "rule")]
    settings = [Setting("llama-3.1-70b", "hetero-1", w) for w in given.workload or WORKLOADS]
    jobs = [(v, s, seed, given.whole) for s in settings for seed in seeds for v in names]
    with ProcessPoolExecutor(given.jobs) as pool:
        rows = list(pool.map(run, jobs))
    with (HERE / f"{given.out}.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    command = shlex.join(["python", "results/online/ablations.py", *sys.argv[1:]])
    text = table(rows, names, settings, seeds, command)
    (HERE / f"{given.out.upper()}.md").write_text(text, encoding="utf-8")


def table(
    rows: Sequence[dict[str, str | int | float]],
    names: Sequence[str],
    settings: Sequence[Setting],
    seeds: Sequence[int],
    command: str,
) -> str:
    """Return the ratios to the rule, a row a variant."""
    value = {(r["variant"], r["setting"], r["seed"]): r for r in rows}
    lines = [
        "# Ablations",
        "",
        f"`{command}`; ratios to the rule with an oracle, lower is better.",
        "",
        "| variant | " + " | ".join(f"{s.workload} Req95 | Req99 | mean" for s in settings) + " |",
        "|---|" + "---:|" * (3 * len(settings)),
    ]
    for name in names:
        cells = []
        for setting in settings:
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
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
