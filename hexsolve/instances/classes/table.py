"""All calls of a list of workflows as arrays, one entry per call."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Workflow

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

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
    level, width : Ints
        Calls on the longest path to this call, and calls of its workflow at that level.
    place : Ints
        Index into `places`.
    places : tuple of str
        Call names, or ``first``/``later`` where names are too many.
    depth : Ints
        Per workflow: calls on its longest path.
    path_output : Floats
        Per workflow: largest sum of output tokens along a path.
    """

    workflow: Ints
    new: Floats
    cached: Floats
    output: Floats
    tool: Floats
    level: Ints
    width: Ints
    place: Ints
    places: tuple[str, ...]
    depth: Ints
    path_output: Floats

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
    widths: list[int] = []
    names: list[str] = []
    depths: list[int] = []
    paths: list[int] = []
    for index, workflow in enumerate(workflows):
        if not workflow.calls:
            workflow.validate()
        level: list[int] = []
        path: list[int] = []
        for call in workflow.calls:
            parents = call.parents
            level.append(max([level[parent] for parent in parents]) + 1 if parents else 0)
            before = max([path[parent] for parent in parents]) if parents else 0
            path.append(before + call.output_tokens)
            prompts.append(call.prompt_tokens)
            prefixes.append(call.prefix_tokens)
            outputs.append(call.output_tokens)
            tools.append(call.tool_seconds)
            names.append(call.name)
        at_level = Counter(level)
        flows.extend([index] * len(level))
        levels.extend(level)
        widths.extend([at_level[each] for each in level])
        depths.append(max(level) + 1)
        paths.append(max(path))
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
        width=np.array(widths, dtype=np.int64),
        place=place,
        places=places,
        depth=np.array(depths, dtype=np.int64),
        path_output=np.array(paths, dtype=np.float64),
    )


def _places(names: list[str], levels: list[int]) -> tuple[tuple[str, ...], Ints]:
    known = {name: code for code, name in enumerate(dict.fromkeys(names))}
    if len(known) > MAX_PLACES:
        return ("first", "later"), (np.array(levels, dtype=np.int64) > 0).astype(np.int64)
    return tuple(known), np.array([known[name] for name in names], dtype=np.int64)
