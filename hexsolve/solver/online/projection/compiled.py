"""Compilation of numeric loops, typed."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return `function` compiled on its first call; the machine code is kept on disk.

    No fast-math: the same input gives the same bits on every run. Other threads of Python go on
    meanwhile.
    """
    return cast(Callable[Arguments, Result], numba.njit(cache=True, nogil=True)(function))
