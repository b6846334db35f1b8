"""Req_q made smooth, so that a search sees more than the worst workflow that counts."""

import numpy as np

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Floats

SHARPNESS = 60.0
"""How much more the worst workflow counts than those close to it; per unit of relative slowdown."""


@compiled
def smoothed(slowdown: Floats, spare: int) -> tuple[float, float]:
    """Return Req_q and ``v·(1 + ln(Σ_w exp(S·(F_w/v − 1)))/S)``, v = Req_q and S = `SHARPNESS`.

    F_w are the slowdowns of workflows, of which the `spare` largest do not count.
    """
    counted = slowdown if spare == 0 else np.sort(slowdown)[: slowdown.size - spare]
    value = counted.max()
    if value <= 0.0:
        return value, value
    near = 0.0
    for each in counted:
        near += np.exp(SHARPNESS * (each / value - 1.0))
    return value, value * (1.0 + np.log(near) / SHARPNESS)
