"""A search goes on from a schedule that is there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.instances.benchmark.certificates import certificates_folder, load_certificate
from hexsolve.instances.benchmark.io import load_scheduling_instance
from hexsolve.models.check.schedule import check_schedule
from hexsolve.models.errors import InputError
from hexsolve.models.schedule import ScheduledCall, ScheduleTimes
from hexsolve.solver.optimum.answer import optimum
from hexsolve.solver.optimum.clock import SearchOptions
from hexsolve.solver.optimum.lists import ListScheduler
from hexsolve.solver.optimum.placing import place_all
from hexsolve.solver.optimum.timetable import finishes, scheduled_calls, timetable_of, value
from tests.solver.optimum.instances import as_schedule, problem_of, random_instance

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
    most = [len(problem.prefill_rows), len(problem.decode_rows)]
    bindings = rng.integers(-1, most, (len(problem.calls), 2))
    keys = rng.random(len(problem.calls))
    made = lists.timetable(place_all(lists.flat, keys, bindings, lists.nothing))
    rows = scheduled_calls(problem, made)
    again = timetable_of(problem, rows)
    assert scheduled_calls(problem, again) == rows
    assert value(problem, again) == value(problem, made)


def test_a_prompt_computed_though_it_is_there_is_found_there() -> None:
    changed = 0
    for seed in range(200):
        cluster, workflows = random_instance(seed, workflows=8)
        problem = problem_of(cluster, workflows)
        made = ListScheduler(problem).schedule([float(c) for c in range(len(problem.calls))])
        rows = list(scheduled_calls(problem, made))
        for c, call in enumerate(problem.calls):
            spent = rows[c].prefill_end - rows[c].prefill_start
            without = [option for option in call.prefills if option.cached == 0]
            # As if it had been begun sooner, without the cache.
            if rows[c].cached_tokens > 0 and not without:
                rows[c] = rows[c].model_copy(
                    update={"cached_tokens": 0, "prefill_start": rows[c].prefill_start - 1}
                )
                (read,) = [timetable_of(problem, rows)[c]]
                assert (read.prefilled - read.start, read.option.cached > 0) == (spent, True)
                changed += 1
                break
        timetable = timetable_of(problem, rows)
        assert finishes(problem, timetable) == finishes(problem, made)
        assert check_schedule(cluster, workflows, as_schedule(problem, workflows, timetable)) == []
    assert changed > 10


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
