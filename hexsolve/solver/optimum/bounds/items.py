"""Pieces of machine work with the window in which each must be done for slowdown α."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hexsolve.solver.optimum.bounds.paths import Paths, longest_paths, needed
from hexsolve.solver.optimum.bounds.times import INFEASIBLE, Floats, Ints, Times

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Items:
    """The prefill of each call, and the decode steps of each that has any; m items.

    With restarts the decode steps of a call are two items, half of them each.

    Item j must be done between ``start[j]`` and ``arrival + α·H − after[j]``, all of it on one
    instance of a kind k or parts on several, a whole taking ``work[j, k]``.

    Attributes
    ----------
    workflow, call : int array, shape (m,)
    start, after : array, shape (m,)
        s.
    work : array, shape (m, K)
        Machine seconds, ``inf`` where impossible.
    decodes : bool array, shape (m,)
        Whether it is a call's decode steps.
    """

    workflow: Ints
    call: Ints
    start: Floats
    after: Floats
    work: Floats
    decodes: Bools


@dataclass(frozen=True, slots=True)
class Question:
    """Whether all but the allowed share of workflows can have slowdown α.

    `arrivals`, `horizons` in s, shape (workflows,); `dropped` workflows may be slower.
    """

    times: Times
    paths: Paths
    items: Items
    arrivals: Floats
    horizons: Floats
    dropped: int

    def ends(self, alpha: float) -> Floats:
        """Return by when each item must be done, s, shape (m,)."""
        due = self.arrivals + alpha * self.horizons
        return np.asarray(due[self.items.workflow] - self.items.after)

    def possible(self, alpha: float) -> Bools:
        """Return which workflows' critical paths allow α, shape (workflows,)."""
        return np.asarray(self.paths.flow_s <= alpha * self.horizons)

    def critical_path(self) -> float:
        """Return the bound of the critical paths."""
        ratios = np.sort(self.paths.flow_s / self.horizons)
        return float(ratios[ratios.size - self.dropped - 1])


def ask(times: Times, arrivals: npt.ArrayLike, horizons: npt.ArrayLike, percent: float) -> Question:
    """Return the question whose answer "no" makes α a lower bound on Req_q.

    Parameters
    ----------
    times : Times
    arrivals, horizons : array_like, shape (workflows,)
        a_w and H_w, s.
    percent : float
        q.
    """
    paths = longest_paths(times)
    arrived = np.asarray(arrivals, dtype=np.float64)
    count = arrived.size
    return Question(
        times=times,
        paths=paths,
        items=_items(times, paths, arrived),
        arrivals=arrived,
        horizons=np.asarray(horizons, dtype=np.float64),
        dropped=count - needed(count, percent),
    )


def _items(times: Times, paths: Paths, arrivals: Floats) -> Items:
    reveal = arrivals[times.workflow] + paths.head_s
    landing = times.first_s
    decodes = np.flatnonzero(times.steps > 0)
    if times.restarts == 0:
        landing = (times.prefill_s[:, :, None] + times.transfer_s).min(axis=(1, 2))
        parts = [times.decode_work[decodes]]
    else:
        parts = _parts(times, decodes)
    every, repeated = np.arange(times.steps.size), np.tile(decodes, len(parts))
    return Items(
        workflow=np.concatenate([times.workflow, times.workflow[repeated]]),
        call=np.concatenate([every, repeated]),
        start=np.concatenate([reveal, (reveal + landing)[repeated]]),
        after=np.concatenate([paths.tail_s + times.rest_s, paths.tail_s[repeated]]),
        work=np.concatenate([times.prefill_work, *parts]),
        decodes=np.concatenate(
            [np.zeros(every.size, dtype=np.bool_), np.ones(repeated.size, dtype=np.bool_)]
        ),
    )


def _parts(times: Times, decodes: Ints) -> list[Floats]:
    """Return work of two items for the decode steps of a call that may go on elsewhere.

    Each step can be on another kind. Its price on a kind is affine in its position, the least
    over kinds and intervals is concave, and the sum over the steps at least that of the chord:
    half of them at the price of the first, half at that of the last.
    """
    steps = times.steps[decodes, None]
    last = times.last_step_work[decodes]
    with np.errstate(invalid="ignore"):
        first = np.maximum(0.0, 2.0 * times.decode_work[decodes] / steps - last)
    first = np.where(np.isfinite(last), first, INFEASIBLE)
    if times.restarts is None:
        # Any number of steps may be replaced by further prefills.
        first, last = (np.minimum(each, times.restart_work[decodes]) for each in (first, last))
    return [first * (steps / 2.0), last * (steps / 2.0)]
