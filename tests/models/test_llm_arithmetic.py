"""Weights, KV and FLOPs against published figures, and memory against a measured pool."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.instances.catalog import load_catalog
from hexsolve.instances.performance import memory_model
from hexsolve.models.hardware import GIB
from hexsolve.models.llm import LLM

CATALOG = load_catalog()

# Parameters in 1e9 as the publishers state them (model cards).
PARAMETERS = {
    "llama-3.1-8b": (8.03, None),
    "llama-3.1-70b": (70.6, None),
    "llama-3.1-405b": (405.9, None),
    "llama-3.2-1b": (1.24, None),
    "llama-2-70b": (69.0, None),
    "bloom-176b": (176.2, None),
    "mistral-7b": (7.25, None),
    "mixtral-8x7b": (46.7, 12.9),
    "mixtral-8x22b": (140.6, 39.2),
    "qwen2.5-72b": (72.7, None),
    "qwen3-0.6b": (0.596, None),
    "qwen3-8b": (8.19, None),
    "qwen3-32b": (32.8, None),
    "qwen3-30b-a3b": (30.5, 3.3),
    "qwen3-235b-a22b": (235.1, 22.2),
    "qwen3-coder-480b-a35b": (480.2, 35.4),
    "deepseek-v3": (671.0, 37.6),
    "gpt-oss-20b": (20.9, 3.61 + 0.58),  # the card leaves the input embedding out
    "gpt-oss-120b": (116.8, 5.13 + 0.58),
}


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_parameter_counts_are_those_of_the_model_cards(name):
    llm = CATALOG.llms[name]
    total, active = PARAMETERS[name]
    assert llm.parameters / 1e9 == pytest.approx(total, rel=0.01)
    if active is not None:
        assert llm.active_parameters / 1e9 == pytest.approx(active, rel=0.02)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama-3.1-8b", 131_072),
        ("llama-3.1-70b", 327_680),
        ("qwen3-235b-a22b", 192_512),
        ("deepseek-v3", 61 * 576 * 2),
        ("bloom-176b", 70 * 2 * 112 * 128 * 2),
        # Half of the layers keep a window of 128 tokens only.
        ("gpt-oss-120b", 18 * 2 * 8 * 64 * 2),
    ],
)
def test_kv_bytes_per_token(name, expected):
    assert CATALOG.llms[name].kv_bytes_per_token == expected


def test_kv_heads_are_replicated_when_there_are_more_gpus_than_heads():
    llm = CATALOG.llms["qwen3-235b-a22b"]
    assert llm.kv_bytes_per_token_per_gpu(4) == llm.kv_bytes_per_token_per_gpu(8) == 48_128
    latent = CATALOG.llms["deepseek-v3"]
    assert latent.kv_bytes_per_token_per_gpu(8) == latent.kv_bytes_per_token


def test_pipeline_stages_share_weights_and_kv():
    llm = CATALOG.llms["llama-3.1-70b"]
    assert llm.weight_bytes_per_gpu(4, 2) == pytest.approx(llm.weight_bytes_per_gpu(4) / 2)
    assert llm.kv_bytes_per_token_per_gpu(4, 2) == llm.kv_bytes_per_token_per_gpu(4) / 2


def test_flops_per_token_are_about_twice_the_active_parameters():
    for llm in CATALOG.llms.values():
        assert 1.5 * llm.active_parameters < llm.flops_per_token <= 2 * llm.active_parameters


def test_shapes_that_do_not_divide_are_refused():
    assert CATALOG.llms["qwen2.5-7b"].divides(4)
    assert not CATALOG.llms["qwen2.5-7b"].divides(8)  # 28 heads
    assert CATALOG.llms["qwen3-235b-a22b"].divides(8)  # 4 KV heads, each on two GPUs
    assert not CATALOG.llms["llama-3.1-8b"].divides(3)


def test_kv_pool_of_a_real_engine():
    # vLLM 0.19 with Llama-3.1-8B on one RTX 4090 reported 41,408 tokens.
    llm, gpu = CATALOG.llms["llama-3.1-8b"], CATALOG.gpus["rtx-4090"]
    assert memory_model(CATALOG, gpu).kv_capacity_tokens(llm, gpu, 1) == pytest.approx(
        41_408, rel=0.05
    )


@given(st.sampled_from(sorted(CATALOG.llms)), st.sampled_from([1, 2, 4, 8]))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_kv_pool_and_weights_fill_no_more_than_the_memory(name, tp):
    llm = CATALOG.llms[name]
    for gpu in CATALOG.gpus.values():
        memory = memory_model(CATALOG, gpu)
        tokens = memory.kv_capacity_tokens(llm, gpu, tp)
        used = llm.weight_bytes_per_gpu(tp) + memory.overhead_bytes(llm, tp)
        if tokens:
            assert used + tokens * llm.kv_bytes_per_token_per_gpu(tp) <= gpu.memory_bytes
        else:
            assert used + llm.kv_bytes_per_token_per_gpu(tp) > memory.utilisation * gpu.memory_bytes


def test_memory_overheads_by_hand():
    llm, gpu = CATALOG.llms["llama-3.1-8b"], CATALOG.gpus["h100"]
    memory = memory_model(CATALOG, gpu)
    assert memory.activation_bytes(llm, 1) == 11 * 8192 * 4096 * 2
    assert memory.overhead_bytes(llm, 4) / GIB == pytest.approx(0.3125 + 3.5 + 392 / 1024)


def test_inconsistent_latent_attention_is_refused():
    shape = {"layers": 1, "hidden_size": 64, "intermediate_size": 64, "attention_heads": 4}
    with pytest.raises(ValueError, match="mla_rope_size"):
        LLM(
            name="m",
            kv_heads=4,
            head_size=16,
            vocabulary=100,
            kv_latent_size=8,
            mla_rope_size=8,
            **shape,
        )
