"""hexsolve's own workflow files: JSONL, one workflow a line (see docs/workflow-format.md)."""

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from hexsolve.instances.files import unique
from hexsolve.instances.reading.fields import SECONDS_LIMIT, TOKEN_LIMIT, shown
from hexsolve.instances.reading.files import lines
from hexsolve.instances.reading.limits import DEFAULT_LIMITS, Limits
from hexsolve.models.base import Record
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call, Workflow

SCHEMA_VERSION = 1


class _Strict(Record):
    # Strict: "12" is not a number and true is not 1.
    model_config = ConfigDict(strict=True)


class CallRecord(_Strict):
    """One LLM call as it stands in a file; the meaning is that of `Call`."""

    prompt_tokens: int = Field(ge=1, le=TOKEN_LIMIT, description="whole prompt, tokens")
    output_tokens: int = Field(ge=0, le=TOKEN_LIMIT, description="tokens generated")
    parents: tuple[int, ...] = Field(
        default=(), description="indices of earlier calls that must end first"
    )
    tool_seconds: float = Field(
        default=0.0, ge=0, le=SECONDS_LIMIT, description="delay after the last parent's end, s"
    )
    prefix_call: int = Field(
        default=-1, ge=-1, description="earlier call whose tokens the prompt starts with; -1 = none"
    )
    prefix_tokens: int = Field(default=0, ge=0, le=TOKEN_LIMIT, description="how many tokens")
    name: str = Field(default="call", max_length=200, description="step name")


class WorkflowRecord(_Strict):
    """One line of a workflow file; the meaning is that of `Workflow`."""

    schema_version: Literal[1] = Field(description="version of this format")
    name: str = Field(max_length=200)
    arrival_s: float = Field(default=0.0, ge=0, le=SECONDS_LIMIT, description="arrival, s")
    workflow_class: str = Field(default="workflow", max_length=200)
    prefix_group: str = Field(
        default="", max_length=200, description="workflows of one group share their first tokens"
    )
    metadata: dict[str, str] = Field(default_factory=dict)
    calls: tuple[CallRecord, ...] = Field(min_length=1)


def iter_workflows(path: str | Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Workflow]:
    """Yield the workflows of a file one by one, holding only one line at a time.

    Raises
    ------
    InputError
        The file cannot be read, or a line is not a sound workflow; names line, field, value.
    """
    path = Path(path)
    calls = 0
    for number, text in lines(path, limits):
        source = f"{path}, line {number}"
        workflow = workflow_from_json(text, source)
        calls += len(workflow.calls)
        limits.check_calls(calls, str(path))
        yield workflow


def read_workflows(path: str | Path, limits: Limits = DEFAULT_LIMITS) -> list[Workflow]:
    """Return all workflows of a file; raises as `iter_workflows`, also if there are none."""
    workflows = list(iter_workflows(path, limits))
    if not workflows:
        raise InputError("holds no workflows; allowed: at least one line", source=str(path))
    return workflows


def write_workflows(path: str | Path, workflows: Iterable[Workflow]) -> int:
    """Write workflows to a file (gzip if it ends in .gz) and return how many.

    Equal workflows give equal bytes. Workflows are written as they come, so an iterator is not
    held in memory.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    path = Path(path)
    count = 0
    try:
        with path.open("wb") as raw:
            # No time stamp and no file name in the gzip header: equal input, equal bytes.
            packed = path.suffix == ".gz"
            stream = gzip.GzipFile("", "wb", 6, raw, mtime=0) if packed else raw
            with io.TextIOWrapper(stream, encoding="utf-8", newline="\n") as text:
                for workflow in workflows:
                    text.write(workflow_to_json(workflow))
                    text.write("\n")
                    count += 1
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror or error})", source=str(path)
        ) from None
    return count


def workflow_to_json(workflow: Workflow) -> str:
    """Return one line (without its end); fields at their default are left out of calls."""
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": workflow.name,
        "arrival_s": workflow.arrival_s,
        "workflow_class": workflow.workflow_class,
        "prefix_group": workflow.prefix_group,
        "metadata": workflow.metadata,
        "calls": [_call_to_dict(call) for call in workflow.calls],
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _call_to_dict(call: Call) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": call.name,
        "prompt_tokens": call.prompt_tokens,
        "output_tokens": call.output_tokens,
    }
    if call.parents:
        record["parents"] = call.parents
    if call.tool_seconds:
        record["tool_seconds"] = call.tool_seconds
    if call.prefix_call != -1:
        record["prefix_call"] = call.prefix_call
    if call.prefix_tokens:
        record["prefix_tokens"] = call.prefix_tokens
    return record


def workflow_from_json(text: str, source: str) -> Workflow:
    """Return the workflow of one line.

    Raises
    ------
    InputError
        The line is not a sound workflow; `source` names it in the message.
    """
    try:
        record = WorkflowRecord.model_validate_json(text)
    except ValidationError as error:
        raise _input_error(error, source) from None
    try:
        # Pydantic keeps the last of equal keys in silence.
        json.loads(text, object_pairs_hook=unique)
    except ValueError as mistake:
        raise InputError(f"{mistake}; allowed: each once", source=source) from None
    calls = tuple(
        [
            Call(
                prompt_tokens=call.prompt_tokens,
                output_tokens=call.output_tokens,
                parents=call.parents,
                tool_seconds=call.tool_seconds,
                prefix_call=call.prefix_call,
                prefix_tokens=call.prefix_tokens,
                name=call.name,
            )
            for call in record.calls
        ]
    )
    workflow = Workflow(
        name=record.name,
        arrival_s=record.arrival_s,
        calls=calls,
        workflow_class=record.workflow_class,
        prefix_group=record.prefix_group,
        metadata=record.metadata,
    )
    try:
        workflow.validate()
    except InputError as mistake:
        raise mistake.at(source) from None
    return workflow


def _input_error(error: ValidationError, source: str) -> InputError:
    first = error.errors(include_url=False)[0]
    field = ""
    for part in first["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    message = first["msg"]
    value = "missing" if first["type"] == "missing" else shown(first["input"])
    if first["type"] == "extra_forbidden":
        message = "unknown field; allowed: " + ", ".join(
            CallRecord.model_fields if "calls" in first["loc"] else WorkflowRecord.model_fields
        )
    elif first["type"] == "json_invalid":
        return InputError(f"is not valid JSON: {message}", source=source)
    return InputError(f"is {value}; allowed: {message}", source=source, field=field or None)
