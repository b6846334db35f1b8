"""Ctrl-C: the first asks for what there is, the second gives up."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hexsolve.cli.interrupt import in_background, stopping_on_interrupt
from hexsolve.instances.resolve import load_problem
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement import pareto
from hexsolve.solver.placement.pareto import ParetoPoint, pareto_front
from tests.cli.conftest import Run


def test_the_first_is_noted_and_the_second_raises(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping_on_interrupt() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert "Ctrl-C again" in capsys.readouterr().err


def test_other_threads_are_never_stopped() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stopping_on_interrupt() as stop:
            seen.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_work_in_the_background_returns_or_raises() -> None:
    assert in_background(lambda: 3) == 3

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        in_background(fail)


def test_a_second_ctrl_c_does_not_wait_for_the_background() -> None:
    threads = threading.active_count()
    with stopping_on_interrupt():
        for delay in (0.1, 0.3):
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            in_background(lambda: time.sleep(5.0))
    assert threading.active_count() > threads


def _pressed_after(seconds: float) -> threading.Thread:
    """Press Ctrl-C so long after a command has said what it does with it."""
    before = signal.getsignal(signal.SIGINT)

    def press() -> None:
        while signal.getsignal(signal.SIGINT) is before:
            time.sleep(0.01)
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    return thread


def test_optimum_keeps_its_schedule(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "schedule.json"
    pressing = _pressed_after(0.5)
    # Work, not time, ends a deterministic search: this one would take minutes.
    name = "s01-chat-1p1d-8b-overload"
    ran = run("optimum", name, "--time-limit", 300, "--deterministic", "-o", path)
    pressing.join()
    assert ran.code == 0, ran.err
    assert "stopped by Ctrl-C" in ran.out
    made = json.loads(path.read_text())
    assert (made["status"], made["limit"]) == ("feasible", "interrupt")
    assert run("check", path).code == 0


def test_pareto_shows_the_plans_it_has(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(
        problem: object, points: int, budget: Budget, front: Callable[..., object] = pareto_front
    ) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return front(problem, points, budget)

    monkeypatch.setattr(pareto, "pareto_front", interrupted)
    ran = run("pareto", "--points", 6, "--json")
    assert len(json.loads(ran.out)) == 1
    assert "interrupted: 1 of 6 plans" in ran.err


def test_a_stopped_front_ends_after_the_point_at_hand() -> None:
    found: list[ParetoPoint] = []
    budget = Budget(time_s=20.0, gap=0.05, stop=lambda: len(found) >= 2)
    for point in pareto_front(load_problem(None), 6, budget):
        found.append(point)
        assert point.plan is not None
    assert len(found) == 2
