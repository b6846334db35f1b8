"""Which operation follows which on which place."""

from typing import NamedTuple

import numpy as np

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Ints
from hexsolve.solver.optimum.flat import FlatProblem

NONE = -1
"""No operation, no place, no option."""


class Layout(NamedTuple):
    """What does not change between two sequences of a problem.

    Operation c is the prefill of call c, operation n + c its transfer and decode. Places 0 to
    P − 1 are prefill instances, each further one is a slot of a decode instance.

    Attributes
    ----------
    instance : int array, shape (places,)
        Position of the instance, among those of its role.
    prefills : int
        P.
    member_first, member : int array
        Calls of each workflow; those of w are ``member[member_first[w]:member_first[w + 1]]``.
    last : int array, shape (n,)
        Operation that a call ends with.
    """

    instance: Ints
    prefills: int
    member_first: Ints
    member: Ints
    last: Ints


class Sequences(NamedTuple):
    """Which operation follows which on which place; compiled code changes the arrays in place.

    Attributes
    ----------
    place, before, after : int array, shape (2n,)
        Of each operation: where it runs, and what comes before and after it there, or `NONE`.
        Decodes of calls that have none are nowhere.
    first : int array, shape (places,)
        First operation of each place, or `NONE`.
    """

    place: Ints
    before: Ints
    after: Ints
    first: Ints


def layout_of(f: FlatProblem) -> Layout:
    """Return the places and workflows of a problem. No instance has more slots than calls."""
    calls, prefills = f.workflow.size, f.prompt_room.size
    slots = np.minimum(f.slots, calls)
    owners = [np.arange(prefills), np.repeat(np.arange(slots.size), slots)]
    decodes = f.decode_first[1:] > f.decode_first[:-1]
    sizes = np.bincount(f.workflow, minlength=f.arrival.size)
    return Layout(
        instance=np.concatenate(owners).astype(np.int64),
        prefills=prefills,
        member_first=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        member=np.argsort(f.workflow, kind="stable").astype(np.int64),
        last=np.arange(calls) + np.where(decodes, calls, 0),
    )


@compiled
def duplicate(s: Sequences) -> Sequences:
    """Return a copy."""
    return Sequences(s.place.copy(), s.before.copy(), s.after.copy(), s.first.copy())


@compiled
def copy_to(s: Sequences, target: Sequences) -> None:
    """Make `target` equal to `s`."""
    target.place[:], target.before[:] = s.place, s.before
    target.after[:], target.first[:] = s.after, s.first


@compiled
def insert(s: Sequences, op: int, place: int, before: int) -> None:
    """Let `op`, which is nowhere, run on a place after `before`, or first if that is `NONE`."""
    after = s.first[place] if before < 0 else s.after[before]
    s.place[op], s.before[op], s.after[op] = place, before, after
    if before < 0:
        s.first[place] = op
    else:
        s.after[before] = op
    if after >= 0:
        s.before[after] = op


@compiled
def remove(s: Sequences, op: int) -> None:
    """Take `op` out of its sequence."""
    before, after = s.before[op], s.after[op]
    if before < 0:
        s.first[s.place[op]] = after
    else:
        s.after[before] = after
    if after >= 0:
        s.before[after] = before


def sequences_of(f: FlatProblem, layout: Layout, rows: Ints) -> Sequences:
    """Return the sequences of a schedule; rows as of `place_within`.

    A decode gets the slot that was free for the shortest time. Not compiled: that would take longer
    than it ever saves.
    """
    calls, places = f.workflow.size, layout.instance.size
    s = Sequences(
        np.full(2 * calls, NONE, dtype=np.int64),
        np.full(2 * calls, NONE, dtype=np.int64),
        np.full(2 * calls, NONE, dtype=np.int64),
        np.full(places, NONE, dtype=np.int64),
    )
    latest = np.full(places, NONE, dtype=np.int64)
    free = np.zeros(places, dtype=np.int64)
    # Calls are numbered in an order in which parents come first.
    for c in np.argsort(rows[:, 2], kind="stable"):
        p = f.option_p[rows[c, 0]]
        insert(s, c, p, latest[p])
        latest[p] = c
    for c in np.argsort(rows[:, 4], kind="stable"):
        if rows[c, 1] < 0:
            continue
        chosen, soonest = NONE, NONE
        for place in range(layout.prefills, places):
            if layout.instance[place] != rows[c, 1]:
                continue
            if soonest < 0 or free[place] < free[soonest]:
                soonest = place
            if free[place] <= rows[c, 4] and (chosen < 0 or free[place] > free[chosen]):
                chosen = place
        # Optimistic decodes may take no time, and find no slot free at a moment when all are.
        chosen = soonest if chosen < 0 else chosen
        insert(s, calls + c, chosen, latest[chosen])
        latest[chosen], free[chosen] = calls + c, max(free[chosen], rows[c, 5])
    return s
