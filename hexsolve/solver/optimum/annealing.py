"""Simulated annealing over the order in which list scheduling places calls."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Floats, Ints
from hexsolve.solver.optimum.clock import never
from hexsolve.solver.optimum.flat import FlatProblem
from hexsolve.solver.optimum.placing import ANY, DECODE, PREFILL, place_all
from hexsolve.solver.optimum.resuming import accept, place_changed, remember
from hexsolve.solver.optimum.smoothing import smoothed
from hexsolve.solver.optimum.start import Incumbent
from hexsolve.solver.optimum.succession import Chain, Chains

HOT, COLD = (0.01, 0.003, 0.001, 0.0005, 0.0005), 1e-4
"""First temperatures, of which one is drawn, and the last one; parts of the value."""

RUN_S, LENGTHS = 0.25, (1, 1, 1, 2, 2, 4, 8)
"""Time of a short run, by `CALLS_PER_SECOND`, and of how many of it a run may consist: many runs
find more than one that cools down slowly, but not always."""

CALLS_PER_SECOND = 1_000_000
"""Calls placed in a second where work is counted instead of time."""

PART_S = 0.3
"""About so long compiled code goes on before it is asked again whether to stop."""

UNBOUND, FREED = 0.4, 1.03
"""How often all calls are freed from the instances of one role first, if Req_q is then at most so
many times what it was: from far above a run does not come back."""

PATIENCE = 5
"""Runs without a gain after which a chain is stuck."""

AHEAD, UPSTREAM = 0.4, 0.3
"""Share of moves that put a waiting call before one it waits for; how often not the call that was
drawn is taken but the one before it, and so on."""

PREFILL_MOVES, DECODE_MOVES = 0.1, 0.3
"""Shares of the other moves that bind a call to an instance, where there are several."""

EXCHANGES, WHOLE = 0.5, 0.3
"""How often another call is then bound to the instance that this call leaves; how often, with
prefill instances, all calls of a workflow are bound: one finds in the cache what another left."""


@compiled
def energy(f: FlatProblem, rows: Ints) -> tuple[float, float, Floats]:
    """Return Req_q, a smooth version of it, and the slowdown of each workflow."""
    slowdown = np.zeros(f.arrival.size)
    for c in range(f.workflow.size):
        w = f.workflow[c]
        slowdown[w] = max(slowdown[w], (rows[c, 5] - f.arrival[w]) / f.horizon[w])
    value, smooth = smoothed(slowdown, f.spare)
    return value, smooth, slowdown


@compiled
def _ahead(f: FlatProblem, c: int, ranks: Floats, rows: Ints, rng: np.random.Generator) -> bool:
    """Change the order in place of a call that waits and one it waits for; return whether it did.

    The call is `c` or one before it on the way to it; what it waits for holds the prefill instance
    or a decode slot meanwhile, for another workflow.
    """
    while True:
        ready, parent = f.release[c], -1
        for k in range(f.parent_first[c], f.parent_first[c + 1]):
            begin = rows[f.parent[k], 5] + f.delay[k]
            if begin >= ready:
                ready, parent = begin, f.parent[k]
        before = rows[c, 2] - ready
        waited = before + (rows[c, 4] - rows[c, 3])
        if waited > 0 and (parent < 0 or rng.random() >= UPSTREAM):
            break
        if parent < 0:
            return False
        c = parent
    for_decode = rng.random() * waited >= before
    p, found, blocker = f.option_p[rows[c, 0]], 0, -1
    for x in range(ranks.size):
        option = rows[x, 0]
        if for_decode:
            blocks = (
                rows[x, 1] == rows[c, 1] and rows[c, 3] < rows[x, 5] and rows[x, 4] < rows[c, 4]
            )
        else:
            blocks = f.option_p[option] == p and (
                ready < rows[x, 2] + f.occupied[option] and rows[x, 2] < rows[c, 2]
            )
        # What comes after c in the order was before it because of c's parents: that stays so.
        if blocks and ranks[x] < ranks[c] and f.workflow[x] != f.workflow[c]:
            found += 1
            if rng.random() * found < 1.0:
                blocker = x
    if blocker < 0:
        return False
    if rng.random() < 0.5:
        ranks[c] = ranks[blocker] - 0.5
    else:
        ranks[blocker] = ranks[c] + 0.5
    return True


@compiled
def _used(f: FlatProblem, role: int, row: Ints) -> int:
    """Return the prefill or decode instance of a placed call."""
    at: int = f.option_p[row[0]] if role == PREFILL else row[1]
    return at


@compiled
def _exchange(
    f: FlatProblem, role: int, c: int, bindings: Ints, rows: Ints, rng: np.random.Generator
) -> bool:
    """Bind c and a call that is elsewhere meanwhile each to the other's instance."""
    begin, end = (2, 3) if role == PREFILL else (3, 5)
    mine, found, other = _used(f, role, rows[c]), 0, -1
    for x in range(rows.shape[0]):
        at = _used(f, role, rows[x])
        if (
            at >= 0
            and at != mine
            and rows[x, end] > rows[c, begin]
            and rows[x, begin] < rows[c, end]
        ):
            found += 1
            if rng.random() * found < 1.0:
                other = x
    if other >= 0:
        bindings[c, role], bindings[other, role] = _used(f, role, rows[other]), mine
    return other >= 0


