"""The rolling-horizon planner as a policy."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hexsolve.models.simulation.calls import QUEUED, READY, RevealedCall
from hexsolve.models.simulation.policy import Assignment, Plan
from hexsolve.models.simulation.view import ClusterView
from hexsolve.solver.online.projected import ProjectedPolicy, waiting_calls
from hexsolve.solver.online.projection.arrays import Bound, Choice, Floats, Frontier, Ints
from hexsolve.solver.online.projection.greedy import greedy
from hexsolve.solver.online.projection.ready import compile_search
from hexsolve.solver.online.projection.rollout import Stakes, improve, roll_out, score
from hexsolve.solver.online.projection.snapshot import bound_calls, free_seconds, frontier_of
from hexsolve.solver.online.rolling.candidates import compile_window, make_window
from hexsolve.solver.online.rolling.log import Epoch, EpochLog
from hexsolve.solver.online.rolling.model import SolverBudget
from hexsolve.solver.online.rolling.options import RollingOptions
from hexsolve.solver.online.rolling.trust import sound_plans, trusted
from hexsolve.solver.online.rolling.window import Window, WindowAnswer
from hexsolve.solver.online.rolling.worker import InlineSolver, ProcessSolver, Solver

SOLVER_SHARE = 0.5
"""Of the budget for CP-SAT; then local search until `SEARCH_SHARE` of it is spent."""
SEARCH_SHARE = 0.85
LEAST_SOLVER_S = 1e-3
"""With less time left CP-SAT is not asked."""
CHUNK_MOVES = 32
MOST_MOVES = 600
MOST_CALLS = 200
"""In an epoch: that many can be planned in a small share of the usual budget."""
MOVE_S = 2e-6
MOVE_S_PER_CALL = 1.2e-7
"""Time of a move of the local search, for the count and the charge of a deterministic budget."""
SETUP_S = 1e-3
SETUP_S_PER_CALL = 2.5e-5
"""Time of an epoch before its searches, likewise."""
MODEL_S_PER_CALL = 2e-4
"""Time that the window's data and model take, likewise."""


@dataclass(slots=True)
class _Candidate:
    name: str
    prefill: Ints
    decode: Ints
    order: Ints
    finish: Floats
    score: float


