"""``hexsolve instance freeze``: what `hexsolve simulate` would run, as a file."""

import json
from pathlib import Path

import pytest

from hexsolve.instances.benchmark.io import load_scheduling_instance
from tests.cli.conftest import Answer, Run, planned
from tests.cli.test_simulate_workload import INSTANCE

OPTIONS = ("--workload", "chat", "-n", 6, "--rate", 2, "--seed", 4)


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    return planned(tmp_path_factory.mktemp("plan"), INSTANCE)


def test_it_runs_as_the_options_do(tmp_path: Path, run: Run, answer: Answer) -> None:
    path = tmp_path / "mine.json"
    made = run("instance", "freeze", *answer, *OPTIONS, "-o", path)
    assert made.code == 0
    stored = load_scheduling_instance(path)
    assert f"6 workflows, {stored.calls} calls" in made.err
    assert (stored.name, stored.shape, len(stored.workflows)) == ("mine", "chat", 6)
    direct = json.loads(run("simulate", *answer, *OPTIONS, "--json").out)
    again = json.loads(run("simulate", path, "--seed", 4, "--json").out)
    labels = {"workload", "instance", "arrivals", "wall_s"}
    assert {k: v for k, v in again.items() if k not in labels} == {
        k: v for k, v in direct.items() if k not in labels
    }


def test_the_optimum_takes_it(tmp_path: Path, run: Run) -> None:
    """The embedded example's cluster, planned anew."""
    path, schedule = tmp_path / "mine.json", tmp_path / "schedule.json"
    assert run("instance", "freeze", *OPTIONS, "--name", "chats", "-o", path).code == 0
    search = ("--objective", "req100", "--time-limit", 1, "-o", schedule)
    assert run("optimum", path, *search).code == 0
    assert run("check", path, schedule).code == 0
    assert json.loads(schedule.read_text())["instance_name"] == "chats"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "mine.txt"), "mine.txt: allowed: a name that ends in .json"),
        (("xs01-chat-1p1d-8b-calm", "-o", "a.json"), "xs01-chat-1p1d-8b-calm: is a scheduling"),
        (("--workload", "chat", "-n", "2", "--name", "a b", "-o", "a.json"), "a.json: name: is"),
        (("-o", "nowhere/a.json"), "nowhere/a.json: its folder does not exist"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path,
    run: Run,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("instance", "freeze", *(() if "xs01" in arguments[0] else answer), *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert not list(tmp_path.iterdir())


def test_the_workload_is_not_overwritten(tmp_path: Path, run: Run, answer: Answer) -> None:
    trace = tmp_path / "trace.json"
    trace.write_text(
        json.dumps({"schema_version": 1, "name": "w",
                    "calls": [{"prompt_tokens": 9, "output_tokens": 2}]})
    )  # fmt: skip
    before = trace.read_bytes()
    ran = run("instance", "freeze", *answer, "--workload", trace, "-o", trace)
    assert (ran.code, trace.read_bytes()) == (2, before)
    assert "is an input of this command" in ran.err


def test_two_workflows_of_one_name_are_refused(tmp_path: Path, run: Run, answer: Answer) -> None:
    line = json.dumps(
        {"schema_version": 1, "name": "w", "calls": [{"prompt_tokens": 9, "output_tokens": 2}]}
    )
    trace = tmp_path / "trace.jsonl"
    trace.write_text(f"{line}\n{line}\n")
    ran = run("instance", "freeze", *answer, "--workload", trace, "-o", tmp_path / "mine.json")
    assert ran.code == 2
    assert "workflow name 'w' is used twice" in ran.err
