"""Workloads that cannot be simulated: one line that names the place, and exit 2."""

import gzip
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer, Run, planned

Call = dict[str, Any]


INSTANCE = """\
name: two-gpus
llm: llama-3.1-8b
cluster: {name: one, pools: [{gpu: h100, gpus_per_node: 2, nodes: 1}]}
workload:
  classes:
  - {name: question, rate_per_s: 1, calls: [{name: only, new_tokens: 500, output_tokens: 20}]}
engines: {tensor_parallel: [1]}
"""


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """A plan and the option that names its instance; small, and made once for all mistakes."""
    return planned(tmp_path_factory.mktemp("plan"), INSTANCE)


def call(**changes: Any) -> Call:
    return {"prompt_tokens": 100, "output_tokens": 10, **changes}


def workflow(*calls: Call, **changes: Any) -> str:
    record = {"schema_version": 1, "name": "mine", "calls": calls or (call(),), **changes}
    return json.dumps(record) + "\n"


WORKFLOWS: dict[str, tuple[str, list[str]]] = {
    "cycle of two": (
        workflow(call(parents=[1]), call(parents=[0])),
        ["line 1", "workflow 'mine'.calls[0]", "parents holds 1"],
    ),
    "its own parent": (
        workflow(call(), call(parents=[1])),
        ["line 1", "workflow 'mine'.calls[1]", "parents holds 1"],
    ),
    "unknown parent": (
        workflow(call(), call(parents=[0, 7])),
        ["line 1", "workflow 'mine'.calls[1]", "parents holds 7"],
    ),
    "negative parent": (
        workflow(call(), call(parents=[-1])),
        ["line 1", "workflow 'mine'.calls[1]", "parents holds -1"],
    ),
    "negative prompt": (
        workflow() + workflow(call(prompt_tokens=-100)),
        ["line 2", "calls[0].prompt_tokens", "-100"],
    ),
    "empty prompt": (workflow(call(prompt_tokens=0)), ["line 1", "calls[0].prompt_tokens", "is 0"]),
    "negative output": (
        workflow(call(), call(output_tokens=-1)),
        ["line 1", "calls[1].output_tokens", "-1"],
    ),
    "negative tool time": (
        workflow(call(tool_seconds=-0.5)),
        ["line 1", "calls[0].tool_seconds", "-0.5"],
    ),
    "infinite tool time": (workflow(call(tool_seconds=float("inf"))), ["line 1"]),
    "negative arrival": (workflow(arrival_s=-1.0), ["line 1", "arrival_s", "-1"]),
    "arrival that is no number": (workflow(arrival_s=float("nan")), ["line 1"]),
    "more prefix than there is": (
        workflow(call(), call(prefix_call=0, prefix_tokens=5000)),
        ["line 1", "workflow 'mine'.calls[1]", "5000"],
    ),
    "no calls": (
        '{"schema_version": 1, "name": "mine", "calls": []}\n',
        ["line 1", "calls", "at least 1 item"],
    ),
    "half a line": (workflow() + workflow()[:40] + "\n", ["line 2"]),
    "a call larger than every KV pool": (
        workflow(name="small") + workflow(call(), call(prompt_tokens=90_000_000), name="huge"),
        ["workflow 'huge'.calls[1]", "90000000 prompt", "at most", "largest pools"],
    ),
}


