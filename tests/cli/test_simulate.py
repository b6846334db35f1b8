"""``hexsolve simulate`` end to end, on the embedded example."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hexsolve.cli.main import cli
from hexsolve.models.errors import InputError

KEYS = {
    "policy", "seed", "workflows", "calls", "req95", "req99", "attainment", "ttft", "tpot",
    "utilisation", "wall_s",
}  # fmt: skip


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    result = CliRunner().invoke(cli, ["plan", "-o", str(path)], catch_exceptions=False)
    assert result.exit_code == 0
    return str(path)


def simulate(*arguments: str) -> dict:
    result = CliRunner().invoke(cli, ["simulate", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("policy", ["round-robin", "least-work", "workflow-fcfs"])
def test_everything_but_wall_time_repeats(answer, policy):
    arguments = (answer, "--policy", policy, "-n", "40", "--seed", "7")
    one, two = simulate(*arguments), simulate(*arguments)
    assert set(one) >= KEYS
    one.pop("wall_s")
    two.pop("wall_s")
    assert one == two
    assert one["workflows"] == 40
    assert one["req95"] <= one["req99"]


def test_the_attainment_curve_is_whole(answer):
    """The scale that each share of the workflows needs, with intervals; Req95 lies on it."""
    summary = simulate(answer, "-n", "60", "--seed", "3")
    curve = summary["attainment_curve"]
    assert [point["share"] for point in curve] == [percent / 100 for percent in range(1, 101)]
    scales = [point["scale"] for point in curve]
    assert scales == sorted(scales)
    assert len(set(scales)) > 40
    assert all(p["ci95"][0] <= p["scale"] <= p["ci95"][1] for p in curve)
    assert sum(p["ci95"][0] < p["ci95"][1] for p in curve) > 90
    for percent in (95, 99):
        point = curve[percent - 1]
        assert (point["scale"], point["ci95"]) == (
            summary[f"req{percent}"],
            summary[f"req{percent}_ci95"],
        )
    assert scales[-1] == summary["slowdown"]["max"]
    for scale, share in summary["attainment"].items():
        within = [point["share"] for point in curve if point["scale"] <= float(scale)]
        assert share - 0.02 <= max(within, default=0.0) <= share + 1e-9


def test_other_seeds_and_predictors_give_other_runs(answer):
    base = simulate(answer, "-n", "40")
    assert simulate(answer, "-n", "40", "--seed", "1")["req99"] != base["req99"]
    assert simulate(answer, "-n", "40", "--predictor", "noise-1.0")["calls"] == base["calls"]


def test_record_and_trace_are_complete(answer, tmp_path):
    log, trace = tmp_path / "log.jsonl", tmp_path / "trace.json"
    summary = simulate(
        answer,
        "-n",
        "10",
        "--workload",
        "plan-execute",
        "--record",
        str(log),
        "--trace",
        str(trace),
    )
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [e["t"] for e in events] == sorted(e["t"] for e in events)
    assert sum(e["event"] == "done" for e in events) == summary["calls"]
    assert sum(e["event"] == "workflow-done" for e in events) == 10
    slices = json.loads(trace.read_text())["traceEvents"]
    drawn = [s for s in slices if s["ph"] == "X"]
    assert len({s["args"]["call"] for s in drawn}) == summary["calls"]
    end_us = max(s["ts"] + s["dur"] for s in drawn)
    assert end_us == pytest.approx(1e6 * events[-1]["t"], abs=1.0)


def test_a_person_gets_a_summary(answer):
    result = CliRunner().invoke(cli, ["simulate", answer, "-n", "20"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "Req95" in result.output
    assert "US$ per 1,000 workflows" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "magic"], "unknown policy 'magic'; allowed: round-robin"),
        (["--predictor", "noise-x"], "unknown predictor 'noise-x'"),
        (["--workload", "nothing-such"], "allowed: classes, an existing file"),
    ],
)
def test_mistakes_are_named(answer, arguments, message):
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(cli, ["simulate", answer, *arguments], catch_exceptions=False)


def test_an_answer_for_another_instance_is_refused(answer, tmp_path):
    data = json.loads(Path(answer).read_text())
    data["instance_hash"] = "0" * 64
    other = tmp_path / "other.json"
    other.write_text(json.dumps(data))
    with pytest.raises(InputError, match="was made for instance"):
        CliRunner().invoke(cli, ["simulate", str(other)], catch_exceptions=False)
