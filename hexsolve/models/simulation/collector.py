"""The garbage collector while a simulation runs."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS = 50_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let the garbage collector look for cycles once per `OBJECTS` new objects, not per 700.

    The simulator leaves no cycles behind, but calls under way come and go in numbers that set off a
    collection every few events (10 to 18 % of the time). Policies may leave some; those wait a
    little longer. A collector that is off, or set to run more rarely still, is left alone. What
    there was before the run, the workload above all, is not looked at again and again either.
    """
    before = gc.get_threshold()
    freezes = gc.get_freeze_count() == 0
    if 0 < before[0] < OBJECTS:
        gc.set_threshold(OBJECTS, *before[1:])
    if freezes:
        gc.freeze()
    try:
        yield
    finally:
        if freezes:
            gc.unfreeze()
        gc.set_threshold(*before)
