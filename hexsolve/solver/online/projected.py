"""What policies share that decide on a projection of the whole cluster."""

# ruff: noqa: ARG002 -- hooks are called with more than some implementations use

from collections.abc import Iterable, Sequence

import numpy as np

from hexsolve.models.simulation.calls import INBOUND, QUEUED, READY, RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.clock import to_ticks
from hexsolve.models.simulation.policy import Assignment, BasePolicy, Plan
from hexsolve.models.simulation.view import ClusterView
from hexsolve.solver.online.horizons import RunningHorizons
from hexsolve.solver.online.projection.arrays import Bound, Choice, Floats, Frontier
from hexsolve.solver.online.projection.decode import decode_pace
from hexsolve.solver.online.projection.greedy import greedy
from hexsolve.solver.online.projection.ready import compile_greedy
from hexsolve.solver.online.projection.snapshot import (
    CacheRows,
    bound_calls,
    free_seconds,
    frontier_of,
    machines_of,
)
from hexsolve.solver.online.remainder import ExpectedRemainder


class ProjectedPolicy(BasePolicy):
    """Keeps horizons, caches and ranks; places the calls it is given by the greedy projection.

    Parameters
    ----------
    name : str
    iterate_up_to : int
        Frontiers up to this long are scored anew after each commitment; longer ones are sorted
        once.
    congestion_price : float
        Toll on prefill seconds per waiting call and prefill instance; see `greedy`. 0 = the rule
        of the paper, which counts a call's own delay only.
    look_ahead : bool
        Whether flow time and horizon include what is expected to be revealed later.
    """

    ranks_batches = True

    def __init__(
        self,
        name: str,
        iterate_up_to: int = 32,
        congestion_price: float = 0.0,
        look_ahead: bool = False,
    ) -> None:
        self.name = name
        self.iterate_up_to = iterate_up_to
        self.congestion_price = congestion_price
        self.look_ahead = look_ahead

    def start(self, view: ClusterView) -> None:
        """Begin a run: forget the last one."""
        self.horizons = RunningHorizons(view)
        self.machines = machines_of(view)
        compile_greedy(self.machines)
        self.rows = CacheRows(view, self.machines)
        self.remainder = ExpectedRemainder()
        self.ranks: dict[int, float] = {}
        self._coming: tuple[int, dict[int, float]] | None = None
        self._maybe_complete: dict[int, RevealedWorkflow] = {}

    def rank(
        self, view: ClusterView, instance: int, queued: Sequence[RevealedCall]
    ) -> Sequence[float]:
        """Return the keys that the calls have now; the order of commitment."""
        self.take_effect(view)
        ranks = self.ranks
        return [ranks.get(call.number, call.priority) for call in queued]

    def completed(self, view: ClusterView, call: RevealedCall) -> None:
        """Take note of an observed length."""
        self.horizons.completed(call)
        self.rows.forget(call)
        self.ranks.pop(call.number, None)
        self._maybe_complete[call.workflow.number] = call.workflow

    def observe(self, view: ClusterView, ready: Iterable[RevealedCall]) -> None:
        """Renew horizons and caches before a decision."""
        for workflow in tuple(self._maybe_complete.values()):
            if workflow.finished >= 0:
                self.remainder.learn(workflow.workflow_class, self.horizons.of(workflow))
                self.horizons.forget(workflow)
        self._maybe_complete.clear()
        for call in ready:
            self.horizons.reveal(call)
        self.rows.renew()

    def project(
        self, view: ClusterView, calls: Sequence[RevealedCall]
    ) -> tuple[Frontier, Bound, Floats]:
        """Return `calls` and what is under way as arrays."""
        elapsed, horizon = self.terms(view, calls)
        frontier = frontier_of(calls, self.rows, elapsed, horizon)
        bound, _ = bound_calls(view, self.machines)
        return frontier, bound, free_seconds(view, self.machines)

    def terms(
        self, view: ClusterView, calls: Sequence[RevealedCall]
    ) -> tuple[list[float], list[float]]:
        """Return the two numbers of each call that make R of its completion: see `Frontier`."""
        now = view.now_s
        elapsed, horizon = [], []
        for call in calls:
            workflow = call.workflow
            spent, alone = now - workflow.arrival_s, self.horizons.of(workflow)
            if self.look_ahead:
                reached = self.horizons.reached(call)
                rest = self.remainder.remainder(workflow.workflow_class, reached)
                spent, alone = spent + rest, max(alone, reached + rest)
            elapsed.append(spent)
            horizon.append(alone)
        return elapsed, horizon

    def price(self, waiting: int) -> float:
        """Return the toll on a second of prefill with `waiting` calls in the frontier."""
        return self.congestion_price * waiting / len(self.machines.prefill_numbers)

    def choose(
        self, view: ClusterView, calls: Sequence[RevealedCall]
    ) -> list[tuple[RevealedCall, Assignment]]:
        """Place `calls` by the rule, renew their ranks, and return the assignments that change."""
        if not calls:
            return []
        frontier, bound, free = self.project(view, calls)
        price = self.price(len(calls))
        choice = greedy(self.machines, bound, frontier, free, self.iterate_up_to, price)
        return self.changes(calls, choice)

    @staticmethod
    def keys(choice: Choice) -> Floats:
        """Return the priority of each call, (N,).

        They are −R, sorted, dealt out in the order of commitment: so that a call placed later, by
        its own R, finds its place among them.
        """
        keys = np.empty(len(choice.order))
        keys[choice.order] = np.sort(-choice.ratio)
        return keys

    def changes(
        self, calls: Sequence[RevealedCall], choice: Choice
    ) -> list[tuple[RevealedCall, Assignment]]:
        """Renew the ranks of `calls` and return the assignments that differ from what is."""
        keys = self.keys(choice)
        prefills, decodes = self.machines.prefill_numbers, self.machines.decode_numbers
        changed = []
        for row in choice.order.tolist():
            if choice.prefill[row] < 0:
                continue
            key = float(keys[row])
            call = calls[row]
            self.ranks[call.number] = key
            p = int(prefills[choice.prefill[row]])
            d = int(decodes[choice.decode[row]])
            # A mixed instance serves its queue by the priorities that calls came with.
            moved = call.stage == READY or call.prefill != p or call.decode != d
            if moved or (p == d and call.priority != key):
                changed.append((call, Assignment(p, d, key)))
        return changed

    def later(
        self, view: ClusterView, calls: Sequence[RevealedCall], choice: Choice, latency_s: float
    ) -> Plan:
        """Return `choice` as a plan that takes effect, ranks included, `latency_s` from now.

        It names every call that it places, also those that are there already: the serving path may
        move them in the meantime, and the plan was judged as a whole.
        """
        keys = self.keys(choice)
        prefills, decodes = self.machines.prefill_numbers, self.machines.decode_numbers
        assignments, ranks = [], {}
        for row in choice.order.tolist():
            if choice.prefill[row] >= 0:
                call, key = calls[row], float(keys[row])
                ranks[call.number] = key
                p, d = int(prefills[choice.prefill[row]]), int(decodes[choice.decode[row]])
                assignments.append((call, Assignment(p, d, key)))
        self._coming = (view.now + to_ticks(latency_s), ranks)
        return Plan(assignments, latency_s)

    def take_effect(self, view: ClusterView) -> dict[int, float] | None:
        """Let the ranks of a plan whose time has come count; return them if that is now."""
        if self._coming is None or view.now < self._coming[0]:
            return None
        ranks = self._coming[1]
        self._coming = None
        self.ranks.update(ranks)
        return ranks

    def pinned(
        self, calls: Sequence[RevealedCall], frontier: Frontier, held: Sequence[bool]
    ) -> Frontier:
        """Return the frontier with only their present pair for the calls that are held."""
        rows = {int(number): row for row, number in enumerate(self.machines.prefill_numbers)}
        columns = {int(number): d for d, number in enumerate(self.machines.decode_numbers)}
        pinned = frontier._replace(new=frontier.new.copy(), missing=frontier.missing.copy())
        for index, call in enumerate(calls):
            if not held[index]:
                continue
            p, d = rows[call.prefill], columns[call.decode]
            new, missing = frontier.new[index, p], frontier.missing[index, d]
            if new >= 0 and missing >= 0:
                pinned.new[index] = -1
                pinned.missing[index] = -1
                pinned.new[index, p], pinned.missing[index, d] = new, missing
        return pinned

    def admission_order(self, view: ClusterView) -> list[tuple[RevealedCall, Assignment]]:
        """Rank the calls that wait for room on a decode instance: the largest R first.

        What is still to come for a call is its transfer and its steps at the present pace there,
        so that its R is comparable to those that calls bring along from the prefill queue.
        """
        inbound = [call for call in view.live if call.stage == INBOUND]
        crowded = {
            number
            for number in {call.decode for call in inbound}
            if len(view.instances[number].queued()) > 1
        }
        if not crowded:
            return []
        bound, calls = bound_calls(view, self.machines)
        pace, _ = decode_pace(self.machines, bound)
        rest = bound.joins + bound.steps * pace[bound.decode]
        rows = [
            row
            for row, call in enumerate(calls)
            if call.stage == INBOUND and call.decode in crowded
        ]
        inbound = [calls[row] for row in rows]
        elapsed, horizon = self.terms(view, inbound)
        return [
            (
                call,
                Assignment(
                    call.prefill, call.decode, call.priority, -(spent + float(rest[row])) / alone
                ),
            )
            for row, call, spent, alone in zip(rows, inbound, elapsed, horizon, strict=True)
        ]


def waiting_calls(view: ClusterView) -> list[RevealedCall]:
    """Return the calls whose prefill has not begun, by number."""
    return [call for call in view.live if call.stage in (READY, QUEUED)]
