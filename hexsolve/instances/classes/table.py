"""All calls of a list of workflows as arrays, one entry per call."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call, Workflow

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SECONDS_PER_NEW_TOKEN = 1e-4
SECONDS_PER_OUTPUT_TOKEN = 0.03
"""Nominal speeds (10,000 tokens/s of prefill, 30 ms per output token), only to find out which of
several parallel branches is the slow one."""

OFF_PATH = 0.05
"""Part of a level's length that is shared by calls off the critical path."""

MAX_PLACES = 64
"""Distinct call names that are kept apart; more of them say nothing about the place."""


@dataclass(frozen=True, slots=True)
class CallTable:
    """Calls as arrays of equal length, in file order.

    Attributes
    ----------
    workflow : Ints
        Index of the call's workflow.
    new, cached, output : Floats
        Tokens. With an unlimited prefix cache `cached` is the call's `prefix_tokens`, but at
        most prompt − 1: an engine must compute at least one token to produce the next.
    tool : Floats
        Tool delay before the call, s.
    level : Ints
        Calls on the longest path to this call.
    share : Floats
        The call's part in the length of its workflow, see `path_share`.
    place : Ints
        Index into `places`.
    places : tuple of str
        Call names, or ``first``/``later`` where names are too many.
    depth : Ints
        Per workflow: calls on its longest path.
    path_seconds : Floats
        Per workflow: length of the critical path at nominal speeds, s.
    """

    workflow: Ints
    new: Floats
    cached: Floats
    output: Floats
    tool: Floats
    level: Ints
    share: Floats
    place: Ints
    places: tuple[str, ...]
    depth: Ints
    path_seconds: Floats

    @property
    def prefill_work(self) -> Floats:
        """Token pairs of a call's prefill attention: n·(h + n/2)."""
        return self.new * (self.cached + self.new / 2)

    @property
    def decode_work(self) -> Floats:
        """Context tokens summed over a call's decode steps: o·(prompt + o/2)."""
        return self.output * (self.new + self.cached + self.output / 2)


def call_table(workflows: Sequence[Workflow]) -> CallTable:
    """Return the calls of `workflows` as arrays.

    Raises
    ------
    InputError
        There is no workflow, or a workflow has no calls.
    """
    if not workflows:
        raise InputError("no workflows; allowed: at least one", field="workflows")
    flows: list[int] = []
    prompts: list[int] = []
    prefixes: list[int] = []
    outputs: list[int] = []
    tools: list[float] = []
    levels: list[int] = []
    shares: list[float] = []
    names: list[str] = []
    depths: list[int] = []
    paths: list[float] = []
    for index, workflow in enumerate(workflows):
        if not workflow.calls:
            workflow.validate()
        level: list[int] = []
        for call in workflow.calls:
            parents = call.parents
            level.append(max([level[parent] for parent in parents]) + 1 if parents else 0)
            prompts.append(call.prompt_tokens)
            prefixes.append(call.prefix_tokens)
            outputs.append(call.output_tokens)
            tools.append(call.tool_seconds)
            names.append(call.name)
        share, seconds = path_share(workflow.calls, level)
        flows.extend([index] * len(level))
        levels.extend(level)
        shares.extend(share)
        depths.append(max(level) + 1)
        paths.append(seconds)
    prompt = np.array(prompts, dtype=np.float64)
    cached = np.minimum(np.array(prefixes, dtype=np.float64), prompt - 1)
    places, place = _places(names, levels)
    return CallTable(
        workflow=np.array(flows, dtype=np.int64),
        new=prompt - cached,
        cached=cached,
        output=np.array(outputs, dtype=np.float64),
        tool=np.array(tools, dtype=np.float64),
        level=np.array(levels, dtype=np.int64),
        share=np.array(shares, dtype=np.float64),
        place=place,
        places=places,
        depth=np.array(depths, dtype=np.int64),
        path_seconds=np.array(paths, dtype=np.float64),
    )


def nominal_seconds(tool: Any, new: Any, output: Any) -> Any:
    """Return the time of calls at nominal speeds, s; numbers or arrays."""
    return tool + SECONDS_PER_NEW_TOKEN * new + SECONDS_PER_OUTPUT_TOKEN * output


def path_share(calls: Sequence[Call], level: Sequence[int]) -> tuple[list[float], float]:
    """Return each call's part in the length of its workflow, and the critical path in seconds.

    A workflow takes as long as its critical path, so a call counts 1 if it lies on it and 0
    if not. A class of calls that never do would then have no sequential length at all, hence
    `OFF_PATH` of each level's 1 is spread evenly over the calls at that level instead.
    """
    width = Counter(level)
    finish: list[float] = []
    slowest: list[int] = []
    for call in calls:
        before = -1
        if call.parents:
            before = max(call.parents, key=finish.__getitem__)
        slowest.append(before)
        new = max(call.prompt_tokens - call.prefix_tokens, 1)
        seconds = nominal_seconds(call.tool_seconds, new, call.output_tokens)
        finish.append(seconds + (finish[before] if before >= 0 else 0.0))
    share = [OFF_PATH / width[each] for each in level]
    last = max(range(len(calls)), key=finish.__getitem__)
    length = finish[last]
    while last >= 0:
        share[last] += 1.0 - OFF_PATH
        last = slowest[last]
    return share, length


def _places(names: list[str], levels: list[int]) -> tuple[tuple[str, ...], Ints]:
    known = {name: code for code, name in enumerate(dict.fromkeys(names))}
    if len(known) > MAX_PLACES:
        return ("first", "later"), (np.array(levels, dtype=np.int64) > 0).astype(np.int64)
    return tuple(known), np.array([known[name] for name in names], dtype=np.int64)
