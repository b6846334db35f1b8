"""Mooncake request traces: one row a request, prefixes as global ids of 512-token blocks.

Format and data: https://github.com/kvcache-ai/Mooncake (Apache-2.0; Qin et al., FAST 2025).
An id stands for a block together with all blocks before it.

Requests are joined to conversations, because one-call workflows could only express the first
block that all requests share (4 % of prompt tokens in the public trace, where 37.4 % are
repeated; joined, 35.0 % are kept): a request continues the latest earlier one whose full blocks
(all but its last, partial one) it starts with. Two full blocks are required, since the first
block is a system prompt common to all. A request that two others continue is a fork; both are
its children.

What is assumed: the gap between a request and its continuation, less the time its output took
at 30 ms a token, is thinking time; the first request of a conversation keeps its arrival;
first requests whose first block is equal share that block (and nothing more).
"""

from pathlib import Path
from typing import NamedTuple

from hexsolve.instances.importers.prefixes import PrefixTree, runs_of
from hexsolve.instances.importers.trace import ImportedTrace
from hexsolve.instances.reading.fields import Fields
from hexsolve.instances.reading.files import records
from hexsolve.instances.reading.limits import Limits
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call, Workflow

BLOCK = 512
SECONDS_PER_OUTPUT_TOKEN = 0.03
LEAST_SHARED_BLOCKS = 2

# Of requests with equal full blocks only so many, the latest, are tried as parents.
RECENT = 8


class _Request(NamedTuple):
    time: float
    prompt: int
    output: int
    first: int
    full_blocks: int
    shared: int
    owner: int
    parent: int


def read(path: Path, limits: Limits) -> ImportedTrace:
    """Return one workflow per conversation; arrivals are those of its first request.

    Raises
    ------
    InputError
        A field is missing or out of range, times go back, or ids do not fit the length.
    """
    requests = _requests(path, limits)
    if not requests:
        raise InputError("holds no requests; allowed: at least one", source=str(path))
    root_of: list[int] = []
    members: dict[int, list[int]] = {}
    for index, request in enumerate(requests):
        root_of.append(root_of[request.parent] if request.parent >= 0 else index)
        members.setdefault(root_of[index], []).append(index)
    workflows = [_workflow(root, group, requests) for root, group in members.items()]
    notes = (
        f"{len(requests)} requests were joined to {len(workflows)} conversations by their "
        "block ids",
        f"thinking time is the gap between requests less {SECONDS_PER_OUTPUT_TOKEN} s per "
        "output token",
    )
    return ImportedTrace(workflows, "mooncake", notes, has_arrivals=True)


def _requests(path: Path, limits: Limits) -> list[_Request]:
    tree = PrefixTree()
    requests: list[_Request] = []
    # Last full block → requests that end there, latest last.
    ending: dict[int, list[int]] = {}
    start = 0.0
    for place, record in records(path, limits):
        fields = Fields(record, place)
        time = fields.seconds("timestamp") / 1e3
        if not requests:
            start = time
        elif time - start < requests[-1].time:
            raise fields.error("timestamp", "times in order")
        prompt = fields.tokens("input_length", least=1)
        ids = fields.items("hash_ids")
        if len(ids) > -(-prompt // BLOCK):
            raise fields.error("hash_ids", f"at most one id per {BLOCK} tokens of input_length")
        try:
            runs = runs_of(ids)
        except InputError as error:
            raise InputError(error.message, source=place, field="hash_ids") from None
        index = len(requests)
        blocks, owner = tree.add(runs, index)
        time -= start
        parent = _parent(ids[:blocks], time, ending, requests)
        full = prompt // BLOCK
        requests.append(
            _Request(
                time=time,
                prompt=prompt,
                output=fields.tokens("output_length"),
                first=ids[0] if ids else -1,
                full_blocks=min(full, len(ids)),
                shared=min(blocks, full),
                owner=owner,
                parent=parent,
            )
        )
        limits.check_calls(len(requests), str(path))
        if min(full, len(ids)):
            ending.setdefault(ids[min(full, len(ids)) - 1], []).append(index)
    return requests


def _parent(
    shared: list[int], time: float, ending: dict[int, list[int]], requests: list[_Request]
) -> int:
    """Return the latest earlier request all of whose full blocks are among `shared`, or -1."""
    for depth in range(len(shared), LEAST_SHARED_BLOCKS - 1, -1):
        for candidate in reversed(ending.get(shared[depth - 1], [])[-RECENT:]):
            if requests[candidate].full_blocks == depth and requests[candidate].time < time:
                return candidate
    return -1


def _workflow(root: int, group: list[int], requests: list[_Request]) -> Workflow:
    local = {request: index for index, request in enumerate(group)}
    calls: list[Call] = []
    for index in group:
        request = requests[index]
        parent = local.get(request.parent, -1)
        if parent < 0:
            prefix, shared, gap = -1, min(request.shared, 1) * BLOCK, 0.0
        else:
            before = requests[request.parent]
            # Another branch of the conversation may share more than the parent does.
            prefix, shared = parent, before.full_blocks * BLOCK
            if request.owner in local and request.shared * BLOCK >= shared:
                prefix, shared = local[request.owner], request.shared * BLOCK
            gap = request.time - before.time - SECONDS_PER_OUTPUT_TOKEN * before.output
        calls.append(
            Call(
                prompt_tokens=request.prompt,
                output_tokens=request.output,
                parents=(parent,) if parent >= 0 else (),
                tool_seconds=max(0.0, gap),
                prefix_call=prefix,
                prefix_tokens=shared,
                name="turn" if parent >= 0 else "start",
            )
        )
    first = requests[root]
    return Workflow(
        name=f"conversation-{root + 1}",
        arrival_s=first.time,
        calls=tuple(calls),
        workflow_class="conversation",
        prefix_group=f"block-{first.first}" if first.first >= 0 else "",
    )
