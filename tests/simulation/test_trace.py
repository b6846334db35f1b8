"""The Chrome trace: slices of a lane never overlap, arrows lead from one to the next."""

from collections import Counter, defaultdict
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


def run_random(seed: int) -> tuple[list[dict], list[Workflow], RunRecord]:
    on, workflows = random_scenario(seed)
    trace = ChromeTrace(on)
    record = Simulation(on, workflows, Scripted(seed), Guess(seed), listener=trace).run()
    return trace.events, workflows, record


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_random_runs_with_preemptions_and_failures(seed):
    events, workflows, record = run_random(seed)
    drawn = slices(events)
    lanes = defaultdict(list)
    for piece in drawn:
        lanes[piece["pid"], piece["tid"]].append((piece["ts"], piece["ts"] + piece["dur"]))
    for spans in lanes.values():
        assert all(a[1] <= b[0] for a, b in pairwise(sorted(spans)))
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
