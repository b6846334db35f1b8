"""Each ordering on a case worked out by hand."""

import math

import pytest

from hexsolve.models.workflow import Call
from hexsolve.solver.online.base import ComposedPolicy
from hexsolve.solver.online.orderings.attained import (
    ProgramLeastAttained,
    ThreadLeastAttained,
    queue_of,
)
from hexsolve.solver.online.orderings.deadline import EarliestDeadline, LeastLaxity, Urgency
from hexsolve.solver.online.orderings.fcfs import CallFCFS, WorkflowFCFS
from hexsolve.solver.online.orderings.size import HEFT, ShortestJob
from hexsolve.solver.online.placements.round_robin import RoundRobin
from tests.simulation.engines import cluster
from tests.solver.online.probe import Probe, first_pair, simulate, workflow


def keys(ordering, *flows):
    """The priority of each call when it is revealed, by name of workflow and index."""
    found = {}
    started = []

    def look(view, call):
        if not started:
            ordering.start(view)
            started.append(True)
        found[call.workflow.name, call.index] = ordering.priority(view, call)

    simulate(cluster(), flows, Probe(first_pair, look, ordering.completed))
    return found


def alone(prompt, output):
    """Seconds of a call on the hand-made cluster: 1 ms/token, 1 kB/token at 1 MB/s, decode."""
    steps = output - 1
    decode = steps * 0.011 + 1e-6 * (steps * prompt + steps * (steps - 1) / 2)
    return prompt * 0.001 + (prompt * 0.001 + decode if steps else 0.0)


ONE = workflow(Call(100, 11), name="one")
TWO = workflow(Call(50, 21), arrival=0.25, name="two")


def test_fcfs():
    late = workflow(
        Call(10, 1), Call(20, 1, parents=(0,), tool_seconds=2.0), arrival=0.0, name="late"
    )
    by_call = keys(CallFCFS(), late, TWO)
    assert by_call["late", 0] == 0.0
    assert by_call["two", 0] == 0.25
    assert by_call["late", 1] == pytest.approx(2.01)
    by_workflow = keys(WorkflowFCFS(), late, TWO)
    assert by_workflow["late", 0] == by_workflow["late", 1] == 0.0
    assert by_workflow["two", 0] == 0.25


def test_sjf_and_heft():
    short = keys(ShortestJob(), ONE, TWO)
    assert short["one", 0] == pytest.approx(alone(100, 11))
    assert short["two", 0] == pytest.approx(alone(50, 21))
    # One kind of pair: the mean is the least, and the longest goes first.
    long = keys(HEFT(), ONE, TWO)
    assert long["one", 0] == pytest.approx(-alone(100, 11))


def test_edf_and_llf():
    edf = keys(EarliestDeadline(2.0), ONE, TWO)
    assert edf["one", 0] == pytest.approx(2 * alone(100, 11))
    assert edf["two", 0] == pytest.approx(0.25 + 2 * alone(50, 21))
    llf = keys(LeastLaxity(2.0), ONE, TWO)
    assert llf["one", 0] == pytest.approx(alone(100, 11))
    assert llf["two", 0] == pytest.approx(0.25 + alone(50, 21))


def test_a_deadline_moves_with_the_reveal_of_a_sibling():
    flow = workflow(Call(10, 1), Call(20, 1, parents=(0,)), Call(500, 1, parents=(0,)), name="fan")
    edf = keys(EarliestDeadline(3.0), flow)
    assert edf["fan", 0] == pytest.approx(3 * 0.01)
    assert edf["fan", 1] == pytest.approx(3 * (0.01 + 0.02))
    assert edf["fan", 2] == pytest.approx(3 * (0.01 + 0.5))


def test_urgency_is_the_time_by_which_a_call_should_begin():
    found = keys(Urgency(3.0), ONE, TWO)
    assert found["one", 0] == pytest.approx(2 * alone(100, 11))
    assert found["two", 0] == pytest.approx(0.25 + 2 * alone(50, 21))


def test_queues_double():
    assert [queue_of(s) for s in (0.0, 0.49, 0.5, 0.99, 1.0, 1.99, 2.0, 4.0)] == [
        0, 0, 1, 1, 2, 2, 3, 4,
    ]  # fmt: skip


def test_plas_adds_up_a_program_and_atlas_its_longest_path():
    # Two calls in one batch of 0.8 s, then their child of 0.01 s, one of 0.6 s, and the last: the
    # program has 1.6 s of service after the pair, its longest path 0.8 s.
    flow = workflow(
        Call(400, 1), Call(400, 1), Call(10, 1, parents=(0, 1)), Call(600, 1, parents=(2,)),
        Call(10, 1, parents=(3,)), name="w",
    )  # fmt: skip
    plas = keys(ProgramLeastAttained(), flow)
    atlas = keys(ThreadLeastAttained(), flow)
    assert [math.floor(plas["w", index]) for index in range(5)] == [0, 0, 2, 2, 3]
    assert [math.floor(atlas["w", index]) for index in range(5)] == [0, 0, 1, 1, 2]


def test_within_a_queue_calls_go_by_reveal():
    found = keys(ProgramLeastAttained(), ONE, TWO)
    assert found["one", 0] < found["two", 0] < 1.0


def test_the_order_decides_who_is_prefilled_first():
    # A long call keeps the instance busy while a long and a short one arrive.
    busy = workflow(Call(5000, 1), name="busy")
    big = workflow(Call(6000, 1), arrival=0.1, name="big")
    small = workflow(Call(3000, 1), arrival=0.2, name="small")
    record = simulate(
        cluster(), [busy, big, small], ComposedPolicy("sjf", ShortestJob(), RoundRobin())
    )
    assert record.finish[2] == pytest.approx(8.0)
    assert record.finish[1] == pytest.approx(14.0)
    record = simulate(
        cluster(), [busy, big, small], ComposedPolicy("fcfs", CallFCFS(), RoundRobin())
    )
    assert record.finish[1] == pytest.approx(11.0)