@compiled
def _bind(
    f: FlatProblem, role: int, c: int, bindings: Ints, rows: Ints, rng: np.random.Generator
) -> bool:
    """Bind c to an instance in place, free it, or exchange its instance with another call's."""
    if role == DECODE and rows[c, 1] < 0:
        return False
    if rng.random() < EXCHANGES and _exchange(f, role, c, bindings, rows, rng):
        return True
    drawn = int(rng.random() * (f.lag.shape[1 + role] + 1)) - 1
    if role == PREFILL and rng.random() < WHOLE:
        for x in range(rows.shape[0]):
            if f.workflow[x] == f.workflow[c]:
                bindings[x, role] = drawn
    else:
        bindings[c, role] = drawn
    return True


@compiled
def _move(
    f: FlatProblem,
    slowdown: Floats,
    value: float,
    ranks: Floats,
    bindings: Ints,
    rows: Ints,
    rng: np.random.Generator,
) -> None:
    """Change order or bindings in place, most often of a call of a workflow among the worst.

    `rows` is the schedule that order and bindings give.
    """
    calls = ranks.size
    c = int(rng.random() * calls)
    if rng.random() < 0.5:
        # The first of a few draws that is near the worst.
        for _ in range(30):
            if 0.97 * value <= slowdown[f.workflow[c]] <= value:
                break
            c = int(rng.random() * calls)
    if rng.random() < AHEAD and _ahead(f, c, ranks, rows, rng):
        return
    if f.prompt_room.size > 1 and rng.random() < PREFILL_MOVES:
        if _bind(f, PREFILL, c, bindings, rows, rng):
            return
    elif (
        f.slots.size > 1
        and rng.random() < DECODE_MOVES
        and _bind(f, DECODE, c, bindings, rows, rng)
    ):
        return
    far = rng.normal() * max(3.0, 0.1 * calls)
    kind = rng.random()
    if kind < 0.5:
        ranks[c] += far
    elif kind < 0.8:
        other = int(rng.random() * calls)
        ranks[c], ranks[other] = ranks[other], ranks[c]
    else:
        for k in range(calls):
            if f.workflow[k] == f.workflow[c]:
                ranks[k] += far


@compiled
def anneal(
    f: FlatProblem,
    ranks: Floats,
    bindings: Ints,
    rng: np.random.Generator,
    begin: int,
    end: int,
    rounds: int,
    hot: float,
    cold: float,
) -> tuple[tuple[float, float], Floats, Ints, Ints]:
    """Anneal from round `begin` to `end` of `rounds`, which set the temperature.

    Returns the least Req_q seen and its smooth value, the order and bindings that gave them, and
    the bindings to go on from; the order to go on from is left in `ranks`.
    """
    memory = remember(f, ranks, bindings)
    rows = memory.states.rows
    value, smooth, slowdown = energy(f, rows)
    best, best_smooth = value, smooth
    best_ranks, best_bindings = ranks.copy(), bindings.copy()
    for k in range(begin, end):
        temperature = value * hot * (cold / hot) ** (k / rounds)
        tried, moved = ranks.copy(), bindings.copy()
        _move(f, slowdown, value, tried, moved, rows, rng)
        # Metropolis' rule, turned round: what may be accepted is known before it is made.
        most = smooth - temperature * np.log(1.0 - rng.random())
        if not place_changed(f, ranks, tried, bindings, moved, memory, most):
            continue
        reached, energetic, slow = energy(f, memory.work.rows)
        if energetic <= most:
            value, smooth, slowdown = reached, energetic, slow
            bindings = moved
            accept(memory)
            # Of equal ranks the first call is the first, in lists as well.
            order = np.argsort(tried, kind="mergesort")
            for position in range(order.size):
                ranks[order[position]] = position
            if (value, smooth) < (best, best_smooth):
                best, best_smooth = value, smooth
                best_ranks, best_bindings = ranks.copy(), bindings.copy()
    return (best, best_smooth), best_ranks, best_bindings, bindings


class Order(NamedTuple):
    """What a list is made of.

    Attributes
    ----------
    ranks : float array
        Of calls, the order that list scheduling places them in.
    bindings : int array, shape (n, 2)
        See `place_within`.
    """

    ranks: Floats
    bindings: Ints


