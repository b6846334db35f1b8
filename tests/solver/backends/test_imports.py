"""HiGHS and OR-Tools ship shared libraries whose symbols can clash: both orders must load."""

import subprocess
import sys
from itertools import permutations

import pytest

SOLVE = """
model = pulp.LpProblem("one", pulp.LpMinimize)
x = model.add_variable("x", 0, 9, pulp.LpInteger)
model.setObjective(pulp.LpAffineExpression([(x, 1.0)]))
model.addConstraint(pulp.LpConstraint(pulp.LpAffineExpression([(x, 2.0)]), 1, "row", 3.0))
for name in {names}:
    run = backend(name).solve(model, Budget(gap=0.0))
    assert run.objective == run.bound == 2.0, (name, run)
"""


def python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("order", list(permutations(["highspy", "ortools"])))
def test_both_libraries_in_one_process(order: tuple[str, ...]) -> None:
    load = {"highspy": "import highspy", "ortools": "from ortools.linear_solver import pywraplp"}
    lines = [load[name] for name in order]
    python(
        "\n".join(
            [
                *lines,
                "import pulp",
                "assert pulp.HiGHS(msg=False).available()",
                "assert pywraplp.Solver.CreateSolver('SCIP') is not None",
                "assert highspy.Highs().version()",
            ]
        )
    )


@pytest.mark.parametrize("order", [("highs", "scip", "cbc"), ("scip", "cbc", "highs")])
def test_backends_in_any_order(order: tuple[str, ...]) -> None:
    load = "import pulp\nfrom hexsolve.solver.backends import Budget, backend"
    python(load + SOLVE.format(names=order))
