"""The stored benchmark on the command line: listed, and simulated by name."""

import json
import shutil
from pathlib import Path

import pytest

from hexsolve.instances.benchmark import benchmark_names, load_scheduling_instance
from hexsolve.instances.benchmark.io import data_folder
from tests.cli.conftest import Run

NAME = "xs02-chat-1p1d-8b-busy"


def test_every_stored_instance_is_listed_as_it_is(run: Run) -> None:
    rows = json.loads(run("instance", "list", "--benchmark", "--json").out)
    assert [row["name"] for row in rows] == list(benchmark_names())
    for row in rows:
        stored = load_scheduling_instance(row["name"])
        assert (row["workflows"], row["calls"]) == (len(stored.workflows), stored.calls)
        assert (row["shape"], row["load"], row["llm"]) == (stored.shape, stored.load, stored.llm)
        counted = sum(sum(counts.values()) for counts in row["cluster"].values())
        assert counted == len(stored.cluster.instances)
    (row,) = (row for row in rows if row["name"] == NAME)
    assert row["cluster"] == {"prefill": {"h100": 1}, "decode": {"h100": 1}}


def test_the_table_says_the_same(run: Run) -> None:
    ran = run("instance", "list", "--benchmark")
    (line,) = (line for line in ran.out.splitlines() if line.strip().startswith(NAME))
    assert line.split()[1:] == [
        *("chat", "prefill", "1", "h100;", "decode", "1", "h100"),
        *("llama-3.1-8b", "busy", "8", "25"),
    ]


def test_a_stored_instance_is_simulated_by_name_or_file(tmp_path: Path, run: Run) -> None:
    copy = tmp_path / "copy.json"
    shutil.copy(data_folder() / f"{NAME}.json", copy)
    by_name, by_file = (
        json.loads(run("simulate", what, "--policy", "llf", "--json").out) for what in (NAME, copy)
    )
    assert by_name.pop("wall_s") >= 0 <= by_file.pop("wall_s")
    assert by_name == by_file
    assert (by_name["instance"], by_name["workflows"], by_name["calls"]) == (NAME, 8, 25)
    # A run within the cluster as it is; nothing is faster than alone on it by much.
    assert by_name["req95"] > 1.0
    ran = run("simulate", NAME, "--policy", "llf")
    assert ran.code == 0
    assert "plan promises" not in ran.out


@pytest.mark.parametrize(
    ("option", "value"),
    [("--instance", "x.yaml"), ("--workload", "chat"), ("-n", 3), ("--rate", 2), ("--cv", 2)],
)
def test_what_a_stored_instance_fixes_cannot_be_given(run: Run, option: str, value: object) -> None:
    ran = run("simulate", NAME, option, value)
    assert (ran.code, ran.out) == (2, "")
    assert "is given with a scheduling instance, which holds its workflows" in ran.err


def test_an_unsound_file_is_named(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "odd.json"
    text = (data_folder() / f"{NAME}.json").read_text()
    path.write_text(text.replace('"schema_version": 1', '"schema_version": 2'))
    ran = run("simulate", path)
    assert ran.code == 2
    assert str(path) in ran.err
    assert "schema_version" in ran.err


def test_a_mistyped_name_has_a_hint(run):
    ran = run("simulate", NAME[:-2] + NAME[-1] + NAME[-2])
    assert (ran.code, ran.out) == (2, "")
    assert f"did you mean {NAME!r}?" in ran.err
    assert ran.err.count("\n") == 1
    ran = run("simulate", "my-own-plan.json")
    assert (ran.code, "did you mean" in ran.err) == (2, False)
    assert "does not exist; allowed: an existing file" in ran.err
