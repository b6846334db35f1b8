"""What a scheduler offers to the simulator, and what a predictor does."""

# ruff: noqa: ARG002 -- hooks are called with more than some implementations use
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hexsolve.models.errors import HexsolveError
from hexsolve.models.simulation.assignment import Assignment as Assignment
from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.workflow import Workflow

if TYPE_CHECKING:
    from hexsolve.models.simulation.view import ClusterView


class PolicyError(HexsolveError):
    """A policy asked for something impossible: a decode instance to prefill, say."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Assignments that take effect `latency_s` after the state they were computed from."""

    assignments: Sequence[tuple[RevealedCall, Assignment]]
    latency_s: float = 0.0


class Policy(Protocol):
    """An online scheduler. It sees the revealed part of workflows, predictions and instances.

    Attributes
    ----------
    name : str
        As in ``--policy``.
    epoch_s : float or None
        `plan` is called this often, s; None = never by time.
    epoch_on_change : bool
        `plan` is called after each instant at which calls became ready or complete.
    ranks_batches : bool
        `rank` is called before a prefill instance forms a batch.
    """

    name: str
    epoch_s: float | None
    epoch_on_change: bool
    ranks_batches: bool

    def start(self, view: "ClusterView") -> None:
        """Begin a run: forget the last one."""

    def place(
        self, view: "ClusterView", ready: Sequence[RevealedCall]
    ) -> Iterable[tuple[RevealedCall, Assignment]]:
        """Assign calls at once; the serving path.

        `ready` are the calls without a place, by number. A generator sees the effect of each
        assignment before it makes the next. Calls that are left out are offered again at the next
        decision. Queued calls may be assigned anew, too.
        """

    def plan(self, view: "ClusterView") -> Plan | None:
        """Re-plan at an epoch; not called again before the last plan was applied."""

    def rank(
        self, view: "ClusterView", instance: int, queued: Sequence[RevealedCall]
    ) -> Sequence[float]:
        """Return new priorities of the calls queued at a prefill instance, in their order.

        Called when an instance that is free looks at its queue and calls have joined or left that
        since the last time. `queued` are in the order in which they were placed.
        """

    def completed(self, view: "ClusterView", call: RevealedCall) -> None:
        """Learn that `call` is complete; its output length is ``call.emitted``."""


class BasePolicy:
    """The hooks of `Policy` that most policies do not need."""

    name = "base"
    epoch_s: float | None = None
    epoch_on_change = False
    ranks_batches = False

    def start(self, view: "ClusterView") -> None:
        """Begin a run."""

    def place(
        self, view: "ClusterView", ready: Sequence[RevealedCall]
    ) -> Iterable[tuple[RevealedCall, Assignment]]:
        """Assign ready calls; here none."""
        return ()

    def plan(self, view: "ClusterView") -> Plan | None:
        """Re-plan; here never."""
        return None

    def rank(
        self, view: "ClusterView", instance: int, queued: Sequence[RevealedCall]
    ) -> Sequence[float]:
        """Rank a queue anew; here as it is."""
        return [call.priority for call in queued]

    def completed(self, view: "ClusterView", call: RevealedCall) -> None:
        """Learn that `call` is complete."""


class Predictor(Protocol):
    """Predicts output lengths at the reveal; part of the experiment, so it may see the truth."""

    def predict(self, workflow: Workflow, index: int) -> int:
        """Return the predicted output tokens of call `index`, at least 0."""

    def observe(self, workflow: Workflow, index: int) -> None:
        """Learn the true length of a call that is now complete."""
