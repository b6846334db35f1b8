"""Studies: run, killed, resumed, compared."""

import csv
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from hexsolve.cli.main import cli
from hexsolve.models.errors import InputError
from hexsolve.studies.cells import Cell, cells
from hexsolve.studies.load import load_study
from hexsolve.studies.lock import alone_in
from hexsolve.studies.runner import here, processes
from hexsolve.studies.schema import EXAMPLE
from hexsolve.studies.statistics import compare
from hexsolve.studies.store import Store

SMALL = EXAMPLE.replace("llf, hexagent]", "llf, round-robin]").replace("count: 40", "count: 12")


@pytest.fixture
def study_file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(SMALL)
    return path


def run(study: Path, output: Path, *options: str):
    arguments = ["compare", str(study), "-o", str(output), *options]
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timings.csv"
    }


def test_the_example_is_a_study(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(CliRunner().invoke(cli, ["compare", "--example"]).stdout)
    assert len(cells(load_study(path))) == 9


def test_a_study_is_complete_and_repeats_to_the_byte(study_file, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(study_file, one).exit_code == 0
    assert run(study_file, two, "--jobs", "2").exit_code == 0
    assert contents(one) == contents(two)
    with (one / "runs.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["policy"], r["seed"]) for r in rows] == sorted(
        (r["policy"], r["seed"]) for r in rows
    )
    assert len(rows) == 9
    assert {r["status"] for r in rows} == {"ok"}
    assert {"figures/profile.svg", "figures/ratios.pdf", "figures/attainment-tools.svg"} <= set(
        contents(one)
    )
    text = (one / "tables.md").read_text()
    assert "1 instance, 3 policies; 1 drawn with seeds 1, 2, 3; predictor oracle" in text
    assert "| llf | 3 |" in text
    assert "\\toprule" in (one / "tables.tex").read_text()
    # Again: nothing is run, nothing changes.
    before = (one / "timings.csv").read_bytes()
    run(study_file, one)
    assert (one / "timings.csv").read_bytes() == before


@pytest.mark.parametrize("torn", ["tools,llf,2,ok,1", "", '"tools'])
def test_half_written_lines_are_dropped_and_run_again(study_file, tmp_path, torn):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(study_file, whole, "--no-figures")
    run(study_file, broken, "--no-figures")
    lines = (broken / "runs.csv").read_text().splitlines(keepends=True)
    (broken / "runs.csv").write_text("".join(lines[:4]) + torn)
    with (broken / "slowdowns.jsonl").open("a") as stream:
        stream.write('{"instance": "tools", "pol')
    run(study_file, broken, "--no-figures")
    assert contents(whole) == contents(broken)


def test_a_row_without_its_slowdowns_runs_again(study_file, tmp_path):
    """An outage of power may keep a row and lose what was written before it."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(study_file, whole, "--no-figures")
    run(study_file, broken, "--no-figures")
    path = broken / "slowdowns.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    assert run(study_file, broken, "--no-figures").exit_code == 0
    assert contents(whole) == contents(broken)
    assert len((broken / "timings.csv").read_text().splitlines()) == 1 + 9 + 2


def test_killed_and_resumed_equals_undisturbed(study_file, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(study_file, whole, "--no-figures")
    command = [sys.executable, "-m", "hexsolve", "compare", str(study_file), "-o", str(killed),
               "--no-figures"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    rows = killed / "runs.csv"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if rows.exists() and len(rows.read_text().splitlines()) >= 3:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    process.wait()
    assert run(study_file, killed, "--no-figures").exit_code == 0
    assert contents(whole) == contents(killed)


def test_another_study_does_not_go_into_the_same_folder(study_file, tmp_path):
    run(study_file, tmp_path / "out", "--no-figures")
    study_file.write_text(SMALL.replace("seeds: [1, 2, 3]", "seeds: [1, 2]"))
    with pytest.raises(InputError, match="another folder"):
        run(study_file, tmp_path / "out")


def test_a_run_that_fails_is_a_row(study_file, tmp_path):
    """A call that no KV pool holds is found by the run, not by reading the study."""
    file = tmp_path / "huge.jsonl"
    call = '{"prompt_tokens": 90000000, "output_tokens": 1}'
    file.write_text(f'{{"schema_version": 1, "name": "w", "calls": [{call}]}}\n')
    study_file.write_text(SMALL.replace("workload: tool-calling", f"workload: {file}"))
    result = run(study_file, tmp_path / "out", "--no-figures")
    assert result.exit_code == 1
    assert "9 failed" in result.output
    with (tmp_path / "out" / "runs.csv").open() as stream:
        assert all("largest pools" in row["error"] for row in csv.DictReader(stream))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("prefill: {a100-80", "prefill: {a10", r"'tools'\.prefill: .*'a10'.*a10g"),
        ("llm: llama-3.1-70b", "llm: llama", r"'tools'\.llm: .*'llama'"),
        ("workload: tool-calling", "workload: tool-call", "did you mean 'tool-calling'"),
        ("tp: 4", "tp: 3", r"'tools'\.tp: .*allowed: 2, 4, 8"),
        ("tp: 4", "tp: 1", r"'tools'\.tp: llama-3.1-70b does not fit 1 a100-80.*allowed: 2, 4"),
        ("llm: llama-3.1-70b", "llm: llama-3.1-405b", r"\.tp: .* does not fit 4 a100-80"),
        ("count: 12", "count: 99999999999", "1000000"),
    ],
)
def test_what_would_fail_is_refused_before_there_is_a_folder(
    study_file, tmp_path, old, new, message
):
    assert old in SMALL
    study_file.write_text(SMALL.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        run(study_file, tmp_path / "out", "--no-figures")
    assert str(error.value).startswith(f"{study_file}: instances")
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_named(study_file):
    with pytest.raises(InputError, match=r"study\.yaml: is a file; allowed: a folder"):
        run(study_file, study_file)
    with pytest.raises(InputError, match=r"study\.yaml.*: cannot be written: Not a directory"):
        run(study_file, study_file / "out")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("baseline: workflow-fcfs", "baseline: fifo", "one of the policies"),
        ("round-robin]", "nearest]", "unknown policy 'nearest'"),
        ("seeds: [1, 2, 3]", "seeds: [1, 1]", "twice"),
        ("predictor: oracle", "predictor: crystal", "unknown predictor"),
        ("count: 12", "count: 0", "count"),
        ("decode: {a100-80: 1, h100: 1}", "decode: {}", "prefill and decode"),
    ],
)
def test_mistakes_are_named(study_file, old, new, message):
    assert old in SMALL
    study_file.write_text(SMALL.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_study(study_file)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds: [1, 2, 3]", "seeds: []", "seeds: is []; allowed: at least 1 item"),
        ("name: example", "name:", "name: is empty; allowed: a text"),
        ("  - name: tools", "  - 7\n  - name: tools", "instances[0]: is 7; allowed: a mapping"),
        ("predictor:", "foo:", "foo: is not a known field; allowed: baseline, bounds"),
    ],
)
def test_messages_are_plain(study_file, old, new, said):
    assert old in SMALL
    study_file.write_text(SMALL.replace(old, new))
    with pytest.raises(InputError) as error:
        load_study(study_file)
    assert f"{study_file}: {said}" in str(error.value)


def rows_of(values: dict[str, list[float]]) -> dict[Cell, dict[str, str]]:
    return {
        Cell("i", policy, seed): {"status": "ok", "req99": repr(value)}
        for policy, series in values.items()
        for seed, value in enumerate(series)
    }


def test_statistics_by_hand():
    base = [2.0, 4.0, 8.0, 3.0, 5.0, 6.0]
    half = [1.0, 2.0, 4.0, 1.5, 2.5, 3.0]
    same = list(base)
    mixed = [1.0, 8.0, 8.0, 6.0, 2.0, 7.0]
    rows = rows_of({"base": base, "half": half, "same": same, "mixed": mixed})
    found = {
        each.policy: each
        for each in compare(rows, ("base", "half", "same", "mixed"), "base", "req99")
    }
    assert found["half"].ratio == pytest.approx(0.5)
    assert (found["half"].wins, found["half"].losses) == (6, 0)
    assert found["same"].ties == 6
    assert found["same"].p_value == 1.0
    logs = [np.log(a / b) for a, b in zip(mixed, base, strict=True) if a != b]
    raw = stats.wilcoxon(logs, method="exact").pvalue
    # Holm: 2/64 is the least of three, then this one.
    assert found["half"].p_value == pytest.approx(3 * 2 / 64)
    assert found["mixed"].p_value == pytest.approx(min(1.0, 2 * raw))
    assert found["mixed"].low <= found["mixed"].ratio <= found["mixed"].high


def test_the_store_counts_a_run_once(study_file, tmp_path):
    study = load_study(study_file)
    run(study_file, tmp_path / "out", "--no-figures")
    path = tmp_path / "out" / "runs.csv"
    path.write_text(path.read_text() + path.read_text().splitlines(keepends=True)[-1])
    store = Store(tmp_path / "out", study)
    assert len(store.rows()) == 9
    assert len(path.read_text().splitlines()) == 10


def test_a_folder_has_one_writer_at_a_time(study_file, tmp_path):
    folder = tmp_path / "out"
    with alone_in(folder):
        with pytest.raises(InputError, match="out: is being written by another"):
            run(study_file, folder)
        assert list(folder.iterdir()) == []
    run(study_file, folder, "--no-figures")
    assert (folder / "runs.csv").exists()


def test_rows_go_where_the_files_are_now(study_file, tmp_path):
    """A second process that starts on a folder writes its files anew."""
    study = load_study(study_file)
    folder = tmp_path / "out"
    first, *rest = here(study, cells(study))
    store = Store(folder, study)
    with closing(store):
        store.add(first)
        with closing(Store(folder, study)) as other:
            other.add(rest[0])
        for outcome in rest[1:]:
            store.add(outcome)
    assert set(Store(folder, study).rows()) == set(cells(study))


@pytest.mark.parametrize("workloads", [1, 3])
def test_processes_run_every_job_once(study_file, workloads):
    """Fewer workloads than processes: the idle ones help."""
    study = load_study(study_file)
    jobs = [cell for cell in cells(study) if cell.seed <= workloads]
    outcomes = list(processes(2)(study, jobs))
    assert sorted(outcome.cell for outcome in outcomes) == sorted(jobs)
    expected = {outcome.cell: outcome.row for outcome in here(study, jobs)}
    assert {outcome.cell: outcome.row for outcome in outcomes} == expected
