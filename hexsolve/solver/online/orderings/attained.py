"""Autellix: by the service that the program has attained already (arXiv 2502.13965)."""

# ruff: noqa: ARG002 -- hooks are called with more than some implementations use

import math

from hexsolve.models.simulation.calls import RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.clock import TICKS_PER_SECOND
from hexsolve.models.simulation.view import ClusterView
from hexsolve.solver.online.base import LearningOrdering

FIRST_QUEUE_S = 0.5
"""Attained service up to which a call is in the first queue; each further one is twice as wide."""


def queue_of(attained_s: float) -> int:
    """Return the number of the queue: 0 up to 0.5 s, 1 up to 1 s, 2 up to 2 s, and so on."""
    if attained_s < FIRST_QUEUE_S:
        return 0
    return 1 + math.floor(math.log2(attained_s / FIRST_QUEUE_S))


def service_seconds(call: RevealedCall) -> float:
    """Return the time from the beginning of a complete call's prefill to its end, s."""
    return (call.finished - call.prefill_start) / TICKS_PER_SECOND


class ProgramLeastAttained(LearningOrdering):
    """PLAS: key the queue of ``Σ t`` over the program's complete calls, the smallest first.

    Queues are discretised; within one calls are served in the order of reveal. Autellix also
    preempts a running call that uses up its queue's quantum; here, as on engines without
    preemption, the level counts from the next call on.
    """

    def start(self, view: ClusterView) -> None:
        """Begin a run."""
        super().start(view)
        self._attained: dict[int, float] = {}

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return the queue's number, with the time of reveal behind the point."""
        return _key(self._attained.get(call.workflow.number, 0.0), call)

    def learn(self, call: RevealedCall) -> None:
        """Add the service of a call to its program's."""
        number = call.workflow.number
        self._attained[number] = self._attained.get(number, 0.0) + service_seconds(call)

    def forget(self, workflow: RevealedWorkflow) -> None:
        """Drop the service of a complete program."""
        self._attained.pop(workflow.number, None)


class ThreadLeastAttained(LearningOrdering):
    """ATLAS: key the queue of ``p(c) = max over parents (p(parent) + t(parent))``.

    For programs with parallel calls: the service along the longest complete path to the call, so
    that the critical path of a program goes on first when it has attained least.
    """

    moves = False

    def start(self, view: ClusterView) -> None:
        """Begin a run."""
        super().start(view)
        # Of each program, up to and with each of its calls.
        self._path: dict[int, dict[int, float]] = {}

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return the queue's number, with the time of reveal behind the point."""
        return _key(self._attained(call), call)

    def learn(self, call: RevealedCall) -> None:
        """Extend the path through a complete call."""
        path = self._path.setdefault(call.workflow.number, {})
        path[call.index] = self._attained(call) + service_seconds(call)

    def forget(self, workflow: RevealedWorkflow) -> None:
        """Drop the paths of a complete program."""
        self._path.pop(workflow.number, None)

    def _attained(self, call: RevealedCall) -> float:
        if not call.parents:
            return 0.0
        path = self._path[call.workflow.number]
        return max(path[parent] for parent in call.parents)


def _key(attained_s: float, call: RevealedCall) -> float:
    """Return the queue, then the reveal: seconds below a million fit behind the point."""
    return queue_of(attained_s) + call.revealed_s / 1e9
