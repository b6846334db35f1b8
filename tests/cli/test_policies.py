"""``hexsolve policies``, and policies with options in ``hexsolve simulate``."""

import json

import pytest
from click.testing import CliRunner

from hexsolve.cli.main import cli
from hexsolve.models.errors import InputError
from hexsolve.solver.online.registry import ORDERINGS, PLACEMENTS, POLICIES


def invoke(*arguments: str):
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def test_the_list_is_complete_for_people_and_machines():
    shown = invoke("policies")
    assert shown.exit_code == 0
    for name in (*POLICIES, *ORDERINGS, *PLACEMENTS, "planned"):
        assert name in shown.output
    listed = json.loads(invoke("policies", "--json").stdout)
    assert [each["name"] for each in listed["policies"]] == [*POLICIES, "planned"]
    assert all(each["summary"] for part in listed.values() for each in part)


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    assert invoke("plan", "-o", str(path)).exit_code == 0
    return str(path)


def test_the_planner_logs_its_epochs_and_repeats(answer, tmp_path):
    log = tmp_path / "epochs.jsonl"
    common = ("simulate", answer, "--workload", "tool-calling", "-n", "20", "--rate", "40")
    command = (*common, "--policy", "rolling-cpsat", "--budget-ms", "10", "--json")
    one = json.loads(invoke(*command, "--epoch-log", str(log)).stdout)
    two = json.loads(invoke(*command).stdout)
    one.pop("wall_s"), two.pop("wall_s")
    assert one == two
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert one["planner"]["epochs"] == len(rows)


def test_epochs_come_at_least_so_often(answer):
    common = ("simulate", answer, "--workload", "tool-calling", "-n", "20", "--rate", "40")
    command = (*common, "--policy", "rolling-cpsat", "--budget-ms", "5", "--json")
    seldom = json.loads(invoke(*command).stdout)
    often = json.loads(invoke(*command, "--epoch-s", "0.002").stdout)
    assert often["planner"]["epochs"] > seldom["planner"]["epochs"] > 0


def test_combined_policies_run(answer):
    command = ("simulate", answer, "-n", "10", "--policy", "atlas+earliest-completion", "--json")
    assert json.loads(invoke(*command).stdout)["policy"] == "atlas+earliest-completion"


def test_an_epoch_log_needs_epochs(answer, tmp_path):
    with pytest.raises(InputError, match="rolling-cpsat"):
        invoke("simulate", answer, "--epoch-log", str(tmp_path / "log"))
    with pytest.raises(InputError, match="--epoch-s"):
        invoke("simulate", answer, "--epoch-s", "1")
