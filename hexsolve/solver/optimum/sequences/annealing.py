"""Simulated annealing over sequences."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Ints
from hexsolve.solver.optimum.clock import never
from hexsolve.solver.optimum.flat import FlatProblem
from hexsolve.solver.optimum.placing import place_all
from hexsolve.solver.optimum.sequences.moves import move
from hexsolve.solver.optimum.sequences.places import (
    Layout,
    Sequences,
    copy_to,
    duplicate,
    layout_of,
    sequences_of,
)
from hexsolve.solver.optimum.sequences.pools import bind, fits
from hexsolve.solver.optimum.sequences.timing import room_for, rows_of, time_all
from hexsolve.solver.optimum.smoothing import smoothed
from hexsolve.solver.optimum.start import Incumbent, deadline_keys
from hexsolve.solver.optimum.succession import Chain, Chains

HOT, COLD = (0.01, 0.003, 0.0015, 0.001), 1e-4
"""First temperatures, of which one is drawn, and the last one; parts of the value."""

LENGTHS = (0.01, 0.03, 0.1, 0.2)
"""Parts of a search's time limit that a run takes, by `ROUND_S` and `OPERATION_S`, of which one is
drawn: with 128 calls a run of a minute finds what no number of short ones does."""

LEAST = 1000
"""Rounds of a run, at least."""

ROUND_S, OPERATION_S = 3e-6, 5e-8
"""Time of a round, and of it for each operation, where work is counted instead of time."""

PART_S = 0.3
"""About so long compiled code goes on before it is asked again whether to stop."""

PATIENCE = 2
"""Runs without a gain after which a chain is stuck."""

DEADLINES = 0.8, 1.2
"""Between which parts of the incumbent's Req_q the deadlines are of the list that a chain begins
with."""


@compiled
def anneal_sequences(
    f: FlatProblem,
    layout: Layout,
    s: Sequences,
    rng: np.random.Generator,
    begin: int,
    end: int,
    rounds: int,
    hot: float,
    cold: float,
) -> tuple[tuple[float, float], Sequences, Sequences]:
    """Anneal from round `begin` to `end` of `rounds`, which set the temperature.

    Returns the least Req_q seen that pools can hold and its smooth value, the sequences that have
    them, and those to go on from.
    """
    timing, trial = room_for(f), room_for(f)
    s, tried, best_s = duplicate(s), duplicate(s), duplicate(s)
    if not time_all(f, layout, s, timing, np.inf):
        return (np.inf, np.inf), best_s, s
    value, smooth = smoothed(timing.slowdown, f.spare)
    pools = bind(f)
    best, best_smooth = value, smooth
    if pools and not fits(f, rows_of(f, layout, s, timing)):
        best = best_smooth = np.inf
    for k in range(begin, end):
        temperature = value * hot * (cold / hot) ** (k / rounds)
        copy_to(s, tried)
        if not move(f, layout, tried, timing, value, rng):
            continue
        # Metropolis' rule, turned round: what may be accepted is known before it is made.
        most = smooth - temperature * np.log(1.0 - rng.random())
        if not time_all(f, layout, tried, trial, most):
            continue
        reached, energetic = smoothed(trial.slowdown, f.spare)
        if energetic <= most:
            value, smooth = reached, energetic
            s, tried = tried, s
            timing, trial = trial, timing
            if (value, smooth) < (best, best_smooth) and (
                not pools or fits(f, rows_of(f, layout, s, timing))
            ):
                best, best_smooth = value, smooth
                copy_to(s, best_s)
    return (best, best_smooth), best_s, s


@compiled
def schedule_of(f: FlatProblem, layout: Layout, s: Sequences) -> Ints:
    """Return the rows of the schedule, as of `place_within`."""
    timing = room_for(f)
    time_all(f, layout, s, timing, np.inf)
    return rows_of(f, layout, s, timing)


@dataclass(slots=True)
class Run:
    """A run under way: how far it is, where it goes on, and what was best on the way."""

    chain: Chain[Sequences]
    rounds: int
    hot: float
    now: Sequences
    best: Sequences
    least: tuple[float, float] = (float("inf"), float("inf"))
    done: int = 0


class SequenceAnnealer:
    """Improves an incumbent: from its sequences, and once those are stuck also from lists anew.

    A run that is not through when its time is goes on the next time. `limit_s` is the time limit of
    the search.
    """

    def __init__(
        self,
        incumbent: Incumbent,
        seed: int,
        limit_s: float,
        stop: Callable[[], bool] = never,
    ) -> None:
        self._incumbent = incumbent
        self._limit_s = limit_s
        self._stop = stop
        self._flat = incumbent.lists.flat
        self._layout = layout_of(self._flat)
        self._rng = np.random.default_rng([seed, 2])
        self._chains = Chains(incumbent, self._rng, PATIENCE, self._current, self._anew)
        self._run: Run | None = None
        operations = 2 * len(incumbent.problem.calls)
        self._expected = 1.0 / (ROUND_S + OPERATION_S * operations)
        self._rate = self._expected

    def run(self, seconds: float) -> None:
        """Anneal for about so long."""
        until = time.perf_counter() + seconds
        left = int(seconds * self._rate)
        while left > 0 and not self._stop():
            began = time.perf_counter()
            done = self._go_on(left)
            self._rate = max(1.0, done / max(1e-6, time.perf_counter() - began))
            left = int((until - time.perf_counter()) * self._rate)
        self._offer()

    def counted(self, seconds: float) -> None:
        """Anneal for the rounds that take about so long, whatever this machine's speed."""
        self.rounds(max(1, int(seconds * self._expected)))

    def rounds(self, rounds: int) -> None:
        """Anneal for so many rounds, or until it is to stop."""
        while rounds > 0 and not self._stop():
            rounds -= self._go_on(rounds)
        self._offer()

    def _go_on(self, most: int) -> int:
        """Go on with the run under way, or begin one, for a part; return how many rounds."""
        run = self._run = self._run or self._begun()
        part = max(5, int(PART_S * self._expected))
        end = min(run.done + min(part, most), run.rounds)
        reached, best, run.now = anneal_sequences(
            self._flat,
            self._layout,
            run.now,
            self._rng,
            run.done,
            end,
            run.rounds,
            run.hot,
            COLD,
        )
        if reached < run.least:
            run.least, run.best = reached, best
        done, run.done = end - run.done, end
        if run.done == run.rounds:
            self._offer()
            run.chain.ended(run.best, run.least[0])
            self._run = None
        return done

    def _begun(self) -> Run:
        chain = self._chains.drawn()
        seconds = self._limit_s * LENGTHS[int(self._rng.integers(len(LENGTHS)))]
        rounds = max(LEAST, int(seconds * self._expected))
        hot = HOT[int(self._rng.integers(len(HOT)))]
        return Run(chain, rounds, hot, chain.state, chain.state)

    def _offer(self) -> None:
        """Offer the best of the run under way."""
        run, incumbent = self._run, self._incumbent
        if run is None or run.least[0] >= incumbent.value:
            return
        rows = schedule_of(self._flat, self._layout, run.best)
        incumbent.offer(incumbent.lists.timetable(rows), "annealing of sequences")

    def _current(self) -> Sequences:
        """Return the sequences of the incumbent."""
        rows = self._incumbent.lists.rows(dict(enumerate(self._incumbent.timetable)))
        return sequences_of(self._flat, self._layout, rows)

    def _anew(self) -> Sequences:
        """Return the sequences of a list by deadlines."""
        incumbent = self._incumbent
        low, high = DEADLINES
        alpha = incumbent.value * (low + (high - low) * self._rng.random())
        keys = np.array(deadline_keys(incumbent.windows, alpha))
        lists = incumbent.lists
        rows = place_all(self._flat, keys, lists.anywhere, lists.nothing)
        return sequences_of(self._flat, self._layout, rows)
