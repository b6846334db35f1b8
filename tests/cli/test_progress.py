"""Long simulations say how far they are, on standard error."""

import itertools
import time

import pytest

from hexsolve.cli import progress
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import make_policy
from tests.simulation.engines import cluster


def test_a_run_reports_complete_calls():
    seen: list[int] = []
    workflows = [Workflow(f"w{n}", n * 0.01, (Call(8, 2),)) for n in range(5000)]
    policy = make_policy("round-robin")
    Simulation(cluster(), workflows, policy, OraclePredictor(), progress=seen.append).run()
    assert seen == [1024, 2048, 3072, 4096]


def test_a_log_gets_a_line_now_and_then(monkeypatch, capsys):
    # A report takes a second; after two, and then every ten, there is a line.
    seconds = itertools.count(0.0, 1.0)
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(seconds))
    with progress.counting("simulating", 40, "calls") as report:
        for done in range(1, 31):
            report(done)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "simulating: 10 of 40 calls (25%), 30 s left",
        "simulating: 20 of 40 calls (50%), 20 s left",
        "simulating: 30 of 40 calls (75%), 10 s left",
    ]


def test_short_work_is_silent(capsys):
    with progress.counting("simulating", 40, "calls") as report:
        for done in range(40):
            report(done)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("took_s", [0.0, 0.2])
def test_what_takes_long_is_said_once(took_s, monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE_S", 0.05)
    with progress.telling_if_long("compiling"):
        time.sleep(took_s)
    assert capsys.readouterr() == ("", "compiling\n" if took_s else "")
