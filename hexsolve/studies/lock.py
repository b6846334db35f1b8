"""One process at a time writes a study's folder: a second one would run everything again."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hexsolve.models.errors import InputError


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, made if need be, until the end of the block or of the process.

    Where the file system knows no locks nothing is held; `Store` keeps every run once all the same.

    Raises
    ------
    InputError
        If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "is being written by another `hexsolve compare`; wait for it, or give another "
                "folder",
                source=str(folder),
            ) from None
        except OSError:
            pass
        yield
    finally:
        os.close(held)
