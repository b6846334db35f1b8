"""The search for the least Req_q: α is bisected by tests, and minimised where that is quicker."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hexsolve.models.status import OPTIMALITY_TOLERANCE
from hexsolve.solver.optimum.annealing import Annealer
from hexsolve.solver.optimum.clock import Clock
from hexsolve.solver.optimum.cpsat.model import Reply, ask
from hexsolve.solver.optimum.cpsat.scope import LARGEST, Scope
from hexsolve.solver.optimum.neighbourhoods import SECONDS, improve_once
from hexsolve.solver.optimum.prover import Prover, State
from hexsolve.solver.optimum.relaxation import relaxation_bound
from hexsolve.solver.optimum.sequences.annealing import SequenceAnnealer
from hexsolve.solver.optimum.start import Incumbent
from hexsolve.solver.optimum.timetable import Placed
from hexsolve.solver.optimum.yields import WAYS, Way, Yields

WHOLE = 220
"""Calls up to which α is minimised over the whole model; beyond, only neighbourhoods are."""

LAST_SHARE = 0.2
"""Part of the time limit that a test for a schedule better by a tick may take."""

NEAR = 0.0005
"""Relative gap from which on nothing is asked but whether there is any better schedule."""

UNANSWERED, RARELY = 2, 3
"""After how many tests without an answer in a row they become rare, and in which part of turns."""

IMPROVING = 1.5
"""Time for lists, sequences and neighbourhoods together, over that of a test."""

LEAST_S = 0.5
"""Least time of a test, s."""

CLIMBING, SMALL_GROWTH, GROWTH = 2.0, 1.5, 1.2
"""Time of a climb over that of a test; how much longer the next turn is up to `WHOLE` calls, where
what a climb has learned is lost in its end, and beyond."""

BOUNDS_SHARE = 0.1
"""Part of the time limit that the preemptive relaxation may take."""

FIRST_RUNS, FIRST_SHARE = 4, 0.1
"""Runs of annealing before any test, and the part of the time limit that they take together."""

Report = Callable[[float, float], None]


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search.

    Attributes
    ----------
    timetable : list of Placed
    objective, bound : float
        Req_q of the timetable, and what no schedule of the model is below.
    objective_source, bound_source : str
        What found them.
    seconds : float
        On the clock.
    tests : int
        Runs of CP-SAT.
    """

    timetable: list[Placed]
    objective: float
    bound: float
    objective_source: str
    bound_source: str
    seconds: float
    tests: int


