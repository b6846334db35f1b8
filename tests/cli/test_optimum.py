"""``hexsolve optimum``, and ``hexsolve check`` on the schedules it writes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hexsolve.models.schedule import Schedule
from hexsolve.models.status import relative_gap
from tests.cli.conftest import Run

NAME = "xs01-chat-1p1d-8b-calm"
ARGUMENTS = ("optimum", NAME, "--objective", "req100", "--time-limit", 2, "--deterministic")


def solved(run: Run, path: Path) -> dict[str, Any]:
    ran = run(*ARGUMENTS, "--json", "-o", path)
    assert ran.code == 0
    assert path.read_text() == ran.out
    made: dict[str, Any] = json.loads(ran.out)
    return made


def test_the_schedule_and_its_proof(tmp_path: Path, run: Run) -> None:
    made = solved(run, tmp_path / "one.json")
    assert set(made) == set(Schedule.model_fields)
    assert (made["kind"], made["instance_name"]) == ("schedule", NAME)
    assert made["objective_kind"] == "req100"
    assert made["parameters"]["time_limit_s"] == 2.0
    assert made["status"] in ("optimal", "feasible")
    assert (made["status"] == "optimal") == (made["gap"] <= 1e-6)
    assert 1.0 <= made["bound"] <= made["objective"] * (1 + 1e-9)
    assert made["gap"] == relative_gap(made["objective"], made["bound"])
    assert made["limit"] in ("none", "time")
    assert made["runtime_s"] > 0
    assert len(made["calls"]) == 30
    # Again, to the byte; as a table, with the same figures.
    solved(run, tmp_path / "two.json")
    assert (tmp_path / "two.json").read_bytes() == (tmp_path / "one.json").read_bytes()
    shown = run(*ARGUMENTS)
    assert f"Schedule     {made['objective']:.4f} × horizon" in shown.out
    assert f"Bound        {made['bound']:.4f}" in shown.out
    assert made["status"] in shown.out


def test_check_accepts_it_with_the_instance_or_by_its_name(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "schedule.json"
    solved(run, path)
    for files in ((path,), (NAME, path)):
        ran = run("check", *files)
        assert ran.code == 0
        assert ran.out.startswith("ok: ")
        assert "30 calls checked" in ran.out
    report = json.loads(run("check", path, "--json").out)
    assert (report["ok"], report["calls"], report["violations"]) == (True, 30, [])
    other = run("check", "xs02-chat-1p1d-8b-busy", path)
    assert other.code == 1
    assert "instance" in other.out


def _earlier(made: dict[str, Any]) -> None:
    """Let the second call of a chat start before the first has ended."""
    made["calls"][1]["prefill_start"] = made["calls"][0]["prefill_start"]


def _shorter(made: dict[str, Any]) -> None:
    made["calls"][-1]["finish"] -= 5


def _missing(made: dict[str, Any]) -> None:
    made["calls"].pop()


def _better(made: dict[str, Any]) -> None:
    made["objective"] *= 0.9


def _claimed(made: dict[str, Any]) -> None:
    made["bound"], made["status"], made["gap"] = made["objective"] / 2, "optimal", 0.0


def _moved(made: dict[str, Any]) -> None:
    made["calls"][0]["decode"] = made["calls"][0]["prefill"]


def _nowhere(made: dict[str, Any]) -> None:
    made["calls"][0]["decode"] = made["calls"][1]["prefill"] = "elsewhere"


@pytest.mark.parametrize(
    ("corrupt", "rules"),
    [
        (_earlier, {"precedence"}),
        (_shorter, {"decode_time"}),
        (_missing, {"complete"}),
        (_better, {"objective"}),
        (_claimed, {"status", "gap"}),
        (_moved, {"assignment"}),
        (_nowhere, {"assignment"}),
    ],
)
def test_check_names_what_a_corrupted_schedule_breaks(
    tmp_path: Path, run: Run, corrupt: Callable[[dict[str, Any]], None], rules: set[str]
) -> None:
    path = tmp_path / "schedule.json"
    made = solved(run, path)
    corrupt(made)
    path.write_text(json.dumps(made))
    ran = run("check", path, "--json")
    assert ran.code == 1
    report = json.loads(ran.out)
    assert not report["ok"]
    assert rules <= {violation["rule"] for violation in report["violations"]}
    shown = run("check", path)
    assert shown.code == 1
    assert all(rule in shown.out for rule in rules)


def test_an_unknown_name_is_one_line(run: Run) -> None:
    ran = run("optimum", "xs99")
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.startswith("error: xs99: is no scheduling instance; allowed: ")
    assert "hexsolve instance list --benchmark" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--grid-ms", 2), "--grid-ms with nominal times needs --decode-batch"),
        (("--grid-ms", 0), "--grid-ms"),
        (("--time-limit", "nan"), "--time-limit"),
        (("--objective", "mean"), "--objective"),
        (("--decode-batch", 0), "--decode-batch"),
    ],
)
def test_wrong_options(run: Run, options: tuple[object, ...], message: str) -> None:
    ran = run("optimum", NAME, *options)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_a_coarser_grid_with_its_batch(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "schedule.json"
    ran = run(*ARGUMENTS, "--grid-ms", 5, "--decode-batch", 4, "-o", path)
    assert ran.code == 0
    assert "decode batch 4, ticks of 5 ms" in ran.out
    assert json.loads(path.read_text())["times"]["grid_s"] == 0.005
    assert run("check", path).code == 0


def test_a_search_goes_on_from_a_schedule(tmp_path: Path, run: Run) -> None:
    first = solved(run, tmp_path / "first.json")
    again = ("--start", tmp_path / "first.json", "--objective", "req95")
    made = json.loads(run(*ARGUMENTS, *again, "--json").out)
    assert made["objective"] <= first["objective"]
    assert made["times"] == first["times"]
    assert (made["parameters"]["start"], made["objective_kind"]) == (first["objective"], "req95")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("xs02-chat-1p1d-8b-busy", (), "is no schedule of xs02-chat-1p1d-8b-busy: instance"),
        (NAME, ("--decode-batch", 3), "times: is "),
        (NAME, ("--grid-ms", 1.5), "grid_s=0.0015"),
        (NAME, ("--times", "optimistic"), "asked for: mode='optimistic'"),
        (NAME, ("-o", "first.json"), "is an input of this command"),
    ],
)
def test_schedules_that_no_search_starts_from(
    tmp_path: Path, run: Run, name: str, options: tuple[object, ...], message: str
) -> None:
    path = tmp_path / "first.json"
    solved(run, path)
    before = path.read_bytes()
    named = [tmp_path / each if each == "first.json" else each for each in options]
    ran = run("optimum", name, "--start", path, *named)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.startswith(f"error: {path}: ")
    assert message in line
    assert path.read_bytes() == before


def test_optimistic_times_bound_the_nominal_schedule(tmp_path: Path, run: Run) -> None:
    nominal = solved(run, tmp_path / "schedule.json")
    ran = run(*ARGUMENTS, "--times", "optimistic", "--json")
    assert ran.code == 0
    optimistic = json.loads(ran.out)
    assert optimistic["times"]["mode"] == "optimistic"
    assert optimistic["bound"] <= nominal["replay"]["objective"]
