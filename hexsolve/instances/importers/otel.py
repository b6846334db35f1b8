"""OpenTelemetry GenAI traces: LLM spans as calls, dependencies from parent links or times.

Formats: a flat document ``{"spans": [{span_id, parent_span_id, start_time, end_time,
attributes}]}`` as in https://github.com/kubernetes-sigs/inference-perf (Apache-2.0), and OTLP/JSON
(``resourceSpans``; https://opentelemetry.io/docs/specs/otlp/). Attribute names follow the GenAI
semantic conventions (https://opentelemetry.io/docs/specs/semconv/gen-ai/), old and new.

What is assumed
---------------
- A span is an LLM call if `gen_ai.operation.name` is chat, text_completion or
  generate_content, or, without that attribute, if it carries token usage or input messages.
- If some call's nearest LLM ancestor (through agent and tool spans) is a call that ended before
  it started, then such links are the dependencies and calls without one start on their own.
  Otherwise dependencies come from times: a call waits for every call that ended before it
  started, less those already implied. Overlapping calls are thereby parallel, and a
  call after several of them is a fan-in.
- The gap between the last parent's end and the start is tool time.
- Token counts are the usage attributes, else characters / 4 of the messages.
- A prompt shares with an earlier one, and its output, as many characters as are equal from the
  start, converted at the prompt's own characters per token.
"""

from heapq import heappop, heappush
from math import inf
from pathlib import Path

from hexsolve.instances.importers.otel_span import Span, is_llm, spans_of
from hexsolve.instances.importers.text_length import CHARACTERS_PER_TOKEN, common_prefix
from hexsolve.instances.importers.trace import ImportedTrace
from hexsolve.instances.reading.files import records
from hexsolve.instances.reading.limits import Limits
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call, Workflow

# Comparing each prompt with all before would be quadratic in a long trace.
PREFIX_WINDOW = 32


def read(path: Path, limits: Limits) -> ImportedTrace:
    """Return one workflow per trace id; arrivals are first starts after the earliest one.

    Raises
    ------
    InputError
        A field is missing or out of range, a span ends before it starts, or no span is an LLM
        call.
    """
    source = str(path)
    traces: dict[str, list[Span]] = {}
    count = 0
    for place, record in records(path, limits):
        for span in spans_of(record, place):
            count += 1
            limits.check_calls(count, source)
            traces.setdefault(span.trace, []).append(span)
    named = {name: spans for name, spans in traces.items() if any(map(is_llm, spans))}
    if not named:
        raise InputError(
            "holds no LLM span; allowed: spans with gen_ai.operation.name = chat, "
            "text_completion or generate_content",
            source=source,
        )
    estimated = sum(span.estimated for spans in named.values() for span in spans if is_llm(span))
    built = [_workflow(name, spans, limits) for name, spans in named.items()]
    origin = min(start for start, _ in built)
    workflows = [
        Workflow(flow.name, start - origin, flow.calls, flow.workflow_class)
        for start, flow in built
    ]
    workflows.sort(key=lambda flow: flow.arrival_s)
    notes = (
        f"token counts of {estimated} calls are estimates: characters / {CHARACTERS_PER_TOKEN:g}",
        "calls wait for those that ended before they started; gaps count as tool time",
    )
    return ImportedTrace(workflows, "otel", notes, has_arrivals=len(workflows) > 1)


def _workflow(name: str, spans: list[Span], limits: Limits) -> tuple[float, Workflow]:
    calls = sorted((span for span in spans if is_llm(span)), key=lambda span: span.start)
    start = min(span.start for span in spans)
    linked = _linked_parents(calls, spans)
    by_link = any(parent >= 0 for parent in linked)
    out: list[Call] = []
    waves = _Waves()
    edges = 0
    for index, span in enumerate(calls):
        if by_link:
            parents = tuple(link for link in linked[index : index + 1] if link >= 0)
        else:
            parents = waves.parents(span.start)
            waves.add(index, span)
            edges += len(parents)
            limits.check_edges(edges, name)
        released = max((calls[parent].end for parent in parents), default=start)
        owner, shared = _prefix(calls, index)
        out.append(
            Call(
                prompt_tokens=span.prompt_tokens,
                output_tokens=span.output_tokens,
                parents=parents,
                tool_seconds=max(0.0, span.start - released),
                prefix_call=owner,
                prefix_tokens=shared,
                name=span.name[:80] or "call",
            )
        )
    return start, Workflow(name[:80] or "trace", 0.0, tuple(out), workflow_class="otel")


def _linked_parents(calls: list[Span], spans: list[Span]) -> list[int]:
    """Return for each call the index of the nearest LLM ancestor that ended before it, or -1."""
    index_of = {span.id: index for index, span in enumerate(calls)}
    parent_of = {span.id: span.parent for span in spans}
    linked = []
    for index, span in enumerate(calls):
        ancestor = span.parent
        # A damaged file may hold a cycle of parents; no chain is longer than the trace.
        for _ in range(min(len(spans), 1000)):
            if ancestor in index_of or ancestor not in parent_of:
                break
            ancestor = parent_of[ancestor]
        found = index_of.get(ancestor, -1)
        linked.append(found if found < index and calls[found].end <= span.start else -1)
    return linked


class _Waves:
    """Immediate predecessors in the interval order of calls given by start time.

    P is an immediate predecessor of X if P ended before X started and no other Q lies between
    (P ended before Q started, Q ended before X started): P's end must exceed the latest start
    among the calls that ended before X started.
    """

    def __init__(self) -> None:
        self._running: list[tuple[float, float, int]] = []
        self._done: list[tuple[float, float, int]] = []
        self._latest = (-inf, -1)

    def add(self, index: int, span: Span) -> None:
        """Add a call; calls come in order of their starts."""
        heappush(self._running, (span.end, span.start, index))

    def parents(self, start: float) -> tuple[int, ...]:
        """Return the immediate predecessors of a call that starts at `start`."""
        while self._running and self._running[0][0] <= start:
            ended = heappop(self._running)
            self._latest = max(self._latest, ended[1:])
            self._done.append(ended)
        # The latest itself stays even if it has no length: it is not its own successor.
        start_of_latest, latest = self._latest
        self._done = [span for span in self._done if span[0] > start_of_latest or span[2] == latest]
        return tuple(sorted(index for _, _, index in self._done))


def _prefix(calls: list[Span], index: int) -> tuple[int, int]:
    """Return the earlier call whose text this prompt shares most of, and the tokens shared."""
    span = calls[index]
    best, owner = 0, -1
    for candidate in range(index - 1, max(-1, index - 1 - PREFIX_WINDOW), -1):
        length = common_prefix(span.prompt, calls[candidate].prompt + calls[candidate].output)
        if length > best:
            best, owner = length, candidate
    if owner < 0:
        return -1, 0
    origin = calls[owner]
    shared = min(
        int(span.prompt_tokens * best / len(span.prompt)),
        origin.prompt_tokens + origin.output_tokens,
    )
    return (owner, shared) if shared else (-1, 0)
