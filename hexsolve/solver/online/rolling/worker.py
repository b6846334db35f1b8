"""CP-SAT in a process of its own: what it does there cannot block or kill the scheduler."""

import contextlib
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Protocol

from hexsolve.solver.online.rolling.model import SolverBudget, solve_window
from hexsolve.solver.online.rolling.window import Window, WindowAnswer

GRACE_S = 1.0
"""A child whose answer is later than this, counted from the question, is killed and replaced: a
start takes about as long, so that patience with a late answer costs fewer epochs."""

Solve = Callable[[Window, SolverBudget], WindowAnswer]


class Solver(Protocol):
    """Answers a window within a budget, whatever happens; never raises."""

    def solve(self, window: Window, budget: SolverBudget, patience_s: float) -> WindowAnswer:
        """Return an answer; status TIMEOUT, ERROR or CRASH if there is none."""

    def close(self) -> None:
        """Give up what it holds."""


class InlineSolver:
    """CP-SAT in this process: for reproducible experiments, where its time is deterministic."""

    def __init__(self, solve: Solve = solve_window) -> None:
        self._solve = solve

    def solve(self, window: Window, budget: SolverBudget, patience_s: float) -> WindowAnswer:
        """Return an answer; exceptions become status ERROR. `patience_s` does not apply."""
        del patience_s
        started = time.perf_counter()
        try:
            return self._solve(window, budget)
        except Exception as error:
            seconds = time.perf_counter() - started
            return WindowAnswer(f"ERROR: {type(error).__name__}: {error}", seconds=seconds)

    def close(self) -> None:
        """Nothing to give up."""


class ProcessSolver:
    """CP-SAT in a child process that cannot hold up an epoch.

    A late answer is thrown away when it comes; a child that is `GRACE_S` late is killed and
    replaced.

    Parameters
    ----------
    solve : callable
        What the child runs; must be importable there.
    """

    def __init__(self, solve: Solve = solve_window) -> None:
        self._solve = solve
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._ready = False
        self._asked: float | None = None
        self._start()

    def solve(self, window: Window, budget: SolverBudget, patience_s: float) -> WindowAnswer:
        """Return the child's answer if it comes within `patience_s`."""
        started = time.perf_counter()

        def failed(status: str) -> WindowAnswer:
            return WindowAnswer(status, seconds=time.perf_counter() - started)

        try:
            if not self._is_ready():
                return failed("TIMEOUT: the solver process is starting")
            assert self._pipe is not None
            if self._asked is not None:
                if self._pipe.poll():
                    self._pipe.recv()
                elif started - self._asked > GRACE_S:
                    self._start()
                    return failed("TIMEOUT: the solver process hung and was replaced")
                else:
                    return failed("TIMEOUT: the last question is not answered yet")
            self._asked = started
            self._pipe.send((window, budget))
            if not self._pipe.poll(max(0.0, patience_s)):
                return failed("TIMEOUT: no answer in time")
            answer = self._pipe.recv()
            self._asked = None
        except (EOFError, OSError) as error:
            self._start()
            return failed(f"CRASH: the solver process is gone ({type(error).__name__})")
        except Exception as error:
            # What does not unpickle, say; the pipe may be in the middle of a message.
            self._start()
            return failed(f"ERROR: {type(error).__name__}: {error}")
        if not isinstance(answer, WindowAnswer):
            return failed(f"ERROR: {answer}")
        return answer

    def wait_until_ready(self, patience_s: float = 60.0) -> bool:
        """Wait for the child to be up; return whether it is.

        A child that cannot start is no error: every epoch falls back, and tries again.
        """
        try:
            return self._is_ready(patience_s)
        except (EOFError, OSError):
            return False

    def close(self) -> None:
        """End the child."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _is_ready(self, patience_s: float = 0.0) -> bool:
        if not self._ready:
            assert self._pipe is not None
            if self._pipe.poll(patience_s):
                self._pipe.recv()
                self._ready = True
        return self._ready

    def _start(self) -> None:
        self.close()
        # Not a fork: the parent's threads and open files stay out of the child.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._solve), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe, self._ready, self._asked = ours, False, None


def _serve(pipe: Connection, solve: Solve) -> None:
    """Answer windows until the pipe closes."""
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        pipe.send("ready")
        while True:
            window, budget = pipe.recv()
            try:
                answer: object = solve(window, budget)
            except Exception as error:
                answer = f"{type(error).__name__}: {error}"
            pipe.send(answer)
