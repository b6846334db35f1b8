"""Plan the benchmark loads with hexsolve and set its GPU counts beside aiconfigurator's.

    python results/plan_vs_aiconfigurator/compare.py      # writes comparison.csv, prices.csv

Needs hexsolve only: aiconfigurator's answers and the latencies behind them are read from
aiconfigurator_answers.csv and tables/. Three sets of rules for hexsolve, see README.md:

    tool    aiconfigurator's own: its worker rates, its factors, no queue, no link, its KV rule
    exact   hexsolve's rules (queue, link, KV) on aiconfigurator's worker latencies
    shipped hexsolve's rules on the coefficients that ship with it
"""

import argparse
import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from hexsolve.instances.catalog import Catalog, load_catalog
from hexsolve.instances.performance import engine_performance
from hexsolve.models.assumptions import PlanningAssumptions
from hexsolve.models.fitting import derive_mixed
from hexsolve.models.hardware import GPU, Cluster, NodePool
from hexsolve.models.latency import (
    DecodeCoefficients,
    EnginePerformance,
    MixedCoefficients,
    PrefillCoefficients,
)
from hexsolve.models.problem import ROLES, PlanningProblem, Role
from hexsolve.models.workload import CallClass, WorkflowClass, Workload
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.solve import Solution, solve

HERE = Path(__file__).parent
Rules = Literal["tool", "exact", "shipped"]
RULES: tuple[Rules, ...] = ("tool", "exact", "shipped")
MODELS = ("qwen3-32b", "llama-3.1-70b")
GPUS = {"a100_sxm": "a100-80", "h100_sxm": "h100", "h200_sxm": "h200"}
RATES = (10.0, 25.0, 50.0, 100.0)
PROMPT, OUTPUT = 4000, 500
STEPS = OUTPUT - 1
TTFT_S, TPOT_S = 2.0, 0.05
# aiconfigurator's factors on prefill and decode latency, worker rates and TTFT
PREFILL_LATENCY, PREFILL_RATE = 1.1, 0.9
DECODE_LATENCY, DECODE_RATE = 1.08, 0.92
TTFT_FACTOR = 1.8
# hexsolve's operating points for unlimited waits: the highest utilisation, the highest share
MOST_UTILISED, MOST_PREFILL = 0.99, 0.65
DISAGGREGATED: tuple[Role, ...] = ("prefill", "decode")
# share of a 50 ms decode step that does not depend on the batch (any value gives the same rate)
FIXED = 0.5
# Ranges of public on-demand prices, US$/h per GPU, May 2026 (hexsolve's catalog says which)
PRICE_RANGES = {"a100-80": (0.80, 3.00), "h100": (1.99, 5.00), "h200": (2.50, 7.00)}

Row = dict[str, str]


def read(name: str) -> list[Row]:
    """Return the rows of a CSV file beside this script."""
    with (HERE / name).open(newline="") as file:
        return list(csv.DictReader(file))


