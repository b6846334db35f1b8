"""A sign of life on standard error for work without steps to count."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from hexsolve.cli.progress import PATIENCE_S

REPEAT_S = 10.0


@contextmanager
def working(what: str) -> Iterator[None]:
    """Say on stderr what is being done, after `PATIENCE_S` and then every `REPEAT_S` seconds."""
    began = time.monotonic()
    finished = threading.Event()

    def tell() -> None:
        wait = PATIENCE_S
        while not finished.wait(wait):
            click.echo(f"{what}: {time.monotonic() - began:.0f} s", err=True)
            wait = REPEAT_S

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
