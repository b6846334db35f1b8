"""Write the data aiconfigurator-core 0.12 holds for the workers of the benchmark.

Needs an environment with `pip install aiconfigurator-core==0.12.0`:

    python tables.py DIRECTORY [--check PATH/TO/latency_table.csv]
                     [--answers aiconfigurator_answers.csv]

Writes to DIRECTORY
    latency_table.csv     prompts of 32 to 32768 tokens, cached prefixes, contexts of 256 to 65536
    latency_4000_500.csv  the benchmark: 4000 new tokens; decode contexts of 4000 to 4500 tokens
    mixed_4000_500.csv    one step with a whole prompt (or two) and a decode batch
    kv_capacity.csv       memory and KV capacity of each worker
    worker_rates.csv      requests/s of each worker by role and batch, before any correction
the first two in the columns `hexsolve calibrate` reads (one step, no host overhead, no queueing).
`--check` compares every row a given table shares with the first, and fails on any difference.
`--answers` does the same with the worker rates behind the answers that `collect.py` wrote.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from aic_worker import (
    DECODE_BATCHES,
    GPUS,
    MODELS,
    OUTPUT,
    PROMPT,
    TENSOR_PARALLEL,
    Row,
    Worker,
)

BATCHES = tuple(2**power for power in range(9))
PROMPTS = tuple(2**power for power in range(5, 16))
CACHED = (512, 2048, 8192, 16384, 32768, 65536)
CONTEXTS = tuple(2**power for power in range(8, 17))
DENSE_CONTEXTS = tuple(range(PROMPT, PROMPT + OUTPUT + 1, 125))
PREFILL_CASES = [(batch, new, 0) for new in PROMPTS for batch in BATCHES[:4]] + [
    (1, new, cached) for new in (64, 256, 1024, 4096) for cached in CACHED
]
SLOWEST_MS = 60.0
"""Rates are listed up to this time per output token, a little beyond the benchmark's 50 ms."""
CORRECTION = {"prefill": 1.1, "decode": 1.08, "mixed": 1.0}
"""Factors the package puts on a worker's times unless a variant switches them off."""
KEY = ("model", "gpu", "tp", "phase", "batch", "new_tokens", "cached_tokens")


def prefill_rows(worker: Worker, cases: Iterable[tuple[int, int, int]]) -> Iterator[Row]:
    for batch, new, cached in cases:
        cells = {"phase": "prefill", "batch": batch, "new_tokens": new, "cached_tokens": cached}
        yield {
            **worker.name,
            **cells,
            "latency_ms": f"{worker.prefill_ms(batch, new, cached):.4f}",
        }


def decode_rows(
    worker: Worker, batches: Iterable[int], contexts: Iterable[int], capacity: int
) -> Iterator[Row]:
    """Yield the decode steps whose contexts fit in the KV pool together."""
    for context, batch in itertools.product(contexts, batches):
        if batch * context <= capacity:
            cells = {"phase": "decode", "batch": batch, "new_tokens": 1, "cached_tokens": context}
            yield {
                **worker.name,
                **cells,
                "latency_ms": f"{worker.decode_ms(batch, context):.4f}",
            }


def mixed_rows(worker: Worker, capacity: int) -> Iterator[Row]:
    for prompts, batch in itertools.product((1, 2), BATCHES):
        if batch * (PROMPT + OUTPUT) <= capacity:
            tokens = prompts * PROMPT
            cells = {
                "batch": batch,
                "context_tokens": PROMPT + OUTPUT // 2,
                "prefill_tokens": tokens,
            }
            yield {
                **worker.name,
                **cells,
                "latency_ms": f"{worker.mixed_ms(batch, tokens):.4f}",
            }


def write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{path.name}: {len(rows)} rows")


def compare(ours: list[Row], reference: Path) -> None:
    """Stop with an error unless every row both tables hold is identical."""
    with reference.open(newline="") as file:
        known = {
            tuple(row[name] for name in KEY): row["latency_ms"] for row in csv.DictReader(file)
        }
    found = [(row, known.get(tuple(str(row[name]) for name in KEY))) for row in ours]
    shared = [(row, value) for row, value in found if value is not None]
    wrong = [row for row, value in shared if float(value) != float(row["latency_ms"])]
    print(f"{len(shared)} rows shared with {reference.name}, {len(wrong)} differ")
    if wrong or not shared:
        sys.exit(f"first that differs: {wrong[:1]}")


def compare_rates(ours: list[Row], answers: Path) -> None:
    """Stop with an error unless every answer rests on our worker rates (to its 3 decimals)."""
    key = ("model", "gpu", "tp", "role", "batch")
    known = {tuple(str(row[name]) for name in key): float(row["requests_per_s"]) for row in ours}
    wrong, compared = [], 0
    with answers.open(newline="") as file:
        for row in csv.DictReader(file):
            for role, correction in CORRECTION.items():
                if not row[f"{role}_workers"]:
                    continue
                gpu = row["decode_gpu" if role == "decode" else "prefill_gpu"]
                worker = (row["model"], gpu, row[f"{role}_tp"], role, row[f"{role}_batch"])
                factor = 1.0 if "plain" in row["variant"] else correction
                gap = abs(known[worker] / factor - float(row[f"{role}_worker_rate"]))
                compared += 1
                wrong += [worker] if gap > 0.00101 else []
    print(f"{compared} worker rates in {answers.name}, {len(wrong)} differ")
    if wrong or not compared:
        sys.exit(f"first that differs: {wrong[:1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--check", type=Path, help="a latency table to compare with")
    parser.add_argument("--answers", type=Path, help="answers whose worker rates to compare")
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)
    names = ("latency_table", "latency_4000_500", "mixed_4000_500", "kv_capacity", "worker_rates")
    tables: dict[str, list[Row]] = {name: [] for name in names}
    for model, gpu, tp in itertools.product(MODELS, GPUS, TENSOR_PARALLEL):
        worker = Worker(model, gpu, tp)
        if (memory := worker.memory()) is None:
            continue
        capacity = memory["kv_tokens_capacity"]
        tables["kv_capacity"].append(memory)
        tables["latency_table"] += prefill_rows(worker, PREFILL_CASES)
        tables["latency_table"] += decode_rows(worker, BATCHES, CONTEXTS, capacity)
        tables["latency_4000_500"] += prefill_rows(worker, [(b, PROMPT, 0) for b in range(1, 9)])
        tables["latency_4000_500"] += decode_rows(worker, DECODE_BATCHES, DENSE_CONTEXTS, capacity)
        tables["mixed_4000_500"] += mixed_rows(worker, capacity)
        tables["worker_rates"] += worker.rates(SLOWEST_MS)
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        write(arguments.directory / f"{name}.csv", rows)
    if arguments.check:
        compare(tables["latency_table"], arguments.check)
    if arguments.answers:
        compare_rates(tables["worker_rates"], arguments.answers)


if __name__ == "__main__":
    main()