class Workers:
    """aiconfigurator's workers: latency and rate by model, GPU, tp, role and batch."""

    def __init__(self) -> None:
        self.rows = read("tables/worker_rates.csv")
        self.capacity = {
            (row["model"], row["gpu"], int(row["tp"])): int(row["kv_tokens_capacity"])
            for row in read("tables/kv_capacity.csv")
        }

    def of(self, model: str, gpu: str, tp: int, role: Role) -> list[Row]:
        """Return the rows of a worker in one role, by batch."""
        wanted = (model, gpu, str(tp), role)
        found = [r for r in self.rows if (r["model"], r["gpu"], r["tp"], r["role"]) == wanted]
        return sorted(found, key=lambda row: int(row["batch"]))

    def engines(self, model: str, gpu: str, rules: Rules) -> Iterator[EnginePerformance]:
        """Yield hexsolve engines that are exact for this load at their best operating point."""
        for tp in (1, 2, 4, 8):
            if (model, gpu, tp) not in self.capacity:
                continue
            made = self._as_tool(model, gpu, tp) if rules == "tool" else self._own(model, gpu, tp)
            if made is not None:
                yield made

    def _own(self, model: str, gpu: str, tp: int) -> EnginePerformance | None:
        """Return the engine whose prefill of the prompt and decode steps near 50 ms are exact."""
        prefill = self.of(model, gpu, tp, "prefill")
        decode = self.of(model, gpu, tp, "decode")
        if not prefill or len(decode) < 2:
            return None
        fast = [row for row in decode if milliseconds(row, "tpot_ms") <= TPOT_S] or decode[:1]
        top = decode[min(len(fast), len(decode) - 1)]
        low = next(row for row in decode if int(row["batch"]) * 2 >= int(top["batch"]))
        if low is top:
            low = decode[max(0, decode.index(top) - 1)]
        # the chord of the measured step time between half and all of the largest useful batch
        rise = milliseconds(top, "tpot_ms") - milliseconds(low, "tpot_ms")
        slope = max(0.0, rise / (int(top["batch"]) - int(low["batch"])))
        start = max(0.0, milliseconds(low, "tpot_ms") - slope * int(low["batch"]))
        steps = DecodeCoefficients(d0=start, d1=slope, d2=0.0)
        # p0 must not be shared by a batch: aiconfigurator measured a batch of one
        seconds = milliseconds(prefill[0], "ttft_ms")
        call = PrefillCoefficients(p0=0.0, p1=seconds / PROMPT, p2=0.0)
        return performance(
            model, gpu, tp, call, steps, derive_mixed(call, steps), self.capacity[model, gpu, tp]
        )

    def _as_tool(self, model: str, gpu: str, tp: int) -> EnginePerformance | None:
        """Return the engine that hexsolve may use exactly at the rate aiconfigurator gives it.

        One call class with every limit inside the engine: a role that misses a limit gets a
        rate of almost nothing.
        """
        prefill = [
            PREFILL_RATE * float(row["requests_per_s"]) / PREFILL_LATENCY
            for row in self.of(model, gpu, tp, "prefill")
            if TTFT_FACTOR * PREFILL_LATENCY * milliseconds(row, "ttft_ms") < TTFT_S
        ]
        decode = [
            DECODE_RATE * float(row["requests_per_s"]) / DECODE_LATENCY
            for row in self.of(model, gpu, tp, "decode")
            if DECODE_LATENCY * milliseconds(row, "tpot_ms") < TPOT_S
        ]
        mixed = [
            float(row["requests_per_s"])
            for row in self.of(model, gpu, tp, "mixed")
            if milliseconds(row, "ttft_ms") <= TTFT_S and milliseconds(row, "tpot_ms") <= TPOT_S
        ]
        never = 1e-6
        call = MOST_UTILISED / max(prefill, default=never)
        # at a step of 50 ms, half of it fixed, an instance decodes exactly that many requests
        step = (1.0 - FIXED) / (STEPS * max(decode, default=never))
        both = MOST_PREFILL / max(mixed, default=never)
        return performance(
            model,
            gpu,
            tp,
            PrefillCoefficients(p0=0.0, p1=call / PROMPT, p2=0.0),
            DecodeCoefficients(d0=FIXED * TPOT_S, d1=step, d2=0.0),
            MixedCoefficients(m0=1e-3, m1=both / PROMPT, m2=0.0, d1=1e-9, d2=0.0),
            10**9,  # the batches listed are those that fit
        )


def milliseconds(row: Row, column: str) -> float:
    """Return a column in seconds."""
    return float(row[column]) / 1e3


def performance(
    model: str,
    gpu: str,
    tp: int,
    prefill: PrefillCoefficients,
    decode: DecodeCoefficients,
    mixed: MixedCoefficients,
    capacity: int,
) -> EnginePerformance:
    """Return an engine under hexsolve's names."""
    return EnginePerformance(
        llm=model,
        gpu=GPUS[gpu],
        tp=tp,
        prefill=prefill,
        decode=decode,
        mixed=mixed,
        kv_capacity_tokens=capacity,
        kv_bytes_per_token=load_catalog().llm(model).kv_bytes_per_token,
        origin="measured",
    )


def assumptions(rules: Rules) -> PlanningAssumptions:
    """Return hexsolve's defaults, or what lifts every rule aiconfigurator does not know."""
    if rules != "tool":
        return PlanningAssumptions()
    return PlanningAssumptions(
        prefill_utilisation_max=0.999,
        kv_fill_max=1.0,
        transfer_latency_s=0.0,
        max_batch=100_000,
        chunk_tokens=PROMPT,
    )


