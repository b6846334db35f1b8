"""What policies share: a policy is an ordering and a placement."""

# ruff: noqa: ARG002 -- hooks are called with more than some implementations use

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from hexsolve.models.simulation.calls import RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.policy import Assignment, BasePolicy
from hexsolve.models.simulation.view import ClusterView
from hexsolve.solver.online.horizons import RunningHorizons


class Ordering(Protocol):
    """Gives calls their priority when they become ready.

    Attributes
    ----------
    moves : bool
        Whether priorities of waiting calls change, so that queues are ranked anew.
    """

    moves: bool

    def start(self, view: ClusterView) -> None:
        """Begin a run."""

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return the priority of a waiting call; the smallest is served first."""

    def completed(self, view: ClusterView, call: RevealedCall) -> None:
        """Learn that `call` is complete."""


class BaseOrdering:
    """The hooks that most orderings do not need."""

    moves = False

    def start(self, view: ClusterView) -> None:
        """Begin a run."""

    def completed(self, view: ClusterView, call: RevealedCall) -> None:
        """Learn that `call` is complete."""


class LearningOrdering(BaseOrdering, ABC):
    """An ordering that keeps something of each workflow until that is complete."""

    moves = True

    def start(self, view: ClusterView) -> None:
        """Begin a run."""
        self._last: RevealedWorkflow | None = None

    def completed(self, view: ClusterView, call: RevealedCall) -> None:
        """Learn from `call`, and forget the workflow of the call before if that was its last."""
        last = self._last
        # The hook of a workflow's last call runs before the workflow counts as complete.
        if last is not None and last.finished >= 0:
            self.forget(last)
        self._last = call.workflow
        self.learn(call)

    @abstractmethod
    def learn(self, call: RevealedCall) -> None:
        """Take note of a complete call."""

    @abstractmethod
    def forget(self, workflow: RevealedWorkflow) -> None:
        """Drop what is kept of a complete workflow."""


class HorizonOrdering(LearningOrdering):
    """An ordering that needs the running standalone horizons."""

    def start(self, view: ClusterView) -> None:
        """Begin a run."""
        super().start(view)
        self.horizons = RunningHorizons(view)

    def learn(self, call: RevealedCall) -> None:
        """Replace the predicted length by the observed one."""
        self.horizons.completed(call)

    def forget(self, workflow: RevealedWorkflow) -> None:
        """Drop the horizon of a complete workflow."""
        self.horizons.forget(workflow)


class Placement(Protocol):
    """Chooses instances for a ready call."""

    def start(self, view: ClusterView) -> None:
        """Begin a run."""

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return (prefill, decode), equal for a mixed instance; None if no instance can take it."""


class ComposedPolicy(BasePolicy):
    """An ordering and a placement, chosen independently."""

    def __init__(self, name: str, ordering: Ordering, placement: Placement) -> None:
        self.name = name
        self.ordering = ordering
        self.placement = placement
        self.ranks_batches = ordering.moves

    def start(self, view: ClusterView) -> None:
        """Begin a run."""
        self.ordering.start(view)
        self.placement.start(view)

    def place(
        self, view: ClusterView, ready: Sequence[RevealedCall]
    ) -> Iterable[tuple[RevealedCall, Assignment]]:
        """Assign the ready calls one after the other, the most urgent first."""
        if len(ready) > 1:
            return self._place_ranked(view, ready)
        # Nearly always; a generator and a list would take as long as the choice.
        call = ready[0]
        urgency = self.ordering.priority(view, call)
        pair = self.placement.choose(view, call)
        return () if pair is None else ((call, Assignment(pair[0], pair[1], urgency)),)

    def _place_ranked(
        self, view: ClusterView, ready: Sequence[RevealedCall]
    ) -> Iterator[tuple[RevealedCall, Assignment]]:
        priority = self.ordering.priority
        ranked = [(priority(view, call), call) for call in ready]
        ranked.sort(key=lambda pair: pair[0])
        for urgency, call in ranked:
            pair = self.placement.choose(view, call)
            if pair is not None:
                yield call, Assignment(pair[0], pair[1], urgency)

    def rank(
        self, view: ClusterView, instance: int, queued: Sequence[RevealedCall]
    ) -> Sequence[float]:
        """Return the priorities as they are now."""
        return [self.ordering.priority(view, call) for call in queued]

    def completed(self, view: ClusterView, call: RevealedCall) -> None:
        """Pass the news on."""
        self.ordering.completed(view, call)
