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
    """Delete the machine code under `folder` if any source of compiled functions has changed.

    numba looks at the file of a function only, and so keeps what that has inlined from others, as
    it was. Where nothing can be written there is nothing to delete.
    """
    sources = [source.read_bytes() for source in sorted(folder.rglob("*.py"))]
    digest = hashlib.sha256(b"".join(each for each in sources if b"@compiled" in each)).hexdigest()
    mark = folder / "__pycache__" / MARK
    try:
        if mark.exists() and mark.read_text(encoding="utf-8") == digest:
            return
        for index in folder.rglob("__pycache__/*.nbi"):
            index.unlink(missing_ok=True)
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(digest, encoding="utf-8")
    except OSError:
        return


forget_stale(SOLVER)


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return `function` compiled on its first call; the machine code is kept on disk.

    No fast-math: the same input gives the same bits on every run. Other threads of Python go on
    meanwhile.
    """
    return cast(Callable[Arguments, Result], numba.njit(cache=True, nogil=True)(function))
