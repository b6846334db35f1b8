"""One OpenTelemetry span: fields from the flat form or OTLP/JSON, tokens from usage or text."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hexsolve.instances.importers.text_length import estimated_tokens
from hexsolve.instances.reading.fields import Fields, timestamp

LLM_OPERATIONS = ("chat", "text_completion", "generate_content")
_INPUT_USAGE = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT_USAGE = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_INPUT_TEXT = ("gen_ai.input.messages", "gen_ai.prompt")
_OUTPUT_TEXT = ("gen_ai.output.text", "gen_ai.output.messages", "gen_ai.completion")


@dataclass(frozen=True, slots=True)
class Span:
    """A span; times in seconds since 1970, texts rendered as ``role: content`` lines."""

    trace: str
    id: str
    parent: str
    name: str
    start: float
    end: float
    operation: str
    prompt: str
    output: str
    prompt_tokens: int
    output_tokens: int
    estimated: bool


def is_llm(span: Span) -> bool:
    """Return whether the span is an LLM call (``prompt_tokens`` is 0 for all others)."""
    return span.prompt_tokens > 0


def spans_of(record: object, source: str) -> Iterator[Span]:
    """Yield the spans of a document, an OTLP export or a single span.

    Raises
    ------
    InputError
        A field is missing or out of range.
    """
    fields = Fields(record, source)
    if "resourceSpans" in fields.data:
        for resource in fields.records("resourceSpans"):
            for scope in resource.records("scopeSpans"):
                for span in scope.records("spans"):
                    yield _span(span, _listed_attributes(span))
        return
    for span in fields.records("spans") if "spans" in fields.data else (fields,):
        attributes = span.data.get("attributes", {})
        if isinstance(attributes, list):
            yield _span(span, _listed_attributes(span))
        else:
            yield _span(span, Fields(attributes, source, span.place("attributes")))


def _listed_attributes(span: Fields) -> Fields:
    """Return OTLP attributes ``[{key, value: {stringValue: …}}]`` as a plain object."""
    plain: dict[str, Any] = {}
    for item in span.records("attributes") if "attributes" in span.data else ():
        value = item.data.get("value")
        inner = next(iter(value.values()), None) if isinstance(value, dict) else value
        if isinstance(value, dict) and "intValue" in value and isinstance(inner, str):
            inner = int(inner) if inner.isdecimal() and len(inner) < 12 else inner
        plain[item.text("key")] = inner
    return Fields(plain, span.source, span.place("attributes"))


def _span(span: Fields, attributes: Fields) -> Span:
    start = _time(span, "start_time", "startTimeUnixNano")
    end_field = "endTimeUnixNano" if "endTimeUnixNano" in span.data else "end_time"
    end = _time(span, "end_time", "endTimeUnixNano")
    if end < start:
        raise span.error(end_field, "a time not before the span's start")
    operation = attributes.text("gen_ai.operation.name", "")
    prompt = _text(attributes, _INPUT_TEXT)
    usage = _usage(attributes, _INPUT_USAGE, least=1)
    generated = _usage(attributes, _OUTPUT_USAGE, least=0)
    output = _text(attributes, _OUTPUT_TEXT)
    if attributes.data.get("gen_ai.output.text"):
        # Rendered as the next prompt will hold it, so that the shared prefix goes on through it.
        output = _line({"role": "assistant", "content": output})
    is_call = operation in LLM_OPERATIONS or (not operation and (usage is not None or bool(prompt)))
    if is_call and usage is None and not prompt:
        raise attributes.error(_INPUT_USAGE[0], "a token count, or gen_ai.input.messages")
    estimate = estimated_tokens(len(prompt))
    out_estimate = estimated_tokens(len(output)) if output else 0
    return Span(
        trace=span.text("trace_id", span.text("traceId", "trace")),
        id=span.text("span_id", span.text("spanId", "")),
        parent=span.text("parent_span_id", span.text("parentSpanId", "")),
        name=span.text("name", "call"),
        start=start,
        end=end,
        operation=operation,
        prompt=prompt,
        output=output,
        prompt_tokens=(estimate if usage is None else usage) if is_call else 0,
        output_tokens=out_estimate if generated is None else generated,
        estimated=usage is None or generated is None,
    )


def _time(span: Fields, iso: str, nanoseconds: str) -> float:
    if nanoseconds in span.data:
        value = span.data[nanoseconds]
        text = str(value) if isinstance(value, int | str) else ""
        if not (text.isdecimal() and text.isascii() and len(text) <= 20):
            raise span.error(nanoseconds, "nanoseconds since 1970, an integer ≥ 0")
        return int(text) / 1e9
    return timestamp(span.text(iso), span.source, span.place(iso))


def _usage(attributes: Fields, names: tuple[str, ...], least: int) -> int | None:
    for name in names:
        if attributes.data.get(name) is not None:
            return attributes.tokens(name, least)
    return None


def _text(attributes: Fields, names: tuple[str, ...]) -> str:
    """Return the first present text attribute, messages rendered one a line."""
    for name in names:
        value = attributes.data.get(name)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return str(value)
        if isinstance(value, list):
            return "".join(_line(message) for message in value)
        if value is not None:
            return str(value)
    return ""


def _line(message: Any) -> str:
    if not isinstance(message, dict):
        return f"{message}\n"
    content = message.get("content", message.get("parts", ""))
    if not isinstance(content, str):
        content = json.dumps(content, ensure_ascii=False)
    return f"{message.get('role', '')}: {content}\n"
