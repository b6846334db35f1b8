"""hexsolve calibrate, as a user runs it."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from hexsolve.cli.calibrate import calibrate
from hexsolve.instances.calibration.aiconfigurator import to_csv
from hexsolve.instances.calibration.evaluate import predict
from hexsolve.instances.calibration.table import Row
from hexsolve.instances.catalog import load_catalog
from hexsolve.instances.performance import step_coefficients
from hexsolve.models.errors import InputError

CATALOG = load_catalog()


@pytest.fixture
def table(tmp_path):
    """A table of two models on one GPU type."""
    rows = []
    for name in ("llama-3.1-8b", "qwen3-14b"):
        steps = step_coefficients(CATALOG, CATALOG.llms[name], CATALOG.gpus["h100"], 2)
        for batch in (1, 4):
            for new in (64, 512, 4096):
                rows.append(Row(name, "h100", 2, "prefill", batch, new, 0, 1.0))
                rows.append(Row(name, "h100", 2, "decode", batch * 8, 1, new, 1.0))
        rows = [
            row._replace(seconds=predict(steps, row)) if row.llm == name else row for row in rows
        ]
    path = tmp_path / "table.csv"
    path.write_text(to_csv(rows))
    return path


def run(*arguments):
    return CliRunner().invoke(calibrate, [str(item) for item in arguments])


def test_evaluate_json_has_exactly_the_documented_shape(table):
    result = run("evaluate", table, "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert sorted(data) == ["groups", "overall"]
    assert sorted(data["overall"]) == ["decode", "prefill"]
    assert 0 <= data["overall"]["decode"]["mape"] < 0.01
    assert len(data["groups"]) == 4
    for group in data["groups"]:
        assert {
            "model",
            "gpu",
            "tp",
            "phase",
            "rows",
            "mape",
            "origin",
            "extrapolated_rows",
        } <= set(group)
    origins = {group["model"]: group["origin"] for group in data["groups"]}
    assert origins == {"llama-3.1-8b": "measured", "qwen3-14b": "roofline"}


def test_evaluate_for_people(table):
    result = run("evaluate", table)
    assert result.exit_code == 0
    for text in ("qwen3-14b", "roofline", "measured", "overall prefill", "overall decode"):
        assert text in result.stdout


def test_roofline_option_ignores_fitted_coefficients(table):
    data = json.loads(run("evaluate", table, "--roofline", "--json").stdout)
    assert {group["origin"] for group in data["groups"]} == {"roofline"}


def test_fit_writes_a_file_that_evaluate_takes(table, tmp_path):
    output = tmp_path / "mine.yaml"
    result = run("fit", table, "-o", output)
    assert result.exit_code == 0, result.output
    assert "In-sample mean absolute error" in result.stdout
    data = json.loads(run("evaluate", table, "--catalog", output, "--json").stdout)
    assert {group["origin"] for group in data["groups"]} == {"measured"}
    fits = json.loads(run("fit", table, "--json").stdout)
    assert {item["llm"] for item in fits} == {"llama-3.1-8b", "qwen3-14b"}


def test_leave_out_refits_without_the_model(table):
    data = json.loads(run("evaluate", table, "--leave-out", "qwen3-14b", "--json").stdout)
    assert {group["model"] for group in data["groups"]} == {"qwen3-14b"}
    assert data["overall"]["decode"]["mape"] < 0.25


def test_an_own_llm_is_defined_in_a_file(table, tmp_path):
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(table.read_text().replace("qwen3-14b", "acme-14b"))
    with pytest.raises(InputError, match="line 14: model: unknown LLM 'acme-14b'"):
        CliRunner().invoke(calibrate, ["evaluate", str(renamed)], catch_exceptions=False)
    llms = tmp_path / "llms.yaml"
    llms.write_text(
        "llms:\n  - {name: acme-14b, layers: 40, hidden_size: 5120, intermediate_size: 17408,\n"
        "     attention_heads: 40, kv_heads: 8, head_size: 128, vocabulary: 151936,\n"
        "     qk_norm: true}\n"
    )
    result = run("evaluate", renamed, "--llms", llms, "--json")
    assert result.exit_code == 0, result.output
    errors = [group["mape"] for group in json.loads(result.stdout)["groups"]]
    assert max(errors) < 0.01


def test_roofline_command_writes_efficiencies(table, tmp_path):
    output = tmp_path / "efficiencies.yaml"
    result = run("roofline", table, "-o", output)
    assert result.exit_code == 0, result.output
    assert "1 GPU types" in result.stdout
    data = run("evaluate", table, "--roofline", "--catalog", output, "--json").stdout
    assert json.loads(data)["overall"]["decode"]["mape"] < 0.1


@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_bad_tables_end_in_one_line_and_exit_code_2(tmp_path, command):
    path = tmp_path / "bad.csv"
    path.write_text("model,gpu\nx,y\n")
    done = subprocess.run(
        [sys.executable, "-m", "hexsolve.cli.main", "calibrate", command, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr


def test_output_that_cannot_be_written(table, tmp_path):
    with pytest.raises(InputError, match="its folder does not exist"):
        CliRunner().invoke(
            calibrate,
            ["fit", str(table), "-o", str(tmp_path / "none" / "x.yaml")],
            catch_exceptions=False,
        )


def test_a_model_that_the_catalog_lacks_is_told_how_to_add_it(table, tmp_path):
    path = tmp_path / "other.csv"
    header, row = table.read_text().splitlines()[:2]
    path.write_text(f"{header}\nmy-model,{row.split(',', 1)[1]}\n")
    with pytest.raises(InputError, match=r"'my-model'.*under llms: in a YAML file.*--catalog"):
        CliRunner().invoke(calibrate, ["evaluate", str(path)], catch_exceptions=False)
