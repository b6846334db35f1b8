"""``hexsolve instance``: generated, imported, shown, validated and listed."""

import json
from pathlib import Path

import pytest
import yaml

from hexsolve.cli.instance_import import _name
from hexsolve.instances.generators import SHAPES
from hexsolve.instances.importers import FORMATS
from hexsolve.instances.resolve import load_problem
from hexsolve.instances.schema import Instance
from tests.cli.conftest import Run

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:17:{second:02d}.0,{100 + 37 * second},{5 + second}\n" for second in range(60)
)


def test_generate_writes_what_validates(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "chat.yaml"
    ran = run(
        *("instance", "generate", "chat", "--rate", 2, "--llm", "Llama_3.1_8B"),
        *("--cluster", "small", "--classes", 4, "--seed", 7, "--ttft", 1.5, "--tpot", 0.05),
        *("--slo-scale", 4, "-o", path),
    )
    assert (ran.code, ran.out) == (0, "")
    text = path.read_text()
    assert f"# Least cost for this load:    hexsolve plan {path.name}" in text
    problem = load_problem(path)
    (chat,) = problem.workload.classes
    assert (problem.llm.name, problem.cluster.name) == ("llama-3.1-8b", "small")
    assert (chat.rate_per_s, chat.ttft_limit_s, chat.tpot_limit_s) == (2.0, 1.5, 0.05)
    assert 1 <= len(chat.calls) <= 4
    assert problem.slo_scale == 4
    ran = run("instance", "validate", path)
    assert ran.code == 0
    assert f"{path}: ok, llama-3.1-8b on 48 GPUs, 1 workflow classes" in ran.out


def test_generate_is_reproducible_and_its_header_repeats_it(tmp_path: Path, run: Run) -> None:
    first = run("instance", "generate", "map-reduce", "--classes", 3)
    assert first.code == 0
    assert "rate 1" in first.err or "about a third of what hetero-2 can serve" in first.err
    made = next(line for line in first.out.splitlines() if "Made by hexsolve" in line)
    again = run(*made.split("Made by hexsolve ")[1].split())
    assert again.out == first.out
    other = run("instance", "generate", "map-reduce", "--classes", 3, "--seed", 1)
    assert yaml.safe_load(other.out)["workload"] != yaml.safe_load(first.out)["workload"]


def test_import_reports_and_keeps_totals(tmp_path: Path, run: Run) -> None:
    trace = tmp_path / "calls of may.csv"
    trace.write_text(AZURE)
    path = tmp_path / "out.yaml"
    ran = run("instance", "import", trace, "--llm", "llama-3.1-8b", "--classes", 4, "-o", path)
    assert (ran.code, ran.out) == (0, "")
    rows = [line.split(",") for line in AZURE.splitlines()[1:]]
    new, output = (sum(int(row[column]) for row in rows) for column in (1, 2))
    for part in (
        "format:      azure",
        "workflows:   60 with 60 calls",
        f"{new:,} new, 0 cached, {output:,} output",
        "rate:        1 workflows/s: that of the trace",
        "no pause is longer than 300 s",
        "note:        every request is a workflow of one call",
        "<- this instance",
    ):
        assert part in ran.err, ran.err
    problem = load_problem(path)
    assert problem.name == "calls-of-may"
    calls = [(each.rate_per_s, call) for each in problem.workload.classes for call in each.calls]
    assert len(calls) == 4
    assert sum(rate * call.new_tokens for rate, call in calls) == pytest.approx(new / 60, rel=1e-4)
    assert sum(rate * call.output_tokens for rate, call in calls) == pytest.approx(
        output / 60, rel=1e-4
    )
    assert "azure trace calls of may.csv" in problem.workload.approximation


SESSION = {
    "id": "s",
    "block_size": 64,
    "requests": [
        {"t": 0, "in": 640, "out": 30, "api_time": 2, "hash_rle": [[0, 10]]},
        {"t": 10, "in": 704, "out": 30, "api_time": 2, "hash_rle": [[0, 11]]},
        {"t": 9000, "in": 768, "out": 30, "api_time": 2, "hash_rle": [[0, 12]]},
    ],
}


def test_import_of_sessions_states_retention_and_rate(tmp_path: Path, run: Run) -> None:
    trace = tmp_path / "sessions.jsonl"
    trace.write_text(json.dumps(SESSION) + "\n")
    common = ("instance", "import", trace, "--llm", "llama-3.1-8b", "--cluster", "small")
    ran = run(*common)
    assert ran.code == 0
    assert "about a third of what small can serve, as the trace has no arrivals" in ran.err
    said = "prefixes are kept 300 s: 1 calls come after a longer pause"
    assert said in ran.err
    data = yaml.safe_load(ran.out)
    assert said in data["workload"]["approximation"]
    calls = data["workload"]["classes"][0]["calls"]
    assert max(call.get("tool_seconds", 0) for call in calls) == 300
    longer = yaml.safe_load(run(*common, "--retention", 1e5, "--rate", 0.5).out)["workload"]
    (sessions,) = longer["classes"]
    assert sessions["rate_per_s"] == 0.5
    assert max(call.get("tool_seconds", 0) for call in sessions["calls"]) == 8988


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("hello", "is in no known trace format; allowed: hexsolve, azure"),
        (AZURE + "2023-11-16 18:18:00.0,12", "row 61: has 2 values; allowed: at least 3"),
        (AZURE.replace("100,5", "-1,5"), "ContextTokens"),
        (json.dumps(SESSION)[:-30], "is not valid JSON"),
    ],
)
def test_a_bad_trace_is_refused_in_one_line(
    tmp_path: Path, run: Run, content: str, said: str
) -> None:
    trace = tmp_path / "bad.txt"
    trace.write_text(content)
    ran = run("instance", "import", trace)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {trace}")
    assert ran.err.count("\n") == 1
    assert said in ran.err


