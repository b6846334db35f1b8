import math

import numpy as np
import pytest

from hexsolve.instances.generators import (
    SHAPES,
    burst,
    cap_tool_seconds,
    compose_arrivals,
    constant,
    from_trace,
    gamma,
    poisson,
)
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call, Workflow

COUNT = 40_000


@pytest.mark.parametrize(
    ("process", "rate", "cv"),
    [
        (poisson(4.0), 4.0, 1.0),
        (gamma(4.0, 3.4), 4.0, 3.4),
        (gamma(0.5, 0.3), 0.5, 0.3),
        (constant(2.0), 2.0, 0.0),
        # Of 10 gaps 9 are 0 and one is exponential with mean 10/rate: E[g²] = 20/rate².
        (burst(5.0, 10), 5.0, math.sqrt(19)),
        (from_trace([0, 1, 4], rate=2.0), 2.0, 0.5),
    ],
)
def test_rate_and_variation(process, rate, cv):
    times = process(COUNT, np.random.default_rng(8))
    assert len(times) == COUNT
    assert times[0] >= 0
    gaps = np.diff(times)
    assert gaps.min() >= 0
    # The standard error of a mean gap is cv/√n of it, of a cv a few times more.
    assert gaps.mean() * rate == pytest.approx(1.0, abs=4 * cv / math.sqrt(COUNT) + 1e-3)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.08, abs=1e-9)
    assert len(process(0, np.random.default_rng(0))) == 0


def test_gaps_of_a_trace_come_in_order_from_a_random_place():
    process = from_trace([10.0, 11.0, 13.0, 16.0])
    for seed in range(6):
        times = process(8, np.random.default_rng(seed))
        assert times[0] == 0.0
        gaps = np.diff(times).tolist()
        cycle = [1.0, 2.0, 3.0] * 5
        assert any(gaps == cycle[start : start + 7] for start in range(3))


def test_bursts_arrive_together():
    times = burst(1.0, 4)(10, np.random.default_rng(0))
    assert [np.sum(times == time) for time in np.unique(times)] == [4, 4, 2]


def test_composing_changes_arrivals_only():
    flows = SHAPES["plan-execute"].generate(50, np.random.default_rng(0))
    timed = compose_arrivals(flows, poisson(2.0), np.random.default_rng(1))
    assert timed == compose_arrivals(flows, poisson(2.0), np.random.default_rng(1))
    assert [flow.calls for flow in timed] == [flow.calls for flow in flows]
    arrivals = [flow.arrival_s for flow in timed]
    assert arrivals == sorted(arrivals)
    assert all(type(time) is float for time in arrivals)
    assert compose_arrivals([], poisson(2.0), np.random.default_rng(1)) == []


def test_cap_on_tool_seconds():
    flow = Workflow("w", 3.0, (Call(1, 1), Call(1, 1, (0,), 9.0), Call(1, 1, (1,), 2.0)))
    (capped,) = cap_tool_seconds([flow], 5.0)
    assert [call.tool_seconds for call in capped.calls] == [0.0, 5.0, 2.0]
    assert capped.arrival_s == 3.0
    with pytest.raises(InputError, match="most"):
        cap_tool_seconds([flow], -1.0)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: poisson(0.0), "rate"),
        (lambda: gamma(1.0, float("inf")), "cv"),
        (lambda: burst(1.0, 0), "size"),
        (lambda: constant(float("nan")), "rate"),
        (lambda: from_trace([1.0]), "arrivals"),
        (lambda: from_trace([2.0, 1.0]), "arrivals"),
        (lambda: from_trace([1.0, 1.0]), "arrivals"),
        (lambda: from_trace([0.0, 1.0], rate=-1.0), "rate"),
    ],
)
def test_wrong_parameters_are_named(make, field):
    with pytest.raises(InputError, match=f"{field}: .*allowed"):
        make()
