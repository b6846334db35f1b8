"""Ask aiconfigurator 0.12 how many GPUs serve a request rate, and write its answers as CSV.

Needs an environment with aiconfigurator (`pip install aiconfigurator==0.12.0`), not hexsolve:

    python collect.py -o aiconfigurator_answers.csv            # 4 minutes on one core
    python collect.py -o aiconfigurator_answers.csv --verify   # also calls `recommend`: 10 more

`recommend` sweeps the workers, then takes the fewest replicas that carry the rate. The sweep does
not depend on the rate, so it runs once per model and GPU pair, and the package's `pick_load_match`
picks for each rate; `--verify` calls `cli_recommend` for every case of one GPU type and compares.
The variants are explained in README.md.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")

from aiconfigurator.cli.api import cli_recommend  # noqa: E402
from aiconfigurator.cli.main import build_default_tasks  # noqa: E402
from aiconfigurator.sdk.picking import pick_load_match  # noqa: E402

MODELS = {"qwen3-32b": "Qwen/Qwen3-32B", "llama-3.1-70b": "meta-llama/Meta-Llama-3.1-70B"}
GPUS = ("a100_sxm", "h100_sxm", "h200_sxm")
RATES = (10.0, 25.0, 50.0, 100.0)
SCENARIO = {"isl": 4000, "osl": 500, "ttft": 2000.0, "tpot": 50.0, "backend": "vllm"}
NODE_GPUS = 8
"""What `recommend` sets as the largest replica: one node of these systems."""
WIDE_GPUS = 128
"""The largest replica the package considers at all."""
NO_CORRECTION = {
    "prefill_latency_correction": 1.0,
    "decode_latency_correction": 1.0,
    "rate_match_prefill_degradation": 1.0,
    "rate_match_decode_degradation": 1.0,
    "autoscale_ttft_correction_factor": 1.0,
}
VARIANTS: dict[str, tuple[int, dict[str, float]]] = {
    "recommend": (NODE_GPUS, {}),
    "wide": (WIDE_GPUS, {}),
    "plain": (NODE_GPUS, NO_CORRECTION),
    "wide_plain": (WIDE_GPUS, NO_CORRECTION),
}
COLUMNS = (
    *("model", "prefill_gpu", "decode_gpu", "rate", "mode", "variant"),
    *("gpus", "prefill_gpus", "decode_gpus", "mixed_gpus", "replicas"),
    *(
        f"{role}_{what}"
        for role in ("prefill", "decode", "mixed")
        for what in ("workers", "tp", "pp", "batch", "worker_rate")
    ),
    *("mixed_context_tokens", "replica_rate", "served_rate", "ttft_ms", "tpot_ms"),
    *("memory_gib", "gemm", "kvcache", "fmha", "version"),
)


def sweep(model: str, prefill_gpu: str, decode_gpu: str, variant: str) -> Iterator[tuple[str, Any]]:
    """Yield (mode, table of feasible configurations) as the package's sweep finds them."""
    largest_replica, overrides = VARIANTS[variant]
    tasks = build_default_tasks(
        model_path=MODELS[model],
        total_gpus=largest_replica,
        system=prefill_gpu,
        decode_system=decode_gpu,
        database_mode="HYBRID",
        **SCENARIO,
    )
    for mode, task in tasks.items():
        if mode == "disagg":
            yield mode, dataclasses.replace(task, **overrides).run()
        elif variant == "recommend" and prefill_gpu == decode_gpu:
            yield mode, task.run()


def best(frame: Any, mode: str, rate: float) -> Any:
    """Return the first-ranked configuration for a rate (fewest GPUs), or None."""
    table = pick_load_match(
        frame, serving_mode=mode, target_tpot=SCENARIO["tpot"], target_request_rate=rate
    )["best_config_df"]
    return None if table.empty else table.iloc[0]


