"""Tables from the optional package: its remedy when absent, and the grid it is asked for."""

import importlib.util
import json

import pytest

from hexsolve.instances.calibration.aiconfigurator import (
    REMEDY,
    config_json,
    grid,
    step_table,
    step_tables,
)
from hexsolve.instances.catalog import load_catalog
from hexsolve.models.errors import InputError, UnsupportedError

CATALOG = load_catalog()
INSTALLED = importlib.util.find_spec("aiconfigurator_core") is not None


class FakeEngine:
    """Answers with the arguments, so that the test sees what was asked."""

    def predict_prefill_latency(self, bs: int, isl: int, prefix: int = 0) -> float:
        return bs * 1e6 + isl + prefix / 1e6

    def predict_decode_latency(self, bs: int, isl: int, osl: int = 2) -> float:
        if isl == 512 and bs == 2:
            raise ValueError("no data\nsecond line")
        return bs * 1e6 + isl + osl / 1e6


def test_rows_are_asked_for_by_prompt_length_with_prefix():
    llm, gpu = CATALOG.llms["qwen3-8b"], CATALOG.gpus["h100"]
    rows = step_table(llm, gpu, 1, 256, lambda *_: FakeEngine())
    prefix = next(row for row in rows if row.phase == "prefill" and row.cached == 2048)
    asked = prefix.new + 2048 + 2048 / 1e6
    assert prefix.seconds == pytest.approx((1e6 + asked) / 1e3)
    assert [row.batch for row in rows if row.phase == "decode"] == [1]


def test_grid_is_that_of_the_shipped_tables():
    points = list(grid(10**9))
    assert len([point for point in points if point[0] == "prefill"]) == 11 * 4 + 6 * 4
    assert len([point for point in points if point[0] == "decode"]) == 81
    assert all(batch * cached <= 1000 for _, batch, _, cached in grid(1000) if _ == "decode")


def test_missing_measurements_are_named_and_the_rest_is_kept():
    llm = CATALOG.llms["qwen3-8b"]
    big = CATALOG.llms["llama-3.1-405b"]
    gpus = [CATALOG.gpus["h100"]]
    rows, missing = step_tables(CATALOG, [llm, big], gpus, [1], opener=lambda *_: FakeEngine())
    assert rows == []
    assert len(missing) == 2
    assert "has no decode time for qwen3-8b on h100 tp 1: no data" in missing[0]
    assert "second line" not in missing[0]
    assert "leaves no memory" in missing[1]


def test_errors_of_the_package_become_one_line():
    def refuse(*_):
        raise InputError("aiconfigurator-core cannot model it")

    _, missing = step_tables(
        CATALOG, [CATALOG.llms["qwen3-8b"]], [CATALOG.gpus["h100"]], [1], opener=refuse
    )
    assert missing == ["aiconfigurator-core cannot model it"]


@pytest.mark.skipif(INSTALLED, reason="the extra aiconfigurator is installed")
def test_without_the_package_the_remedy_is_named():
    with pytest.raises(UnsupportedError) as caught:
        step_table(CATALOG.llms["qwen3-8b"], CATALOG.gpus["h100"], 1, 1000)
    assert REMEDY in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not INSTALLED, reason="needs the extra aiconfigurator")
def test_real_package_reproduces_the_shared_table(data_dir):
    from hexsolve.instances.calibration.table import read_table

    table = read_table(data_dir / "latency" / "latency_table.csv", CATALOG)
    expected = {row[:7]: row.seconds for row in table}
    rows = step_table(CATALOG.llms["llama-3.1-8b"], CATALOG.gpus["h100"], 2, 1_013_862)
    for row in rows:
        assert row.seconds == pytest.approx(expected[row[:7]], rel=1e-3)


def test_config_describes_the_architecture():
    dense = config_json(CATALOG.llms["llama-3.1-8b"])
    assert dense["architectures"] == ["LlamaForCausalLM"]
    assert dense["num_key_value_heads"] == 8
    assert config_json(CATALOG.llms["qwen3-8b"])["architectures"] == ["Qwen3ForCausalLM"]
    latent = config_json(CATALOG.llms["deepseek-v3"])
    assert latent["kv_lora_rank"] == 512
    assert latent["quantization_config"]["quant_method"] == "fp8"
    experts = config_json(CATALOG.llms["mixtral-8x7b"])
    assert (experts["num_local_experts"], experts["num_experts_per_tok"]) == (8, 2)
    json.dumps(latent)
