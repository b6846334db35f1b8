"""Progress on standard error for work that takes longer than two seconds."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.status import Status

if TYPE_CHECKING:
    from hexsolve.solver.backends import Progress

PATIENCE_S = 2.0
UNITS = {"cost": "US$/h", "load": "× load", "slo": "× horizon"}


@contextmanager
def solving(title: str, objective: str) -> Iterator["Callable[[Progress], None]"]:
    """Show the best value, bound and gap of a running solve.

    On a terminal one line is kept up to date; in a log a line is written now and then.
    """
    console = Console(stderr=True)
    started = time.perf_counter()
    unit = UNITS[objective]
    shown: list[Status] = []
    last = [started]

    def line(progress: "Progress") -> str:
        elapsed = time.perf_counter() - started
        best = "none yet" if progress.objective is None else f"{progress.objective:.4g} {unit}"
        bound = "none yet" if progress.bound is None else f"{progress.bound:.4g}"
        text = f"{title}: {elapsed:.0f} s, best {best}, bound {bound}"
        if progress.objective and progress.bound is not None:
            gap = abs(progress.objective - progress.bound) / abs(progress.objective)
            text += f", gap {gap:.2%}"
        return text

    def report(progress: "Progress") -> None:
        now = time.perf_counter()
        if now - started < PATIENCE_S:
            return
        if console.is_terminal:
            if not shown:
                shown.append(console.status(line(progress)))
                shown[0].start()
            shown[0].update(line(progress))
        elif now - last[0] >= 5.0 * PATIENCE_S:
            last[0] = now
            print(line(progress), file=sys.stderr, flush=True)

    try:
        yield report
    finally:
        for status in shown:
            status.stop()


@contextmanager
def telling_if_long(text: str) -> Iterator[None]:
    """Write a line once what is done inside takes long."""
    told = threading.Timer(PATIENCE_S, lambda: print(text, file=sys.stderr, flush=True))
    told.daemon = True
    told.start()
    try:
        yield
    finally:
        told.cancel()


@contextmanager
def counting(title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, or a line now and then in a log, once it takes long."""
    console = Console(stderr=True)
    started = last = time.perf_counter()
    bar: list[Status] = []

    def report(done: int) -> None:
        nonlocal last
        now = time.perf_counter()
        elapsed = now - started
        if elapsed < PATIENCE_S or now - last < (0.2 if console.is_terminal else 10.0):
            return
        last = now
        left = elapsed / max(done, 1) * (total - done)
        line = f"{title}: {done:,} of {total:,} {unit} ({done / total:.0%}), {left:.0f} s left"
        if console.is_terminal:
            if not bar:
                bar.append(console.status(line))
                bar[0].start()
            bar[0].update(line)
        else:
            print(line, file=sys.stderr, flush=True)

    try:
        yield report
    finally:
        for status in bar:
            status.stop()
