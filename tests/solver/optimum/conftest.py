"""What annealing needs is compiled before any test counts its time."""

import pytest

from hexsolve.solver.optimum.ready import compile_annealing


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    compile_annealing()
