"""Concrete workflows: DAGs of LLM calls with true token counts, as traces and generators give."""

from dataclasses import dataclass, field

from hexsolve.models.errors import InputError


@dataclass(frozen=True, slots=True)
class Call:
    """One LLM call of a workflow.

    Attributes
    ----------
    prompt_tokens : int
        Tokens of the whole prompt, shared prefix included.
    output_tokens : int
        Tokens generated; 0 is allowed (a call cut off after prefill).
    parents : tuple of int
        Indices (within the workflow, all smaller than this call's own) of the calls that must
        finish before this one is revealed; empty = revealed with the workflow.
    tool_seconds : float
        Delay between the last parent's end (or the workflow's arrival) and the reveal, s.
    prefix_call : int
        Index of the earlier call whose tokens this prompt starts with, or -1.
    prefix_tokens : int
        How many tokens: the first `prefix_tokens` of this prompt equal the first
        `prefix_tokens` of ``prompt + output`` of `prefix_call`. With `prefix_call` = -1, the
        length of the part shared with every workflow of the same `Workflow.prefix_group`.
    name : str
        Step or class name, for statistics and predictions.

    Notes
    -----
    A prefix tree needs no block lists: a call's tokens are a piece of an earlier call's tokens
    followed by its own, so a 100,000-token prompt costs two integers.
    """

    prompt_tokens: int
    output_tokens: int
    parents: tuple[int, ...] = ()
    tool_seconds: float = 0.0
    prefix_call: int = -1
    prefix_tokens: int = 0
    name: str = "call"


@dataclass(frozen=True, slots=True)
class Workflow:
    """A DAG of calls with an arrival time in seconds; `calls` are in topological order."""

    name: str
    arrival_s: float
    calls: tuple[Call, ...]
    workflow_class: str = "workflow"
    prefix_group: str = ""
    metadata: dict[str, str] = field(default_factory=dict)

    def validate(self) -> None:
        """Raise `InputError` naming workflow, call and field unless the DAG is sound."""
        where = f"workflow {self.name!r}"
        if not self.calls:
            raise InputError("has no calls; at least one is needed", field=where)
        if not 0.0 <= self.arrival_s < float("inf"):
            raise InputError(f"arrival_s is {self.arrival_s}; allowed: ≥ 0, finite", field=where)
        for index, call in enumerate(self.calls):
            _validate_call(self.calls, index, call, f"{where}.calls[{index}]")


def _validate_call(calls: tuple[Call, ...], index: int, call: Call, where: str) -> None:
    if call.prompt_tokens < 1:
        raise InputError(f"prompt_tokens is {call.prompt_tokens}; allowed: ≥ 1", field=where)
    if call.output_tokens < 0:
        raise InputError(f"output_tokens is {call.output_tokens}; allowed: ≥ 0", field=where)
    if not 0.0 <= call.tool_seconds < float("inf"):
        raise InputError(f"tool_seconds is {call.tool_seconds}; allowed: ≥ 0, finite", field=where)
    for parent in call.parents:
        if not 0 <= parent < index:
            raise InputError(
                f"parents holds {parent}; allowed: "
                + (
                    f"indices of earlier calls, 0…{index - 1}" if index else "none, it is the first"
                ),
                field=where,
            )
    if not -1 <= call.prefix_call < index:
        raise InputError(
            f"prefix_call is {call.prefix_call}; allowed: -1 or an earlier call's index",
            field=where,
        )
    limit = call.prompt_tokens
    if call.prefix_call >= 0:
        origin = calls[call.prefix_call]
        limit = min(limit, origin.prompt_tokens + origin.output_tokens)
    if not 0 <= call.prefix_tokens <= limit:
        raise InputError(f"prefix_tokens is {call.prefix_tokens}; allowed: 0…{limit}", field=where)
