"""Simulated annealing over the order in which list scheduling places calls."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Floats, Ints
from hexsolve.solver.optimum.clock import never
from hexsolve.solver.optimum.flat import FlatProblem
from hexsolve.solver.optimum.placing import ANY, place_all, place_within
from hexsolve.solver.optimum.start import Incumbent

SHARPNESS = 60.0
"""How much more the worst workflow counts than those close to it; per unit of relative slowdown."""

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
"""How often all calls are freed from their decode instances first, if Req_q is then at most so many
times what it was: from far above a run does not come back."""

PATIENCE, YOUNG = 5, 0.75
"""Runs without a gain after which a chain is stuck; how often a young one goes on in place of the
incumbent's that is: runs end percents apart, by chance, and most do not come away from there."""

AHEAD, UPSTREAM = 0.4, 0.3
"""Share of moves that put a waiting call before one it waits for; how often not the call that was
drawn is taken but the one before it, and so on."""

DECODE_MOVES, EXCHANGES = 0.3, 0.5
"""Share of the other moves that bind a call to a decode instance, where there are several; how
often another call is bound to the one that this call leaves."""


@compiled
def energy(f: FlatProblem, rows: Ints) -> tuple[float, float, Floats]:
    """Return Req_q, a smooth version of it, and the slowdown of each workflow."""
    slowdown = np.zeros(f.arrival.size)
    for c in range(f.workflow.size):
        w = f.workflow[c]
        slowdown[w] = max(slowdown[w], (rows[c, 5] - f.arrival[w]) / f.horizon[w])
    ranked = np.sort(slowdown)[: slowdown.size - f.spare]
    value = ranked[-1]
    if value <= 0.0:
        return value, value, slowdown
    near = np.exp(SHARPNESS * (ranked / value - 1.0)).sum()
    return value, value * (1.0 + np.log(near) / SHARPNESS), slowdown


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
def _exchange(c: int, wanted: Ints, rows: Ints, rng: np.random.Generator) -> bool:
    """Bind c and a call that decodes elsewhere meanwhile each to the other's decode instance."""
    found, other = 0, -1
    for x in range(wanted.size):
        elsewhere = rows[x, 1] >= 0 and rows[x, 1] != rows[c, 1]
        if elsewhere and rows[x, 5] > rows[c, 3] and rows[x, 3] < rows[c, 5]:
            found += 1
            if rng.random() * found < 1.0:
                other = x
    if other >= 0:
        wanted[c], wanted[other] = rows[other, 1], rows[c, 1]
    return other >= 0