def test_options_of_import(tmp_path: Path, run: Run) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text(AZURE)
    for arguments, said in (
        (["--format", "xml"], "'xml'; allowed: hexsolve, azure"),
        (["--retention", "nan"], "--retention"),
        (["--rate", "0"], "--rate"),
        (["--cluster", "smal"], "did you mean 'small'"),
        (["--llm", "deepseek-v3", "--cluster", "small", "--format", "mlperf"], "trace.csv"),
    ):
        ran = run("instance", "import", trace, *arguments)
        assert ran.code == 2
        assert said in ran.err, ran.err


def test_instance_names_come_from_files() -> None:
    assert _name(Path("a/azure 2023.csv.gz")) == "azure-2023"
    assert _name(Path("_äö_.jsonl")) == "trace"
    assert _name(Path("x" * 200)) == "x" * 80


def test_show(run: Run) -> None:
    ran = run("instance", "show")
    assert ran.code == 0
    for part in (
        "default: llama-3.1-70b on cluster small, 48 GPUs",
        "Engines on which it fits",
        "measured",
        "tool-calling",
        "Total per s 20.81 calls; tokens: 10,410 new, 73,564 cached, 3,183 output",
        "SLO scale   2",
    ):
        assert part in ran.out, ran.out
    data = json.loads(run("instance", "show", "--json").out)
    assert data["name"] == "default"
    assert {engine["gpu"] for engine in data["engines"]} == {"a100-80", "h100", "h200"}


def test_validate_tells_each_file(tmp_path: Path, run: Run) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    cluster = "cluster: small\nworkload: {classes: [{use: chat, rate_per_s: 1}]}\n"
    good.write_text(f"llm: llama-3.1-8b\n{cluster}")
    bad.write_text(f"llm: llama-9\n{cluster}")
    ran = run("instance", "validate", bad, good, tmp_path / "none.yaml")
    assert ran.code == 2
    assert ran.out.startswith(f"{good}: ok, ")
    first, second = ran.err.splitlines()
    assert f"{bad}: llm: unknown LLM 'llama-9'; allowed: " in first
    assert second.startswith(f"error: {tmp_path / 'none.yaml'}: does not exist")
    assert run("instance", "validate").code == 2


def test_the_schema_is_that_of_instances(run: Run) -> None:
    schema = json.loads(run("instance", "validate", "--schema").out)
    assert set(schema["properties"]) == set(Instance.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["llm", "cluster", "workload"]


def test_list_names_everything_with_prices_and_dates(run: Run) -> None:
    data = json.loads(run("instance", "list", "--json").out)
    assert [shape["name"] for shape in data["shapes"]] == list(SHAPES)
    assert all(gpu["as_of"] and gpu["price_source"] for gpu in data["gpus"])
    text = run("instance", "list").out
    for section in ("shapes", "workflow_classes", "llms", "gpus", "clusters"):
        for entry in data[section]:
            assert entry["name"] in text
    assert "2026-05-29" in text


def test_help_of_import_names_every_format(run: Run) -> None:
    text = run("instance", "import", "--help").out
    assert all(name in text for name in FORMATS)


@pytest.mark.parametrize(
    ("trace", "workflows", "said"),
    [
        pytest.param(
            "weka_claude_code.jsonl.gz",
            1,
            "2,071 calls come after a longer pause",
            marks=pytest.mark.slow,
        ),
        ("weka_raw", 1, "3 calls come after a longer pause"),
        ("azure_2023_code.csv.gz", 8, "rate:        2.5664 workflows/s: that of the trace"),
        pytest.param(
            "azure_2023_conv.csv.gz",
            8,
            "rate:        5.53014 workflows/s: that of the trace",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_real_traces_become_instances(
    tmp_path: Path, run: Run, data_dir: Path, trace: str, workflows: int, said: str
) -> None:
    path = tmp_path / "real.yaml"
    source = data_dir / "traces" / trace
    ran = run("instance", "import", source, "--classes", 8, "-o", path)
    assert ran.code == 0, ran.err
    assert said in ran.err
    assert len(load_problem(path).workload.classes) == workflows
