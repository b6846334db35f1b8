"""Partition of items into few groups that are each nearly constant (a regression tree).

Best-first binary splitting (Breiman et al., Classification and Regression Trees, 1984): of all
groups and all thresholds on all features, take the split that lowers the sum of squared
deviations of the targets most, until the number of groups is reached. Deterministic.

Why not k-means in log space, the usual choice: on the 44,758 calls of the public coding-agent
trace this tree's mean absolute error is 0.38 of the mean at 16 classes, k-means' 0.61 (0.095
and 0.123 on 19,366 Azure conversations). Logarithms spend classes on small calls that cost
nothing. Square roots of the targets did best among identity, square root, cube root and log:
they weigh a call between its number and its work.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsolve.instances.classes.table import Floats, Ints


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be split.

    Attributes
    ----------
    features : Floats
        Shape (items, features); groups are cut by thresholds on one of them.
    codes : Ints
        Shape (items,); a group may also be cut into "has this code" and "has not".
    targets : Floats
        Shape (items, targets); what should be constant within a group.
    positive : Floats
        Shape (items,); every group must keep a positive sum of it.
    least : int
        Fewest items in a group.
    """

    features: Floats
    codes: Ints
    targets: Floats
    positive: Floats
    least: int = 1


_Split = tuple[float, Ints, Ints]


def split(problem: Problem, start: list[Ints], groups: int) -> list[Ints]:
    """Split the groups in `start` until there are `groups`, or no split gains anything.

    Parameters
    ----------
    problem : Problem
        The items.
    start : list of Ints
        Indices of the items in each initial group.
    groups : int
        How many groups at most.

    Returns
    -------
    list of Ints
        The groups; indices in ascending order.
    """
    leaves = list(start)
    best = [_best_split(problem, leaf) for leaf in leaves]
    while len(leaves) < groups:
        gains = [found[0] if found else 0.0 for found in best]
        chosen = int(np.argmax(gains))
        found = best[chosen]
        if found is None:
            break
        _, low, high = found
        leaves[chosen] = low
        leaves.append(high)
        best[chosen] = _best_split(problem, low)
        best.append(_best_split(problem, high))
    return leaves


def _best_split(problem: Problem, leaf: Ints) -> _Split | None:
    """Return the split of one group with the largest gain, or None if none gains."""
    if len(leaf) < 2 * problem.least:
        return None
    targets = problem.targets[leaf]
    positive = problem.positive[leaf]
    best = 1e-12 * float((targets**2).sum())
    found: tuple[Ints, int] | None = None
    for order, allowed in _orders(problem, leaf):
        gain = _gains(targets[order])
        kept = np.cumsum(positive[order])
        allowed &= (kept[:-1] > 0) & (kept[-1] - kept[:-1] > 0)
        allowed[: problem.least - 1] = False
        if problem.least > 1:
            allowed[-(problem.least - 1) :] = False
        gain[~allowed] = -1.0
        cut = int(np.argmax(gain))
        if gain[cut] > best:
            best, found = float(gain[cut]), (order, cut + 1)
    if found is None:
        return None
    order, cut = found
    return best, np.sort(leaf[order[:cut]]), np.sort(leaf[order[cut:]])


def _orders(problem: Problem, leaf: Ints) -> Iterator[tuple[Ints, NDArray[np.bool_]]]:
    """Yield (order, allowed): orders of a group, and after which items it may be cut."""
    for column in range(problem.features.shape[1]):
        values = problem.features[leaf, column]
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        yield order, ordered[1:] > ordered[:-1]
    codes = problem.codes[leaf]
    present = np.unique(codes)
    # With two codes, one against the rest is the same cut twice.
    for code in present[: len(present) if len(present) > 2 else len(present) - 1]:
        inside = codes == code
        order = np.argsort(~inside, kind="stable")
        allowed = np.zeros(len(leaf) - 1, dtype=np.bool_)
        allowed[int(inside.sum()) - 1] = True
        yield order, allowed


def _gains(targets: Floats) -> Floats:
    """Return the drop in the sum of squares for a cut after each item but the last.

    Σ‖y − ȳ‖² = Σ‖y‖² − ‖Σy‖²/N, so the drop is ‖L‖²/l + ‖R‖²/r − ‖T‖²/N with the sums L, R, T of
    the left part, the right part and all.
    """
    sums = np.cumsum(targets, axis=0)
    total = sums[-1]
    left = sums[:-1]
    count = len(targets)
    sizes = np.arange(1, count, dtype=np.float64)
    gain: Floats = (
        (left**2).sum(axis=1) / sizes
        + ((total - left) ** 2).sum(axis=1) / (count - sizes)
        - (total**2).sum() / count
    )
    return gain
