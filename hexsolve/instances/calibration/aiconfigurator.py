"""Tables of step times from the public package aiconfigurator-core (extra ``aiconfigurator``).

The package (Apache-2.0) composes a step from operator times measured on silicon; it is asked for
its vLLM profile, bf16 activations, experts split over the tp GPUs.
"""

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Protocol

from hexsolve.instances.calibration.table import Row
from hexsolve.instances.catalog import Catalog
from hexsolve.instances.performance import memory_model
from hexsolve.models.errors import InputError, UnsupportedError, allowed
from hexsolve.models.hardware import GPU
from hexsolve.models.llm import LLM

REMEDY = "pip install 'hexsolve[aiconfigurator]'"
BACKEND = "vllm"
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
NEW_TOKENS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
CACHED_TOKENS = (512, 2048, 8192, 16384, 32768, 65536)
NEW_AFTER_CACHED = (64, 256, 1024, 4096)
CONTEXTS = (256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)


class StepTimes(Protocol):
    """The part of the package's engine that is used; times in ms."""

    def predict_prefill_latency(self, bs: int, isl: int, prefix: int = 0) -> float:
        """Return the time of `bs` prompts of `isl` tokens, `prefix` of them cached."""

    def predict_decode_latency(self, bs: int, isl: int, osl: int = 2) -> float:
        """Return the time of one step of `bs` sequences."""

    def mixed_step_latency(self, ctx_tokens: int, gen_tokens: int, isl: int, osl: int) -> float:
        """Return the time of one step that prefills `ctx_tokens` and decodes `gen_tokens`."""


OpenEngine = Callable[[LLM, GPU, int], StepTimes]


def step_table(
    llm: LLM,
    gpu: GPU,
    tp: int,
    kv_capacity_tokens: int,
    opener: OpenEngine | None = None,
) -> list[Row]:
    """Return the step times of one (LLM, GPU, tp) on the grid of the shipped coefficients.

    Parameters
    ----------
    llm, gpu, tp
        What to take.
    kv_capacity_tokens : int
        Decode steps whose context does not fit are left out.
    opener : callable, optional
        Opens the package's engine; given in tests.

    Raises
    ------
    UnsupportedError
        The package is not installed.
    InputError
        It has no measurements for this LLM on this GPU.
    """
    engine = (opener or open_engine)(llm, gpu, tp)
    rows = []
    for phase, batch, new, cached in grid(kv_capacity_tokens):
        try:
            if phase == "prefill":
                ms = engine.predict_prefill_latency(batch, new + cached, cached)
            else:
                ms = engine.predict_decode_latency(batch, cached, 2)
        except Exception as error:
            raise InputError(
                f"aiconfigurator-core has no {phase} time for {llm.name} on {gpu.name} tp {tp}: "
                f"{_first_line(error)}"
            ) from None
        rows.append(Row(llm.name, gpu.name, tp, phase, batch, new, cached, ms / 1e3))
    return rows


def step_tables(
    catalog: Catalog,
    llms: Sequence[LLM],
    gpus: Sequence[GPU],
    tps: Sequence[int],
    progress: Callable[[str], None] = lambda _: None,
    opener: OpenEngine | None = None,
) -> tuple[list[Row], list[str]]:
    """Return the tables of all combinations that fit and are known, and why others are missing.

    Raises
    ------
    UnsupportedError
        The package is not installed.
    """
    rows: list[Row] = []
    missing: list[str] = []
    for llm, gpu, tp in product(llms, gpus, tps):
        name = f"{llm.name} on {gpu.name} tp {tp}"
        capacity = memory_model(catalog, gpu).kv_capacity_tokens(llm, gpu, tp)
        if not llm.divides(tp) or capacity < CONTEXTS[0]:
            missing.append(f"{name}: does not divide or leaves no memory for KV")
            continue
        try:
            rows += step_table(llm, gpu, tp, capacity, opener)
        except InputError as error:
            missing.append(error.message)
        progress(name)
    return rows, missing


