"""The scheduling problem as a CP-SAT model: variables, constraints, objective, and its solution."""
