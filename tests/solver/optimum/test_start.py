"""A search goes on from a schedule that is there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.instances.benchmark.certificates import certificates_folder, load_certificate
from hexsolve.instances.benchmark.io import load_scheduling_instance
from hexsolve.models.check.schedule import check_schedule
from hexsolve.models.check.violation import Violation
from hexsolve.models.errors import InputError
from hexsolve.models.schedule import ScheduledCall, ScheduleTimes
from hexsolve.models.workflow import Workflow
from hexsolve.solver.optimum.answer import optimum
from hexsolve.solver.optimum.clock import SearchOptions
from hexsolve.solver.optimum.lists import ListScheduler
from hexsolve.solver.optimum.placing import place_all
from hexsolve.solver.optimum.problem import SchedulingProblem
from hexsolve.solver.optimum.timetable import Timetable, scheduled_calls, timetable_of, value
from tests.solver.optimum.instances import as_schedule, problem_of, random_bindings, random_instance

NAME = "s12-deep-research-2p2d-70b-busy"
SHORT = SearchOptions(0.05, deterministic=True)
CERTIFICATE = load_certificate(certificates_folder() / f"{NAME}.req100.json")


@settings(deadline=None, max_examples=80)
@given(seed=st.integers(0, 10**9), mode=st.sampled_from(["nominal", "optimistic"]))
def test_a_schedule_that_was_written_is_read_back(seed: int, mode: str) -> None:
    cluster, workflows = random_instance(seed, workflows=8)
    problem = problem_of(cluster, workflows, mode=mode)
    lists = ListScheduler(problem)
    rng = np.random.default_rng(seed)
    bindings = random_bindings(problem, rng)
    keys = rng.random(len(problem.calls))
    made = lists.timetable(place_all(lists.flat, keys, bindings, lists.nothing))
    rows = scheduled_calls(problem, made)
    again = timetable_of(problem, rows)
    assert scheduled_calls(problem, again) == rows
    assert value(problem, again) == value(problem, made)


@pytest.mark.parametrize("mode", ["nominal", "optimistic"])
def test_what_the_checker_accepts_can_be_started_from(mode: str) -> None:
    """Prompts computed though they are there, slack after prefills, transfers and decodes."""
    found_there = ended_sooner = 0
    for seed in range(120):
        cluster, workflows = random_instance(seed, workflows=8)
        problem = problem_of(cluster, workflows, mode=mode)
        made = ListScheduler(problem).schedule([float(c) for c in range(len(problem.calls))])
        rows = list(scheduled_calls(problem, made))
        rng = np.random.default_rng(seed)
        for c in rng.permutation(len(rows))[:6]:
            changed = list(rows)
            if rng.random() < 0.5:
                changed[c] = rows[c].model_copy(update={"cached_tokens": 0})
            else:
                late = {"finish": rows[c].finish + 1}
                if rows[c].transfer_end is not None and rng.random() < 0.5:
                    late = {"transfer_end": rows[c].transfer_end + 1, **late}
                changed[c] = rows[c].model_copy(update=late)
            if check_rows(problem, workflows, made, changed) == []:
                rows = changed
        stated = [row.finish for row in rows]
        again = timetable_of(problem, rows)
        assert check_schedule(cluster, workflows, as_schedule(problem, workflows, again)) == []
        assert all(row.finish <= late for row, late in zip(again, stated, strict=True))
        found_there += any(
            row.cached_tokens < placed.option.cached
            for row, placed in zip(rows, again, strict=True)
        )
        ended_sooner += any(row.finish < late for row, late in zip(again, stated, strict=True))
    assert ended_sooner > 20
    assert mode == "nominal" or found_there > 0


def check_rows(
    problem: SchedulingProblem,
    workflows: list[Workflow],
    made: Timetable,
    rows: list[ScheduledCall],
) -> list[Violation]:
    """What the checker says to other rows; their Req_q and its proof are not stated."""
    stated = as_schedule(problem, workflows, made)
    schedule = stated.model_copy(update={"calls": tuple(rows)})
    header = {"objective", "gap", "status", "bound"}
    violations = check_schedule(problem.cluster, workflows, schedule)
    return [violation for violation in violations if violation.rule not in header]


@pytest.mark.parametrize("objective", ["req95", "req100"])
def test_the_answer_is_no_worse_than_what_it_starts_from(objective: str) -> None:
    instance = load_scheduling_instance(NAME)
    alone = optimum(instance, objective, SHORT, CERTIFICATE.times)
    made = optimum(instance, objective, SHORT, start=CERTIFICATE)
    assert made.times == CERTIFICATE.times
    assert made.objective is not None
    assert alone.objective is not None
    assert made.objective <= CERTIFICATE.objective < alone.objective
    assert made.parameters["start"] == CERTIFICATE.objective
    assert made.parameters["start_kind"] == "req100"
    assert "start" not in alone.parameters
    assert made.bound <= alone.objective


def _of_another_instance() -> None:
    instance = load_scheduling_instance("xs02-chat-1p1d-8b-busy")
    optimum(instance, "req100", SHORT, start=CERTIFICATE)


def _with_other_times() -> None:
    times = ScheduleTimes(decode_batch=CERTIFICATE.times.decode_batch + 1)
    optimum(load_scheduling_instance(NAME), "req100", SHORT, times, start=CERTIFICATE)


def _that_breaks_a_rule() -> None:
    first, *others = CERTIFICATE.calls
    sooner: ScheduledCall = first.model_copy(update={"finish": first.finish - 1})
    broken = CERTIFICATE.model_copy(update={"calls": (sooner, *others)})
    optimum(load_scheduling_instance(NAME), "req100", SHORT, start=broken)


def _empty() -> None:
    empty = CERTIFICATE.model_copy(update={"calls": (), "objective": None})
    optimum(load_scheduling_instance(NAME), "req100", SHORT, start=empty)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (_of_another_instance, "is no schedule of xs02-chat-1p1d-8b-busy: "),
        (_with_other_times, "decode_batch="),
        (_that_breaks_a_rule, "decode_time"),
        (_empty, "calls: is empty"),
    ],
)
def test_what_no_search_can_start_from_is_refused(start: object, message: str) -> None:
    assert callable(start)
    with pytest.raises(InputError, match=message):
        start()
