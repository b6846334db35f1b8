"""Text-to-SQL agent traces: stages with token counts, no times and no prefix information.

Format and data: https://github.com/Relaxed-System-Lab/Text2SQL-Serving-System (Apache-2.0), the
workload of HexGen-Flow. A document is a list of ``{"Text2SQLRequest": [{step, input_length,
output_length}, …]}`` with the calls in the order in which they were made.

What is assumed: successive `generate_candidate…` calls run in parallel, successive `evaluate`
calls too, every other call waits for all calls of the stage before it; tools (SQL execution)
take no time; no prompt shares a prefix, since the trace does not tell.
"""

from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path

from hexsolve.instances.importers.trace import ImportedTrace
from hexsolve.instances.reading.fields import Fields
from hexsolve.instances.reading.files import document
from hexsolve.instances.reading.limits import Limits
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call, Workflow

KEY = "Text2SQLRequest"


def is_parallel(step: str) -> bool:
    """Return whether neighbouring calls of this step run at the same time."""
    return step.startswith("generate_candidate") or step == "evaluate"


def read(path: Path, limits: Limits) -> ImportedTrace:
    """Return one workflow per query, all with arrival 0.

    Raises
    ------
    InputError
        The document is not a list of queries, or a field is missing or out of range.
    """
    source = str(path)
    queries = document(path, limits)
    if not isinstance(queries, list) or not queries:
        raise InputError(f"allowed: a list of objects with {KEY!r}", source=source)
    workflows: list[Workflow] = []
    calls = 0
    for number, query in enumerate(queries):
        steps = list(_steps(Fields(query, source, f"[{number}]"), limits.calls - calls))
        if not steps:
            raise InputError(
                "is empty; allowed: at least one step", source=source, field=f"[{number}].{KEY}"
            )
        calls += len(steps)
        limits.check_calls(calls, source)
        workflows.append(
            Workflow(f"query-{number + 1}", 0.0, _calls(steps), workflow_class="text-to-sql")
        )
    notes = (
        "candidates run in parallel, evaluations run in parallel, all else in order",
        "the trace has no times (arrivals and tools are 0) and no prefix information",
    )
    return ImportedTrace(workflows, "text2sql", notes)


def _steps(query: Fields, most: int) -> Iterator[Fields]:
    """Yield the steps of a query, one more than `most` at the most; each must have a name."""
    for step in islice(query.records(KEY), most + 1):
        step.text("step")
        yield step


def _calls(steps: list[Fields]) -> tuple[Call, ...]:
    calls: list[Call] = []
    stage: tuple[int, ...] = ()
    named = [(step.text("step"), step) for step in steps]
    for name, group in groupby(named, key=lambda pair: pair[0]):
        members = [step for _, step in group]
        parallel = is_parallel(name)
        started = len(calls)
        for step in members:
            calls.append(
                Call(
                    prompt_tokens=step.tokens("input_length", least=1),
                    output_tokens=step.tokens("output_length"),
                    parents=stage,
                    name=name[:80] or "step",
                )
            )
            if not parallel:
                stage = (len(calls) - 1,)
        if parallel:
            stage = tuple(range(started, len(calls)))
    return tuple(calls)