class Planner:
    """Plans the benchmark load with hexsolve."""

    def __init__(self, catalog: Catalog, workers: Workers) -> None:
        self.catalog = catalog
        self.workers = workers

    def plan(
        self,
        model: str,
        rate: float,
        rules: Rules,
        prices: dict[str, float],
        roles: tuple[Role, ...] = ROLES,
    ) -> Solution:
        """Return the cheapest plan on GPU types with given prices, US$/h per GPU."""
        gpus = tuple(self._gpu(name, rules) for name in prices)
        # aiconfigurator's TTFT rule is applied when its engines are made
        ttft = None if rules == "tool" else TTFT_S
        call = CallClass(name="call", new_tokens=PROMPT, output_tokens=OUTPUT)
        flow = WorkflowClass(
            name="calls", rate_per_s=rate, calls=(call,), ttft_limit_s=ttft, tpot_limit_s=TPOT_S
        )
        pools = tuple(
            NodePool(gpu=name, nodes=200, price_per_hour=price) for name, price in prices.items()
        )
        problem = PlanningProblem(
            name=f"{model}-{rate:g}",
            llm=self.catalog.llm(model),
            cluster=Cluster(name="unlimited", pools=pools),
            gpus=gpus,
            workload=Workload(classes=(flow,)),
            engines=tuple(self._engines(model, gpus, rules)),
            roles=roles,
            assumptions=assumptions(rules),
        )
        # a tenth of a GPU in a hundred: whole GPUs are then exact, costs to 0.1 %
        return solve(problem, "cost", Budget(time_s=60.0, gap=1e-3))

    def _gpu(self, name: str, rules: Rules) -> GPU:
        gpu = self.catalog.gpu(name)
        return gpu.model_copy(update={"nic_gb_s": 1e9}) if rules == "tool" else gpu

    def _engines(
        self, model: str, gpus: tuple[GPU, ...], rules: Rules
    ) -> Iterator[EnginePerformance]:
        for gpu in gpus:
            if rules != "shipped":
                known = next(theirs for theirs, ours in GPUS.items() if ours == gpu.name)
                yield from self.workers.engines(model, known, rules)
                continue
            for tp in (1, 2, 4, 8):
                made = engine_performance(self.catalog, self.catalog.llm(model), gpu, tp)
                if made is not None:
                    yield made


def described(solution: Solution) -> str:
    """Return the groups of a plan in one cell."""
    assert solution.plan is not None
    return " + ".join(
        f"{group.count} {group.role} {group.gpu} tp{group.tp}" for group in solution.plan.groups
    )


def their_gpus(answers: list[Row], model: str, gpu: str, rate: float) -> dict[str, int]:
    """Return aiconfigurator's GPUs on one GPU type, by mode and variant."""
    found: dict[str, int] = {}
    for row in answers:
        if (row["model"], float(row["rate"])) != (model, rate) or not row["gpus"]:
            continue
        if row["prefill_gpu"] == row["decode_gpu"] == gpu:
            name = row["mode"] if row["variant"] == "recommend" else row["variant"]
            found[name] = int(row["gpus"])
    return found


def fewest(rate: float, engines: list[tuple[float, int]]) -> int:
    """Return the fewest GPUs of engines (requests/s, GPUs) that carry a rate: a knapsack.

    With one call class, no queue and no link the two roles do not touch: an optimum to check the
    MILP against that shares nothing with it.
    """
    most = [0.0]
    while most[-1] < rate:
        gpus = len(most)
        most.append(max(most[gpus - size] + speed for speed, size in engines if size <= gpus))
    return len(most) - 1


def knapsack(workers: Workers, model: str, gpu: str, rate: float) -> int:
    """Return the fewest GPUs of the disaggregated plan under aiconfigurator's rules."""
    total = 0
    for phase in ("prefill", "decode"):
        speeds: list[tuple[float, int]] = []
        for engine in workers.engines(model, gpu, "tool"):
            if phase == "prefill":
                speed = MOST_UTILISED / engine.prefill.call_seconds(PROMPT, 0)
            else:
                speed = (1.0 - FIXED) / (STEPS * engine.decode.d1)
            speeds.append((speed, engine.tp))
        total += fewest(rate, [(0.0, 1), *speeds])
    return total


