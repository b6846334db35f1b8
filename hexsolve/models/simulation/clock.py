"""Seconds to integer ticks, and the times of steps in ticks."""

from math import expm1, sqrt
from typing import Final

from mypy_extensions import i64

from hexsolve.models.latency import DecodeCoefficients, MixedCoefficients, PrefillCoefficients

TICKS_PER_SECOND: Final = 10**12
SECOND: Final = 1e12
"""The same as a float: an integer divided by it is rounded once to a float and once by the
division, compiled or not, while a quotient of integers is rounded as the compiler likes."""

LARGE: Final = 1 << 42
SMALL: Final = 1 << 21
"""What is below them can be multiplied in 63 bits; see `product`."""


def to_ticks(seconds: float) -> int:
    """Return `seconds` in ticks of 1 ps, rounded."""
    return round(seconds * SECOND)


def product(large: int, small: int) -> int:
    """Return their product.

    Compiled code multiplies integers as Python objects once one of them exceeds 2³⁰, as ticks and
    bytes do: ten times the work of one machine instruction.
    """
    if 0 <= large < LARGE and 0 <= small < SMALL:
        machine: i64 = large
        return machine * small
    return large * small


def span(first: int, growth: int, steps: int) -> int:
    """Return the time of `steps` steps, the first of `first` ticks, each `growth` longer."""
    return product(first, steps) + growth * (steps * (steps - 1) // 2)


def to_seconds(ticks: int) -> float:
    """Return `ticks` in seconds."""
    return ticks / SECOND


def prefill_ticks(coefficients: PrefillCoefficients, tokens: int, double_work: int) -> int:
    """Return the time of a batch of `tokens` new tokens and ``double_work = Σ n(2h + n)``."""
    return max(1, round(coefficients.seconds(tokens, double_work / 2) * SECOND))


class PrefillClock:
    """`prefill_ticks` of one engine with the coefficients at hand.

    A field of a validated model takes as long to look up as the rest of the formula. The operations
    are those of `PrefillCoefficients.seconds`, one by one, so that not a digit differs.
    """

    __slots__ = ("floor", "knee", "p0", "p1", "p2", "p3", "p4", "scale")

    def __init__(self, coefficients: PrefillCoefficients) -> None:
        self.floor = float(coefficients.floor)
        self.p0 = float(coefficients.p0)
        self.p1 = float(coefficients.p1)
        self.p2 = float(coefficients.p2)
        self.p3 = float(coefficients.p3)
        self.knee = float(coefficients.knee)
        self.p4 = float(coefficients.p4)
        self.scale = float(coefficients.scale)

    def ticks(self, tokens: int, double_work: int) -> int:
        """Return the time of a batch of `tokens` new tokens and ``double_work = Σ n(2h + n)``."""
        new = float(tokens)
        beyond = new - self.knee
        if beyond < 0.0:
            beyond = 0.0
        seconds = self.p0 + self.p1 * new + self.p2 * (double_work / 2) + self.p3 * beyond
        if self.p4:
            seconds -= self.p4 * expm1(-new / self.scale)
        if seconds < self.floor:
            seconds = self.floor
        ticks = round(seconds * SECOND)
        return ticks if ticks > 1 else 1


class StepClock:
    """Times of decode steps: ``base(B) + slope·C`` ticks for B sequences that hold C tokens."""

    __slots__ = ("_bases", "_coefficients", "slope")

    def __init__(self, coefficients: DecodeCoefficients | MixedCoefficients) -> None:
        self._coefficients = coefficients
        self._bases: list[int] = [0]
        self.slope = to_ticks(coefficients.d2)

    def base(self, batch: int) -> int:
        """Return the part of a step's time that does not depend on the context."""
        bases = self._bases
        while len(bases) <= batch:
            bases.append(self.chunk_base(len(bases), 0, 0))
        return bases[batch]

    def chunk_base(self, batch: int, tokens: int, double_work: int) -> int:
        """Return the same for a step that also prefills `tokens` with ``Σ n(2h + n)``."""
        coefficients = self._coefficients
        if isinstance(coefficients, MixedCoefficients):
            seconds = coefficients.step_seconds(batch, 0, tokens, double_work / 2)
        else:
            seconds = coefficients.step_seconds(batch, 0)
        return max(1, to_ticks(seconds))


def steps_begun(first: int, growth: int, elapsed: int, at_end: bool) -> int:
    """Return how many steps have begun `elapsed` ticks after the first one did.

    Step j begins after ``first·j + growth·j(j−1)/2`` ticks: `first` is the first step's time and
    each step takes `growth` longer than the one before. A step that begins at `elapsed` itself
    counts only if `at_end`.
    """
    # Largest j with T(j) ≤ limit, from the quadratic in floating point, then corrected exactly.
    limit = elapsed if at_end else elapsed - 1
    if limit < 0:
        return 0
    if growth:
        b = first - 0.5 * growth
        guess = int((sqrt(b * b + 2.0 * growth * limit) - b) / growth)
    else:
        guess = limit // first
    while span(first, growth, guess) > limit:
        guess -= 1
    while span(first, growth, guess + 1) <= limit:
        guess += 1
    return guess + 1
