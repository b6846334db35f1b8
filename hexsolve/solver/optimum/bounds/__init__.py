"""Lower bounds on Req_q that are valid for every policy; docs/bounds.md proves them."""

from hexsolve.solver.optimum.bounds.best import Bound, best_bound, lower_bounds, times_bounds
from hexsolve.solver.optimum.bounds.simulated import simulator_times
from hexsolve.solver.optimum.bounds.times import Times

__all__ = ["Bound", "Times", "best_bound", "lower_bounds", "simulator_times", "times_bounds"]
