"""Coding-agent sessions of kv-cache-tester (one session a workflow), compact or original form.

Format and data: https://github.com/callanjfox/kv-cache-tester (Apache-2.0). A session is an
object with `requests`; a prompt is listed as ids of its full 64-token KV blocks, either
`hash_ids` (original) or `hash_rle` = [[first id, number], …] (compact). Ids are local to a
session, so nothing is known about prefixes shared across sessions and none are assumed.
The compact form is JSONL, a session a line; the original one is a JSON document per session.
"""

from pathlib import Path

from hexsolve.instances.importers.trace import ImportedTrace
from hexsolve.instances.importers.weka_session import SessionReader
from hexsolve.instances.reading.fields import Fields
from hexsolve.instances.reading.files import records
from hexsolve.instances.reading.limits import Limits
from hexsolve.models.workflow import Workflow


def read(path: Path, limits: Limits) -> ImportedTrace:
    """Return one workflow per session, all with arrival 0 (the trace has no arrivals).

    Raises
    ------
    InputError
        A field is missing or out of range, or times within a session go back.
    """
    reader = SessionReader()
    workflows: list[Workflow] = []
    calls = 0
    for source, record in records(path, limits):
        workflow = reader.workflow(Fields(record, source))
        calls += len(workflow.calls)
        limits.check_calls(calls, str(path))
        workflows.append(workflow)
    return ImportedTrace(workflows, "weka", reader.notes())