def role_columns(row: Any, replicas: int) -> dict[str, Any]:
    """Describe the workers of a configuration, per replica and in all."""
    if "(p)workers" not in row.index:
        return {
            "mixed_gpus": replicas * row["num_total_gpus"],
            "mixed_workers": replicas,
            "mixed_tp": row["tp"],
            "mixed_pp": row["pp"],
            "mixed_batch": row["bs"],
            "mixed_context_tokens": row["ctx_tokens"],
            "mixed_worker_rate": row["seq/s"],
            "memory_gib": row["memory"],
            **{name: row[name] for name in ("gemm", "kvcache", "fmha", "version")},
        }
    cells: dict[str, Any] = {
        "memory_gib": f"{row['(p)memory']}/{row['(d)memory']}",
        "version": "/".join(dict.fromkeys((row["(p)version"], row["(d)version"]))),
        **{name: row[f"(d){name}"] for name in ("gemm", "kvcache", "fmha")},
    }
    for role, key in (("prefill", "(p)"), ("decode", "(d)")):
        workers = replicas * int(row[key + "workers"])
        cells |= {
            f"{role}_gpus": workers * int(row[key + "tp"]) * int(row[key + "pp"]),
            f"{role}_workers": workers,
            f"{role}_tp": row[key + "tp"],
            f"{role}_pp": row[key + "pp"],
            f"{role}_batch": row[key + "bs"],
            f"{role}_worker_rate": row[key + "seq/s/worker"],
        }
    return cells


def answers() -> Iterator[dict[str, Any]]:
    """Yield one row per model, GPU pair, variant, mode and rate."""
    pairs = [(gpu, gpu) for gpu in GPUS] + list(itertools.permutations(GPUS, 2))
    for model, (prefill_gpu, decode_gpu), variant in itertools.product(MODELS, pairs, VARIANTS):
        if prefill_gpu != decode_gpu and variant != "recommend":
            continue
        for mode, frame in sweep(model, prefill_gpu, decode_gpu, variant):
            for rate in RATES:
                row = best(frame, mode, rate)
                case = {
                    "model": model,
                    "prefill_gpu": prefill_gpu,
                    "decode_gpu": decode_gpu,
                    "rate": f"{rate:g}",
                    "mode": mode,
                    "variant": variant,
                }
                if row is None:
                    yield case
                    continue
                replicas = int(row["replicas_needed"])
                yield {
                    **case,
                    "gpus": int(row["total_gpus_needed"]),
                    "replicas": replicas,
                    "replica_rate": row["seq/s"],
                    "served_rate": f"{replicas * row['seq/s']:.3f}",
                    "ttft_ms": row["ttft"],
                    "tpot_ms": row["tpot"],
                    **role_columns(row, replicas),
                }


def verify(rows: list[dict[str, Any]]) -> int:
    """Compare with `recommend` itself; return how many answers differ."""
    found = {
        (row["model"], row["prefill_gpu"], row["rate"], row["mode"]): row.get("gpus")
        for row in rows
        if row["variant"] == "recommend" and row["prefill_gpu"] == row["decode_gpu"]
    }
    wrong = 0
    for model, gpu, rate in itertools.product(MODELS, GPUS, RATES):
        result = cli_recommend(MODELS[model], gpu, target_request_rate=rate, **SCENARIO)
        for mode, table in result.best_configs.items():
            theirs = int(table.iloc[0]["total_gpus_needed"])
            same = found[model, gpu, f"{rate:g}", mode] == theirs
            wrong += not same
            verdict = "same" if same else "DIFFERS"
            print(f"{model} {gpu} {rate:g}/s {mode}: {theirs} GPUs, {verdict}", file=sys.stderr)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--verify", action="store_true", help="also run `recommend` for each case")
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)
    rows = list(answers())
    with arguments.output.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    if arguments.verify and (wrong := verify(rows)):
        sys.exit(f"{wrong} answers differ from what `recommend` says")


if __name__ == "__main__":
    main()
