"""Calls that follow one another: what each stage takes of a machine, and of its chain's time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hexsolve.solver.optimum.bounds.items import Question
from hexsolve.solver.optimum.bounds.times import Floats, Ints, Times

NO_KIND = -1


@dataclass(frozen=True, slots=True)
class Stage:
    """Pieces that must be done between ``start`` and ``arrival + α·H − after``; m pieces.

    Attributes
    ----------
    call : int array, shape (m,)
    start, after : array, shape (m,)
        s.
    kind : int array, shape (O,)
        Kind of instance of each way to do a piece, or `NO_KIND` for a delay.
    work, latency : array, shape (m, O)
        Machine seconds, and seconds that pass meanwhile, at least; a part of the piece takes that
        part of both. ``inf`` where impossible.
    """

    call: Ints
    start: Floats
    after: Floats
    kind: Ints
    work: Floats
    latency: Floats


@dataclass(frozen=True, slots=True)
class Chains:
    """A partition of each workflow's calls into chains, of which one call runs at a time.

    Attributes
    ----------
    of_call : int array, shape (n,)
    workflow : int array, shape (C,)
    start, after : array, shape (C,)
        All stages of the chain's calls lie between ``start`` and ``arrival + α·H − after``.
    least : array, shape (C,)
        Seconds that they take at least.
    stages : tuple of Stage
    """

    of_call: Ints
    workflow: Ints
    start: Floats
    after: Floats
    least: Floats
    stages: tuple[Stage, ...]

    def ends(self, question: Question, alpha: float) -> Floats:
        """Return the end of each chain's window at α, s."""
        due = question.arrivals + alpha * question.horizons
        return np.asarray(due[self.workflow] - self.after)


def find_chains(question: Question) -> Chains:
    """Return chains of the calls of a question about runs without restarts."""
    times, paths = question.times, question.paths
    call_s = np.asarray(times.call_s)
    of_call = partition(times, call_s + np.maximum(0.0, times.tool_s))
    count = int(of_call.max()) + 1
    workflow = np.zeros(count, dtype=np.int64)
    workflow[of_call] = times.workflow
    reveal = question.arrivals[times.workflow] + paths.head_s
    start, after = np.full(count, np.inf), np.full(count, np.inf)
    # Times rounded down can have a call revealed before its workflow arrives.
    np.minimum.at(start, of_call, reveal - np.maximum(0.0, times.tool_s))
    np.minimum.at(after, of_call, paths.tail_s)
    stages = tuple(_stages(question, reveal))
    least = np.zeros(count)
    for stage in stages:
        np.add.at(least, of_call[stage.call], stage.latency.min(axis=1))
    return Chains(of_call, workflow, start, after, least, stages)


def partition(times: Times, seconds: Floats) -> Ints:
    """Return the chain of each call: again and again the longest path through calls without one."""
    size = len(times.parents)
    chain = np.full(size, -1, dtype=np.int64)
    taken = 0
    first = 0
    for count in np.bincount(times.workflow).tolist():
        left = set(range(first, first + count))
        while left:
            length: dict[int, float] = {}
            before: dict[int, int] = {}
            for call in range(first, first + count):
                parents = times.parents[call]
                above = max(parents, key=length.__getitem__, default=-1)
                before[call] = above
                own = float(seconds[call]) + 1e-12 if call in left else 0.0
                length[call] = own + (length[above] if above >= 0 else 0.0)
            call = max(length, key=length.__getitem__)
            while call >= 0:
                if call in left:
                    left.remove(call)
                    chain[call] = taken
                call = before[call]
            taken += 1
        first += count
    return chain


def _stages(question: Question, reveal: Floats) -> Iterator[Stage]:
    times, paths = question.times, question.paths
    every, kinds = np.arange(times.steps.size), np.arange(len(times.kinds))
    call_s, first_s = np.asarray(times.call_s), times.first_s
    finishing = paths.tail_s + times.rest_s
    held = times.prefill_held_s
    yield Stage(every, reveal, finishing, kinds, times.prefill_work, held)
    with np.errstate(invalid="ignore"):
        rest = np.where(np.isfinite(held), times.prefill_s - held, np.inf).min(axis=1)
    yield from _delay(rest, reveal, finishing)
    yield from _delay(times.tool_s, reveal - times.tool_s, paths.tail_s + call_s)
    decodes = np.flatnonzero(times.steps > 0)
    if not decodes.size:
        return
    transfer = times.transfer_s.min(axis=(1, 2))
    decoding = times.decode_s.min(axis=1)
    yield from _delay(transfer, reveal + first_s, paths.tail_s + decoding)
    landing = (times.prefill_s[:, :, None] + times.transfer_s).min(axis=(1, 2))
    start, after = (reveal + landing)[decodes], paths.tail_s[decodes]
    if not times.level_kind.size:
        yield Stage(
            decodes, start, after, kinds, times.decode_work[decodes], times.decode_s[decodes]
        )
        return
    # A step costs, in each way, an affine function of its position; the least of them is
    # concave, and its sum at least that of the chord: half of the steps like the first one.
    for sign in (-1.0, 1.0):
        part = sign * times.steps[decodes, None] / 4.0
        with np.errstate(invalid="ignore"):
            work = times.level_work[decodes] / 2.0 + part * times.level_work_rise[decodes]
            latency = times.level_s[decodes] / 2.0 + part * times.level_s_rise[decodes]
        usable = np.isfinite(times.level_work[decodes])
        yield Stage(
            decodes, start, after, times.level_kind,
            np.where(usable, np.maximum(0.0, work), np.inf),
            np.where(usable, np.maximum(0.0, latency), np.inf),
        )  # fmt: skip


def _delay(seconds: Floats, start: Floats, after: Floats) -> Iterator[Stage]:
    calls = np.flatnonzero(seconds > 0.0)
    if calls.size:
        shape = (calls.size, 1)
        yield Stage(
            calls, start[calls], after[calls], np.array([NO_KIND]),
            np.zeros(shape), seconds[calls].reshape(shape),
        )  # fmt: skip
