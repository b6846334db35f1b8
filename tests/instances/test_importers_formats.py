"""Each format on small files written by hand."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.instances.importers import FORMATS, detect_format, read_trace
from hexsolve.instances.importers.otel import _Waves
from hexsolve.instances.importers.otel_span import Span
from hexsolve.instances.importers.text_length import common_prefix
from hexsolve.models.errors import InputError

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


def write(tmp_path, text, name="trace.txt"):
    path = tmp_path / name
    path.write_text(text)
    return path


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def test_azure_keeps_all_digits_and_counts_from_the_first_row(tmp_path):
    text = AZURE + "2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319601,3180,0\n"
    trace = read_trace(write(tmp_path, text))
    assert trace.format == "azure"
    assert trace.has_arrivals
    first, second = trace.workflows
    assert first.arrival_s == 0.0
    # Seconds since 1970 hold 0.2 µs, so the seventh digit just survives.
    assert second.arrival_s == pytest.approx(0.0520001, abs=3e-7)
    assert (second.calls[0].prompt_tokens, second.calls[0].output_tokens) == (3180, 0)


def test_azure_columns_in_any_order_zone_and_gzip(tmp_path):
    text = "generatedtokens,extra,contexttokens,timestamp\n7,x,9,2024-05-10 00:00:00.5+00:00\n"
    path = tmp_path / "a.bin"
    path.write_bytes(gzip.compress(text.encode()))
    (flow,) = read_trace(path).workflows
    assert (flow.calls[0].prompt_tokens, flow.calls[0].output_tokens) == (9, 7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (AZURE, ["no rows"]),
        ("TIMESTAMP,ContextTokens\n", ["known trace format", "azure"]),
        (AZURE + "2023-11-16 18:17:03,1\n", ["row 1", "2 values", "3"]),
        (AZURE + "2023-11-16 18:17:03,0,1\n", ["row 1", "ContextTokens", "'0'", "1…"]),
        (AZURE + "2023-11-16 18:17:03,1,-1\n", ["row 1", "GeneratedTokens", "'-1'"]),
        (AZURE + "2023-11-16 18:17:03,nan,1\n", ["ContextTokens", "'nan'"]),
        (AZURE + "2023-11-16 18:17:03,1e3,1\n", ["ContextTokens", "'1e3'", "integer"]),
        (AZURE + "yesterday,1,1\n", ["row 1", "TIMESTAMP", "'yesterday'", "ISO 8601"]),
        (
            AZURE + "2023-11-16 18:17:03,1,1\n2023-11-16 18:17:02,1,1\n",
            ["row 2", "TIMESTAMP", "earlier"],
        ),
    ],
)
def test_azure_mistakes_are_named(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        read_trace(write(tmp_path, text))
    for word in [*words, "trace.txt", "allowed"]:
        assert word in str(error.value)


def test_text2sql_stages(tmp_path):
    steps = [
        "retrieve",
        "generate_candidate_a",
        "generate_candidate_a",
        "evaluate",
        "evaluate",
        "unit",
        "unit",
    ]
    record = [{"step": s, "input_length": 10 + i, "output_length": i} for i, s in enumerate(steps)]
    trace = read_trace(write(tmp_path, json.dumps([{"Text2SQLRequest": record}], indent=1)))
    parents = [call.parents for call in trace.workflows[0].calls]
    assert parents == [(), (0,), (0,), (1, 2), (1, 2), (3, 4), (5,)]


def test_mlperf_context_only_grows(tmp_path):
    text = lines(
        {
            "conversation_id": "c",
            "turn": 1,
            "role": "user",
            "system": "s" * 40,
            "content": "u" * 400,
        },
        {"conversation_id": "c", "turn": 2, "role": "assistant", "content": "a" * 80},
        {
            "conversation_id": "c",
            "turn": 3,
            "role": "tool",
            "content": "t" * 120,
            "delay_seconds": 0.5,
        },
        {"conversation_id": "c", "turn": 4, "role": "assistant", "content": "b" * 40},
    )
    trace = read_trace(write(tmp_path, text))
    first, second = trace.workflows[0].calls
    assert (first.prompt_tokens, first.output_tokens, first.prefix_tokens) == (110, 20, 10)
    assert (second.prompt_tokens, second.prefix_call, second.prefix_tokens) == (160, 0, 130)
    assert second.tool_seconds == 0.5
    assert trace.workflows[0].prefix_group


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"turn": 1}, ["line 2", "turn", "more than 1"]),
        ({"role": "robot"}, ["role", "'robot'", "assistant"]),
        ({"delay_seconds": -1, "role": "tool"}, ["delay_seconds", "-1"]),
        ({"conversation_id": "other"}, ["line 2", "role", "before the first"]),
    ],
)
def test_mlperf_mistakes_are_named(tmp_path, changed, words):
    user = {"conversation_id": "c", "turn": 1, "role": "user", "content": "hello"}
    text = lines(user, {"conversation_id": "c", "turn": 2, "role": "assistant", **changed})
    with pytest.raises(InputError) as error:
        read_trace(write(tmp_path, text))
    for word in [*words, "allowed"]:
        assert word in str(error.value)


def mooncake(time, tokens, ids, out=100):
    return {"timestamp": time, "input_length": tokens, "output_length": out, "hash_ids": ids}


def test_mooncake_conversations(tmp_path):
    text = lines(
        mooncake(1000, 1500, [0, 1, 2]),
        mooncake(2000, 1500, [0, 7, 8]),
        mooncake(11000, 2100, [0, 1, 3, 4, 5]),
        mooncake(21000, 2100, [0, 1, 3, 4, 6]),
    )
    trace = read_trace(write(tmp_path, text))
    first, second = trace.workflows
    assert [flow.arrival_s for flow in trace.workflows] == [0.0, 1.0]
    assert [len(flow.calls) for flow in trace.workflows] == [3, 1]
    start, turn, later = first.calls
    # The third shares two blocks with the first; the fourth repeats it, so both continue the first.
    assert (start.prefix_call, start.prefix_tokens) == (-1, 0)
    assert (turn.parents, turn.prefix_call, turn.prefix_tokens) == ((0,), 0, 1024)
    assert turn.tool_seconds == pytest.approx(10 - 3)
    assert later.parents == (1,)
    assert (later.prefix_call, later.prefix_tokens) == (1, 2048)
    assert second.calls[0].prefix_tokens == 512
    assert first.prefix_group == second.prefix_group != ""


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (mooncake(-1, 10, [0]), ["timestamp", "-1"]),
        (mooncake(0, 10, [0, 1]), ["hash_ids", "one id per 512"]),
        (mooncake(0, 10, [0.5]), ["hash_ids", "0.5"]),
        (mooncake(0, 0, []), ["input_length", "is 0"]),
    ],
)
def test_mooncake_mistakes_are_named(tmp_path, record, words):
    with pytest.raises(InputError) as error:
        read_trace(write(tmp_path, lines(record)))
    for word in [*words, "line 1", "allowed"]:
        assert word in str(error.value)


def span(name, start, end, parent=None, trace="t", tokens=(100, 10)):
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
    }
    return {
        "trace_id": trace,
        "span_id": name,
        "parent_span_id": parent,
        "name": name,
        "start_time": f"2026-01-01T00:00:{start:09.6f}",
        "end_time": f"2026-01-01T00:00:{end:09.6f}",
        "attributes": attributes,
    }


def otel(tmp_path, *spans):
    return read_trace(write(tmp_path, json.dumps({"spans": spans}, indent=2)))


def test_otel_dependencies_from_times(tmp_path):
    trace = otel(
        tmp_path,
        span("a", 0, 1),
        span("b", 1.5, 4),
        span("c", 2, 3),
        span("d", 5, 6),
        span("e", 6, 7),
    )
    calls = trace.workflows[0].calls
    assert [call.parents for call in calls] == [(), (0,), (0,), (1, 2), (3,)]
    assert [call.tool_seconds for call in calls] == pytest.approx([0, 0.5, 1, 1, 0])


def test_otel_links_to_finished_calls_win_over_times(tmp_path):
    agent = {
        **span("agent", 0, 9, parent="a"),
        "attributes": {"gen_ai.operation.name": "invoke_agent"},
    }
    trace = otel(tmp_path, span("a", 0, 1), agent, span("b", 2, 3, parent="agent"), span("c", 4, 5))
    calls = trace.workflows[0].calls
    assert [call.parents for call in calls] == [(), (0,), ()]
    # The unlinked one is released on its own, at its offset.
    assert calls[2].tool_seconds == pytest.approx(4.0)


def test_otel_cycle_of_parents_is_harmless(tmp_path):
    assert (
        otel(tmp_path, span("a", 0, 1, "b"), span("b", 2, 3, "a"), span("x", 4, 5, "x")).calls == 3
    )


def test_otlp_form_gives_the_same_as_the_flat_one(tmp_path):
    flat = [span("a", 0, 1), span("b", 1.5, 4), span("c", 2, 3)]
    base = 1767225600
    listed = [
        {
            "traceId": "t",
            "spanId": each["span_id"],
            "name": each["name"],
            "startTimeUnixNano": str(int((base + float(each["start_time"][17:])) * 1e9)),
            "endTimeUnixNano": str(int((base + float(each["end_time"][17:])) * 1e9)),
            "attributes": [
                {
                    "key": key,
                    "value": {"intValue": str(value)}
                    if isinstance(value, int)
                    else {"stringValue": value},
                }
                for key, value in each["attributes"].items()
            ],
        }
        for each in flat
    ]
    otlp = {"resourceSpans": [{"scopeSpans": [{"spans": listed}]}]}
    one = otel(tmp_path, *flat).workflows
    other = read_trace(write(tmp_path, json.dumps(otlp), "otlp.json")).workflows
    assert one == other


def test_otel_prefix_goes_on_through_the_answer(tmp_path):
    first = span("a", 0, 1)
    first["attributes"] = {
        "gen_ai.input.messages": json.dumps([{"role": "user", "content": "q" * 33}]),
        "gen_ai.output.text": "a" * 28,
    }
    second = span("b", 2, 3)
    second["attributes"] = {
        "gen_ai.input.messages": json.dumps(
            [
                {"role": "user", "content": "q" * 33},
                {"role": "assistant", "content": "a" * 28},
                {"role": "user", "content": "z" * 33},
            ]
        ),
        "gen_ai.output.text": "b",
    }
    calls = otel(tmp_path, first, second).workflows[0].calls
    # "user: " + 33 + newline = 40 characters; "assistant: " + 28 + newline = 40 more.
    assert calls[0].prompt_tokens == 10
    assert calls[1].prompt_tokens == 30
    assert (calls[1].prefix_call, calls[1].prefix_tokens) == (0, 20)


def test_otel_mistakes_are_named(tmp_path):
    with pytest.raises(InputError, match="no LLM span"):
        otel(tmp_path, {**span("a", 0, 1), "attributes": {}})
    with pytest.raises(InputError, match=r"end_time.*not before"):
        otel(tmp_path, span("a", 2, 1))
    with pytest.raises(InputError, match=r"spans\[0\].attributes.gen_ai.usage.input_tokens.*-3"):
        otel(tmp_path, span("a", 0, 1, tokens=(-3, 1)))


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4)), min_size=1, max_size=9))
@settings(deadline=None, derandomize=True, max_examples=300)
def test_waves_are_the_immediate_predecessors(times):
    spans = sorted((float(start), float(start + length)) for start, length in times)
    waves = _Waves()
    for index, (start, end) in enumerate(spans):
        done = [k for k in range(index) if spans[k][1] <= start]
        between = [k for k in done if not any(q > k and spans[k][1] <= spans[q][0] for q in done)]
        assert waves.parents(start) == tuple(between)
        waves.add(index, Span("t", str(index), "", "", start, end, "chat", "", "", 1, 1, False))


@given(st.text("ab", max_size=40), st.text("ab", max_size=40))
@settings(deadline=None, derandomize=True, max_examples=300)
def test_common_prefix(one, other):
    length = common_prefix(one, other)
    assert one[:length] == other[:length]
    assert length == min(len(one), len(other)) or one[length] != other[length]


def test_vllm_log(tmp_path):
    text = "request_id,input_toks,output_toks,arrival_s,x\nr0,5,6,0.0,1\nr1,7,8,0.25,1\n"
    trace = read_trace(write(tmp_path, text))
    assert [flow.arrival_s for flow in trace.workflows] == [0.0, 0.25]
    assert trace.workflows[1].name == "r1"
    with pytest.raises(InputError, match=r"row 2: arrival_s.*earlier"):
        read_trace(write(tmp_path, text.replace("r0,5,6,0.0", "r0,5,6,9.5")))


def test_directory_of_one_format(tmp_path):
    for name, tokens in (("b.csv", 2), ("a.csv", 1)):
        write(tmp_path, AZURE + f"2023-11-16 18:17:03,{tokens},1\n", name)
    write(tmp_path, "not a trace", "README")
    trace = read_trace(tmp_path)
    assert [flow.calls[0].prompt_tokens for flow in trace.workflows] == [1, 2]
    write(tmp_path, lines(mooncake(0, 10, [0])), "c.jsonl")
    with pytest.raises(InputError, match=r"several formats.*azure, mooncake"):
        read_trace(tmp_path)


def test_format_names(tmp_path):
    path = write(tmp_path, AZURE + "2023-11-16 18:17:03,1,1\n")
    assert detect_format(path) is FORMATS["azure"]
    assert read_trace(path, format="azure").calls == 1
    with pytest.raises(InputError, match="format: is 'nope'; allowed: hexsolve, azure"):
        read_trace(path, format="nope")
    with pytest.raises(InputError, match="column 'request_id' is missing"):
        read_trace(path, format="vllm-log")
