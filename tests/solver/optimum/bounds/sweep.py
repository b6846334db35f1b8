"""Random small cases under many policies against every bound; `python -m` runs the big sweep."""

import argparse
import random
import sys
from collections.abc import Sequence

import numpy as np

from hexsolve.models.simulation.clock import to_seconds, to_ticks
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.engine import Simulation, SimulationError
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.simulation.policy import PolicyError
from hexsolve.models.slo import required_scale, slowdowns
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.registry import PolicyOptions, make_policy
from hexsolve.solver.online.rolling.options import RollingOptions
from hexsolve.solver.optimum.bounds import simulator_times
from hexsolve.solver.optimum.bounds.chain_lp import ChainLP
from hexsolve.solver.optimum.bounds.energy import Energy
from hexsolve.solver.optimum.bounds.items import ask
from hexsolve.solver.optimum.bounds.preemptive import Preemptive
from tests.simulation.scenarios import (
    Guess,
    Scripted,
    largest_call,
    random_cluster,
    random_workflow,
)

PERCENTS = (95.0, 99.0, 100.0)
POLICIES = (
    "round-robin",
    "least-work",
    "workflow-fcfs",
    "hexagent",
    "llf+earliest-completion",
)
FLOAT = 1e-9
VARIABLES = 1500


class Truth:
    def predict(self, workflow: Workflow, index: int) -> int:
        return workflow.calls[index].output_tokens

    def observe(self, workflow: Workflow, index: int) -> None:
        pass


class Restarts:
    """Counts how often calls are preempted or lost."""

    def __init__(self) -> None:
        self.count = 0

    def call(self, event: str, now: int, call: object, instance: int) -> None:
        self.count += event in ("preempt", "lost")

    def workflow(self, event: str, now: int, workflow: object) -> None:
        pass


def samples(rng: random.Random, number: int) -> Workflow:
    """Siblings that share a prompt, or a prompt and what their parent generated."""
    first = Call(prompt_tokens=rng.randint(1, 60), output_tokens=rng.choice([0, 1, 5, 20]))
    whole = first.prompt_tokens + first.output_tokens
    prefix = rng.choice([first.prompt_tokens, whole])
    calls = [first]
    for index in range(rng.randint(1, 6)):
        parents = (0,) if prefix == whole or rng.random() < 0.5 else ()
        source = rng.choice([0, *range(1, index + 1)])
        calls.append(
            Call(
                prompt_tokens=prefix + rng.choice([0, 0, 3, 10]),
                output_tokens=rng.choice([0, 1, 4, 15]),
                parents=parents,
                prefix_call=source,
                prefix_tokens=min(prefix, calls[source].prompt_tokens) if source else prefix,
            )
        )
    return Workflow(f"w{number}", rng.choice([0.0, rng.uniform(0, 3)]), tuple(calls))


def scenario(seed: int) -> tuple[SimulatedCluster, list[Workflow]]:
    """Small clusters; few or many workflows, early or spread; siblings in every third."""
    rng = random.Random(seed)
    count = rng.choice([1, 2, 3, 8, 25])
    workflows = []
    for number in range(count):
        made = samples if rng.random() < 0.3 else random_workflow
        workflows.append(made(rng, number))
    if rng.random() < 0.5:
        workflows = [
            Workflow(each.name, each.arrival_s / 10, each.calls, prefix_group=each.prefix_group)
            for each in workflows
        ]
    return random_cluster(rng, largest_call(workflows)), workflows


def runs(
    seed: int, policies: Sequence[str]
) -> tuple[SimulatedCluster, list[Workflow], list[float], list[tuple[str, int, np.ndarray]]]:
    """Return a case, its horizons, and (policy, restarts, slowdowns) of each run of it."""
    cluster, workflows = scenario(seed)
    horizons = standalone_horizons(cluster, workflows)
    made = []
    by_name = {each.name: horizon for each, horizon in zip(workflows, horizons, strict=True)}
    for name in (*policies, "scripted"):
        for predictor in (Truth(), Guess(seed)):
            counter = Restarts()
            if name == "scripted":
                policy = Scripted(seed)
            else:
                rolling = RollingOptions(budget_ms=2.0, seed=seed)
                policy = make_policy(name, PolicyOptions(seed=seed, rolling=rolling))
            simulation = Simulation(cluster, workflows, policy, predictor, listener=counter)
            try:
                record = simulation.run()
            except (SimulationError, PolicyError):
                continue
            flow = np.array(record.finish) - np.array(record.arrival)
            ratios = slowdowns(flow, [by_name[each] for each in record.workflow_names])
            made.append((f"{name}/{type(predictor).__name__}", counter.count, ratios))
    return cluster, workflows, horizons, made


def violations(seed: int, policies: Sequence[str] = POLICIES) -> tuple[list[str], int, list[float]]:
    """Return what is refuted although a run achieves it, the runs, and the quality of the bounds.

    Asks for what runs achieve, which takes one search instead of a bisection for each: a method
    that refutes α refutes everything below it. Quality: critical path over the best run's Req100.
    """
    cluster, workflows, horizons, made = runs(seed, policies)
    arrivals = [to_seconds(to_ticks(each.arrival_s)) for each in workflows]
    wrong, quality = [], []
    counts = sorted({restarts for _, restarts, _ in made})
    levels: list[int | None] = [None, *counts[:1], *counts[1:][-1:]]
    for restarts in levels:
        times = simulator_times(cluster, workflows, restarts)
        fair = [each for each in made if restarts is None or each[1] <= restarts]
        for percent in PERCENTS:
            value, name = min((required_scale(ratios, percent), name) for name, _, ratios in fair)
            question = ask(times, arrivals, horizons, percent)
            quality.append(question.critical_path() / value)
            methods = {
                "critical-path": question.critical_path() > value * (1 + FLOAT),
                "energy": Energy(question).refutes(value * (1 + FLOAT)),
                "preemptive-lp": Preemptive(question, VARIABLES).refutes(value * (1 + FLOAT)),
            }
            if restarts == 0:
                methods["chain-lp"] = ChainLP(question, (VARIABLES,)).refutes(value * (1 + FLOAT))
            for method, refuted in methods.items():
                if refuted:
                    wrong.append(
                        f"{seed}: {name} has Req{percent:g} = {value}, but {method} "
                        f"refutes it for {restarts} restarts"
                    )
    return wrong, len(made), quality


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("--policies", nargs="*", default=list(POLICIES))
    arguments = parser.parse_args()
    total, bad, cases = 0, 0, 0
    for seed in range(arguments.first, arguments.last):
        found, made, _ = violations(seed, arguments.policies)
        total += made
        cases += bool(made)
        bad += len(found)
        for line in found:
            print(line, flush=True)
    print(f"{cases} cases, {total} runs, {bad} violations")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
