"""Calls and workflows as far as they are revealed: all that a policy may know of them."""

from collections.abc import Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from hexsolve.models.simulation.clock import to_seconds

READY: Final = 0
QUEUED: Final = 1
PREFILLING: Final = 2
INBOUND: Final = 3
TRANSFER: Final = 4
LANDED: Final = 5
RUNNING: Final = 6
DONE: Final = 7
STAGES = ("ready", "queued", "prefilling", "inbound", "transfer", "landed", "running", "done")


@mypyc_attr(allow_interpreted_subclasses=True)
class RevealedWorkflow:
    """A workflow that has arrived; `calls` are those of it that are known, none once it is done."""

    __slots__ = ("arrived", "calls", "finished", "name", "number", "workflow_class")

    def __init__(self, number: int, name: str, workflow_class: str, arrived: int) -> None:
        self.number = number
        self.name = name
        self.workflow_class = workflow_class
        self.arrived = arrived
        self.finished = -1
        self.calls: list[RevealedCall] = []

    @property
    def arrival_s(self) -> float:
        """When it arrived, s."""
        return to_seconds(self.arrived)


@mypyc_attr(allow_interpreted_subclasses=True)
class RevealedCall:
    """A call that is known: its prompt, what it was predicted to generate, and how far it is.

    Attributes
    ----------
    number, index : int
        Number of the call in the workload, and in its workflow.
    parents : sequence of int
        Indices in the workflow; all of them are done.
    prompt_tokens, predicted_output : int
        Tokens; the true output length is `emitted` once `stage` is ``DONE``, unknown before.
    emitted : int
        Output tokens so far, without those of the decode steps that run now.
    length : int
        Tokens to prefill, cached ones included: the prompt and what was emitted before.
    stage : int
        ``READY`` (to be placed) … ``DONE``; see `STAGES`.
    prefill, decode : int
        Instances it is placed on; −1 before. Equal for a mixed instance.
    forbidden : tuple of int
        Instances whose pool proved too small for it.
    revealed, prefill_start, prefill_end, first_token, landed, finished : int
        When that happened, ticks; −1 if it has not. After a preemption the latest time, except
        `first_token`. `prefill_end` is known from the start of a batch on.
    """

    # Class attributes are the initial values: most calls never change most of them.
    emitted: int = 0
    attempt: int = 0
    ticket: int = 0
    preemptions: int = 0
    cached: int = 0
    computed: int = 0
    transferred: int = 0
    filled: int = 0
    promise: int = 0
    expected_new: int = 0
    expected_output: int = 0
    flow_version: int = 0
    flow_micros: int = 0
    flow_picos: int = 0
    flow_rate: int = 0
    flow_since: int = 0
    prefill: int = -1
    decode: int = -1
    sequence: int = -1
    prefill_start: int = -1
    prefill_end: int = -1
    first_token: int = -1
    landed: int = -1
    finished: int = -1
    priority: float = 0.0
    decode_priority: float = 0.0
    stage: int = READY
    forbidden: tuple[int, ...]

    def __init__(
        self,
        number: int,
        workflow: RevealedWorkflow,
        index: int,
        name: str,
        parents: Sequence[int],
        prompt_tokens: int,
        predicted_output: int,
        revealed: int,
    ) -> None:
        self.number = number
        self.workflow = workflow
        self.index = index
        self.name = name
        self.parents = parents
        self.prompt_tokens = self.length = prompt_tokens
        self.predicted_output = predicted_output
        self.revealed = revealed
        self.forbidden = ()

    @property
    def done(self) -> bool:
        """Whether it is complete."""
        return self.stage == DONE

    @property
    def remaining_output(self) -> int:
        """Predicted tokens still to come, at least one."""
        return max(1, self.predicted_output - self.emitted)

    @property
    def revealed_s(self) -> float:
        """When it became known, s."""
        return to_seconds(self.revealed)

    @property
    def finished_s(self) -> float | None:
        """When it was complete, s."""
        return to_seconds(self.finished) if self.finished >= 0 else None

    def __repr__(self) -> str:
        return f"RevealedCall({self.number}, {self.name!r}, {STAGES[self.stage]})"
