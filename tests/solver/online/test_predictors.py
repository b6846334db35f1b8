"""Quantiles of observed lengths against their definition."""

from fractions import Fraction

import pytest

from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.predictors import make_predictor


def predicted(name: str, lengths: range) -> int:
    predictor = make_predictor(name, 0)
    for length in lengths:
        predictor.observe(Workflow("w", 0.0, (Call(1, length),)), 0)
    return predictor.predict(Workflow("w", 0.0, (Call(1, 1),)), 0)


@pytest.mark.parametrize("percent", range(1, 101))
@pytest.mark.parametrize("count", [1, 7, 20, 100])
def test_a_quantile_is_the_smallest_length_that_covers_its_share(percent, count):
    lengths = range(1, count + 1)
    covering = (n for n in lengths if Fraction(n, count) >= Fraction(percent, 100))
    assert predicted(f"class-p{percent}", lengths) == next(covering)


def test_fractions_of_a_percent():
    assert predicted("class-p99.5", range(1, 201)) == 199
    assert predicted("class-p0.0000001", range(1, 201)) == 1


@pytest.mark.parametrize("name", ["class-p0", "class-p101", "class-pnan", "class-pinf", "class-p"])
def test_what_is_no_quantile_is_refused(name):
    with pytest.raises(InputError):
        make_predictor(name, 0)
