"""What `hexsolve simulate` draws when left to itself, and what it says about that."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from hexsolve.cli.run_length import LATENCIES_PER_RUN, MOST_CALLS, run_length, short_run
from hexsolve.models.workflow import Call, Workflow
from tests.cli.conftest import Answer, Run, planned

INSTANCE = """\
name: two-classes
llm: llama-3.1-8b
cluster: {name: one, pools: [{gpu: h100, gpus_per_node: 2, nodes: 1}]}
slo_scale: 3
workload:
  classes:
  - {name: question, rate_per_s: 4, calls: [{name: only, new_tokens: 500, output_tokens: 100}]}
  - name: rare
    rate_per_s: 0.001
    calls: [{name: long, new_tokens: 2000, output_tokens: 1500}]
engines: {tensor_parallel: [1]}
"""


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    return planned(tmp_path_factory.mktemp("plan"), INSTANCE)


def test_a_run_is_twenty_times_as_long_as_its_slowest_class_takes(run: Run, answer: Answer) -> None:
    promised = json.loads(answer[0].read_text())["plan"]["latency_s"]
    ran = run("simulate", *answer, "--json")
    assert "short run" not in ran.err
    summary = json.loads(ran.out)
    expected = LATENCIES_PER_RUN * max(promised.values()) * 4.001
    assert expected <= summary["workflows"] <= expected + 1
    assert summary["workflows"] > 200
    faster = json.loads(run("simulate", *answer, "--json", "--rate", 8.002).out)
    assert faster["workflows"] == pytest.approx(2 * expected, abs=1.5)


def test_a_generator_is_run_long_enough_too(run: Run, answer: Answer) -> None:
    ran = run("simulate", *answer, "--workload", "chat", "--json")
    summary = json.loads(ran.out)
    assert summary["workflows"] > 200
    same = run("simulate", *answer, "--workload", "chat", "-n", summary["workflows"], "--json")
    again = json.loads(same.out)
    assert again["req95"] == summary["req95"]


def test_a_count_that_is_too_small_gives_one_warning(run: Run, answer: Answer) -> None:
    ran = run("simulate", *answer, "-n", 40, "--workload", "plan-execute")
    assert ran.code == 0
    (line,) = ran.err.splitlines()
    assert line.startswith("warning: a short run: all arrive within ")
    assert "plan-execute takes" in line
    assert "; -n " in line


def test_limits_of_the_rule() -> None:
    assert run_length(10.0, 5.0, 1.0) == 10 * 5 * LATENCIES_PER_RUN
    assert run_length(0.01, 5.0, 1.0) == 200
    assert run_length(10.0, 1e6, 10.0) == MOST_CALLS / 10


def test_a_run_that_is_long_for_its_flow_times_is_not_called_short() -> None:
    flows = [Workflow(f"w{n}", float(n), (Call(1, 1),), "a" if n % 2 else "b") for n in range(101)]
    took = np.where([each.workflow_class == "a" for each in flows], 9.9, 1.0)
    assert short_run(flows, took, 1.0) is None
    said = short_run(flows, took * 1.1, 1.0)
    assert said is not None
    assert "within 100 s and a takes 10.9 s" in said
    assert "-n 218 " in said


def test_classes_that_were_not_drawn_are_named(run: Run, answer: Answer) -> None:
    ran = run("simulate", *answer, "--json")
    (line,) = ran.err.splitlines()
    assert line.startswith("warning: no workflow of rare was drawn")
    assert re.search(r"; -n 8002[01] would draw some$", line)
    counts = {row["name"]: row["workflows"] for row in json.loads(ran.out)["classes"]}
    assert counts["question"] > 200
    assert counts.get("rare", 0) == 0


def test_measures_per_class_add_up_to_those_of_the_run(run: Run, answer: Answer) -> None:
    command = ("simulate", *answer, "--workload", "agentic-mix", "-n", 60, "--rate", 0.5)
    summary = json.loads(run(*command, "--json").out)
    rows = summary["classes"]
    assert len(rows) > 1
    assert sum(row["workflows"] for row in rows) == 60
    for key in ("flow_time_s", "slowdown"):
        mean = sum(row["workflows"] * row[key]["mean"] for row in rows) / 60
        assert mean == pytest.approx(summary[key]["mean"])
        assert max(row[key]["max"] for row in rows) == summary[key]["max"]
        assert all(row[key]["mean"] <= row[key]["max"] for row in rows)
    shown = run(*command).out
    assert "Workflow classes" in shown
    assert all(row["name"] in shown for row in rows)
    without = json.loads(run(*command, "--json", "--no-horizons").out)
    assert "slowdown" not in without["classes"][0]


def test_arrivals_are_as_bursty_as_the_instance(run: Run, tmp_path: Path) -> None:
    instance, plan = tmp_path / "bursty.yaml", tmp_path / "plan.json"
    text = INSTANCE.replace("slo_scale: 3", "slo_scale: 30")
    instance.write_text(text.replace("workload:\n", "workload:\n  burstiness: 13\n"))
    assert run("plan", instance, "-o", plan).code == 0
    command = ("simulate", plan, "--instance", instance, "-n", 300, "--json")
    summary = json.loads(run(*command).out)
    assert summary["arrivals"] == {"rate_per_s": pytest.approx(4.001), "cv": pytest.approx(5.0)}
    bursty, calm = (json.loads(run(*command, "--cv", cv).out) for cv in (5, 1))
    assert summary["req95"] == bursty["req95"]
    assert bursty["flow_time_s"]["mean"] > 1.2 * calm["flow_time_s"]["mean"]
    # Another workload than the instance's has no burstiness of its own.
    other = json.loads(run(*command, "--workload", "chat", "-n", 5).out)
    assert other["arrivals"]["cv"] == 1.0


def test_promise_and_run_refer_to_the_same_time_alone(run: Run, answer: Answer) -> None:
    plan = json.loads(answer[0].read_text())["plan"]
    command = ("simulate", *answer, "-n", 400)
    rows = {row["name"]: row for row in json.loads(run(*command, "--json").out)["classes"]}
    assert set(rows) == {"question", "rare"}
    question, rare = rows["question"], rows["rare"]
    assert question["promised"]["latency_s"] == plan["latency_s"]["question"]
    scales = [row["promised"]["slo_scale"] for row in rows.values()]
    assert max(scales) == pytest.approx(plan["slo_scale"])
    alone = question["promised"]["latency_s"] / question["promised"]["slo_scale"]
    assert question["slo_scale"] == pytest.approx(question["flow_time_s"]["mean"] / alone)
    assert rare["workflows"] == 0
    assert "slo_scale" not in rare
    shown = run(*command).out
    assert f"{question['promised']['slo_scale']:.2f} → {question['slo_scale']:.2f}" in shown
    assert "none drawn" in shown
    assert "plan promises" not in shown
    # Another load than the plan's: its promise says nothing about that.
    (faster,) = json.loads(run(*command, "--rate", 4.1, "--json").out)["classes"]
    assert "promised" not in faster