@compiled
def _move(
    f: FlatProblem,
    slowdown: Floats,
    value: float,
    ranks: Floats,
    wanted: Ints,
    rows: Ints,
    rng: np.random.Generator,
) -> None:
    """Change order or binding in place, most often of a call of a workflow among the worst.

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
    kind = rng.random()
    if f.slots.size > 1 and kind < DECODE_MOVES:
        first, count = f.decode_first[c], f.decode_first[c + 1] - f.decode_first[c]
        if rows[c, 1] >= 0 and rng.random() < EXCHANGES and _exchange(c, wanted, rows, rng):
            return
        if count > 1:
            drawn = int(rng.random() * (count + 1))
            wanted[c] = ANY if drawn == count else f.decode_d[first + drawn]
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
    wanted: Ints,
    given: Ints,
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
    rows = place_all(f, ranks, wanted, given)
    value, smooth, slowdown = energy(f, rows)
    best, best_smooth = value, smooth
    best_ranks, best_wanted = ranks.copy(), wanted.copy()
    for k in range(begin, end):
        temperature = value * hot * (cold / hot) ** (k / rounds)
        tried, bound = ranks.copy(), wanted.copy()
        _move(f, slowdown, value, tried, bound, rows, rng)
        # Metropolis' rule, turned round: what may be accepted is known before it is made.
        most = smooth - temperature * np.log(1.0 - rng.random())
        made, whole = place_within(f, tried, bound, given, most)
        if not whole:
            continue
        reached, energetic, slow = energy(f, made)
        if energetic <= most:
            value, smooth, slowdown = reached, energetic, slow
            wanted = bound
            rows = made
            order = np.argsort(tried)
            for position in range(order.size):
                ranks[order[position]] = position
            if (value, smooth) < (best, best_smooth):
                best, best_smooth = value, smooth
                best_ranks, best_wanted = ranks.copy(), wanted.copy()
    return (best, best_smooth), best_ranks, best_wanted, wanted


@dataclass(slots=True)
class Chain:
    """A succession of runs, each from where the last one was best.

    Attributes
    ----------
    ranks : float array
        Of calls, the order that list scheduling places them in.
    wanted : int array
        Decode instances that calls are bound to, or `ANY`.
    value : float
        The least Req_q of the last run.
    stale : int
        Runs since one has found anything better.
    """

    ranks: Floats
    wanted: Ints
    value: float = float("inf")
    stale: int = 0


class Annealer:
    """Improves an incumbent: from its order, and once that is stuck also from the first one anew.

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
        self._rng = np.random.default_rng([seed, 1])
        self._first = self._closest()
        self._main, self._young = self._anew(), self._anew()
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
        chain = self._drawn()
        hot = HOT[int(self._rng.integers(len(HOT)))]
        part = max(5, int(PART_S * CALLS_PER_SECOND / len(self._incumbent.problem.calls)))
        ranks, wanted = chain.ranks, self._freed(chain)
        least = (float("inf"), float("inf"))
        done = 0
        while True:
            end = min(rounds, done + part)
            reached, best_ranks, best_wanted, wanted = anneal(
                self._flat, ranks, wanted, self._nothing, self._rng, done, end, rounds, hot, COLD
            )
            if reached < least:
                least, chain.ranks, chain.wanted = reached, best_ranks, best_wanted
            done = end
            if done >= rounds or self._stop():
                break
        chain.stale = 0 if least[0] < chain.value else chain.stale + 1
        self.value = chain.value = least[0]
        rows = place_all(self._flat, chain.ranks, chain.wanted, self._nothing)
        self._incumbent.offer(self._incumbent.lists.timetable(rows), "annealing")
        self._rate = done / max(1e-6, time.perf_counter() - began)
        return done

    def _drawn(self) -> Chain:
        """Return the chain that goes on: the incumbent's, or if that is stuck mostly a young one.

        A young chain that is stuck as well makes room for the next.
        """
        if self._incumbent.value < self._main.value:
            self._main = Chain(*self._closest())
        if self._main.stale < PATIENCE or self._rng.random() >= YOUNG:
            return self._main
        if self._young.stale >= PATIENCE:
            self._young = self._anew()
        return self._young

    def _anew(self) -> Chain:
        """Return a chain from the first order; compiled code goes on in its arrays."""
        ranks, wanted = self._first
        return Chain(ranks.copy(), wanted.copy())

    def _freed(self, chain: Chain) -> Ints:
        """Return the chain's bindings, now and then without any."""
        if self._rng.random() < UNBOUND:
            freed = np.full(chain.wanted.size, ANY, dtype=np.int64)
            known = min(chain.value, self._reached(chain.ranks, chain.wanted))
            if self._reached(chain.ranks, freed) <= FREED * known:
                return freed
        return chain.wanted

    def _closest(self) -> tuple[Floats, Ints]:
        """Return order and bindings with which list scheduling comes closest to the incumbent.

        Its keys without bindings; its starts with them; its starts of transfers with them.
        """
        timetable = self._incumbent.timetable
        columns = {d: k for k, d in enumerate(self._incumbent.problem.decode_rows)}
        anywhere = np.full(len(timetable), ANY, dtype=np.int64)
        bound = np.array([columns.get(row.d, ANY) for row in timetable], dtype=np.int64)
        tries = [
            (_order(np.array(self._incumbent.keys)), anywhere),
            (_order(np.array([row.start for row in timetable])), bound),
            (_order(np.array([row.sent for row in timetable])), bound),
        ]
        return min(tries, key=lambda each: self._reached(*each))

    def _reached(self, ranks: Floats, wanted: Ints) -> float:
        return energy(self._flat, place_all(self._flat, ranks, wanted, self._nothing))[0]


def _order(keys: Floats | Ints) -> Floats:
    """Return the rank of each key, of equal ones the first first."""
    ranks = np.empty(keys.size)
    ranks[np.argsort(keys, kind="stable")] = np.arange(keys.size)
    return ranks
