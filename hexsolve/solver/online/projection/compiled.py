"""Compilation of numeric loops, typed."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

SOLVER = Path(__file__).parents[2]
"""All modules with compiled functions are in here."""

MARK = "compiled.sha256"
"""File in ``__pycache__`` with the digest of the sources that the machine code is of."""


def forget_stale(folder: Path) -> None:
    """Delete the machine code under `folder` if a source that it is made of has changed.

    numba looks at the file of a function only, and so keeps what that has inlined from others, and
    the order of fields, as they were. Machine code that numba keeps elsewhere, because it cannot
    write here or ``NUMBA_CACHE_DIR`` says so, is not looked at.
    """
    try:
        sources = [source.read_bytes() for source in sorted(folder.rglob("*.py"))]
        parts = [each for each in sources if b"@compiled" in each or b"(NamedTuple)" in each]
        digest = hashlib.sha256(b"".join(parts)).hexdigest().encode()
        mark = folder / "__pycache__" / MARK
        if mark.exists() and mark.read_bytes() == digest:
            return
        for index in folder.rglob("__pycache__/*.nbi"):
            index.unlink(missing_ok=True)
        mark.parent.mkdir(exist_ok=True)
        mark.write_bytes(digest)
    except OSError:
        return


forget_stale(SOLVER)


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return `function` compiled on its first call; the machine code is kept on disk.

    No fast-math: the same input gives the same bits on every run. Other threads of Python go on
    meanwhile.
    """
    return cast(Callable[Arguments, Result], numba.njit(cache=True, nogil=True)(function))
