"""MILP backends behind one contract: HiGHS, CBC and SCIP."""

from importlib import import_module

from hexsolve.models.errors import UnsupportedError
from hexsolve.solver.backends.base import Backend, Budget, Progress, Run

# Loaded on demand: OR-Tools alone takes longer to import than a small plan to solve.
_CLASSES = {"highs": "HiGHS", "cbc": "CBC", "scip": "SCIP"}
BACKENDS = tuple(_CLASSES)


def backend(name: str) -> Backend:
    """Return the backend called `name`.

    Raises
    ------
    UnsupportedError
        The name is none of `BACKENDS`.
    """
    if name not in _CLASSES:
        raise UnsupportedError(f"solver {name!r} is unknown; allowed: {', '.join(BACKENDS)}")
    made: Backend = getattr(import_module(f"{__name__}.{name}"), _CLASSES[name])()
    return made


__all__ = ["BACKENDS", "Backend", "Budget", "Progress", "Run", "backend"]
