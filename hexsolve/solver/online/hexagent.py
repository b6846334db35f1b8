"""The HexAGenT rule: the largest projected slowdown first, each call to its earliest completion."""

from collections.abc import Sequence

from hexsolve.models.simulation.calls import QUEUED, RevealedCall
from hexsolve.models.simulation.policy import Assignment, Plan
from hexsolve.models.simulation.view import ClusterView
from hexsolve.solver.online.projected import ProjectedPolicy, waiting_calls
from hexsolve.solver.online.projection.greedy import greedy


class HexAGenT(ProjectedPolicy):
    """The greedy rule of arXiv 2605.16637 on the whole frontier (docs/policies.md).

    For each call c whose prefill has not begun, ``R(c) = ((t − a_w) + Δ(c)) / H_w(t)`` with Δ the
    projected time to its completion on the pair where that is earliest: queue, prefill with what
    the instance has cached, transfer of what the decode instance lacks, wait for KV, decode in the
    projected batch. The call with the largest R is committed to the projection, the others are
    scored again, and so on. Calls already prefilled stay where they are bound and are admitted to
    decode by their R, too.

    Parameters
    ----------
    latency_s : float
        0: every decision applies at once. Above: a call that becomes ready is placed at once, with
        the others where they are; the whole frontier is planned anew beside that, and the plan
        takes effect `latency_s` later, as the paper's asynchronous planner does.
    iterate_up_to : int
        Longer frontiers are sorted once by their first R.
    """

    def __init__(self, latency_s: float = 0.0, iterate_up_to: int = 32) -> None:
        super().__init__("hexagent", iterate_up_to)
        self.latency_s = latency_s
        self.epoch_on_change = latency_s > 0.0

    def place(
        self, view: ClusterView, ready: Sequence[RevealedCall]
    ) -> list[tuple[RevealedCall, Assignment]]:
        """Place ready calls; without a latency plan all the others that have not begun anew."""
        self.observe(view, ready)
        calls = waiting_calls(view)
        if self.latency_s <= 0.0:
            return self.choose(view, calls) + self.admission_order(view)
        self.take_effect(view)
        frontier, bound, free = self.project(view, calls)
        held = [call.stage == QUEUED for call in calls]
        frontier = self.pinned(calls, frontier, held)
        choice = greedy(self.machines, bound, frontier, free, self.iterate_up_to, 0.0)
        kept = {c.number: self.ranks.get(c.number, c.priority) for c in calls if c.stage == QUEUED}
        changed = self.changes(calls, choice)
        self.ranks.update(kept)
        return [(call, to) for call, to in changed if call.number not in kept]

    def plan(self, view: ClusterView) -> Plan | None:
        """Plan the whole frontier anew, for later."""
        self.take_effect(view)
        calls = [call for call in waiting_calls(view) if call.stage == QUEUED]
        if not calls:
            return None
        frontier, bound, free = self.project(view, calls)
        choice = greedy(self.machines, bound, frontier, free, self.iterate_up_to, 0.0)
        plan = self.later(view, calls, choice, self.latency_s)
        return Plan([*plan.assignments, *self.admission_order(view)], self.latency_s)
