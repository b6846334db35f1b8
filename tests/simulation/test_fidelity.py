"""The simulated engine against a real vLLM run."""

import importlib.util
from pathlib import Path

import pytest

STUDY = Path(__file__).resolve().parents[2] / "results" / "fidelity" / "run.py"
LIMITS = {"ttft_s": 0.10, "tpot_s": 0.05, "e2e_s": 0.06}


def load_study():
    spec = importlib.util.spec_from_file_location("fidelity_study", STUDY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_vllm_log(data_dir):
    table = load_study().compare_vllm(data_dir)
    means = {row["quantity"]: row["error"] for row in table if row["statistic"] == "mean"}
    for quantity, limit in LIMITS.items():
        assert abs(means[quantity]) <= limit, quantity


def test_splitwise_steps(data_dir):
    for row in load_study().compare_splitwise(data_dir):
        assert row["decode_error"] <= 0.05
        assert row["prefill_error"] <= 0.10


@pytest.mark.parametrize("quantity", LIMITS)
def test_published_table_is_what_the_study_gives(data_dir, quantity):
    study = load_study()
    published = study.rows_of(STUDY.parent / "vllm_log.csv")
    fresh = study.compare_vllm(data_dir)
    for old, new in zip(published, fresh, strict=True):
        if old["quantity"] == quantity:
            assert float(old["simulated"]) == pytest.approx(new["simulated"], rel=1e-3)
