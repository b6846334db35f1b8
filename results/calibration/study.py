"""How well the latency model predicts step times: writes the tables of this folder.

python results/calibration/study.py [--data DIR]

DIR holds latency/*.csv (default: $HEXSOLVE_DATA, or ../shared/data). Without the extra
``aiconfigurator`` the parts that need further models are left out, with a note on stderr.
"""

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hexsolve.instances.calibration.aiconfigurator import open_engine, step_tables
from hexsolve.instances.calibration.evaluate import Evaluation, evaluate
from hexsolve.instances.calibration.fit import active_shares, fit_table
from hexsolve.instances.calibration.leave_out import leave_models_out
from hexsolve.instances.calibration.table import Row, read_table
from hexsolve.instances.catalog import Catalog, load_catalog
from hexsolve.instances.performance import gpu_efficiency, memory_model, step_coefficients
from hexsolve.models.errors import UnsupportedError
from hexsolve.models.fitting import derive_mixed, fit_decode
from hexsolve.models.latency import DecodeCoefficients

TABLES = Path(__file__).parent / "tables"
MEASURED_GPUS = ["a100-80", "h100", "h200", "l40s", "b200", "gb200", "b300", "rtx-pro-6000"]
# Models that the shipped efficiencies were fitted to besides those of latency_table.csv.
TRAINING = ["mixtral-8x7b", "qwen3-30b-a3b", "gpt-oss-20b", "deepseek-v3"]
MIXED = [
    ("llama-3.1-8b", "a100-80", 1),
    ("llama-3.1-8b", "h100", 1),
    ("llama-3.1-8b", "l40s", 1),
    ("llama-3.1-70b", "a100-80", 4),
    ("llama-3.1-70b", "h100", 4),
    ("llama-3.1-70b", "h200", 8),
    ("llama-3.1-70b", "b200", 2),
    ("qwen3-235b-a22b", "h100", 8),
    ("qwen3-235b-a22b", "h200", 8),
]
HELD_OUT = [
    "mistral-7b",
    "llama-3.2-3b",
    "qwen2.5-7b",
    "qwen2.5-72b",
    "qwen3-1.7b",
    "qwen3-8b",
    "qwen3-14b",
    "qwen3-32b",
    "mixtral-8x22b",
    "qwen3-coder-480b-a35b",
    "gpt-oss-120b",
    "kimi-k2",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("HEXSOLVE_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    latency = parser.parse_args().data / "latency"
    catalog = load_catalog()
    blind = catalog.without_coefficients()
    rows = read_table(latency / "latency_table.csv", catalog)
    write("in_sample.csv", group_rows(evaluate(rows, catalog)))
    write("roofline_in_sample.csv", group_rows(evaluate(rows, blind)))
    write("leave_one_model_out.csv", group_rows(leave_models_out(rows, catalog, ["all"])))
    write("memory.csv", memory_rows(catalog, latency / "memory_table.csv"))
    write("larger_batches.csv", larger_batches(rows, catalog))
    try:
        further(catalog, blind)
    except UnsupportedError as error:
        print(f"further models left out: {error}", file=sys.stderr)


def further(catalog: Catalog, blind: Catalog) -> None:
    """Write the errors on models and on GPU types that were not fitted."""
    gpus = [catalog.gpus[name] for name in MEASURED_GPUS]
    tables: dict[str, list[Row]] = {}
    for name in [*HELD_OUT, *TRAINING]:
        tables[name], _ = step_tables(catalog, [catalog.llms[name]], gpus, (1, 2, 4, 8))
        print(f"{name}: {len(tables[name])} rows", file=sys.stderr)
    summary = []
    for name, table in tables.items():
        for gpu in MEASURED_GPUS:
            part = [row for row in table if row.gpu == gpu]
            if part:
                role = "fitted" if name in TRAINING else "held out"
                summary.append({"model": name, "role": role, "gpu": gpu} | errors(part, blind))
    write("further_models.csv", summary)
    write("mixed_steps.csv", mixed_steps(catalog))
    unseen = []
    for gpu in MEASURED_GPUS:
        part = [row for table in tables.values() for row in table if row.gpu == gpu]
        others = {key: item for key, item in blind.efficiencies.items() if key != gpu}
        without = blind.model_copy(update={"efficiencies": others})
        source = gpu_efficiency(without, catalog.gpus[gpu]).gpu
        for tps in ((1, 2), (4, 8)):
            some = [row for row in part if row.tp in tps]
            if some:
                label = f"{tps[0]}-{tps[1]}"
                unseen.append(
                    {"gpu": gpu, "efficiencies_of": source, "tp": label} | errors(some, without)
                )
    write("unseen_gpus.csv", unseen)


def mixed_steps(catalog: Catalog) -> list[dict[str, object]]:
    """Compare derived mixed steps with the package's, for chunks of 512 tokens and more.

    `composed`: prefill(q + B, W) + d2·C; `linear`: the shipped `MixedCoefficients` fitted to it;
    `added`: a prefill and a decode step after each other.
    """
    found: list[dict[str, object]] = []
    for name, gpu, tp in MIXED:
        llm, device = catalog.llms[name], catalog.gpus[gpu]
        engine = open_engine(llm, device, tp)
        steps = step_coefficients(catalog, llm, device, tp)
        mixed = derive_mixed(steps.prefill, steps.decode)
        ratios: dict[str, list[float]] = {"composed": [], "linear": [], "added": []}
        for chunk in (512, 1024, 2048, 4096, 8192):
            for batch in (1, 4, 16, 64, 128):
                for prompt in (512, 2048, 8192):
                    work, context = chunk * prompt / 2.0, batch * (prompt + 1.0)
                    time = engine.mixed_step_latency(chunk, batch, prompt, 2) / 1e3
                    composed = steps.prefill.seconds(chunk + batch, work)
                    composed += steps.decode.d2 * context
                    added = steps.prefill.seconds(chunk, work)
                    added += steps.decode.step_seconds(batch, context)
                    linear = mixed.step_seconds(batch, context, chunk, work)
                    ratios["composed"].append(composed / time - 1.0)
                    ratios["linear"].append(linear / time - 1.0)
                    ratios["added"].append(added / time - 1.0)
        means = {key: rounded(np.mean(np.abs(values))) for key, values in ratios.items()}
        found.append({"model": name, "gpu": gpu, "tp": tp} | means)
    return found


def errors(rows: Sequence[Row], catalog: Catalog) -> dict[str, object]:
    overall = evaluate(rows, catalog).overall
    return {
        "rows": len(rows),
        "prefill_mape": rounded(overall.prefill.mape),
        "decode_mape": rounded(overall.decode.mape),
    }


def group_rows(result: Evaluation) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for phase in ("prefill", "decode"):
        total = getattr(result.overall, phase)
        rows.append(
            {"model": "all", "phase": phase, "rows": total.rows, "mape": rounded(total.mape)}
        )
    rows += [
        {
            "model": group.model,
            "gpu": group.gpu,
            "tp": group.tp,
            "phase": group.phase,
            "rows": group.rows,
            "mape": rounded(group.mape),
            "bias": rounded(group.bias),
            "worst": rounded(group.worst),
        }
        for group in result.groups
    ]
    return rows


def memory_rows(catalog: Catalog, path: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            llm, gpu, tp = catalog.llm(row["model"]), catalog.gpu(row["gpu"]), int(row["tp"])
            tokens = memory_model(catalog, gpu).kv_capacity_tokens(llm, gpu, tp)
            expected = int(row["kv_tokens_capacity"])
            rows.append(
                {
                    "model": llm.name,
                    "gpu": gpu.name,
                    "tp": tp,
                    "table_tokens": expected,
                    "predicted_tokens": tokens,
                    "error": rounded(tokens / expected - 1.0),
                }
            )
    return rows


def larger_batches(rows: Sequence[Row], catalog: Catalog) -> list[dict[str, object]]:
    """Fit decode steps of up to 8 sequences only, predict those of 16 and more.

    `alone`: from those rows alone; `with_roofline`: as `hexsolve calibrate fit` does, which adds
    the roofline's shape (fitted to whole tables) beyond the largest batch.
    """
    found: list[dict[str, object]] = []
    kept = [row for row in rows if row.phase == "prefill" or row.batch <= 8]
    assisted = {(fit.llm, fit.gpu, fit.tp): fit.decode for fit in fit_table(kept, catalog, "")}
    for (name, gpu, tp), decode in assisted.items():
        group = [row for row in rows if row[:4] == (name, gpu, tp, "decode")]
        small = [(row.batch, row.cached, row.seconds) for row in group if row.batch <= 8]
        large = [row for row in group if row.batch >= 16]
        alone, _ = fit_decode(small, active_shares(catalog.llms[name]))
        if large:
            found.append(
                {
                    "model": name,
                    "gpu": gpu,
                    "tp": tp,
                    "rows": len(large),
                    "alone": rounded(step_error(alone, large)),
                    "with_roofline": rounded(step_error(decode, large)),
                }
            )
    return found


def step_error(decode: DecodeCoefficients, rows: Sequence[Row]) -> float:
    times = [decode.step_seconds(row.batch, row.batch * row.cached) / row.seconds for row in rows]
    return float(np.mean(np.abs(np.array(times) - 1.0)))


def write(name: str, rows: Sequence[dict[str, object]]) -> None:
    fields = list(dict.fromkeys(field for row in rows for field in row))
    TABLES.mkdir(exist_ok=True)
    with (TABLES / name).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


if __name__ == "__main__":
    main()
