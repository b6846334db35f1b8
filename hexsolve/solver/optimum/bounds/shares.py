"""Each call's share of the batches that an instance runs, in ticks; see docs/bounds.md.

Shares are such that, whatever batch the simulator may form, those of its calls add up to at most
its time.
"""

from dataclasses import dataclass

import numpy as np

from hexsolve.models.latency import PrefillCoefficients
from hexsolve.models.simulation.clock import SECOND, StepClock
from hexsolve.models.simulation.cluster import SimulatedInstance
from hexsolve.solver.optimum.bounds.times import Floats, Ints


def batch_ticks(coefficients: PrefillCoefficients, tokens: Floats, work: Floats) -> Floats:
    """Return what `PrefillCoefficients.seconds` gives, in ticks before rounding, elementwise."""
    return SECOND * np.maximum(
        coefficients.floor,
        coefficients.p1 * tokens + coefficients.p2 * work + _beside(coefficients, tokens),
    )


def _beside(coefficients: PrefillCoefficients, tokens: Floats) -> Floats:
    """Return what a batch takes beside p1 and p2, s: launch, knee and ramp."""
    extra: Floats = (
        coefficients.p0
        + coefficients.p3 * np.maximum(0.0, tokens - coefficients.knee)
        - coefficients.p4 * np.expm1(-tokens / coefficients.scale)
    )
    return extra


class PrefillShares:
    """Shares of prefill batches; three ways to divide one, of which the best for all calls.

    With T new tokens, W token pairs and at most m calls in a batch, e(T) = p0 + knee + ramp:

    - by tokens: ``p1·n + p2·w + n·min_{n ≤ T ≤ budget} e(T)/T``,
    - by calls: ``p1·n + p2·w + e(n)/m``,
    - as if alone: ``seconds(n, w)/m``.
    """

    def __init__(
        self, spec: SimulatedInstance, tokens: Floats, work: Floats, most_active: int
    ) -> None:
        self._coefficients = spec.performance.prefill
        self._stages = spec.performance.pp
        self._calls = min(spec.max_batch, most_active)
        budget = np.arange(1, spec.token_budget + 1, dtype=np.float64)
        rates = _beside(self._coefficients, budget) / budget
        self._rates = np.minimum.accumulate(rates[::-1])[::-1]
        ways = range(3)
        self._way = max(ways, key=lambda way: float(self._share(way, tokens, work).sum()))

    def share(self, tokens: Floats, work: Floats) -> Floats:
        """Return shares of the occupied time, ticks; of calls with `tokens` new, `work` pairs."""
        # A batch is rounded to ticks, by less than one whatever the number of its calls.
        return np.maximum(0.0, self._share(self._way, tokens, work) / self._stages - 1.0)

    def _share(self, way: int, tokens: Floats, work: Floats) -> Floats:
        c = self._coefficients
        if way == 2:
            return batch_ticks(c, tokens, work) / self._calls
        own = c.p1 * tokens + c.p2 * work
        if way == 1:
            return SECOND * (own + _beside(c, tokens) / self._calls)
        alone = tokens > self._rates.size
        index = np.minimum(tokens, self._rates.size).astype(np.int64) - 1
        beside = np.where(alone, _beside(c, tokens), tokens * self._rates[index])
        return SECOND * (own + beside)


@dataclass(frozen=True, slots=True)
class Decoding:
    """What decides over shares of decode steps; arrays of shape (n,), ints."""

    prompt: Ints
    steps: Ints
    together: Ints
    """Prompt tokens of each call that calls active at the same time may hold."""
    most_active: int
    """Calls that can be active at once in the whole cluster."""

    def context(self) -> Floats:
        """Return Σ of the context over the steps of each call, tokens."""
        steps = self.steps.astype(np.float64)
        return steps * self.prompt + steps * (steps - 1.0) / 2.0

    def held(self) -> Floats:
        """Return Σ over the steps of the tokens that only this call holds, its new one included."""
        steps = self.steps.astype(np.float64)
        # What a call generates is shared with descendants only: `together` is part of the prompt.
        own = (self.prompt - self.together + 1).astype(np.float64)
        return steps * own + steps * (steps - 1.0) / 2.0

    def largest_batch(self, capacity: int, max_batch: int) -> int:
        """Return how many calls can decode in one step at most."""
        decodes = self.steps > 0
        least = np.sort(np.maximum(0, self.prompt - self.together)[decodes]) + 1
        fitting = int(np.searchsorted(np.cumsum(least), capacity, side="right"))
        return max(1, min(max_batch, self.most_active, fitting))