def compare(planner: Planner, answers: list[Row]) -> list[dict[str, object]]:
    """Return one line per model, GPU type and rate: GPUs of both tools."""
    lines = []
    for model, (theirs, ours), rate in itertools.product(MODELS, GPUS.items(), RATES):
        known = their_gpus(answers, model, theirs, rate)
        line: dict[str, object] = {"model": model, "gpu": ours, "rate": f"{rate:g}"}
        line |= {name: known[name] for name in ("agg", "disagg", "wide")}
        line["tool_disagg_knapsack"] = knapsack(planner.workers, model, theirs, rate)
        plans = []
        for rules in RULES:
            for label, roles in (("disagg", DISAGGREGATED), ("all", ROLES)):
                answer = planner.plan(model, rate, rules, {ours: 1.0}, roles)
                found = answer.outcome.objective
                line[f"{rules}_{label}"] = None if found is None else round(found)
                line[f"{rules}_{label}_bound"] = answer.outcome.bound
                plans.append((f"{rules}_{label}_plan", described(answer) if answer.plan else ""))
        lines.append(line | dict(plans))
        print({key: value for key, value in line.items() if not key.endswith("bound")}, flush=True)
    return lines


def mixtures(planner: Planner, answers: list[Row], counts: list[Row]) -> list[dict[str, object]]:
    """Return costs of the best single type and of all three, at catalog and extreme prices."""
    listed = {name: planner.catalog.gpu(name).price_per_hour for name in GPUS.values()}
    levels = {
        name: {"low": PRICE_RANGES[name][0], "listed": price, "high": PRICE_RANGES[name][1]}
        for name, price in listed.items()
    }
    lines = []
    for model, rate, rules in itertools.product(MODELS, RATES, RULES):
        for chosen in itertools.product(("low", "listed", "high"), repeat=3):
            if set(chosen) != {"listed"} and (rate != RATES[-1] or rules == "shipped"):
                continue
            prices = {name: levels[name][level] for name, level in zip(levels, chosen, strict=True)}
            answer = planner.plan(model, rate, rules, prices)
            assert answer.plan is not None
            single = {
                line["gpu"]: float(line[f"{rules}_all"]) * prices[line["gpu"]]
                for line in counts
                if (line["model"], line["rate"]) == (model, f"{rate:g}")
            }
            best = min(single, key=lambda name: single[name])
            tool = {
                ours: min(modes) * prices[ours] for ours, modes in _best_of(answers, model, rate)
            }
            tool_best = min(tool, key=lambda name: tool[name])
            lines.append(
                {
                    "model": model,
                    "rate": f"{rate:g}",
                    "rules": rules,
                    **{f"price_{name}": price for name, price in prices.items()},
                    "aiconfigurator_gpu": tool_best,
                    "aiconfigurator_usd_per_hour": round(tool[tool_best], 2),
                    "aiconfigurator_mixed_usd_per_hour": round(
                        their_mixture(answers, model, rate, prices), 2
                    ),
                    "single_gpu": best,
                    "single_usd_per_hour": round(single[best], 2),
                    "mixed_usd_per_hour": round(answer.plan.cost_per_hour, 2),
                    "mixed_saves": round(1.0 - answer.plan.cost_per_hour / single[best], 4),
                    "plan": described(answer),
                }
            )
    return lines


def _best_of(answers: list[Row], model: str, rate: float) -> Iterator[tuple[str, list[int]]]:
    for theirs, ours in GPUS.items():
        known = their_gpus(answers, model, theirs, rate)
        yield ours, [known["agg"], known["disagg"]]


def their_mixture(answers: list[Row], model: str, rate: float, prices: dict[str, float]) -> float:
    """Return the least US$/h of aiconfigurator's answers with one GPU type per role."""
    costs = [
        int(row["prefill_gpus"]) * prices[GPUS[row["prefill_gpu"]]]
        + int(row["decode_gpus"]) * prices[GPUS[row["decode_gpu"]]]
        for row in answers
        if row["variant"] == "recommend"
        and row["mode"] == "disagg"
        and row["gpus"]
        and (row["model"], float(row["rate"])) == (model, rate)
    ]
    return min(costs)


def write(name: str, lines: list[dict[str, object]]) -> None:
    """Write lines as CSV beside this script."""
    with (HERE / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def main() -> None:
    """Compare GPU counts, then costs."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--only", choices=("counts", "prices"), help="write one of the files")
    only = options.parse_args().only
    planner, answers = Planner(load_catalog(), Workers()), read("aiconfigurator_answers.csv")
    if only != "prices":
        write("comparison.csv", compare(planner, answers))
    if only != "counts":
        write("prices.csv", mixtures(planner, answers, read("comparison.csv")))


if __name__ == "__main__":
    main()
