"""The tables of the README, from runs.csv.

python results/plan_vs_simulation/tables.py [FILE]
"""

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import t as student

Row = dict[str, str]
Key = tuple[str, ...]
HERE = Path(__file__).resolve().parent
CHAINS = ("chat", "tool-calling")
PHASES = {
    "wait": "call_wait_promised_s",
    "TTFT": "call_ttft_promised_s",
    "transfer": "call_transfer_promised_s",
    "decode step": "call_step_promised_s",
    "per token, transfer included": "call_tpot_promised_s",
    "prefill busy": "prefill_busy_promised",
    "KV for prefill": "prefill_kv_promised",
    "decode batch": "decode_batch_promised",
    "KV for decode": "decode_kv_promised",
}
CASE = ("shape", "cluster", "kind", "load", "policy", "workload")


def grouped(rows: Sequence[Row], names: Sequence[str]) -> dict[Key, list[Row]]:
    """Return the rows by the values of some columns, in the order in which they appear."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def numbers(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


def half_width(values: np.ndarray) -> float:
    """Return half the 95 % t interval of the mean over seeds."""
    if len(values) < 2:
        return float("nan")
    return float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def ratio(rows: Sequence[Row], name: str) -> float:
    """Return promise / simulated mean of one quantity."""
    simulated = numbers(rows, name.replace("promised", "simulated")).mean()
    return float(numbers(rows, name).mean() / simulated) if simulated else float("nan")


def verdict(rows: Sequence[Row]) -> str:
    promised = numbers(rows, "latency_promised_s").mean()
    simulated = numbers(rows, "latency_simulated_s")
    if promised < simulated.mean() - half_width(simulated):
        return "optimistic"
    return "pessimistic" if promised > simulated.mean() + half_width(simulated) else "within"


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for line in body:
        print("| " + " | ".join(line) + " |")
    print()


def summary(rows: Sequence[Row], title: str, keep: Callable[[Row], bool]) -> None:
    """Print the distribution of promise / simulation of the workflow latency by kind and load."""
    print(f"### {title}\n")
    body = []
    chosen = [row for row in rows if keep(row)]
    for (kind, load), some in grouped(chosen, ("kind", "load")).items():
        cases = list(grouped(some, CASE).values())
        ratios = np.array([ratio(case, "latency_promised_s") for case in cases])
        words = [verdict(case) for case in cases]
        counts = [str(words.count(word)) for word in ("optimistic", "within", "pessimistic")]
        spread = [f"{value:.2f}" for value in (ratios.min(), np.median(ratios), ratios.max())]
        body.append([kind, load, str(len(cases)), *spread, *counts])
    head = ["kind", "load", "cases", "least", "median", "most"]
    table([*head, "optimistic", "within CI", "pessimistic"], sorted(body))


def latencies(rows: Sequence[Row]) -> None:
    """Print the distribution of promise / simulation for chains, and with siblings."""
    print("### Mean workflow latency: promise / simulated over cases and loads\n")
    body = []
    for name, chains in (("chains (chat, tool-calling)", True), ("with siblings (others)", False)):
        some = [row for row in rows if (row["shape"] in CHAINS) == chains]
        cases = list(grouped(some, CASE).values())
        if not cases:
            continue
        ratios = np.array([ratio(case, "latency_promised_s") for case in cases])
        words = [verdict(case) for case in cases]
        counts = [str(words.count(word)) for word in ("optimistic", "within", "pessimistic")]
        spread = [f"{value:.2f}" for value in np.quantile(ratios, (0, 0.25, 0.5, 0.75, 1))]
        body.append([name, str(len(cases)), *spread, *counts])
    head = ["workflows", "cases", "least", "25 %", "median", "75 %", "most"]
    table([*head, "optimistic", "within CI", "pessimistic"], body)


def phases(rows: Sequence[Row]) -> None:
    """Print promise / simulation of each phase: least, median, most over cases and loads."""
    print("### Phases: promise / simulated, least – median – most over cases and loads\n")
    body = []
    for label, name in PHASES.items():
        cells = []
        for chains in (True, False):
            for kind in ("single", "cycle", "mixed"):
                some = [r for r in rows if (r["shape"] in CHAINS) == chains and r["kind"] == kind]
                cases = grouped(some, CASE).values()
                ratios = np.array([ratio(case, name) for case in cases])
                known = len(ratios) and np.isfinite(ratios).all() and ratios.max() > 0.0
                values = np.quantile(ratios, (0, 0.5, 1)) if known else []
                cells.append(" – ".join(f"{value:.2f}" for value in values))
        body.append([label, *cells])
    kinds = ("single", "cycle", "mixed")
    head = [f"{way}, {kind}" for way in ("chains", "siblings") for kind in kinds]
    table(["", *head], body)


def detail(rows: Sequence[Row], title: str, keep: Callable[[Row], bool]) -> None:
    """Print promise → simulation phase by phase, a line per case."""
    print(f"### {title}\n")
    body = []
    for case, some in grouped([row for row in rows if keep(row)], CASE).items():
        shape, cluster, kind, load, *_ = case

        def both(name: str, factor: float = 1.0, some: Sequence[Row] = some) -> str:
            before = numbers(some, name).mean() * factor
            after = numbers(some, name.replace("promised", "simulated")).mean() * factor
            return f"{before:.3g} → {after:.3g}"

        error = half_width(numbers(some, "latency_simulated_s"))
        body.append(
            [
                f"{shape}, {cluster}, {kind}",
                load,
                f"{both('latency_promised_s')} ± {error:.2g}",
                f"{ratio(some, 'latency_promised_s'):.2f}",
                both("call_wait_promised_s", 1e3),
                both("call_ttft_promised_s", 1e3),
                both("call_transfer_promised_s", 1e3),
                both("call_step_promised_s", 1e3),
                both("prefill_busy_promised", 100.0) if kind != "mixed" else "",
                both("decode_batch_promised"),
                both("decode_kv_promised", 100.0),
                f"{numbers(some, 'req95_simulated').mean():.2f}",
                f"{numbers(some, 'req99_simulated').mean():.2f}",
            ]
        )
    head = ["case", "load", "latency, s", "ratio", "wait, ms", "TTFT, ms", "transfer, ms"]
    head += ["step, ms", "prefill busy, %", "batch", "KV, %", "Req95", "Req99"]
    table(head, body)


def policies(rows: Sequence[Row]) -> None:
    """Print simulated latency over the promise for each way to run the full load."""
    print(
        "### Full load, other policies and the workflows behind the classes: promise / simulated\n"
    )
    chosen = [row for row in rows if float(row["load"]) == 1.0]
    ways = list(grouped(chosen, ("policy", "workload")))
    body = []
    for (shape, cluster, kind), some in grouped(chosen, ("shape", "cluster", "kind")).items():
        cells = []
        for way in ways:
            mine = [row for row in some if (row["policy"], row["workload"]) == way]
            cells.append(f"{ratio(mine, 'latency_promised_s'):.2f}" if mine else "")
        body.append([f"{shape}, {cluster}, {kind}", *cells])
    table(["case", *(f"{policy}, {workload}" for policy, workload in ways)], body)


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "runs.csv"
    with source.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    own = ("planned", "classes")
    mine = [row for row in rows if (row["policy"], row["workload"]) == own]
    latencies(mine)
    phases(mine)
    summary(
        rows,
        "On the plan's own terms: promise / simulated mean workflow latency",
        lambda row: (row["policy"], row["workload"]) == own,
    )
    detail(
        rows,
        "Phase by phase, promised → simulated",
        lambda row: (row["policy"], row["workload"]) == own,
    )
    policies(rows)


if __name__ == "__main__":
    main()
