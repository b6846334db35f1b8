"""Req_q is an order statistic; curves and intervals agree with brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models import slo
from hexsolve.models.errors import InputError

samples = st.lists(st.integers(1, 40).map(lambda n: n / 8), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(samples, st.integers(1, 100))
def test_required_scale_is_the_smallest_scale_that_attains(values, percent):
    scale = slo.required_scale(values, percent)
    assert scale in values
    assert slo.attainment(values, scale) * 100 >= percent - 1e-9
    smaller = [value for value in values if value < scale]
    if smaller:
        assert slo.attainment(values, max(smaller)) * 100 < percent


@settings(max_examples=100, deadline=None, derandomize=True)
@given(samples)
def test_curve_is_attainment_at_each_value(values):
    scales, shares = slo.attainment_curve(values)
    assert list(scales) == sorted(set(values))
    assert [slo.attainment(values, scale) for scale in scales] == pytest.approx(list(shares))


def test_exact_ranks():
    assert slo.required_scale(range(1, 21), 95) == 19
    assert slo.required_scale(range(1, 101), 99) == 99
    assert slo.required_scale([3.0], 1) == 3.0


def test_direct_bootstrap_has_the_same_distribution():
    values = np.random.default_rng(0).lognormal(1.0, 0.7, 150)
    slow = slo.bootstrap(
        values, lambda v: slo.required_scale(v, 95), np.random.default_rng(1), 4000
    )
    fast = slo.required_scale_interval(values, 95, np.random.default_rng(2), 4000)
    assert fast.value == slow.value
    assert fast.low == pytest.approx(slow.low, rel=0.05)
    assert fast.high == pytest.approx(slow.high, rel=0.05)


def test_interval_covers_the_true_quantile():
    rng = np.random.default_rng(3)
    truth = np.quantile(np.random.default_rng(4).exponential(1.0, 1_000_000), 0.95)
    covered = 0
    for _ in range(200):
        interval = slo.required_scale_interval(rng.exponential(1.0, 400), 95, rng, 500)
        covered += interval.low <= truth <= interval.high
    assert covered >= 180


def test_paired_difference_ignores_what_both_share():
    rng = np.random.default_rng(5)
    base = rng.lognormal(0.0, 1.0, 200)
    interval = slo.paired_difference(base, base + 0.5, lambda v: float(np.mean(v)), rng)
    assert interval.low == pytest.approx(0.5)
    assert interval.high == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("flow", "horizon", "message"),
    [
        ([], [], "not empty"),
        ([1.0], [1.0, 2.0], "shape"),
        ([1.0], [0.0], "horizons > 0"),
        ([-1.0], [1.0], "≥ 0"),
        ([float("nan")], [1.0], "finite"),
    ],
)
def test_bad_input_is_refused(flow, horizon, message):
    with pytest.raises(InputError, match=message):
        slo.slowdowns(flow, horizon)


def test_percent_out_of_range():
    with pytest.raises(InputError, match="percent is 0"):
        slo.required_scale([1.0], 0)