def grid(kv_capacity_tokens: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield (phase, batch, new tokens, cached tokens)."""
    for new in NEW_TOKENS:
        for batch in BATCHES[:4]:
            yield "prefill", batch, new, 0
    for cached in CACHED_TOKENS:
        for new in NEW_AFTER_CACHED:
            yield "prefill", 1, new, cached
    for context in CONTEXTS:
        for batch in BATCHES:
            if batch * context <= kv_capacity_tokens:
                yield "decode", batch, 1, context


def to_csv(rows: Sequence[Row]) -> str:
    """Return rows in the format that `calibrate fit` and `evaluate` read."""
    lines = ["model,gpu,tp,phase,batch,new_tokens,cached_tokens,latency_ms"]
    lines += [
        f"{row.llm},{row.gpu},{row.tp},{row.phase},{row.batch:g},{row.new:g},{row.cached:g},"
        f"{row.seconds * 1e3:.4f}"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def open_engine(llm: LLM, gpu: GPU, tp: int) -> StepTimes:
    """Return the package's engine for one LLM on `tp` GPUs of a type.

    Raises
    ------
    UnsupportedError
        The package is not installed.
    InputError
        It does not know the GPU type or cannot model the LLM on it.
    """
    with _quiet():
        package = _package()
        system = _system(package, gpu)
        with tempfile.TemporaryDirectory() as folder:
            config = json.dumps(_published_config(package, llm) or config_json(llm))
            Path(folder, "config.json").write_text(config, encoding="utf-8")
            try:
                spec = package.engine.compile_engine(
                    folder, system, BACKEND, tp_size=tp, moe_tp_size=tp, moe_ep_size=1
                )
                engine: StepTimes = package.core.AicEngine.from_spec(spec)
            except Exception as error:
                raise InputError(
                    f"aiconfigurator-core cannot model {llm.name} on {gpu.name} tp {tp}: "
                    f"{_first_line(error)}"
                ) from None
    return engine


class _Package:
    def __init__(self) -> None:
        import aiconfigurator_core
        from aiconfigurator_core.sdk import engine

        self.core: Any = aiconfigurator_core
        self.engine: Any = engine
        self.folder = Path(str(aiconfigurator_core.__file__)).parent


def _package() -> _Package:
    try:
        return _Package()
    except ImportError as error:
        raise UnsupportedError(
            f"tables from aiconfigurator need the package aiconfigurator-core ({error}); "
            f"install it with: {REMEDY}"
        ) from None


def _system(package: _Package, gpu: GPU) -> str:
    described = {
        path.stem
        for path in (package.folder / "systems").glob("*.yaml")
        if (package.folder / "systems" / "data" / path.stem).is_dir()
    }
    for name in (gpu.name, *gpu.aliases):
        if name in described:
            return name
    raise InputError(
        f"aiconfigurator-core has no GPU type {gpu.name!r}; allowed: {allowed(sorted(described))}"
    )


def _published_config(package: _Package, llm: LLM) -> dict[str, Any] | None:
    """Return the config.json of the LLM's repository if the package brings it along."""
    repository = llm.source.removeprefix("https://huggingface.co/")
    for name in (repository, repository.replace("/Llama-3.1", "/Meta-Llama-3.1")):
        path = package.folder / "model_configs" / f"{name.replace('/', '--')}_config.json"
        if path.is_file():
            config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return config
    return None


def config_json(llm: LLM) -> dict[str, Any]:
    """Return a Hugging Face style config.json that describes an LLM."""
    dense, sparse = "LlamaForCausalLM", "MixtralForCausalLM"
    if llm.qk_norm:
        dense, sparse = "Qwen3ForCausalLM", "Qwen3MoeForCausalLM"
    config: dict[str, Any] = {
        "architectures": [sparse if llm.experts else dense],
        "num_hidden_layers": llm.layers,
        "hidden_size": llm.hidden_size,
        "intermediate_size": llm.intermediate_size,
        "num_attention_heads": llm.attention_heads,
        "num_key_value_heads": llm.kv_heads,
        "head_dim": llm.head_size,
        "vocab_size": llm.vocabulary,
        "max_position_embeddings": llm.context_limit,
        "tie_word_embeddings": llm.tied_embeddings,
        "torch_dtype": "bfloat16",
    }
    if llm.experts:
        config["num_local_experts"] = llm.experts
        config["num_experts_per_tok"] = llm.active_experts
        config["moe_intermediate_size"] = llm.expert_intermediate_size
    if llm.is_mla:
        config |= {
            "architectures": ["DeepseekV3ForCausalLM"],
            "n_routed_experts": llm.experts,
            "n_shared_experts": llm.shared_experts,
            "first_k_dense_replace": llm.dense_layers,
            "kv_lora_rank": llm.kv_latent_size - llm.mla_rope_size,
            "q_lora_rank": llm.query_latent_size,
            "qk_rope_head_dim": llm.mla_rope_size,
            "qk_nope_head_dim": llm.head_size,
            "v_head_dim": llm.head_size,
        }
    if llm.weight_dtype == "fp8":
        config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    return config


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the package's notices off the screen."""
    logging.getLogger("aiconfigurator_core").setLevel(logging.CRITICAL)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
