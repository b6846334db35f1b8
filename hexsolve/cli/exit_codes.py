"""Exit codes of the commands that solve, beside 0 (done) and 2 (the input is wrong)."""

FAILED = 1
"""Some runs of a study failed; the others stand."""
INFEASIBLE = 3
"""Proven that no plan exists."""
NOTHING_FOUND = 4
"""No plan was found within the limits, and none was ruled out."""
