"""All trace formats, recognising them, and reading a file or a directory of files."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from hexsolve.instances import workflow_io
from hexsolve.instances.importers import (
    azure,
    mlperf,
    mooncake,
    otel,
    text2sql,
    vllm_log,
    weka,
)
from hexsolve.instances.importers.trace import ImportedTrace
from hexsolve.instances.reading.files import sample
from hexsolve.instances.reading.limits import DEFAULT_LIMITS, Limits
from hexsolve.models.errors import InputError, allowed

SUFFIXES = (".json", ".jsonl", ".csv", ".json.gz", ".jsonl.gz", ".csv.gz")


@dataclass(frozen=True, slots=True)
class TraceFormat:
    """A trace format.

    Attributes
    ----------
    name : str
        Its key.
    description : str
        One line for a user who chooses.
    marks : tuple of str
        Regular expressions of which all occur in the beginning of a file of this format.
    read : callable
        ``read(path, limits)`` gives the trace or raises `InputError`.
    """

    name: str
    description: str
    marks: tuple[str, ...]
    read: Callable[[Path, Limits], ImportedTrace]

    def matches(self, text: str) -> bool:
        """Return whether the beginning of a file looks like this format."""
        return all(re.search(mark, text) for mark in self.marks)


def _read_own(path: Path, limits: Limits) -> ImportedTrace:
    workflows = workflow_io.read_workflows(path, limits)
    timed = any(workflow.arrival_s > 0 for workflow in workflows)
    return ImportedTrace(workflows, "hexsolve", has_arrivals=timed)


def _key(name: str) -> str:
    return rf'"{name}"\s*:'


# In the order in which they are tried.
_ALL = (
    TraceFormat(
        "hexsolve",
        "hexsolve's own workflows, JSONL",
        (_key("schema_version"), _key("calls")),
        _read_own,
    ),
    TraceFormat(
        "azure",
        "Azure LLM inference traces, CSV: TIMESTAMP, ContextTokens, GeneratedTokens",
        (r"(?i)\A[^\n]*contexttokens", r"(?i)\A[^\n]*generatedtokens"),
        azure.read,
    ),
    TraceFormat(
        "vllm-log",
        "request log of a vLLM run, CSV: request_id, input_toks, output_toks, arrival_s",
        (r"(?i)\A[^\n]*input_toks", r"(?i)\A[^\n]*output_toks"),
        vllm_log.read,
    ),
    TraceFormat(
        "weka",
        "coding-agent sessions of kv-cache-tester, JSONL with hash_rle or JSON with hash_ids",
        (_key("requests"), rf"{_key('hash_rle')}|{_key('hash_ids')}|{_key('hash_id_scope')}"),
        weka.read,
    ),
    TraceFormat(
        "text2sql",
        "text-to-SQL agent stages, JSON with Text2SQLRequest",
        (_key("Text2SQLRequest"),),
        text2sql.read,
    ),
    TraceFormat(
        "mlperf",
        "MLPerf agentic-coding conversations, JSONL of messages",
        (_key("conversation_id"), _key("role")),
        mlperf.read,
    ),
    TraceFormat(
        "mooncake",
        "Mooncake requests, JSONL with timestamp, input_length, output_length, hash_ids",
        (_key("timestamp"), _key("input_length")),
        mooncake.read,
    ),
    TraceFormat(
        "otel",
        "OpenTelemetry GenAI spans, JSON (flat or OTLP)",
        (rf"{_key('spans')}|{_key('resourceSpans')}|{_key('span_id')}|{_key('spanId')}",),
        otel.read,
    ),
)

FORMATS: Mapping[str, TraceFormat] = MappingProxyType({each.name: each for each in _ALL})


def detect_format(path: Path) -> TraceFormat:
    """Return the format of a file, judged by its first 64 KiB.

    Raises
    ------
    InputError
        The file cannot be read or no format fits.
    """
    text = sample(path)
    for each in _ALL:
        if each.matches(text):
            return each
    raise InputError(f"is in no known trace format; allowed: {allowed(FORMATS)}", source=str(path))


def read_trace(
    path: str | Path,
    format: str | None = None,  # noqa: A002
    limits: Limits = DEFAULT_LIMITS,
) -> ImportedTrace:
    """Read a trace file, or all trace files of a directory, as workflows.

    Parameters
    ----------
    path : str or Path
        A file (plain or gzip), or a directory whose .json, .jsonl and .csv files (also .gz) are
        all in one format.
    format : str, optional
        A key of `FORMATS`; recognised from the content if left out.
    limits : Limits
        What is refused as too large.

    Raises
    ------
    InputError
        For everything that is wrong with the input; the message names file, record, field,
        value and what is allowed.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise InputError(
            f"is {format[:40]!r}; allowed: {allowed(FORMATS)}", source=str(path), field="format"
        )
    try:
        is_directory = path.is_dir()
    except (OSError, ValueError):
        is_directory = False
    if not is_directory:
        chosen = FORMATS[format] if format else detect_format(path)
        return chosen.read(path, limits)
    return _read_directory(path, format, limits)


def _read_directory(path: Path, name: str | None, limits: Limits) -> ImportedTrace:
    files = sorted(
        file for file in path.iterdir() if file.is_file() and file.name.endswith(SUFFIXES)
    )
    if not files:
        raise InputError(
            f"is a directory without trace files; allowed: files named *{', *'.join(SUFFIXES)}",
            source=str(path),
        )
    formats = [FORMATS[name] if name else detect_format(file) for file in files]
    found = list(dict.fromkeys(each.name for each in formats))
    if len(found) > 1:
        raise InputError(
            f"holds files of several formats ({allowed(found)}); allowed: one; name a file",
            source=str(path),
        )
    traces: list[ImportedTrace] = []
    for file in files:
        traces.append(formats[0].read(file, limits))
        limits.check_calls(sum(trace.calls for trace in traces), str(path))
    notes = (
        f"{len(files)} files were read; each file's arrivals count from its own start",
        *(f"{files[0].name}: {note}" for note in traces[0].notes),
    )
    return ImportedTrace(
        [workflow for trace in traces for workflow in trace.workflows],
        found[0],
        notes,
        has_arrivals=all(trace.has_arrivals for trace in traces),
    )
