"""The roofline: monotone where physics says so, and its fit finds what made the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.instances.calibration.roofline import default_efficiency, fit_efficiencies
from hexsolve.instances.calibration.table import Row
from hexsolve.instances.catalog import load_catalog
from hexsolve.models.roofline import AllReduceEfficiency, GPUEfficiency, Roofline, mean_all_reduce

CATALOG = load_catalog()
NAMES = ["llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v3", "gpt-oss-120b", "bloom-176b"]
FEW = settings(deadline=None, derandomize=True, max_examples=40)


def roofline(name: str, gpu: str = "h100", tp: int = 2) -> Roofline:
    return Roofline(CATALOG.llms[name], CATALOG.gpus[gpu], tp, CATALOG.efficiencies[gpu])


@given(st.sampled_from(NAMES), st.integers(1, 8), st.integers(1, 8000), st.integers(0, 30_000))
@FEW
def test_longer_prompts_and_longer_prefixes_take_longer(name, calls, new, cached):
    model = roofline(name)
    base = model.prefill_seconds([calls], [new], [cached])[0]
    assert model.prefill_seconds([calls], [new], [cached + 64])[0] >= base
    # The all-reduce may get faster where the ring takes over, so compare with a wide step.
    assert model.prefill_seconds([calls], [2 * new + 64], [cached])[0] > base * 0.9


@given(st.sampled_from(NAMES), st.integers(1, 256), st.integers(1, 60_000))
@FEW
def test_longer_contexts_decode_slower(name, batch, context):
    model = roofline(name)
    times = model.decode_seconds([batch, batch], [context, context + 1000])
    assert times[1] >= times[0] > 0


def test_prefill_cannot_beat_the_peak():
    for name in NAMES:
        llm, gpu = CATALOG.llms[name], CATALOG.gpus["h100"]
        tokens = 8192
        flops = llm.flops_per_token * tokens
        # gpt-oss and DeepSeek store weights below bf16; the fastest units bound them all.
        least = flops / (2 * gpu.flops("fp8"))
        assert roofline(name).prefill_seconds([1], [tokens], [0])[0] > least


def test_decode_cannot_beat_the_memory_bandwidth():
    for name in ("llama-3.1-8b", "llama-3.1-70b", "bloom-176b"):
        llm, gpu = CATALOG.llms[name], CATALOG.gpus["h200"]
        table = llm.vocabulary * llm.hidden_size * 2.0  # the input embedding is not read
        least = (llm.weight_bytes - table) / gpu.memory_bandwidth / 8
        assert roofline(name, "h200", 8).decode_seconds([1], [1])[0] > least


def test_sliding_windows_cap_the_cost_of_context():
    model = roofline("gpt-oss-120b")
    full = CATALOG.llms["gpt-oss-120b"].model_copy(
        update={"sliding_layers": 0, "sliding_window": 0}
    )
    unbounded = Roofline(full, CATALOG.gpus["h100"], 2, CATALOG.efficiencies["h100"])
    growth = np.diff(model.decode_seconds([64, 64], [1000, 50_000]))[0]
    assert growth == pytest.approx(
        np.diff(unbounded.decode_seconds([64, 64], [1000, 50_000]))[0] / 2
    )


def test_fit_recovers_the_times_of_another_gpu():
    """Rows made by known efficiencies: the fit predicts them, and a model it never saw."""
    gpu = CATALOG.gpus["h100"]
    truth = GPUEfficiency(
        gpu="h100", gemm_flops=0.6, gemm_bandwidth=0.7, prefill_attention_flops=0.5
    )
    points = [(b, n, 0.0) for b in (1, 4) for n in (64, 512, 4096)]
    steps = [(b, 1.0, c) for b in (1, 16, 128) for c in (512, 8192)]
    rows = []
    for name, tp in (("llama-3.1-8b", 1), ("llama-3.1-70b", 4), ("mistral-7b", 2)):
        model = Roofline(CATALOG.llms[name], gpu, tp, truth)
        for batch, new, cached in points:
            time = model.prefill_seconds([batch], [new], [cached])[0]
            rows.append(Row(name, "h100", tp, "prefill", batch, new, cached, time))
        for batch, _, cached in steps:
            time = model.decode_seconds([batch], [cached])[0]
            rows.append(Row(name, "h100", tp, "decode", batch, 1.0, cached, time))
    (fitted,) = fit_efficiencies(rows, CATALOG, "test", {"h100": GPUEfficiency(gpu="h100")})
    unseen = CATALOG.llms["qwen2.5-72b"]
    exact = Roofline(unseen, gpu, 4, truth)
    found = Roofline(unseen, gpu, 4, fitted)
    batch, new, cached = zip(*points, strict=True)
    error = found.prefill_seconds(batch, new, cached) / exact.prefill_seconds(batch, new, cached)
    assert np.abs(error - 1).mean() < 0.02
    assert fitted.models == 3


def test_all_reduce_changes_kernel_at_its_switch():
    reduce = AllReduceEfficiency(
        latency_s=1e-5, bandwidth=0.5, switch_bytes=1e6, ring_latency_s=5e-5, ring_bandwidth=0.8
    )
    times = reduce.seconds(np.array([1e6, 1e6 + 1]), 1e11)
    assert times[0] == pytest.approx(1e-5 + 1e6 / 5e10)
    assert times[1] == pytest.approx(5e-5 + 1e6 / 8e10, rel=1e-5)
    mean = mean_all_reduce([reduce, reduce.model_copy(update={"latency_s": 4e-5})])
    assert mean.latency_s == pytest.approx(2e-5)


def test_pcie_starts_below_a_fabric():
    pcie, fabric = (default_efficiency(CATALOG.gpus[name]) for name in ("l40s", "h100"))
    assert pcie.all_reduce_at(8).bandwidth < fabric.all_reduce_at(8).bandwidth
    assert fabric.all_reduce_at(16) == fabric.all_reduce_at(8)
