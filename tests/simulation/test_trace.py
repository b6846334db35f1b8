"""The Chrome trace: slices of a lane never overlap, arrows lead from one to the next."""

import json
from collections import Counter, defaultdict
from io import StringIO
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.record import RunRecord
from hexsolve.models.simulation.trace import ChromeTrace
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import make_policy
from tests.simulation.engines import cluster
from tests.simulation.scenarios import Guess, Scripted, random_scenario


def traced(on: SimulatedCluster, workflows: list[Workflow]) -> list[dict]:
    trace = ChromeTrace(on)
    policy = make_policy("round-robin")
    Simulation(on, workflows, policy, OraclePredictor(), listener=trace).run()
    return trace.events


def slices(events: list[dict]) -> list[dict]:
    return [event for event in events if event["ph"] == "X"]


def flows(events: list[dict]) -> dict[tuple[str, int], list[dict]]:
    """Flow events by category and id, in order."""
    found: dict[tuple[str, int], list[dict]] = defaultdict(list)
    for event in events:
        if event["ph"] in ("s", "t", "f"):
            found[event["cat"], event["id"]].append(event)
    return found


def bound(event: dict, drawn: list[dict]) -> dict:
    """Return the slice to which a viewer binds a flow event: that of its thread at its time."""
    (piece,) = (
        piece
        for piece in drawn
        if (piece["pid"], piece["tid"]) == (event["pid"], event["tid"])
        and piece["ts"] <= event["ts"] < piece["ts"] + piece["dur"]
    )
    return piece


def test_arrows_of_a_parent_and_its_child():
    # Prefill 0.1 s, transfer 0.1 s, nine steps of about 11 ms; the tool takes 1 s.
    calls = (Call(100, 10), Call(100, 10, parents=(0,), tool_seconds=1.0))
    events = traced(cluster(), [Workflow("w", 0.0, calls)])
    drawn = slices(events)
    assert [(s["cat"], s["pid"], s["ts"]) for s in drawn[:3]] == [
        ("prefill", 1, 0),
        ("transfer", 2, 100_000),
        ("decode", 2, 200_000),
    ]
    arrows = flows(events)
    for number in (0, 1):
        chain = arrows["call", number]
        assert [event["ph"] for event in chain] == ["s", "t", "f"]
        ends = [bound(event, drawn) for event in chain]
        assert [piece["cat"] for piece in ends] == ["prefill", "transfer", "decode"]
        assert {piece["args"]["call"] for piece in ends} == {number}
    start, end = (bound(event, drawn) for event in arrows["parent", 0])
    assert (start["cat"], start["args"]["call"]) == ("decode", 0)
    assert (end["cat"], end["args"]["call"]) == ("prefill", 1)
    assert end["ts"] - (start["ts"] + start["dur"]) == 1_000_000
    assert len(arrows) == 3


def test_calls_that_overlap_have_lanes_of_their_own():
    workflows = [Workflow(f"w{n}", 0.0, (Call(100, 10),)) for n in range(3)]
    decodes = [s for s in slices(traced(cluster(), workflows)) if s["cat"] == "decode"]
    assert sorted(s["tid"] for s in decodes) == [1, 2, 3]


def test_a_mixed_instance_has_one_slice_a_call():
    calls = (Call(100, 10), Call(100, 10, parents=(0,)), Call(50, 1, parents=(0, 1)))
    events = traced(cluster(0, 0, mixed=1), [Workflow("w", 0.0, calls)])
    assert [s["cat"] for s in slices(events)] == ["mixed"] * 3
    assert sorted(flows(events)) == [("parent", 0), ("parent", 1), ("parent", 2)]


def run_random(seed: int) -> tuple[ChromeTrace, list[Workflow], RunRecord]:
    on, workflows = random_scenario(seed)
    trace = ChromeTrace(on)
    record = Simulation(on, workflows, Scripted(seed), Guess(seed), listener=trace).run()
    return trace, workflows, record


def written(trace: ChromeTrace) -> str:
    stream = StringIO()
    trace.write(stream)
    return stream.getvalue()


NAMES = {"process_name": "name", "thread_name": "name", "process_sort_index": "sort_index"}
FIELDS = {
    "M": {"ph", "name", "pid", "args"},
    "X": {"ph", "name", "cat", "pid", "tid", "ts", "dur", "args"},
    "i": {"ph", "name", "pid", "tid", "ts", "s"},
    "s": {"ph", "name", "cat", "pid", "tid", "ts", "id"},
    "t": {"ph", "name", "cat", "pid", "tid", "ts", "id"},
    "f": {"ph", "name", "cat", "pid", "tid", "ts", "id", "bp"},
}


def check_format(trace: dict) -> None:
    """The Trace Event Format: which fields an event of a phase has, of what type and meaning."""
    assert set(trace) == {"traceEvents", "displayTimeUnit"}
    assert trace["displayTimeUnit"] in ("ms", "ns")
    processes, threads = set(), set()
    for event in trace["traceEvents"]:
        phase = event["ph"]
        optional = {"tid"} if event["name"] == "thread_name" else set()
        assert set(event) == FIELDS[phase] | optional
        for field in {"pid", "tid", "ts", "dur", "id"} & set(event):
            assert type(event[field]) is int
            assert event[field] >= (1 if field in ("pid", "tid") else 0)
        assert type(event["name"]) is str
        if phase == "M":
            assert set(event["args"]) == {NAMES[event["name"]]}
            if event["name"] == "process_name":
                assert event["pid"] not in processes
                processes.add(event["pid"])
            elif event["name"] == "thread_name":
                assert (event["pid"], event["tid"]) not in threads
                threads.add((event["pid"], event["tid"]))
        elif phase == "i":
            assert event["s"] == "g"
        else:
            # Named before it is used, so that a viewer that reads in order knows it.
            assert (event["pid"], event["tid"]) in threads
            assert event["pid"] in processes
        if phase == "f":
            assert event["bp"] == "e"


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_random_runs_with_preemptions_and_failures(seed):
    trace, workflows, record = run_random(seed)
    events = trace.events
    drawn = slices(events)
    lanes = defaultdict(list)
    for piece in drawn:
        lanes[piece["pid"], piece["tid"]].append((piece["ts"], piece["ts"] + piece["dur"]))
    for spans in lanes.values():
        # Viewers draw a slice that begins where one without duration does inside that one.
        assert all(a[1] <= b[0] and a[0] < b[0] for a, b in pairwise(sorted(spans)))
    check_format(json.loads(written(trace)))
    per_call = Counter(piece["args"]["call"] for piece in drawn)
    assert len(per_call) == record.done
    for (category, number), chain in flows(events).items():
        assert [event["ph"] for event in chain] == ["s", *"t" * (len(chain) - 2), "f"]
        ends = [bound(event, drawn) for event in chain]
        assert all(a["ts"] + a["dur"] <= b["ts"] for a, b in pairwise(ends))
        if category == "call":
            assert {piece["args"]["call"] for piece in ends} == {number}
    # Times of the coarse grids are far above a µs, so that no slice but a transfer is empty.
    expected = sum(len(set(call.parents)) for w in workflows for call in w.calls)
    arrows = sum(category == "parent" for category, _ in flows(events))
    assert arrows == expected
