"""A study on a Dask cluster: a scheduler and two workers as processes, one of them killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from hexsolve.cli.main import cli
from hexsolve.models.errors import InputError
from hexsolve.studies.schema import EXAMPLE

pytest.importorskip("distributed")

ROOT = Path(__file__).resolve().parents[2]
STUDY = (
    EXAMPLE.replace("llf, hexagent]", "llf, round-robin]")
    .replace("count: 40", "count: 40")
    .replace("seeds: [1, 2, 3]", "seeds: [1, 2, 3, 4, 5, 6]")
)


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler and two workers of one thread each, on loopback."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__WORKER__DAEMON": "0"}
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        log = (tmp_path / f"dask-{len(started)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
            stdout=log, stderr=log, env=environment, cwd=tmp_path,
        )  # fmt: skip
        log.close()
        started.append(process)
        return process

    contact = tmp_path / "scheduler.json"
    start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
          "--scheduler-file", str(contact))  # fmt: skip
    deadline = time.monotonic() + 30
    while not contact.exists():
        assert time.monotonic() < deadline, (tmp_path / "dask-0.log").read_text()
        time.sleep(0.05)
    workers = [
        start("dask_worker", "--scheduler-file", str(contact), "--nthreads", "1", "--no-nanny",
              "--no-dashboard", "--host", "127.0.0.1")
        for _ in range(2)
    ]  # fmt: skip
    yield json.loads(contact.read_text())["address"], workers
    for process in reversed(started):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


def run(study: Path, output: Path, *options: str):
    arguments = ["compare", str(study), "-o", str(output), "--no-figures", *options]
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.name != "timings.csv"
    }


def test_a_worker_is_killed_midway_and_no_row_is_lost_or_doubled(scheduler, tmp_path):
    address, workers = scheduler
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    rows = tmp_path / "dask" / "runs.csv"
    seen: list[int] = []

    def kill_one() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if rows.exists() and (done := len(rows.read_text().splitlines())) >= 4:
                os.kill(workers[0].pid, signal.SIGKILL)
                seen.append(done)
                return
            time.sleep(0.002)

    killer = threading.Thread(target=kill_one)
    killer.start()
    result = run(study, tmp_path / "dask", "--dask", address)
    killer.join()
    assert result.exit_code == 0
    assert seen
    assert seen[0] < 19, "killed after the study had ended"
    assert workers[0].wait() == -signal.SIGKILL
    assert workers[1].poll() is None
    assert len((tmp_path / "dask" / "timings.csv").read_text().splitlines()) == 19
    run(study, tmp_path / "here")
    assert contents(tmp_path / "dask") == contents(tmp_path / "here")


def test_nobody_there(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    with pytest.raises(InputError, match="cannot be reached"):
        run(study, tmp_path / "out", "--dask", "no-such-scheme://127.0.0.1:1")


def test_no_address_at_all(tmp_path):
    """One line and the end, at once: no client is left behind that waits for a connection."""
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    command = [sys.executable, "-m", "hexsolve", "compare", str(study), "-o", str(tmp_path / "out")]
    ran = subprocess.run([*command, "--dask", "foo"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: --dask: 'foo' cannot be reached")
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_jobs_or_dask(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    result = run(study, tmp_path / "out", "--dask", "tcp://127.0.0.1:1", "--jobs", "2")
    assert result.exit_code == 2
    assert "not both" in result.output