class Annealer:
    """Improves an incumbent: from its order, and once that is stuck also from the first one anew.

    The first order is that of the schedule that the incumbent has when this is made.

    Attributes
    ----------
    value : float
        The least Req_q of the last run.
    """

    def __init__(self, incumbent: Incumbent, seed: int, stop: Callable[[], bool] = never) -> None:
        self._incumbent = incumbent
        self._stop = stop
        self._flat = incumbent.lists.flat
        self._nothing = incumbent.lists.nothing
        problem = incumbent.problem
        # Where there is one instance of a role, no call is bound.
        several = (PREFILL, len(problem.prefill_rows)), (DECODE, len(problem.decode_rows))
        self._roles = [role for role, instances in several if instances > 1]
        self._rng = np.random.default_rng([seed, 1])
        self._first = self._closest()
        self._chains = Chains(incumbent, self._rng, PATIENCE, self._closest, self._anew)
        self.value = float("inf")
        self._rate = 0.0

    def run(self, seconds: float) -> None:
        """Anneal for about so long, in runs of several lengths."""
        if not self._rate:
            # The first call compiles, or loads what was compiled.
            self.rounds(1)
            self.rounds(5)
        until = time.perf_counter() + seconds
        while True:
            left = int((until - time.perf_counter()) * self._rate)
            taken = max(5, min(self._length(), left))
            if self._one_run(taken) < taken or time.perf_counter() >= until or self._stop():
                return

    def counted(self, seconds: float) -> None:
        """Anneal for the rounds that take about so long, whatever this machine's speed."""
        self.rounds(max(1, int(seconds * CALLS_PER_SECOND / len(self._incumbent.problem.calls))))

    def rounds(self, rounds: int) -> None:
        """Anneal for so many rounds, in runs of several lengths, or until it is to stop."""
        while True:
            taken = min(self._length(), rounds)
            done = self._one_run(taken)
            rounds -= taken
            if done < taken or rounds == 0 or self._stop():
                return

    def _length(self) -> int:
        """Return the rounds of the next run."""
        short = max(5, int(RUN_S * CALLS_PER_SECOND / len(self._incumbent.problem.calls)))
        return short * LENGTHS[int(self._rng.integers(len(LENGTHS)))]

    def _one_run(self, rounds: int) -> int:
        """Cool down once; return after how many rounds, should it be asked to stop.

        In parts, the same as in one: compiled code lets nobody ask for a stop.
        """
        began = time.perf_counter()
        chain = self._chains.drawn()
        hot = HOT[int(self._rng.integers(len(HOT)))]
        part = max(5, int(PART_S * CALLS_PER_SECOND / len(self._incumbent.problem.calls)))
        ranks, bindings = chain.state.ranks, self._freed(chain)
        best, least = chain.state, (float("inf"), float("inf"))
        done = 0
        while True:
            end = min(rounds, done + part)
            reached, best_ranks, best_bindings, bindings = anneal(
                self._flat, ranks, bindings, self._rng, done, end, rounds, hot, COLD
            )
            if reached < least:
                least, best = reached, Order(best_ranks, best_bindings)
            done = end
            if done >= rounds or self._stop():
                break
        chain.ended(best, least[0])
        self.value = chain.value
        rows = place_all(self._flat, *best, self._nothing)
        self._incumbent.offer(self._incumbent.lists.timetable(rows), "annealing")
        self._rate = done / max(1e-6, time.perf_counter() - began)
        return done

    def _anew(self) -> Order:
        """Return a copy of the first order; compiled code goes on in its arrays."""
        ranks, bindings = self._first
        return Order(ranks.copy(), bindings.copy())

    def _freed(self, chain: Chain[Order]) -> Ints:
        """Return the chain's bindings, now and then without any."""
        if self._roles and self._rng.random() < UNBOUND:
            ranks, bindings = chain.state
            freed = bindings.copy()
            freed[:, self._roles[int(self._rng.integers(len(self._roles)))]] = ANY
            known = min(chain.value, self._reached(ranks, bindings))
            if self._reached(ranks, freed) <= FREED * known:
                return freed
        return chain.state.bindings

    def _closest(self) -> Order:
        """Return order and bindings with which list scheduling comes closest to the incumbent.

        Its keys without bindings; its starts and its starts of transfers, each with bindings to
        decode instances and with those to both.
        """
        timetable = self._incumbent.timetable
        lists, problem = self._incumbent.lists, self._incumbent.problem
        places = {row: k for k, row in enumerate(problem.prefill_rows)}
        columns = {row: k for k, row in enumerate(problem.decode_rows)}
        bound = np.array([(places[row.option.p], columns.get(row.d, ANY)) for row in timetable])
        decoding = bound.copy()
        decoding[:, PREFILL] = ANY
        starts = _order(np.array([row.start for row in timetable]))
        sent = _order(np.array([row.sent for row in timetable]))
        tries = [
            (_order(np.array(self._incumbent.keys)), lists.anywhere),
            *((order, bindings) for order in (starts, sent) for bindings in (decoding, bound)),
        ]
        return Order(*min(tries, key=lambda each: self._reached(*each)))

    def _reached(self, ranks: Floats, bindings: Ints) -> float:
        return energy(self._flat, place_all(self._flat, ranks, bindings, self._nothing))[0]


def _order(keys: Floats | Ints) -> Floats:
    """Return the rank of each key, of equal ones the first first."""
    ranks = np.empty(keys.size)
    ranks[np.argsort(keys, kind="stable")] = np.arange(keys.size)
    return ranks
