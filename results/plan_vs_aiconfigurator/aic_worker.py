"""One worker as aiconfigurator-core 0.12 models it: step times, memory and steady rates.

Everything here calls the package; nothing is fitted or corrected. `tables.py` writes what it says.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

warnings.simplefilter("ignore")

from aiconfigurator_core.sdk import common, config, perf_database  # noqa: E402
from aiconfigurator_core.sdk.backends.factory import get_backend  # noqa: E402
from aiconfigurator_core.sdk.memory import estimate_kv_cache  # noqa: E402
from aiconfigurator_core.sdk.models import get_model  # noqa: E402
from aiconfigurator_core.sdk.step_estimate import MixedStepInput  # noqa: E402

MODELS = {"qwen3-32b": "Qwen/Qwen3-32B", "llama-3.1-70b": "meta-llama/Meta-Llama-3.1-70B"}
GPUS = ("a100_sxm", "h100_sxm", "h200_sxm")
TENSOR_PARALLEL = (1, 2, 4, 8)
PROMPT, OUTPUT = 4000, 500
PREFILL_TOKEN_BUDGET = 8192
"""Tokens an engine may prefill in one step; fixes the activation memory behind the KV capacity."""
DECODE_BATCHES = (*range(1, 16), *range(16, 32, 2), *range(32, 128, 4), *range(128, 513, 8))
"""The batches the package's sweep tries for a decode worker."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Worker:
    """One model on `tp` GPUs of one type, under the vLLM profile, everything in bfloat16."""

    model: str
    gpu: str
    tp: int

    @cached_property
    def version(self) -> str:
        """Return the vLLM version of the newest measured profile of this GPU."""
        return str(perf_database.get_latest_database_version(self.gpu, "vllm"))

    @cached_property
    def database(self) -> Any:
        """Return the measured operator times (silicon only, no estimates)."""
        return perf_database.get_database_view(
            self.gpu, "vllm", self.version, allow_missing_data=False, database_mode="SILICON"
        )

    @cached_property
    def backend(self) -> Any:
        return get_backend("vllm")

    @cached_property
    def engine(self) -> Any:
        parallel = config.ModelConfig(
            tp_size=self.tp,
            pp_size=1,
            gemm_quant_mode=common.GEMMQuantMode.bfloat16,
            kvcache_quant_mode=common.KVCacheQuantMode.bfloat16,
            fmha_quant_mode=common.FMHAQuantMode.bfloat16,
            moe_quant_mode=common.MoEQuantMode.bfloat16,
            comm_quant_mode=common.CommQuantMode.half,
        )
        return get_model(MODELS[self.model], parallel, "vllm")

    @property
    def name(self) -> Row:
        return {"model": self.model, "gpu": self.gpu, "tp": self.tp}

    @property
    def memory_share(self) -> float:
        """Return the share of the GPU's memory vLLM of that version uses by default."""
        return float(self.backend.get_default_free_gpu_memory_fraction(self.version))

    def _static(self, mode: str, **shape: int) -> Any:
        runtime = config.RuntimeConfig(**shape)
        return self.backend.run_static(self.engine, self.database, runtime, mode)

    def _step_ms(self, mode: str, **shape: int) -> float:
        runtime = config.RuntimeConfig(**shape)
        return float(
            self.backend.run_static_latency_only(self.engine, self.database, runtime, mode)
        )

    def prefill_ms(self, batch: int, new: int, cached: int) -> float:
        """Return one prefill of `batch` prompts with `new` tokens after `cached` ones."""
        return self._step_ms("static_ctx", batch_size=batch, isl=new + cached, osl=1, prefix=cached)

    def decode_ms(self, batch: int, context: int) -> float:
        """Return one decode step of `batch` sequences with `context` tokens each."""
        return self._step_ms("static_gen", batch_size=batch, isl=context, osl=2)

    def mixed_ms(self, batch: int, prefill_tokens: int) -> float:
        """Return one step of whole benchmark prompts and `batch` half-way decode sequences."""
        runtime = config.RuntimeConfig(batch_size=batch, isl=PROMPT, osl=OUTPUT, prefix=0)
        step = MixedStepInput(context_tokens=prefill_tokens, num_decode_requests=batch)
        return float(self.backend.run_mixed(self.engine, self.database, runtime, step).latency_ms)

    def memory(self) -> Row | None:
        """Return memory and KV capacity (tokens per worker), or None where nothing fits."""
        try:
            found = estimate_kv_cache(
                MODELS[self.model],
                self.gpu,
                "vllm",
                self.version,
                max_num_tokens=PREFILL_TOKEN_BUDGET,
                max_batch_size=1,
                memory_fraction_kind="of_total",
                memory_fraction_value=self.memory_share,
                tp_size=self.tp,
            )
        except ValueError:
            return None
        step = self._static("static_gen", batch_size=1, isl=PROMPT, osl=OUTPUT).get_memory()
        return {
            **self.name,
            "profile": f"vllm {self.version}",
            "gpu_mem_gib": round(found["total_gpu_capacity_bytes"] / (1 << 30), 3),
            "memory_share": self.memory_share,
            "weights_gib_per_gpu": round(step["weights"], 3),
            "runtime_overhead_gib": round(step["others"], 3),
            "comm_overhead_gib": round(step["nccl"], 3),
            "kv_bytes_per_token_per_gpu": found["kv_size_per_token_bytes"],
            "kv_tokens_capacity": found["total_kv_size_tokens"],
        }

    def rates(self, slowest_ms: float) -> Iterator[Row]:
        """Yield the benchmark's steady rates per role and batch, as the sweep computes them.

        Prefill: one prompt at a time. Decode: the mean step over the output. Mixed: the package's
        formula for one prompt per mixed step. Batches stop where KV memory does, and rows end at a
        time per output token of `slowest_ms`. No latency correction, no rate degradation.
        """
        shape = {"isl": PROMPT, "osl": OUTPUT}
        if self._fits(self._static("static_ctx", batch_size=1, **shape)):
            first = self._step_ms("static_ctx", batch_size=1, **shape)
            yield self._rate("prefill", 1, first, 0.0, 1000 / first)
        for batch in DECODE_BATCHES:
            output_ms = self._step_ms("static_gen", batch_size=batch, **shape)
            step = output_ms / (OUTPUT - 1)
            if step > slowest_ms or not self._fits(
                self._static("static_gen", batch_size=batch, **shape)
            ):
                break
            yield self._rate("decode", batch, 0.0, step, 1000 * batch / output_ms)
        for batch in DECODE_BATCHES:
            runtime = config.RuntimeConfig(batch_size=batch, prefix=0, **shape)
            summary = self.backend.run_agg(self.engine, self.database, runtime, ctx_tokens=PROMPT)
            cells = summary.get_result_dict()
            if not self._fits(summary) or cells["tpot"] > slowest_ms:
                break
            yield self._rate("mixed", batch, cells["ttft"], cells["tpot"], cells["seq/s"])

    @staticmethod
    def _fits(summary: Any) -> bool:
        return not summary.check_oom() and not summary.check_kv_cache_oom()

    def _rate(self, role: str, batch: int, ttft: float, tpot: float, rate: float) -> Row:
        times = {"ttft_ms": f"{ttft:.3f}", "tpot_ms": f"{tpot:.4f}"}
        return {**self.name, "role": role, "batch": batch, **times, "requests_per_s": f"{rate:.5f}"}
