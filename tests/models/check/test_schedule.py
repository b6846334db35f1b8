"""The checker of schedules: by hand, each rule broken once, and on random list schedules."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.check.prefix_pieces import PrefixPieces
from hexsolve.models.check.schedule import SCHEDULE_RULES, check_schedule
from hexsolve.models.check.schedule_answer import HEADER_RULES
from hexsolve.models.schedule import Replay, Schedule, ScheduledCall, ScheduleTimes, scheduling_hash
from hexsolve.models.simulation.prefixes import PrefixTree
from hexsolve.models.status import Limit, Status
from hexsolve.models.workflow import Call, Workflow
from tests.simulation.engines import cluster, engine, instance
from tests.solver.optimum.instances import (
    as_schedule,
    list_schedule,
    problem_of,
    random_instance,
)

# A prefilled token takes 1 ms, a tick; a decode step of one call 11 ms and 1 µs per context token;
# a transferred token 1 ms.
CLUSTER = cluster(
    2, 2, instance_options={"max_batch": 2}, performance=engine(capacity=700)
).model_copy(update={"transfer_latency_s": 0.01})
WORKFLOWS = (
    Workflow(
        "chain",
        0.0,
        (
            Call(100, 11),
            Call(211, 1, parents=(0,), tool_seconds=0.5, prefix_call=0, prefix_tokens=111),
        ),
    ),
    Workflow("single", 0.2, (Call(200, 101),)),
    Workflow("other", 0.2, (Call(200, 101),)),
)
TIMES = ScheduleTimes(decode_batch=1, grid_s=1e-3)
# 10 steps of 11 ms and of 100…109 µs.
DECODE_FIRST = 112
# 100 steps of 11 ms and of 200…299 µs.
DECODE_SINGLE = 1125
END_FIRST = 100 + 110 + DECODE_FIRST
ROWS = (
    ScheduledCall(
        workflow=0, call=0, prefill="p0", decode="d0", prefill_start=0, prefill_end=100,
        transfer_start=100, transfer_end=210, finish=END_FIRST,
    ),
    ScheduledCall(
        workflow=0, call=1, prefill="p0", cached_tokens=100, prefill_start=END_FIRST + 500,
        prefill_end=END_FIRST + 611, finish=END_FIRST + 611,
    ),
    ScheduledCall(
        workflow=1, call=0, prefill="p0", decode="d0", prefill_start=200, prefill_end=400,
        transfer_start=400, transfer_end=610, finish=610 + DECODE_SINGLE,
    ),
    ScheduledCall(
        workflow=2, call=0, prefill="p1", decode="d1", prefill_start=200, prefill_end=400,
        transfer_start=400, transfer_end=610, finish=610 + DECODE_SINGLE,
    ),
)  # fmt: skip
# The chain alone takes 100 ms, 110, 111.045, 500 and 111; the others less relative to here.
HORIZON = 0.932045


def schedule(rows: tuple[ScheduledCall, ...] = ROWS, **changes: Any) -> Schedule:
    value = (END_FIRST + 611) * 1e-3 / HORIZON
    fields: dict[str, Any] = {
        "hexsolve_version": "test",
        "instance_name": "hand",
        "instance_hash": scheduling_hash(CLUSTER, WORKFLOWS),
        "times": TIMES,
        "status": Status.FEASIBLE,
        "limit": Limit.TIME,
        "objective_kind": "req100",
        "objective": value,
        "bound": value / 2,
        "gap": 0.5,
        "runtime_s": 0.0,
        "solver": "hand",
        "calls": rows,
    }
    return Schedule.model_validate({**fields, **changes})


def broken(made: Schedule) -> set[str]:
    return {violation.rule for violation in check_schedule(CLUSTER, WORKFLOWS, made)}


def changed(row: int, **fields: Any) -> tuple[ScheduledCall, ...]:
    rows = list(ROWS)
    rows[row] = rows[row].model_copy(update=fields)
    return tuple(rows)


def test_the_schedule_by_hand_keeps_every_rule() -> None:
    assert check_schedule(CLUSTER, WORKFLOWS, schedule()) == []


LATER = {"transfer_start": 1735, "transfer_end": 1945, "finish": 1945 + DECODE_SINGLE}
CORRUPTED = {
    "complete": {"rows": ROWS[:3]},
    "assignment": {"rows": changed(3, prefill="d0")},
    "release": {
        "rows": changed(3, prefill_start=199),
    },
    "precedence": {"rows": changed(1, prefill_start=END_FIRST + 499)},
    "prefix_cache": {"rows": changed(1, prefill="p1")},
    "prefill_time": {"rows": changed(1, cached_tokens=99)},
    "prefill_one_at_a_time": {
        "rows": changed(
            3,
            prefill="p0",
            prefill_start=250,
            prefill_end=450,
            transfer_start=450,
            transfer_end=660,
            finish=660 + DECODE_SINGLE,
        )
    },
    "transfer_time": {"rows": changed(3, transfer_start=401)},
    "decode_time": {
        "rows": changed(0, finish=END_FIRST - 1),
    },
    "decode_slots": {"rows": changed(3, decode="d0", **LATER | {"transfer_start": 1734})},
}


@pytest.mark.parametrize("rule", sorted(CORRUPTED))
def test_each_rule_is_broken_by_a_schedule_that_breaks_only_it(rule: str) -> None:
    assert broken(schedule(**CORRUPTED[rule])) - {"objective"} == {rule}


def test_just_inside_the_slots() -> None:
    moved = schedule(changed(3, decode="d0", **LATER))
    assert broken(moved) == {"objective"}


@pytest.mark.parametrize(
    ("row", "rule"), [("prefill", "prefill_kv"), ("decode", "decode_kv")], ids=str
)
def test_pools_hold_what_they_hold(row: str, rule: str) -> None:
    small = {"prefill": 399, "decode": 599}[row]
    specs = [
        instance(
            spec.name, spec.role, spec.performance, max_batch=2,
            kv_capacity_tokens=small if spec.role == row else None,
        )
        for spec in CLUSTER.instances
    ]  # fmt: skip
    tight = CLUSTER.model_copy(update={"instances": tuple(specs)})
    # Both single calls on one instance: 200 + 200 prompts; 300 + 300 tokens while decoding.
    rows = changed(3, prefill="p0", decode="d0", prefill_start=400, prefill_end=600,
                   transfer_start=600, transfer_end=810, finish=810 + DECODE_SINGLE)  # fmt: skip
    made = schedule(rows, times=ScheduleTimes(decode_batch=2, grid_s=1e-3))
    rules = {v.rule for v in check_schedule(tight, WORKFLOWS, made)}
    assert rule in rules
    roomy = {v.rule for v in check_schedule(CLUSTER, WORKFLOWS, made)}
    assert rule not in roomy


HEADERS = {
    "instance": {"instance_hash": "0" * 64},
    "status": {"status": Status.OPTIMAL},
    "objective": {"objective": 1.5, "bound": 0.75},
    "bound": {"bound": 2.0, "gap": None},
    "limit": {"limit": Limit.NONE},
    "times": {
        "times": ScheduleTimes(mode="optimistic"),
        "replay": Replay(objective=1.6, limited=1.6, mean_slowdown=1.2),
    },
    "gap": {"gap": 0.4},
}


@pytest.mark.parametrize("rule", sorted(HEADERS))
def test_figures_that_do_not_agree(rule: str) -> None:
    found = broken(schedule(**HEADERS[rule]))
    assert rule in found
    assert found <= {rule, "gap"}


def test_every_rule_is_broken_somewhere() -> None:
    rules = {rule.__name__ for rule in SCHEDULE_RULES} | {rule.__name__ for rule in HEADER_RULES}
    assert rules == {*CORRUPTED, *HEADERS, "prefill_kv", "decode_kv"}


def test_without_a_schedule_there_is_nothing_to_break() -> None:
    empty = schedule((), status=Status.NO_SOLUTION, objective=None, gap=None)
    assert check_schedule(CLUSTER, WORKFLOWS, empty) == []


def test_a_call_that_the_instance_lacks_and_one_twice() -> None:
    strange = ROWS[3].model_copy(update={"call": 7})
    assert broken(schedule((*ROWS, strange))) == {"complete"}
    assert broken(schedule((*ROWS, ROWS[3]))) == {"complete"}


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 10**9), mode=st.sampled_from(["nominal", "optimistic"]))
def test_list_schedules_keep_every_rule(seed: int, mode: str) -> None:
    cluster_, workflows = random_instance(seed)
    problem = problem_of(cluster_, workflows, "req95", mode=mode)
    made = as_schedule(problem, workflows, list_schedule(problem, seed))
    assert check_schedule(cluster_, workflows, made) == []


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 10**9), data=st.data())
def test_a_random_row_that_starts_earlier_breaks_a_rule_or_fits(
    seed: int, data: st.DataObject
) -> None:
    """Moving a whole call far before its release is always seen."""
    cluster_, workflows = random_instance(seed)
    problem = problem_of(cluster_, workflows)
    made = as_schedule(problem, workflows, list_schedule(problem, seed))
    row = data.draw(st.integers(0, len(made.calls) - 1))
    call = made.calls[row]
    if call.prefill_start == 0 or workflows[call.workflow].arrival_s == 0.0:
        return
    rows = list(made.calls)
    rows[row] = call.model_copy(update={"prefill_start": 0})
    assert check_schedule(cluster_, workflows, made.model_copy(update={"calls": tuple(rows)}))


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(0, 10**9))
def test_pieces_share_what_the_prefix_tree_shares(seed: int) -> None:
    _, workflows = random_instance(seed)
    for workflow in workflows:
        count = len(workflow.calls)
        tree = PrefixTree(count, caching=True)
        tree.add(0, workflow, 0)
        pieces = PrefixPieces(workflow, caching=True)
        for one in range(count):
            for other in range(count):
                if one != other:
                    assert pieces.common(one, other) == tree.common(one, other)
