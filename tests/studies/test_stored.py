"""Studies of stored instances, with lower bounds and the gaps to them."""

import csv

import pytest
from click.testing import CliRunner

from hexsolve.cli.main import cli
from hexsolve.instances.benchmark.io import (
    load_scheduling_instance,
    scheduling_instance_text,
)
from hexsolve.models.errors import InputError
from hexsolve.studies.cells import Cell, cells, prepared, simulate
from hexsolve.studies.gantt import rows_of, spans
from hexsolve.studies.load import load_study

NAME = "xs02-chat-1p1d-8b-busy"
STUDY = """\
version: 1
name: stored
policies: [workflow-fcfs, least-work, hexagent]
baseline: workflow-fcfs
seeds: [3, 4]
bounds: true
instances:
  - benchmark: "xs0[128]-*-1p1d-*"
"""


@pytest.fixture
def study_file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def run(study, output, *options):
    arguments = ["compare", str(study), "-o", str(output), *options]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    with (output / "runs.csv").open() as stream:
        return list(csv.DictReader(stream))


def contents(folder):
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "timings.csv"
    }


def test_a_pattern_names_instances_that_run_with_the_first_seed(study_file):
    study = load_study(study_file)
    assert [each.name[:4] for each in study.instances] == ["xs01", "xs02", "xs08"]
    assert {cell.seed for cell in cells(study)} == {3}
    assert len(cells(study)) == 9


def test_a_text_alone_names_stored_instances(study_file):
    named = load_study(study_file)
    study_file.write_text(STUDY.replace("benchmark: ", ""))
    assert load_study(study_file) == named


def test_gaps_to_the_bounds_and_resumption_without_half_of_them(study_file, tmp_path):
    rows = run(study_file, tmp_path / "whole", "--no-figures")
    assert len(rows) == 9
    for row in rows:
        value, bound, gap = (float(row[key]) for key in ("req95", "bound_req95", "gap_req95"))
        assert 0.0 < bound <= value * (1 + 1e-9)
        assert gap == pytest.approx((value - bound) / value)
        assert row["bound_method"] in ("critical-path", "energy", "preemptive-lp")
    for name in {row["instance"] for row in rows}:
        assert len({row["bound_req95"] for row in rows if row["instance"] == name}) == 1
    assert "gap to the bound" in (tmp_path / "whole" / "tables.md").read_text()
    assert "\\%" in (tmp_path / "whole" / "tables.tex").read_text()
    # Without the last bound, with a torn line, and without the last rows.
    run(study_file, tmp_path / "torn", "--no-figures")
    for name, kept in (("bounds.csv", 2), ("runs.csv", 5)):
        path = tmp_path / "torn" / name
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]) + "xs0")
    run(study_file, tmp_path / "torn", "--no-figures")
    assert contents(tmp_path / "whole") == contents(tmp_path / "torn")


def test_tables_state_the_runs_there_were(study_file, tmp_path):
    """Three seeds, but stored instances run once: three pairs, too few for an interval."""
    run(study_file, tmp_path / "out", "--no-figures")
    text = (tmp_path / "out" / "tables.md").read_text()
    assert "3 instances, 3 policies; 3 stored, run once with seed 3; predictor" in text
    compared = text[text.index("Against workflow-fcfs") :]
    lines = [line for line in compared.splitlines() if line.startswith("| least-work | 3 | ")]
    assert len(lines) == 3
    assert all(line.split(" | ")[3] == "–" for line in lines)
    assert "…" not in text


def test_in_two_processes_alike(study_file, tmp_path):
    run(study_file, tmp_path / "one", "--no-figures")
    run(study_file, tmp_path / "two", "--no-figures", "--jobs", "2")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_instance_that_changed_is_a_failed_run(study_file, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(scheduling_instance_text(load_scheduling_instance(NAME)))
    study_file.write_text(STUDY.replace('"xs0[128]-*-1p1d-*"', f"{path}\n    name: mine"))
    study = load_study(study_file)
    assert study.instances[0].digest == load_scheduling_instance(NAME).digest
    rows = run(study_file, tmp_path / "out", "--no-figures")
    assert {row["instance"] for row in rows} == {"mine"}
    assert {row["status"] for row in rows} == {"ok"}
    path.write_text(scheduling_instance_text(load_scheduling_instance("xs01-chat-1p1d-8b-calm")))
    with pytest.raises(InputError, match="another study"):
        run(study_file, tmp_path / "out", "--no-figures")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"xs0[128]-*-1p1d-*"', "zz*", r"instances\[0\]\.benchmark: 'zz\*' matches 0"),
        ('"xs0[128]-*-1p1d-*"', "nothing", "no scheduling instance; allowed"),
        ('"xs0[128]-*-1p1d-*"', "7", "is 7; allowed: a text"),
        ('"xs0[128]-*-1p1d-*"', f"{NAME}\n    rate: 2", "has 'rate' beside benchmark"),
        ('"xs0[128]-*-1p1d-*"', '"xs*"\n    name: all', "without a name"),
        ("bounds: true", "bounds: true\nbounds_time_limit_s: 0", "bounds_time_limit_s"),
        ("bounds: true", "gantt: [llf]", "gantt holds 'llf'; allowed: some of the policies"),
    ],
)
def test_mistakes_are_named(study_file, old, new, message):
    assert old in STUDY
    study_file.write_text(STUDY.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_study(study_file)


def test_figures_of_gaps_and_a_run_repeat_to_the_byte(study_file, tmp_path):
    study_file.write_text(STUDY + "gantt: [hexagent]\nbounds_time_limit_s: 120\n")
    run(study_file, tmp_path / "one")
    run(study_file, tmp_path / "two")
    names = {path.name for path in (tmp_path / "one" / "figures").iterdir()}
    assert {"gaps.svg", "gantt-xs01-chat-1p1d-8b-calm-hexagent.pdf"} <= names
    for name in sorted(names):
        one = (tmp_path / "one" / "figures" / name).read_bytes()
        assert one == (tmp_path / "two" / "figures" / name).read_bytes()


def test_spans_of_a_run_are_those_of_its_calls(study_file):
    study = load_study(study_file)
    instance = study.instances[1]
    cluster, workflows, _ = prepared(instance.model_dump_json(), 3)
    record = simulate(study, Cell(instance.name, "hexagent", 3), cluster, workflows)
    found = spans(record, cluster)
    assert len(found[0]) == len(found[1]) == sum(len(each.calls) for each in workflows)
    assert max(end for _, end, _ in found[1]) == record.end_s
    for intervals in found.values():
        rows = rows_of(intervals)
        for one in range(len(rows)):
            for two in range(one):
                apart = intervals[two][1] <= intervals[one][0]
                assert apart or rows[one] != rows[two]