class DecodeShares:
    """Latency and shares of decode steps on a decode instance, ticks.

    A step of B calls takes at least ``fixed + per_call·B + slope·C``. The fixed part is divided
    by KV, (own tokens)/K each, or by calls, whichever gives more in all; by calls in levels: a
    step of many calls has smaller shares and a longer latency.

    Attributes
    ----------
    latency, work, last : array, shape (n,)
        Of all steps, at least, and the work of the last one.
    levels : list of (array, array)
        (latency, work) if all steps were of the level's batch sizes; a mixture of levels has the
        mixture of both.
    latency_rise, work_rise : array, shape (n,)
        By how much the last step takes more than the first, at any level.
    """

    def __init__(self, spec: SimulatedInstance, decoding: Decoding) -> None:
        clock = StepClock(spec.performance.decode)
        most = decoding.largest_batch(spec.capacity, spec.max_batch)
        bases = np.array([clock.base(batch) for batch in range(1, most + 1)], dtype=np.float64)
        self.base = float(bases.min())
        self.slope = float(clock.slope)
        per_call = 0.0
        if most > 1:
            rises = (bases[1:] - bases[0]) / np.arange(1, most)
            per_call = float(np.clip(rises.min(), 0.0, self.base))
        fixed = max(0.0, self.base - per_call)
        steps = decoding.steps.astype(np.float64)
        context = self.slope * decoding.context()
        by_calls, by_tokens = steps / most, decoding.held() / spec.capacity
        later = np.maximum(0.0, steps - 1.0)
        last = decoding.prompt + later
        self.latency: Floats = steps * self.base + context
        self.latency_rise: Floats = self.slope * later
        self.work_rise = self.latency_rise
        if by_tokens.sum() > by_calls.sum():
            of_last = (last - decoding.together + 1.0) / spec.capacity
            work = steps * per_call + context + fixed * by_tokens
            self.levels = [(self.latency, work)]
            self.work_rise = self.latency_rise + fixed * later / spec.capacity
            own: Floats = per_call + fixed * of_last
        else:
            self.levels = self._levels(bases, decoding, steps, context)
            own = np.full(steps.size, float((bases / np.arange(1, most + 1)).min()))
        self.work: Floats = np.minimum.reduce([work for _, work in self.levels])
        self.last: Floats = own + self.slope * last

    def _levels(
        self, bases: Floats, decoding: Decoding, steps: Floats, context: Floats
    ) -> list[tuple[Floats, Floats]]:
        """Return (latency, work) for steps of 1, 2 to 3, 4 to 7, … calls."""
        prompts = np.sort(decoding.prompt[decoding.steps > 0]).astype(np.float64)
        others = np.concatenate([[0.0], np.cumsum(prompts)])
        by_call = bases / np.arange(1, bases.size + 1)
        levels = []
        low = 1
        while low <= bases.size:
            high = min(2 * low - 1, bases.size)
            beside = float(bases[low - 1 :].min()) + self.slope * float(others[low - 1])
            share = float(by_call[low - 1 : high].min())
            levels.append((steps * beside + context, steps * share + context))
            low *= 2
        return levels


class MixedShares:
    """Latency and shares of steps on a mixed instance, ticks.

    A step of B decoding calls with chunks of T tokens takes at least ``fixed + per_call·B +
    slope·C + m1·T + m2·W``; T + B ≤ token_budget. The fixed part is divided by tokens,
    1/token_budget each, or by decoding calls, 1/B_max each, whichever gives more in all.
    """

    def __init__(self, spec: SimulatedInstance, decoding: Decoding, tokens: Floats) -> None:
        clock = StepClock(spec.performance.mixed)
        self._coefficients = spec.performance.mixed
        most = max(1, min(spec.max_batch, decoding.most_active))
        bases = np.array([clock.chunk_base(b, 0, 0) for b in range(most + 1)], dtype=np.float64)
        self._budget = spec.token_budget
        self._fixed = float(bases[0])
        per_call = max(0.0, float(((bases[1:] - bases[0]) / np.arange(1, most + 1)).min()))
        self.base = float(bases[1:].min())
        self.slope = float(clock.slope)
        steps = decoding.steps.astype(np.float64)
        context = self.slope * decoding.context()
        by_tokens = (float(tokens.sum()) + float(steps.sum())) / self._budget
        of_step = 1.0 / self._budget
        self._of_token = of_step
        if steps.sum() / most > by_tokens:
            of_step, self._of_token = 1.0 / most, 0.0
        self.latency: Floats = steps * self.base + context
        # A step that carries a chunk is rounded as a whole: at most a tick less for each call.
        own = max(0.0, per_call - 1.0 + self._fixed * of_step)
        self.work: Floats = steps * own + context
        later = np.maximum(0.0, steps - 1.0)
        last = decoding.prompt.astype(np.float64) + later
        self.last: Floats = own + self.slope * last
        self.latency_rise: Floats = self.slope * later

    def prefill_latency(self, tokens: Floats, work: Floats) -> Floats:
        """Return the time of the chunks of `tokens` new tokens and `work` pairs alone, ticks."""
        chunks = np.ceil(tokens / self._budget)
        own = SECOND * (self._coefficients.m1 * tokens + self._coefficients.m2 * work)
        return np.maximum(0.0, chunks * (self._fixed - 1.0) + own)

    def prefill_share(self, tokens: Floats, work: Floats) -> Floats:
        """Return the share of the steps that carry these chunks, ticks."""
        own = SECOND * (self._coefficients.m1 * tokens + self._coefficients.m2 * work)
        return np.maximum(0.0, own + tokens * (self._fixed * self._of_token - 1.0))
