"""The same load for NVIDIA's Dynamo: its offline replay, run in a process of its own."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from hexsolve.models.workflow import Call, Workflow

NAME = "Dynamo 1.6.1"
BLOCK = 64
MODEL = "8b"
SCRIPT = """
import json, sys, time
from dynamo import _core
load = json.loads(sys.argv[1])
load |= {f"{role}_engine_args": {"engine": {"worker_type": role}} for role in ("prefill", "decode")}
begin = time.process_time()
report = getattr(_core, sys.argv[2])(num_prefill_workers=4, num_decode_workers=4, **load)
seconds = time.process_time() - begin
print(getattr(report, "summary", report)["completed_requests"], seconds)
"""


def replay_requests(python: str, count: int, rate: float) -> tuple[int, float]:
    """Replay requests of 1,024 prompt and 256 output tokens; return calls and CPU seconds."""
    load = {
        "input_tokens": 1024,
        "output_tokens": 256,
        "request_count": count,
        "request_rate": rate,
    }
    return _run(python, "run_mocker_synthetic_trace_replay", load)


def replay_sessions(python: str, workflows: Sequence[Workflow]) -> tuple[int, float]:
    """Replay chains of calls, with their delays and shared prefixes, in blocks of 64 tokens."""
    return _replay(python, workflows, write_sessions, {"trace_format": "mooncake"})


def replay_dags(python: str, workflows: Sequence[Workflow]) -> tuple[int, float]:
    """Replay workflows of any shape likewise, in Dynamo's format for agentic ones."""
    load = {"trace_format": "agentic_mooncake", "execution_model": MODEL}
    return _replay(python, workflows, write_dags, load)


def _replay(
    python: str,
    workflows: Sequence[Workflow],
    write: Callable[[Sequence[Workflow], Path], None],
    load: dict[str, object],
) -> tuple[int, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.jsonl"
        write(workflows, path)
        load = {"trace_files": [str(path)], "trace_block_size": BLOCK, **load}
        return _run(python, "run_mocker_trace_replay", load)


def _run(python: str, function: str, load: dict[str, object]) -> tuple[int, float]:
    command = [python, "-c", SCRIPT, json.dumps(load), function]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    calls, seconds = done.stdout.split()[-2:]
    return int(calls), float(seconds)


def is_chain(workflow: Workflow) -> bool:
    """Return whether every call follows the one before, which is all that sessions can say."""
    return all(
        tuple(call.parents) == ((index - 1,) if index else ())
        for index, call in enumerate(workflow.calls)
    )


def write_sessions(workflows: Sequence[Workflow], path: Path) -> None:
    """Write chains as Mooncake sessions."""
    blocks = _Blocks()
    with path.open("w", encoding="utf-8") as stream:
        for number, workflow in enumerate(workflows):
            for index, call in enumerate(workflow.calls):
                line = {"session_id": f"{number}", **blocks.call(workflow, number, index)}
                if index:
                    line["delay"] = 1e3 * call.tool_seconds
                else:
                    line["timestamp"] = 1e3 * workflow.arrival_s
                stream.write(json.dumps(line) + "\n")


def write_dags(workflows: Sequence[Workflow], path: Path) -> None:
    """Write workflows as plays of agentic Mooncake, version 2: a request waits for all it needs.

    Requests of a play that may run at the same time need sessions of their own.
    """
    header = {
        "schema": "dynamo.agentic_mooncake",
        "version": 2,
        "block_size": BLOCK,
        "hash_id_scope": "local",
        "source": {"format": "hexsolve", "digest": "generated"},
    }
    blocks = _Blocks()
    with path.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(header) + "\n")
        for number, workflow in enumerate(workflows):
            chain = is_chain(workflow)
            for index, call in enumerate(workflow.calls):
                relation = "sequence" if chain else "join"
                line = {
                    "request_id": f"{number}.{index}",
                    "play_id": f"{number}",
                    "session_id": f"{number}" if chain else f"{number}.{index}",
                    "model": MODEL,
                    **blocks.call(workflow, number, index),
                    "not_before_ms": 1e3 * workflow.arrival_s,
                    "dependencies": [
                        {
                            "request_id": f"{number}.{parent}",
                            "trigger": "completion",
                            "delay_ms": 1e3 * call.tool_seconds,
                            "relation": relation,
                        }
                        for parent in sorted(set(call.parents))
                    ],
                }
                stream.write(json.dumps(line) + "\n")


class _Blocks:
    """Numbers of blocks: a block is known by who wrote its last token, and where.

    Prompts are rounded down to whole blocks, at least one.
    """

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}

    def call(self, workflow: Workflow, number: int, index: int) -> dict[str, object]:
        """Return lengths and blocks of a call."""
        call = workflow.calls[index]
        count = max(1, call.prompt_tokens // BLOCK)
        ends = (BLOCK * (block + 1) - 1 for block in range(count))
        keys = [(_owner(workflow, number, index, end), end) for end in ends]
        return {
            "input_length": BLOCK * count,
            "output_length": max(1, call.output_tokens),
            "hash_ids": [self._numbers.setdefault(key, len(self._numbers)) for key in keys],
        }


def _owner(workflow: Workflow, number: int, index: int, token: int) -> tuple[object, int]:
    """Return whose token stands at a place of a call's prompt: a call's, or a shared text's."""
    call: Call = workflow.calls[index]
    while token < call.prefix_tokens:
        if call.prefix_call < 0:
            return workflow.prefix_group or number, -1
        index = call.prefix_call
        call = workflow.calls[index]
    return number, index
