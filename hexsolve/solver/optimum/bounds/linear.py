"""Dual values of a linear program, as good as the solver has them; nobody relies on them."""

import time

import highspy
import numpy as np
from scipy.sparse import csc_matrix

from hexsolve.solver.optimum.bounds.times import Floats

SMALL = 5000
"""Variables up to which the simplex method is faster than interior points."""


def row_duals(
    matrix: csc_matrix, lower: Floats, upper: Floats, deadline: float = float("inf")
) -> Floats | None:
    """Return row duals of ``min θ : matrix·x ≥ lower, 0 ≤ x ≤ upper``, θ the last column."""
    rows, columns = matrix.shape
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    if columns > SMALL:
        solver.setOptionValue("solver", "ipm")
        solver.setOptionValue("run_crossover", "off")
    else:
        solver.setOptionValue("solver", "simplex")
    solver.setOptionValue("time_limit", min(3600.0, max(0.1, deadline - time.monotonic())))
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = columns, rows
    cost = np.zeros(columns)
    cost[-1] = 1.0
    program.col_cost_ = cost
    program.col_lower_, program.col_upper_ = np.zeros(columns), upper
    program.row_lower_, program.row_upper_ = lower, np.full(rows, np.inf)
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = matrix.indptr
    program.a_matrix_.index_ = matrix.indices
    program.a_matrix_.value_ = matrix.data
    solver.passModel(program)
    solver.run()
    solution = solver.getSolution()
    if not solution.dual_valid:
        return None
    return np.array(solution.row_dual, dtype=np.float64)