def refused(run: Run, answer: Answer, path: Path, said: list[str]) -> None:
    ran = run("simulate", *answer, "--workload", path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    for part in said:
        assert part in ran.err, ran.err


@pytest.mark.parametrize(("content", "said"), WORKFLOWS.values(), ids=WORKFLOWS)
def test_a_workflow_file_with_a_mistake(
    tmp_path: Path, run: Run, answer: Answer, content: str, said: list[str]
) -> None:
    path = tmp_path / "workflows.jsonl"
    path.write_text(content)
    refused(run, answer, path, said)


OUT_OF_ORDER = {
    "azure.csv": (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:17:05.0000000,100,10\n"
        "2023-11-16 18:17:03.0000000,100,10\n",
        ["row 2", "TIMESTAMP", "18:17:03", "times in order"],
    ),
    "mooncake.jsonl": (
        '{"timestamp": 5000, "input_length": 100, "output_length": 10, "hash_ids": [1]}\n'
        '{"timestamp": 3000, "input_length": 100, "output_length": 10, "hash_ids": [1]}\n',
        ["line 2", "timestamp", "3000", "times in order"],
    ),
    "vllm.csv": (
        "request_id,arrival_s,input_toks,output_toks,ttft_ms,tpot_ms,e2e_ms\n"
        "a,5.0,100,10,1,1,10\n"
        "b,3.0,100,10,1,1,10\n",
        ["row 2", "arrival_s", "3.0", "times in order"],
    ),
}


@pytest.mark.parametrize("name", OUT_OF_ORDER)
def test_timestamps_out_of_order(tmp_path: Path, run: Run, answer: Answer, name: str) -> None:
    content, said = OUT_OF_ORDER[name]
    path = tmp_path / name
    path.write_text(content)
    refused(run, answer, path, [str(path), *said])


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.99])
def test_truncated_gzip(tmp_path: Path, run: Run, answer: Answer, kept: float) -> None:
    rng = random.Random(0)
    text = "".join(
        workflow(call(prompt_tokens=rng.randint(1, 9999)), arrival_s=rng.random())
        for _ in range(3000)
    )
    packed = gzip.compress(text.encode())
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(packed[: int(kept * len(packed))])
    refused(run, answer, path, [str(path), "truncated"])


def test_workflows_may_stand_in_any_order(tmp_path: Path, run: Run, answer: Answer) -> None:
    """In hexsolve's own files a line is a workflow with its arrival, not an entry of a log."""
    lines = [
        workflow(call(prompt_tokens=100 + number), name=f"w{number}", arrival_s=number / 7)
        for number in range(20)
    ]
    results = []
    for name, order in (("sorted", lines), ("reversed", lines[::-1])):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(order))
        ran = run("simulate", *answer, "--workload", path, "--json")
        assert ran.code == 0, ran.err
        summary = json.loads(ran.out)
        for key in ("wall_s", "workload"):
            summary.pop(key)
        results.append(summary)
    assert results[0] == results[1]


def test_a_parquet_log(tmp_path: Path, run: Run, answer: Answer) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is absent: hexsolve[parquet]")
    path = tmp_path / "log.parquet"
    ran = run("simulate", *answer, "-n", 5, "--record", path, "--json")
    assert ran.code == 0, ran.err
    events = parquet.read_table(path).column("event").to_pylist()
    assert events.count("done") == json.loads(ran.out)["calls"]
    assert events.count("workflow-done") == 5


def test_a_parquet_log_without_pyarrow(
    tmp_path: Path, run: Run, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "log.parquet"
    ran = run("simulate", *answer, "--record", path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: --record: ")
    assert "pip install 'hexsolve[parquet]'" in ran.err
    assert ran.err.count("\n") == 1
    assert not path.exists()


@pytest.mark.parametrize("name", ["log.jsonl", "log.parquet"])
def test_a_log_that_cannot_be_written(tmp_path: Path, run: Run, answer: Answer, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="pyarrow is absent: hexsolve[parquet]")
    path = tmp_path / "missing" / name
    ran = run("simulate", *answer, "-n", 2, "--record", path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"error: {path}: its folder does not exist\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("option", ["--record", "--trace"])
def test_a_full_disk_is_one_line(run: Run, answer: Answer, option: str) -> None:
    ran = run("simulate", *answer, "-n", 2, option, "/dev/full")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: /dev/full: cannot be written: No space left on device\n"


def test_more_workflows_than_memory_holds(run: Run, answer: Answer) -> None:
    ran = run("simulate", *answer, "-n", 99_999_999_999)
    assert (ran.code, ran.out) == (2, "")
    assert "not in the range 1<=x<=1000000" in ran.err