class Search:
    """One search, which improves `first` within what is left of the clock; `run` does it."""

    def __init__(self, first: Incumbent, clock: Clock, report: Report | None = None) -> None:
        self.problem = first.problem
        self.windows = first.windows
        self.clock = clock
        self.rng = np.random.default_rng(clock.options.seed)
        self.best = first
        self.bound = self.windows.critical_path_bound()
        self.bound_source = "critical path"

        def ended() -> bool:
            return clock.stopped or self._proven()

        seed, limit_s = clock.options.seed, clock.options.time_limit_s
        self._annealers: dict[Way, Annealer | SequenceAnnealer] = {
            "lists": Annealer(self.best, seed, ended),
            "sequences": SequenceAnnealer(self.best, seed, limit_s, ended),
        }
        self.tests = 0
        self._yields = Yields()
        self._building_s = {"all": 0.0, "neighbourhood": 0.0}
        self.small = len(self.problem.calls) <= WHOLE
        self._rounds = self._turns = self._unanswered = self._climbs = 0
        self._report = report
        self._prover: Prover | None = None

    def run(self) -> Found:
        """Return what the time limit allows."""
        limit = self.clock.options.time_limit_s
        self._tell()
        if not (self.closed or self.clock.stopped or self.clock.options.deterministic):
            # Its searches look at the time, so that deterministic runs do without.
            relaxed = relaxation_bound(self.problem, BOUNDS_SHARE * limit)
            self._raise_bound(relaxed.value, relaxed.method)
            self._tell()
        for _ in range(FIRST_RUNS):
            for way in self._annealers:
                if not self.closed:
                    self._anneal(way, FIRST_SHARE / (2 * FIRST_RUNS) * limit)
                    self._tell()
        step = max(LEAST_S, limit / 60.0)
        options = self.clock.options
        if options.workers > 1 and not options.deterministic and not self.closed:
            self.state = State(self.best.value, self.best.timetable, self.bound)
            self._prover = Prover(self.windows, self.clock, lambda: self.state, self.small)
            with self._prover:
                self._take_turns(step)
            self._collect()
        else:
            self._take_turns(step)
        return Found(
            self.best.timetable,
            self.best.value,
            min(self.bound, self.best.value),
            self.best.source,
            self.bound_source,
            self.clock.spent_s,
            self.tests,
        )

    def _take_turns(self, step: float) -> None:
        """Test, climb and improve in turns of `step` seconds, which become longer."""
        share = 0.5
        while not self.closed and self.clock.left_s > 0.05:
            gap = 1.0 - self.bound / self.best.value
            climbs = self.small and (self._prover is None or not self._prover.climbing)
            if self.small and not climbs and gap < NEAR and self._in_time("all"):
                # All that is left to ask, while the prover climbs.
                self._test(self.best.value, 4.0 * step, self._turns % 2 == 1, strict=True)
            elif not (climbs and gap < NEAR and self._climb(4.0 * step)):
                if self._unanswered < UNANSWERED or self._turns % RARELY == 0:
                    share = self._bisect(step, share)
                    self._collect()
                if climbs and not self.closed:
                    self._climb(CLIMBING * step)
                if not self.closed:
                    self._improve(step)
            self._collect()
            self._turns += 1
            step *= SMALL_GROWTH if self.small else GROWTH
            self._tell()

    def _collect(self) -> None:
        """Take what the prover found, and let it know what is known."""
        if self._prover is not None:
            for reply in self._prover.replies():
                self._count_in(reply)
            self.state = State(self.best.value, self.best.timetable, self.bound)

    def _proven(self) -> bool:
        """Whether the prover is through: all else is in vain then."""
        return self._prover is not None and self._prover.proven

    @property
    def closed(self) -> bool:
        """Whether the best schedule is proven optimal."""
        return self.best.value - self.bound <= OPTIMALITY_TOLERANCE / 2 * self.best.value

    def _tell(self) -> None:
        if self._report is not None:
            self._report(self.best.value, self.bound)

    def _raise_bound(self, bound: float, source: str) -> None:
        if bound > self.bound:
            self.bound, self.bound_source = bound, source

    def _bisect(self, seconds: float, share: float) -> float:
        """Test an α between bound and incumbent; return where to test next, as a share.

        While tests are refuted in less time than they have, the next one follows with the rest.
        """
        until = self.clock.spent_s + seconds
        while True:
            alpha = self.bound + share * (self.best.value - self.bound)
            left = until - self.clock.spent_s
            outcome = self._test(alpha, left, linear=self._turns % 2 == 1)
            self._unanswered = self._unanswered + 1 if outcome is None else 0
            if outcome is None:
                # Nearer to the bound the windows are tighter, and the answer comes sooner.
                return max(share / 2.0, 1.0 / 64.0)
            if outcome:
                return 0.5
            share = min(0.5, share * 2.0)
            if self.closed or self.clock.spent_s > until - LEAST_S:
                return share

    def _test(
        self, alpha: float, seconds: float, linear: bool, strict: bool = False
    ) -> bool | None:
        """Return whether a schedule keeps α, or None; move incumbent or bound accordingly."""
        scope = Scope(self.windows, alpha, strict)
        if not scope.hopeless and (scope.choices > LARGEST or not self._in_time("all")):
            return None
        began, effort = self.clock.spent_s, self.clock.effort(seconds, stop=self._proven)
        reply = ask(scope, effort, self.best.timetable, linear=linear)
        self._built("all", began + effort.seconds)
        self.clock.charge(reply)
        self.tests += 1
        if reply.placed is not None:
            self.best.complete(reply.placed, "CP-SAT")
            return True
        if reply.infeasible:
            self._raise_bound(alpha, "critical path" if scope.hopeless else "CP-SAT")
            return False
        return None

    def _climb(self, seconds: float) -> bool:
        """Minimise α over the whole model from below, by one way after the other."""
        self._climbs += 1
        return self._minimise(seconds, self._climbs - 1)

    def _minimise(self, seconds: float, ascent: int | None = None) -> bool:
        """Minimise α over the whole model; return whether that was worth trying."""
        # From below nothing is asked for but what is better: the way up ends in the last proof.
        scope = Scope(self.windows, self.best.value, strict=ascent is not None)
        if scope.choices > LARGEST or not self._in_time("all"):
            return False
        began, effort = self.clock.spent_s, self.clock.effort(seconds, stop=self._proven)
        reply = ask(scope, effort, self.best.timetable, self.bound, ascent=ascent)
        self._built("all", began + effort.seconds)
        self.clock.charge(reply)
        self._count_in(reply)
        left = reply.optimal and (self._prover is None or not self._prover.climbing)
        for linear in (False, True):
            if left and not self.closed and self.clock.left_s > 0.05:
                # What is left is the rounding of α in the objective.
                seconds = LAST_SHARE * self.clock.options.time_limit_s
                self._test(self.best.value, seconds, linear, strict=True)
        return True

    def _count_in(self, reply: Reply) -> None:
        """Take over the schedule and the bound of a minimisation."""
        self.tests += 1
        if reply.placed is not None:
            self.best.complete(reply.placed, "CP-SAT")
        if np.isfinite(reply.bound):
            self._raise_bound(min(reply.bound, self.best.value), "CP-SAT")

    def _improve(self, seconds: float) -> None:
        """Look for a better schedule: anneal, search neighbourhoods, now and then all at once."""
        shares = {way: IMPROVING * seconds * self._yields.share(way) for way in WAYS}
        for way in self._annealers:
            before, first = self.best.value, self.clock.spent_s
            if not self.closed:
                self._anneal(way, shares[way])
                self._yields.count(way, self.clock.spent_s - first, self._fallen(before))
        self._rounds += 1
        if self.small and not self.closed and self._rounds % 3 == 0:
            self._minimise(seconds)
        gained, first = 0.0, self.clock.spent_s
        until = first + shares["neighbourhoods"]
        while self.clock.spent_s < until and not self.closed and self._in_time("neighbourhood"):
            began, before = self.clock.spent_s, self.best.value
            reply = improve_once(self.windows, self.best, self.rng, self.clock)
            gained += self._fallen(before)
            self._built("neighbourhood", began + SECONDS)
            self.tests += 1
            self.clock.charge(reply)
            self._collect()
        self._yields.count("neighbourhoods", self.clock.spent_s - first, gained)

    def _fallen(self, before: float) -> float:
        """Return by what part the objective fell."""
        return 1.0 - self.best.value / before if before > 0.0 else 0.0

    def _in_time(self, model: str) -> bool:
        """Return whether there is time to build such a model and look at it."""
        return self.clock.left_s > self._building_s[model] + 0.05

    def _built(self, model: str, expected_s: float) -> None:
        """Note how long it took to build a model of this sort, besides the search in it."""
        if not self.clock.options.deterministic:
            over = self.clock.spent_s - expected_s
            self._building_s[model] = max(self._building_s[model], over)

    def _anneal(self, way: Way, seconds: float) -> None:
        """Anneal lists or sequences for about so long."""
        annealer = self._annealers[way]
        seconds = min(seconds, self.clock.left_s)
        if self.clock.options.deterministic:
            annealer.counted(seconds)
            self.clock.charge_seconds(seconds)
        else:
            annealer.run(seconds)
