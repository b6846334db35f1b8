"""Projected prefill: batches under a token budget."""

import numpy as np

from hexsolve.solver.online.projection.arrays import Floats
from hexsolve.solver.online.projection.compiled import compiled


@compiled
def batch_seconds(cost: Floats, tokens: float, work: float) -> float:
    """Return the time of a batch, s; see `PrefillCoefficients.seconds`."""
    seconds = cost[0] + cost[1] * tokens + cost[2] * work
    if tokens > cost[5]:
        seconds += cost[4] * (tokens - cost[5])
    if cost[6] > 0.0:
        seconds -= cost[6] * np.expm1(-tokens / cost[7])
    return float(max(cost[3], seconds))


@compiled
def pair_work(new: float, length: float) -> float:
    """Return ``n·(h + n/2)``, token pairs, of a call with `new` of `length` tokens not cached."""
    return new * (length - new / 2.0)


@compiled
def marginal_seconds(cost: Floats, new: float, work: float) -> float:
    """Return what a call adds to a batch that is bound by arithmetic anyway, s."""
    return float((cost[1] + cost[4]) * new + cost[2] * work)


@compiled
def toll_seconds(toll_cost: Floats, new: float, work: float) -> float:
    """Return the marginal seconds of a call on the mean prefill server; see `Machines`."""
    return float(toll_cost[0] * new + toll_cost[1] * work)
