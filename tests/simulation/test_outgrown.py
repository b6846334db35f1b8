"""A call that outgrows the pool of a mixed instance goes to a larger one."""

from hexsolve.models.simulation.horizon import standalone_horizons
from tests.solver.optimum.bounds.sweep import scenario


def test_a_preempted_call_that_no_longer_fits_is_placed_anew():
    """Pools of 89 and 53 tokens; two calls of 53 + 15 and 53 + 20 began on the smaller one."""
    cluster, workflows = scenario(22124)
    assert all(horizon > 0.0 for horizon in standalone_horizons(cluster, workflows))
