"""Random draws that generators share; every one takes the generator to draw from."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def lognormal_tokens(
    rng: Generator, mean: float, sigma: float, size: int, least: int = 1, most: int = 10**6
) -> Ints:
    """Draw token counts with the given mean, lognormal with shape `sigma`, rounded and clipped.

    The location is ln(mean) − σ²/2, since a lognormal's mean is exp(μ + σ²/2).
    """
    draws = rng.lognormal(np.log(mean) - sigma**2 / 2, sigma, size)
    return np.clip(np.rint(draws), least, most).astype(np.int64)


def lognormal_integers(
    rng: Generator, mu: float, sigma: float, size: int, least: int = 1, most: int = 10**6
) -> Ints:
    """Draw integers whose logarithm is normal(μ, σ), rounded and clipped."""
    return np.clip(np.rint(rng.lognormal(mu, sigma, size)), least, most).astype(np.int64)


def gamma_seconds(rng: Generator, mean: float, deviation: float, size: int) -> Floats:
    """Draw positive times with the given mean and standard deviation, gamma distributed."""
    shape = (mean / deviation) ** 2
    return rng.gamma(shape, mean / shape, size)


def normal_integers(
    rng: Generator, mean: float, deviation: float, size: int, least: int = 1
) -> Ints:
    """Draw integers from a rounded normal distribution, not below `least`."""
    return np.maximum(np.rint(rng.normal(mean, deviation, size)), least).astype(np.int64)
