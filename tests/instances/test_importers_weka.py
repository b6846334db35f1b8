import json

import pytest

from hexsolve.instances.importers import read_trace
from hexsolve.models.errors import InputError


def call(t, tokens, out=10, *, api=1.0, blocks=(), **more):
    record = {"t": t, "type": "n", "in": tokens, "out": out, "hash_ids": list(blocks), **more}
    if api is not None:
        record["api_time"] = api
    return record


def read(tmp_path, requests, **more):
    path = tmp_path / "session.json"
    path.write_text(
        json.dumps(
            {"id": "s", "block_size": 64, "hash_id_scope": "local", "requests": requests, **more}
        )
    )
    return read_trace(path)


def test_main_line_is_a_chain_with_gaps_as_tool_time(tmp_path):
    trace = read(
        tmp_path,
        [call(0.0, 200, blocks=[1, 2, 3]), call(5.0, 300, blocks=[1, 2, 3, 9]), call(5.5, 90)],
    )
    first, second, third = trace.workflows[0].calls
    assert [each.parents for each in (first, second, third)] == [(), (0,), (1,)]
    assert second.tool_seconds == 4.0
    # The second is taken to have ended when the third started.
    assert third.tool_seconds == 0.0
    assert (second.prefix_call, second.prefix_tokens) == (0, 192)
    assert (third.prefix_call, third.prefix_tokens) == (-1, 0)
    assert [each.name for each in trace.workflows[0].calls] == ["start", "turn", "turn"]


def test_sub_agents_run_in_parallel_and_the_next_main_call_waits(tmp_path):
    agent = {
        "type": "subagent",
        "requests": [
            call(0.0, 640, api=2.0, blocks=range(100, 110)),
            call(6.0, 704, api=3.0, blocks=range(100, 111)),
        ],
    }
    trace = read(
        tmp_path,
        [
            call(0.0, 128, api=9.0, blocks=[1, 2]),
            {**agent, "t": 20.0, "duration_ms": 10_000},
            {**agent, "t": 16.0, "duration_ms": None},
            call(30.0, 192, blocks=[1, 2, 3]),
        ],
    )
    main, one, one_end, two, two_end, last = trace.workflows[0].calls
    assert one.parents == two.parents == (0,)
    assert (one_end.parents, two_end.parents) == ((1,), (3,))
    assert last.parents == (0, 2, 4)
    # First: starts at 20 − 10; second: launched in the background at 16, its calls span 9 s.
    assert one.tool_seconds == 1.0
    assert two.tool_seconds == 7.0
    assert one_end.tool_seconds == 4.0
    # The second sub-agent ends last, at 25.
    assert last.tool_seconds == 5.0
    assert (two.prefix_call, two.prefix_tokens) == (1, 640)
    assert (last.prefix_call, last.prefix_tokens) == (0, 128)
    assert main.prefix_call == -1


def test_main_calls_during_a_sub_agent_do_not_wait_for_it(tmp_path):
    trace = read(
        tmp_path,
        [
            call(0.0, 64),
            call(10.0, 64),
            {"t": 20.0, "duration_ms": 18_000, "type": "subagent", "requests": [call(0.0, 64)]},
            call(30.0, 64),
        ],
    )
    parents = [each.parents for each in trace.workflows[0].calls]
    names = [each.name for each in trace.workflows[0].calls]
    assert names == ["start", "sub-agent-start", "turn", "turn"]
    assert parents == [(), (0,), (0,), (2, 1)]


def test_missing_service_time_is_estimated_and_not_charged_twice(tmp_path):
    """`think_time` keeps counting over calls without `api_time`; starts do not."""
    trace = read(
        tmp_path,
        [
            call(0.0, 64, api=2.0),
            call(100.0, 64, out=100, api=None, think_time=98.0),
            call(110.0, 64, out=100, api=None, think_time=108.0),
            call(120.0, 64, out=100, api=None, think_time=118.0),
        ],
    )
    gaps = [each.tool_seconds for each in trace.workflows[0].calls]
    assert gaps == pytest.approx([0.0, 98.0, 10 - 2.9 - 1.53, 10 - 2.9 - 1.53])
    assert any("3 calls have no api_time" in note for note in trace.notes)


def test_compact_and_original_form_agree(tmp_path):
    runs = [[[1, 5], [40, 2]], [[1, 5], [40, 4]], [[1, 3], [90, 1]]]
    lists = [[first + k for first, n in each for k in range(n)] for each in runs]
    original = [call(float(t), 700, blocks=ids) for t, ids in enumerate(lists)]
    compact = [{**record, "hash_rle": each} for record, each in zip(original, runs, strict=True)]
    for record in compact:
        del record["hash_ids"]
    assert read(tmp_path, original).workflows == read(tmp_path, compact).workflows


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        ([], ["requests", "at least one call"]),
        ([call(0.0, -5)], ["requests[0].in", "-5", "1…"]),
        ([call(0.0, 5, out=None)], ["requests[0].out", "None", "integer"]),
        ([call(0.0, 5), call("x", 5)], ["requests[1].t", "'x'", "seconds"]),
        ([call(5.0, 5), call(1.0, 5)], ["requests[1].t", "1.0", "in order"]),
        ([call(0.0, 5, api=-1)], ["requests[0].api_time", "-1"]),
        ([call(0.0, 5, blocks=[1, -2])], ["requests[0].hash_ids", "-2"]),
        ([{"t": 0.0, "in": 5, "out": 1, "hash_rle": [[1]]}], ["requests[0].hash_rle", "pairs"]),
        ([{"t": 0.0, "out": 1, "hash_ids": []}], ["requests[0].in", "missing"]),
        (["x"], ["requests[0]", "'x'", "object"]),
        ("x", ["requests", "'x'", "a list"]),
    ],
)
def test_mistakes_are_named(tmp_path, requests, words):
    with pytest.raises(InputError) as error:
        read(tmp_path, requests)
    for word in [*words, "session.json", "allowed"]:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_deeply_nested_sub_agents_are_refused(tmp_path):
    inner = call(0.0, 64)
    for _ in range(12):
        inner = {"t": 1.0, "duration_ms": 500, "requests": [call(0.0, 64), inner]}
    with pytest.raises(InputError, match="nested at most 8"):
        read(tmp_path, [call(0.0, 64), inner])
