"""Online scheduling: which revealed call runs where, and in which order."""

from hexsolve.solver.online.registry import POLICIES, PolicyOptions, make_policy

__all__ = ["POLICIES", "PolicyOptions", "make_policy"]
