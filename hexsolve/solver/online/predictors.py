"""Predictions of output lengths at the reveal of a call."""

import math
from bisect import bisect_left, insort
from collections import deque
from fractions import Fraction

import numpy as np

from hexsolve.models.errors import InputError
from hexsolve.models.simulation.policy import Predictor
from hexsolve.models.workflow import Workflow

WINDOW = 1000
PRIOR_TOKENS = 256


class OraclePredictor:
    """Predicts the true length."""

    def predict(self, workflow: Workflow, index: int) -> int:
        """Return the true output tokens."""
        return workflow.calls[index].output_tokens

    def observe(self, workflow: Workflow, index: int) -> None:
        """Learn nothing."""


class LognormalPredictor:
    """Predicts the true length times exp(σZ − σ²/2), Z standard normal: unbiased, and noisy.

    `sigma` is the standard deviation of the logarithm; the relative error has standard deviation
    √(exp(σ²) − 1). The noise of a call depends on `seed` and its place, not on the run's course,
    so that policies are compared under the same predictions.
    """

    def __init__(self, sigma: float, seed: int) -> None:
        if not 0.0 <= sigma <= 5.0:
            raise InputError(f"sigma is {sigma}; allowed: 0…5", field="predictor")
        self.sigma = sigma
        self.seed = seed

    def predict(self, workflow: Workflow, index: int) -> int:
        """Return the noisy length, rounded."""
        key = [self.seed, index, *workflow.name.encode()]
        noise = np.random.default_rng(key).standard_normal()
        factor = math.exp(self.sigma * noise - self.sigma**2 / 2.0)
        return round(workflow.calls[index].output_tokens * factor)

    def observe(self, workflow: Workflow, index: int) -> None:
        """Learn nothing."""


class ClassPredictor:
    """Predicts the mean, or a quantile, of what complete calls of the same class generated.

    A class is (workflow class, call name). The last 1,000 calls of a class count; before its first
    one the last 1,000 of all classes do, before any call at all 256 tokens.

    Parameters
    ----------
    quantile : float or None
        None = the mean; q = the smallest length that at least a share q does not exceed.
    """

    def __init__(self, quantile: float | None = None) -> None:
        if quantile is not None and not 0.0 < quantile <= 1.0:
            raise InputError(
                f"quantile is {quantile}; allowed: above 0, at most 1", field="predictor"
            )
        # As the decimal it was meant to be: 0.55 · 100 is a little more than 55 in floats.
        self.quantile = None if quantile is None else Fraction(quantile).limit_denominator(10**6)
        self._seen: dict[tuple[str, str], _Sample] = {}
        self._all = _Sample()

    def predict(self, workflow: Workflow, index: int) -> int:
        """Return the statistic of the call's class."""
        key = (workflow.workflow_class, workflow.calls[index].name)
        return self._seen.get(key, self._all).statistic(self.quantile)

    def observe(self, workflow: Workflow, index: int) -> None:
        """Add the true length of a complete call."""
        call = workflow.calls[index]
        key = (workflow.workflow_class, call.name)
        sample = self._seen.get(key)
        if sample is None:
            sample = self._seen[key] = _Sample()
        sample.add(call.output_tokens)
        self._all.add(call.output_tokens)


class _Sample:
    """The last values, in order of arrival and in order of size."""

    def __init__(self) -> None:
        self._recent: deque[int] = deque()
        self._sorted: list[int] = []
        self._sum = 0

    def add(self, value: int) -> None:
        self._recent.append(value)
        insort(self._sorted, value)
        self._sum += value
        if len(self._recent) > WINDOW:
            old = self._recent.popleft()
            self._sum -= old
            del self._sorted[bisect_left(self._sorted, old)]

    def statistic(self, quantile: Fraction | None) -> int:
        count = len(self._sorted)
        if not count:
            return PRIOR_TOKENS
        if quantile is None:
            return round(self._sum / count)
        return self._sorted[max(1, math.ceil(quantile * count)) - 1]


def make_predictor(name: str, seed: int) -> Predictor:
    """Return the predictor called `name`.

    ``oracle``, ``class-mean``, ``class-pNN`` (quantile NN %) or ``noise-X`` (lognormal, σ = X).

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name == "oracle":
        return OraclePredictor()
    if name == "class-mean":
        return ClassPredictor()
    try:
        if name.startswith("class-p"):
            return ClassPredictor(float(name.removeprefix("class-p")) / 100.0)
        if name.startswith("noise-"):
            return LognormalPredictor(float(name.removeprefix("noise-")), seed)
    except ValueError:
        pass
    raise InputError(
        f"unknown predictor {name!r}; allowed: oracle, class-mean, class-pNN (as class-p90), "
        "noise-SIGMA (as noise-0.5)",
        field="predictor",
    )