class RollingPlanner(ProjectedPolicy):
    """Re-plans at every change what has not begun, under a budget, if greedy can be beaten.

    The serving path is the greedy rule with congestion prices: whenever calls become ready, all
    that wait are placed. Beside it each epoch takes all calls that are queued and compares, by the
    score of a rollout of each complete plan (`score`): the greedy plan, the plan in force, the last
    incumbents of CP-SAT on the calls that begin next or are in most danger, and what a local
    search makes of the best of them. If that is better than deciding anew by more than
    `least_gain`, it takes effect `budget_ms` after the state it was made from, and stays in force
    until the rule's decision at a reveal projects as well. Whatever happens to the solver, the
    greedy plan is there.

    Parameters
    ----------
    options : RollingOptions, optional
    solver : Solver, optional
        For tests; otherwise as `options` says.
    """

    epoch_on_change = True

    def __init__(self, options: RollingOptions | None = None, solver: Solver | None = None) -> None:
        options = options or RollingOptions()
        super().__init__(
            "rolling-cpsat",
            congestion_price=options.congestion_price,
            look_ahead=options.look_ahead,
        )
        self.options = options
        self.epoch_s = options.epoch_s
        self.log = EpochLog()
        self._solver = solver or (InlineSolver() if options.deterministic else ProcessSolver())
        if isinstance(self._solver, ProcessSolver):
            self._solver.wait_until_ready()

    def start(self, view: ClusterView) -> None:
        """Begin a run."""
        super().start(view)
        compile_search(self.machines)
        compile_window(self.machines)
        self.log = EpochLog()
        self._held: set[int] = set()

    def close(self) -> None:
        """End the solver's process."""
        self._solver.close()

    def take_effect(self, view: ClusterView) -> dict[int, float] | None:
        """Hold the calls of a plan whose time has come to it."""
        ranks = super().take_effect(view)
        if ranks is not None:
            self._held = set(ranks)
        return ranks

    def completed(self, view: ClusterView, call: RevealedCall) -> None:
        """Take note of an observed length."""
        super().completed(view, call)
        self._held.discard(call.number)

    def place(
        self, view: ClusterView, ready: Sequence[RevealedCall]
    ) -> list[tuple[RevealedCall, Assignment]]:
        """Place all that waits by the priced rule, unless the plan in force projects better."""
        self.observe(view, ready)
        self.take_effect(view)
        calls = waiting_calls(view)
        if not calls:
            return self.admission_order(view)
        elapsed, horizon = self.terms(view, calls)
        frontier = frontier_of(calls, self.rows, elapsed, horizon)
        bound, bound_by = bound_calls(view, self.machines)
        free = free_seconds(view, self.machines)
        price = self.price(len(calls))
        choice = greedy(self.machines, bound, frontier, free, self.iterate_up_to, price)
        held = [c.stage != READY and c.number in self._held for c in calls]
        kept: dict[int, float] = {}
        if any(held):
            stakes = self._stakes(view, calls, bound_by, elapsed, horizon, price)
            pinned = self.pinned(calls, frontier, held)
            other = greedy(self.machines, bound, pinned, free, self.iterate_up_to, price)
            keys = self.keys(other)
            for row, call in enumerate(calls):
                if held[row]:
                    keys[row] = kept[call.number] = self.ranks[call.number]

            def value(plan: Choice, order: Ints) -> float:
                finish = roll_out(
                    self.machines, bound, frontier, free, plan.prefill, plan.decode, order
                )
                return score(self.machines, frontier, stakes, plan.prefill, finish)

            anew = value(choice, choice.order)
            stays = value(other, np.argsort(keys, kind="stable"))
            if self.gains(stays, anew):
                choice = other
            else:
                self._held.clear()
                kept = {}
        changed = self.changes(calls, choice)
        self.ranks.update(kept)
        return changed + self.admission_order(view)

    def gains(self, one: float, other: float) -> bool:
        """Return whether score `one` is better than `other` by more than errors of projection."""
        least = float((1.0 - self.options.least_gain) ** self.options.power)
        return one < other * least

    def plan(self, view: ClusterView) -> Plan | None:
        """Look for a better plan of all calls that wait in a queue."""
        started = time.perf_counter()
        self.observe(view, ())
        self.take_effect(view)
        queued = [call for call in waiting_calls(view) if call.stage == QUEUED]
        if len(queued) < 2:
            return None
        calls = self._nearest(queued)
        elapsed, horizon = self.terms(view, calls)
        frontier = frontier_of(calls, self.rows, elapsed, horizon)
        bound, bound_by = bound_calls(view, self.machines)
        free = free_seconds(view, self.machines)
        price = self.price(len(queued))
        base = greedy(self.machines, bound, frontier, free, self.iterate_up_to, price)
        stakes = self._stakes(view, calls, bound_by, elapsed, horizon, price)

        def judged(name: str, prefill: Ints, decode: Ints, order: Ints) -> _Candidate:
            finish = roll_out(self.machines, bound, frontier, free, prefill, decode, order)
            value = score(self.machines, frontier, stakes, prefill, finish)
            return _Candidate(name, prefill, decode, order, finish, value)

        finish = roll_out(
            self.machines, bound, frontier, free, base.prefill, base.decode, base.order
        )
        if float(np.max((stakes.elapsed + finish) / stakes.horizon)) < self.options.calm_ratio:
            return None
        value = score(self.machines, frontier, stakes, base.prefill, finish)
        best = first = _Candidate("greedy", base.prefill, base.decode, base.order, finish, value)
        force = self._plan_in_force(calls, frontier)
        if force is not None:
            best = _better(best, judged("previous", *force))
        answer = WindowAnswer("SKIPPED")
        size = 0
        if self.options.cp_sat:
            window = make_window(self.machines, bound, frontier, free, stakes, base, finish)
            if window is not None:
                size = len(window.calls)
                answer = self._solved(window, _setup_s(bound, calls), started)
                for incumbent in sound_plans(answer, frontier, self.machines.pairs):
                    best = _better(best, judged("cp-sat", *_spliced(base, incumbent)))
        if self.options.local_search:
            best = self._search(best, calls, bound, frontier, free, stakes, started)
        latency = self._latency(answer, size, bound, calls)
        # Deciding anew at every reveal may do as well; the time has passed all the same.
        plan = Plan((), latency)
        carried = best.name not in ("greedy", "previous") and self.gains(best.score, first.score)
        if carried:
            plan = self._carry_out(view, calls, frontier, best, latency)
        self._note(view, calls, size, answer, best, first, carried, started)
        return plan

    # ------------------------------------------------------------------ parts of an epoch

    def _nearest(self, queued: Sequence[RevealedCall]) -> Sequence[RevealedCall]:
        """Return the calls of an epoch, by number: those that are served first.

        What is far behind will be planned again before it begins, and an epoch's time grows with
        the square of its calls.
        """
        if len(queued) <= MOST_CALLS:
            return queued
        first = sorted(queued, key=lambda call: self.ranks.get(call.number, call.priority))
        return sorted(first[:MOST_CALLS], key=lambda call: call.number)

    def _solved(self, window: Window, setup_s: float, started: float) -> WindowAnswer:
        """Ask CP-SAT, which has `SOLVER_SHARE` of the budget less what the epoch has used of it."""
        budget_s = self.options.budget_ms / 1e3
        if self.options.deterministic:
            used = setup_s + MODEL_S_PER_CALL * len(window.calls)
        else:
            used = time.perf_counter() - started
        left = budget_s * SOLVER_SHARE - used
        if left < LEAST_SOLVER_S:
            return WindowAnswer("TIMEOUT: no time was left for the solver")
        seed = self.options.seed + len(self.log.epochs)
        budget = SolverBudget(left, self.options.deterministic, self.options.workers, seed)
        answer = trusted(self._solver.solve(window, budget, budget_s * SEARCH_SHARE - used))
        answer.limit_s = left
        return answer

    def _stakes(
        self,
        view: ClusterView,
        calls: Sequence[RevealedCall],
        bound_by: Sequence[RevealedCall],
        elapsed: list[float],
        horizon: list[float],
        price: float,
    ) -> Stakes:
        more_elapsed, more_horizon = self.terms(view, bound_by)
        index: dict[int, int] = {}
        workflow = [
            index.setdefault(call.workflow.number, len(index)) for call in (*calls, *bound_by)
        ]
        return Stakes(
            np.array(workflow, np.int64),
            np.array(elapsed + more_elapsed, np.float64),
            np.array(horizon + more_horizon, np.float64),
            len(index),
            price,
            self.options.power,
        )

    def _plan_in_force(
        self, calls: Sequence[RevealedCall], frontier: Frontier
    ) -> tuple[Ints, Ints, Ints] | None:
        """Return where the queued calls are and in which order; None if one cannot stay."""
        row_of = {int(number): row for row, number in enumerate(self.machines.prefill_numbers)}
        column_of = {int(number): d for d, number in enumerate(self.machines.decode_numbers)}
        prefill = np.array([row_of[call.prefill] for call in calls], np.int64)
        decode = np.array([column_of[call.decode] for call in calls], np.int64)
        every = np.arange(len(calls))
        if (frontier.new[every, prefill] < 0).any() or (frontier.missing[every, decode] < 0).any():
            return None
        keys = [self.ranks.get(call.number, call.priority) for call in calls]
        return prefill, decode, np.argsort(np.array(keys), kind="stable")

    def _search(
        self,
        best: _Candidate,
        calls: Sequence[RevealedCall],
        bound: Bound,
        frontier: Frontier,
        free: Floats,
        stakes: Stakes,
        started: float,
    ) -> _Candidate:
        """Improve the best plan by local search until its share of the budget is spent."""
        budget_s = self.options.budget_ms / 1e3
        seed = self.options.seed + len(self.log.epochs)
        moves = self._moves(bound, calls) if self.options.deterministic else CHUNK_MOVES
        while self.options.deterministic or time.perf_counter() - started < budget_s * SEARCH_SHARE:
            prefill, decode, order, finish, value, _ = improve(
                self.machines, bound, frontier, free, stakes,
                best.prefill, best.decode, best.order, moves, seed,
            )  # fmt: skip
            found = _Candidate("local-search", prefill, decode, order, finish, value)
            best = _better(best, found)
            seed += 1_000_003
            if self.options.deterministic:
                break
        return best

    def _carry_out(
        self,
        view: ClusterView,
        calls: Sequence[RevealedCall],
        frontier: Frontier,
        best: _Candidate,
        latency: float,
    ) -> Plan:
        finish = best.finish[: len(calls)]
        ratio = (frontier.elapsed + finish) / frontier.horizon
        choice = Choice(best.prefill, best.decode, best.order, finish, ratio)
        return self.later(view, calls, choice, latency)

    def _latency(
        self, answer: WindowAnswer, window: int, bound: Bound, calls: Sequence[RevealedCall]
    ) -> float:
        """Return what the epoch is charged, s: the budget, or the work done if that is counted."""
        budget_s = self.options.budget_ms / 1e3
        if not self.options.deterministic:
            return budget_s
        charge = _setup_s(bound, calls) + MODEL_S_PER_CALL * window + (answer.work_s or 0.0)
        if self.options.local_search:
            charge += self._moves(bound, calls) * self._move_s(bound, calls)
        return min(budget_s, charge)

    @staticmethod
    def _move_s(bound: Bound, calls: Sequence[RevealedCall]) -> float:
        return MOVE_S + MOVE_S_PER_CALL * (len(calls) + len(bound.decode))

    def _moves(self, bound: Bound, calls: Sequence[RevealedCall]) -> int:
        """Return the moves of the local search under a deterministic budget."""
        share = self.options.budget_ms / 1e3 * (SEARCH_SHARE - SOLVER_SHARE)
        return min(MOST_MOVES, int(share / self._move_s(bound, calls)))

    def _note(
        self,
        view: ClusterView,
        calls: Sequence[RevealedCall],
        window: int,
        answer: WindowAnswer,
        best: _Candidate,
        first: _Candidate,
        carried: bool,
        started: float,
    ) -> None:
        status, _, message = answer.status.partition(": ")
        gap = None
        if answer.objective is not None and answer.bound is not None:
            gap = abs(answer.objective - answer.bound) / max(1.0, abs(answer.objective))
        self.log.add(
            Epoch(
                at_s=view.now_s,
                calls=len(calls),
                window=window,
                status=status,
                limit_s=answer.limit_s,
                objective=answer.objective,
                bound=answer.bound,
                gap=gap,
                solver_s=answer.seconds,
                epoch_s=time.perf_counter() - started,
                best=best.name,
                applied=best.name if carried else "none",
                score_ratio=best.score / first.score if first.score > 0.0 else 1.0,
                message=message,
            )
        )


def _setup_s(bound: Bound, calls: Sequence[RevealedCall]) -> float:
    return SETUP_S + SETUP_S_PER_CALL * (len(calls) + len(bound.decode))


def _better(one: _Candidate, other: _Candidate) -> _Candidate:
    return other if other.score < one.score else one


def _spliced(base: Choice, incumbent: Sequence[tuple[int, int, int]]) -> tuple[Ints, Ints, Ints]:
    """Return the greedy plan with the window's calls first, placed as CP-SAT says."""
    prefill, decode = base.prefill.copy(), base.decode.copy()
    rows = []
    for row, p, d in incumbent:
        prefill[row], decode[row] = p, d
        rows.append(row)
    inside = set(rows)
    rest = [int(row) for row in base.order if int(row) not in inside]
    return prefill, decode, np.array(rows + rest, np.int64)
