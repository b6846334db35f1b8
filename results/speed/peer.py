"""The same load for NVIDIA's Dynamo: its offline replay, run in a process of its own."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hexsolve.models.workflow import Call, Workflow

NAME = "Dynamo 1.6.1"
BLOCK = 64
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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sessions.jsonl"
        write_sessions(workflows, path)
        load = {"trace_files": [str(path)], "trace_format": "mooncake", "trace_block_size": BLOCK}
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
    """Write chains as Mooncake sessions; a block is known by who wrote its last token, and where.

    Prompts are rounded down to whole blocks, at least one.
    """
    blocks: dict[object, int] = {}
    with path.open("w", encoding="utf-8") as stream:
        for number, workflow in enumerate(workflows):
            for index, call in enumerate(workflow.calls):
                count = max(1, call.prompt_tokens // BLOCK)
                ends = (BLOCK * (block + 1) - 1 for block in range(count))
                keys = [(_owner(workflow, number, index, end), end) for end in ends]
                line: dict[str, object] = {
                    "session_id": f"{number}",
                    "input_length": BLOCK * count,
                    "output_length": max(1, call.output_tokens),
                    "hash_ids": [blocks.setdefault(key, len(blocks)) for key in keys],
                }
                if index:
                    line["delay"] = 1e3 * call.tool_seconds
                else:
                    line["timestamp"] = 1e3 * workflow.arrival_s
                stream.write(json.dumps(line) + "\n")


def _owner(workflow: Workflow, number: int, index: int, token: int) -> tuple[object, int]:
    """Return whose token stands at a place of a call's prompt: a call's, or a shared text's."""
    call: Call = workflow.calls[index]
    while token < call.prefix_tokens:
        if call.prefix_call < 0:
            return workflow.prefix_group or number, -1
        index = call.prefix_call
        call = workflow.calls[index]
    return number, index
