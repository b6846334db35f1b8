"""Compare simulated with measured times: a real vLLM request log, and Splitwise's step times.

    python results/fidelity/run.py [DATA_DIR]

Writes vllm_log.csv and splitwise.csv beside itself. Nothing is fitted to what it is compared
with in vllm_log.csv: the coefficients come from the kernel table of the same GPU.
"""

import csv
import os
import sys
from pathlib import Path

import numpy as np

from hexsolve.instances.importers.registry import read_trace
from hexsolve.models.fitting import derive_mixed, fit_decode, fit_prefill
from hexsolve.models.latency import EnginePerformance
from hexsolve.models.simulation.cluster import SimulatedCluster, SimulatedInstance
from hexsolve.models.simulation.engine import Simulation
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import make_policy

HERE = Path(__file__).resolve().parent
KERNELS = "latency/vllm_kernels_rtx4090.csv"
LOG = "traces/vllm_requests_RTX4090_Llama-3.1-8B.csv"
SPLITWISE = "latency/splitwise_llama2-70b_bloom-176b.csv"
KV_POOL_TOKENS = 41_408
# Llama-3.1-8B: 2 (key, value) · 32 layers · 8 heads · 128 · 2 bytes
KV_BYTES_PER_TOKEN = 131_072
# Above this many tokens an iteration the engine of 2023 that Splitwise measured loses efficiency.
SPLITWISE_TOKENS = 2048


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def phase_rows(rows: list[dict[str, str]], phase: str) -> list[tuple[float, float, float]]:
    """Return (batch, tokens of each, seconds) of the rows of a phase."""
    return [
        (float(row["batch"]), float(row["tokens_per_seq"]), float(row["time_ms"]) / 1e3)
        for row in rows
        if row["phase"] == phase
    ]


def rtx4090(data: Path) -> EnginePerformance:
    """Return an engine fitted to the kernel table alone."""
    rows = rows_of(data / KERNELS)
    prefill, _ = fit_prefill([(b, n, 0.0, s) for b, n, s in phase_rows(rows, "prefill")])
    decode, _ = fit_decode(phase_rows(rows, "decode"))
    return EnginePerformance(
        llm="llama-3.1-8b",
        gpu="rtx-4090",
        tp=1,
        prefill=prefill,
        decode=decode,
        mixed=derive_mixed(prefill, decode),
        kv_capacity_tokens=KV_POOL_TOKENS,
        kv_bytes_per_token=KV_BYTES_PER_TOKEN,
        origin="measured",
    )


def compare_vllm(data: Path) -> list[dict[str, float | str]]:
    """Return measured and simulated mean TTFT, TPOT and end-to-end time of the 300 requests."""
    engine = SimulatedInstance(
        name="vllm", role="mixed", performance=rtx4090(data), token_budget=2048, max_batch=256
    )
    cluster = SimulatedCluster(instances=(engine,), prefix_caching=False, admission="prompt")
    workflows = read_trace(data / LOG).workflows
    policy = make_policy("round-robin")
    record = Simulation(cluster, workflows, policy, OraclePredictor()).run()
    log = rows_of(data / LOG)
    columns = ("arrival_s", "first_token_s", "last_token_s", "output_toks")
    arrival, first, last, output = (np.array([float(row[c]) for row in log]) for c in columns)
    simulated_first = np.asarray(record.times["first_token"])
    simulated_last = np.asarray(record.times["finished"])
    several = output > 1
    steps = (output - 1)[several]
    pairs = {
        "ttft_s": (first - arrival, simulated_first - arrival),
        "tpot_s": (
            (last - first)[several] / steps,
            (simulated_last - simulated_first)[several] / steps,
        ),
        "e2e_s": (last - arrival, simulated_last - arrival),
    }
    table: list[dict[str, float | str]] = []
    for name, (measured, simulated) in pairs.items():
        for statistic in ("mean", "median", "p95"):
            real, model = (_statistic(values, statistic) for values in (measured, simulated))
            table.append(
                {
                    "quantity": name,
                    "statistic": statistic,
                    "measured": round(real, 5),
                    "simulated": round(model, 5),
                    "error": round(model / real - 1.0, 4),
                }
            )
    return table


def _statistic(values: np.ndarray, name: str) -> float:
    if name == "mean":
        return float(values.mean())
    return float(np.quantile(values, 0.5 if name == "median" else 0.95))


def compare_splitwise(data: Path) -> list[dict[str, float | str]]:
    """Return the mean absolute relative error of fitted step times per model, GPU and tp."""
    groups: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in rows_of(data / SPLITWISE):
        groups.setdefault((row["model"], row["gpu"], row["tp"]), []).append(row)
    table: list[dict[str, float | str]] = []
    for (model, gpu, tp), rows in sorted(groups.items()):
        prompts = [
            (b, n, 0.0, s) for b, n, s in phase_rows(rows, "prefill") if b * n <= SPLITWISE_TOKENS
        ]
        steps = phase_rows(rows, "decode")
        _, prefill_error = fit_prefill(prompts)
        _, decode_error = fit_decode(steps)
        table.append(
            {
                "model": model,
                "gpu": gpu,
                "tp": tp,
                "prefill_rows": len(prompts),
                "prefill_error": round(prefill_error, 4),
                "decode_rows": len(steps),
                "decode_error": round(decode_error, 4),
            }
        )
    return table


def write(path: Path, table: list[dict[str, float | str]]) -> None:
    """Write a table as CSV and show it."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    print(path.read_text(encoding="utf-8"))


def main() -> None:
    """Write both tables."""
    default = HERE.parents[2] / "shared" / "data"
    chosen = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("HEXSOLVE_DATA", str(default))
    data = Path(chosen)
    write(HERE / "vllm_log.csv", compare_vllm(data))
    write(HERE / "splitwise.csv", compare_splitwise(data))


if __name__ == "__main__":
    main()
