import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hexsolve.instances.reading.limits import Limits
from hexsolve.instances.workflow_io import (
    WorkflowRecord,
    iter_workflows,
    read_workflows,
    workflow_to_json,
    write_workflows,
)
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call, Workflow

tokens = st.integers(1, 10**6)
seconds = st.floats(0, 1e6, allow_nan=False)
names = st.text(max_size=20)


@st.composite
def workflows(draw):
    calls: list[Call] = []
    for index in range(draw(st.integers(1, 6))):
        prompt = draw(tokens)
        origin = draw(st.integers(-1, index - 1))
        limit = prompt
        if origin >= 0:
            limit = min(prompt, calls[origin].prompt_tokens + calls[origin].output_tokens)
        calls.append(
            Call(
                prompt_tokens=prompt,
                output_tokens=draw(st.integers(0, 10**5)),
                parents=tuple(sorted(draw(st.sets(st.integers(0, index - 1))))) if index else (),
                tool_seconds=draw(seconds),
                prefix_call=origin,
                prefix_tokens=draw(st.integers(0, limit)),
                name=draw(names),
            )
        )
    return Workflow(
        draw(names),
        draw(seconds),
        tuple(calls),
        draw(names),
        draw(names),
        draw(st.dictionaries(names, names, max_size=2)),
    )


@given(flows=st.lists(workflows(), min_size=1, max_size=4), suffix=st.sampled_from(["", ".gz"]))
@settings(
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_round_trip_is_exact(tmp_path, flows, suffix):
    path = tmp_path / f"flows.jsonl{suffix}"
    assert write_workflows(path, iter(flows)) == len(flows)
    assert read_workflows(path) == flows
    first = path.read_bytes()
    assert first.startswith(b"\x1f\x8b") == bool(suffix)
    write_workflows(path, flows)
    assert path.read_bytes() == first


def test_reading_is_lazy(tmp_path):
    path = tmp_path / "flows.jsonl"
    write_workflows(path, [Workflow("a", 0.0, (Call(1, 1),))])
    with path.open("a") as stream:
        stream.write("garbage\n")
    flows = iter_workflows(path)
    assert next(flows).name == "a"
    with pytest.raises(InputError, match="line 2: is not valid JSON"):
        next(flows)


GOOD = {
    "schema_version": 1,
    "name": "w",
    "calls": [
        {"prompt_tokens": 5, "output_tokens": 1},
        {
            "prompt_tokens": 9,
            "output_tokens": 1,
            "parents": [0],
            "prefix_call": 0,
            "prefix_tokens": 6,
        },
    ],
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, ["schema_version", "is 2", "1"]),
        ({"name": None}, ["name", "None", "string"]),
        ({"calls": []}, ["calls", "at least 1"]),
        ({"arrival_s": -1}, ["arrival_s", "-1", "greater than or equal to 0"]),
        ({"colour": "red"}, ["colour", "'red'", "unknown field", "arrival_s"]),
        ({"calls": [{"prompt_tokens": 5}]}, ["calls[0].output_tokens", "missing"]),
        ({"calls": [{"prompt_tokens": 0, "output_tokens": 1}]}, ["calls[0].prompt_tokens", "is 0"]),
        (
            {"calls": [{"prompt_tokens": "5", "output_tokens": 1}]},
            ["prompt_tokens", "'5'", "integer"],
        ),
        ({"calls": [{"prompt_tokens": 5, "output_tokens": 1.5}]}, ["output_tokens", "1.5"]),
        ({"calls": [{**GOOD["calls"][0], "parents": [0]}]}, ["calls[0]", "parents holds 0"]),
        ({"calls": [{**GOOD["calls"][0], "prefix_call": 3}]}, ["calls[0]", "prefix_call is 3"]),
        ({"calls": [*GOOD["calls"][:1], {**GOOD["calls"][1], "prefix_tokens": 7}]}, ["0…6"]),
        ({"calls": [{**GOOD["calls"][0], "tool_seconds": float("nan")}]}, ["tool_seconds", "nan"]),
        (
            {"calls": [{**GOOD["calls"][0], "x": 1}]},
            ["calls[0].x", "unknown field", "tool_seconds"],
        ),
    ],
)
def test_mistakes_are_named(tmp_path, change, words):
    path = tmp_path / "flows.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n" + json.dumps({**GOOD, **change}) + "\n")
    with pytest.raises(InputError) as error:
        read_workflows(path)
    message = str(error.value)
    for word in [*words, "flows.jsonl, line 3", "allowed"]:
        assert word in message
    assert "\n" not in message


def test_files_without_workflows(tmp_path):
    path = tmp_path / "flows.jsonl"
    path.write_text("\n \n")
    with pytest.raises(InputError, match="holds no workflows"):
        read_workflows(path)
    path.write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-9])
    with pytest.raises(InputError, match="truncated"):
        read_workflows(path)
    with pytest.raises(InputError, match="cannot be written"):
        write_workflows(tmp_path / "absent" / "x", [])


def test_call_limit(tmp_path):
    path = tmp_path / "flows.jsonl"
    write_workflows(path, [Workflow("a", 0.0, (Call(1, 1),) * 3)] * 4)
    with pytest.raises(InputError, match="more than 8 calls"):
        read_workflows(path, Limits(calls=8))


def test_documented_example_and_fields(request):
    """The format's document shows a valid workflow and every field."""
    text = (request.config.rootpath / "docs" / "workflow-format.md").read_text()
    example = text.partition("```json")[2].partition("```")[0]
    record = WorkflowRecord.model_validate_json(example)
    assert record.calls[1].prefix_tokens == 21056
    for name in [*WorkflowRecord.model_fields, *type(record.calls[0]).model_fields]:
        assert f"| `{name}` |" in text


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"name":"w"', '"name":"v","name":"w"', "name"),
        ('"prompt_tokens":5', '"prompt_tokens":7,"prompt_tokens":5', "prompt_tokens"),
        ('{"a":"1"}', '{"a":"1","a":"2"}', "a"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, old: str, new: str, key: str) -> None:
    line = workflow_to_json(Workflow("w", 0.0, (Call(5, 1),), metadata={"a": "1"}))
    assert old in line
    path = tmp_path / "w.jsonl"
    path.write_text(f"{line}\n{line.replace(old, new)}\n")
    with pytest.raises(InputError, match=f"line 2: key '{key}' stands twice; allowed: each once"):
        read_workflows(path)
