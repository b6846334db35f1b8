"""Damaged, hostile and enormous files: one `InputError`, nothing else, in bounded time."""

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hexsolve.instances.importers import FORMATS, read_trace
from hexsolve.instances.reading.limits import Limits
from hexsolve.models.errors import InputError

VALID = {
    "azure": b"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9,48,10\n",
    "vllm-log": b"request_id,input_toks,output_toks,arrival_s\nr0,5,6,0.5\n",
    "weka": b'{"id":"s","block_size":64,"requests":[{"t":0.0,"in":200,"out":3,"api_time":1.5,'
    b'"hash_rle":[[1,2],[7,1]]},{"t":9,"requests":[{"t":0,"in":64,"out":1,"hash_ids":[5]}],'
    b'"duration_ms":null},{"t":12.5,"in":256,"out":0,"hash_rle":[[1,4]]}]}\n',
    "text2sql": b'[{"Text2SQLRequest":[{"step":"a","input_length":5,"output_length":1},'
    b'{"step":"evaluate","input_length":6,"output_length":0}]}]',
    "mlperf": b'{"conversation_id":"c","turn":1,"role":"user","content":"hello"}\n'
    b'{"conversation_id":"c","turn":2,"role":"assistant","tool_calls":[1]}\n',
    "mooncake": b'{"timestamp":0,"input_length":1030,"output_length":5,"hash_ids":[0,1,2]}\n'
    b'{"timestamp":9,"input_length":1100,"output_length":5,"hash_ids":[0,1,3]}\n',
    "otel": b'{"spans":[{"trace_id":"t","span_id":"a","parent_span_id":null,"name":"x",'
    b'"start_time":"2026-01-01T00:00:00","end_time":"2026-01-01T00:00:01.5","attributes":'
    b'{"gen_ai.operation.name":"chat","gen_ai.input.messages":"[{}]"}}]}',
    "hexsolve": b'{"schema_version":1,"name":"w","calls":[{"prompt_tokens":5,"output_tokens":1}]}',
}


def outcome(path: Path, name: str | None) -> None:
    """Read a file: sound workflows, or one line that names the file."""
    message = ""
    try:
        trace = read_trace(path, format=name)
    except InputError as error:
        message = str(error)
    if message:
        assert path.name in message
        assert "\n" not in message
        assert len(message) < 1000
        return
    assert trace.workflows
    for workflow in trace.workflows:
        workflow.validate()


def test_samples_are_valid_and_recognised(tmp_path):
    assert sorted(VALID) == sorted(FORMATS)
    for name, data in VALID.items():
        path = tmp_path / name
        path.write_bytes(data)
        trace = read_trace(path)
        assert trace.format == name
        for workflow in trace.workflows:
            workflow.validate()


FUZZ = settings(
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("name", [None, *sorted(VALID)])
@given(data=st.binary(max_size=200))
@FUZZ
def test_any_bytes(tmp_path, name, data):
    path = tmp_path / "fuzz"
    path.write_bytes(data)
    outcome(path, name)


@pytest.mark.parametrize("name", sorted(VALID))
@given(data=st.data())
@settings(FUZZ, max_examples=60)
def test_damaged_samples(tmp_path, name, data):
    """Cut, overwrite, repeat: most of these still look like the format."""
    text = bytearray(VALID[name])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(text) - 1, 0)))
        end = data.draw(st.integers(at, min(at + 12, len(text))))
        text[at:end] = data.draw(
            st.sampled_from(
                [b"", b"-", b"0", b"null", b"1e999", b"NaN", b'"', b"[", b"{}", b"9" * 30]
            )
            | st.binary(max_size=4)
        )
    whole = bytes(text)
    path = tmp_path / "fuzz"
    path.write_bytes(gzip.compress(whole) if data.draw(st.booleans()) else whole)
    outcome(path, name)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "name", [each for each in sorted(VALID) if each not in ("azure", "vllm-log")]
)
@given(data=st.data())
@settings(FUZZ, max_examples=60)
def test_any_json_value_in_any_field(tmp_path, name, data):
    records = [json.loads(line) for line in VALID[name].splitlines()]

    def places(value):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in list(inner):
            yield value, key
            if isinstance(child, dict | list):
                yield from places(child)

    holder, key = data.draw(st.sampled_from(list(places(records))))
    if isinstance(holder, dict) and data.draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = data.draw(json_values)
    path = tmp_path / "fuzz"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    outcome(path, name)


@pytest.mark.parametrize("name", sorted(VALID))
def test_truncated_gzip(tmp_path, name):
    path = tmp_path / "cut.gz"
    packed = gzip.compress(VALID[name])
    for keep in (2, 12, len(packed) // 2, len(packed) - 3):
        path.write_bytes(packed[:keep])
        with pytest.raises(InputError, match=r"cut\.gz.*(truncated|damaged)"):
            read_trace(path, format=name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (gzip.compress(b"", mtime=0), "no known trace format"),
        (bytes(range(256)) * 4, "no known trace format"),
        (b'{"requests": [', "no known trace format"),
        (b'{"conversation_id": "a", "role": "user", ', r"line 1.*not valid JSON.*column"),
        (b'{"Text2SQLRequest": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_plain_mistakes(tmp_path, content, words):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_trace(path)


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_trace(tmp_path / "absent")
    with pytest.raises(InputError, match="directory without trace files"):
        read_trace(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_trace("nul\0byte")


# One format per way of reading: CSV, lines, a document, hexsolve's own.
@pytest.mark.parametrize("name", ["azure", "weka", "text2sql", "hexsolve"])
def test_100_megabytes_are_refused_in_bounded_memory(tmp_path, name):
    """Both ways to be large: one endless line, and a small gzip file that unpacks to much."""
    path = tmp_path / "large"
    body = VALID[name] + b" " * (100 * 2**20)
    path.write_bytes(gzip.compress(body, 1))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"large.*(longer|larger) than 50,331,648 bytes"):
            read_trace(path)
        assert tracemalloc.get_traced_memory()[1] < 300 * 2**20
    finally:
        tracemalloc.stop()


def test_limits_on_text_and_calls(tmp_path):
    path = tmp_path / "many"
    path.write_bytes(VALID["azure"] + b"2023-11-16 18:17:04,48,10\n" * 50)
    with pytest.raises(InputError, match="more than 20 calls"):
        read_trace(path, limits=Limits(calls=20))
    with pytest.raises(InputError, match="larger than 300 bytes"):
        read_trace(path, limits=Limits(text_bytes=300))
    assert read_trace(path, limits=Limits(calls=51, text_bytes=2000)).calls == 51
