"""Fitting coefficients to (batch, new, cached, seconds) points: small relative errors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hexsolve.models.latency import DecodeCoefficients, MixedCoefficients, PrefillCoefficients

Array = NDArray[np.float64]

# Candidates for the two non-linear parameters of a prefill batch, tokens.
KNEES = (32.0, 64.0, 96.0, 128.0, 160.0, 192.0, 256.0, 320.0, 384.0, 512.0, 768.0, 1024.0)
SCALE = 512.0
# Relative residual below which a row counts fully; above it errors count linearly, not squared.
ROBUST_RESIDUAL = 0.005


def relative_nnls(
    features: Array,
    seconds: Array,
    iterations: int,
    known: Array | float = 0.0,
    importance: Array | float = 1.0,
) -> tuple[Array, float]:
    """Return w ≥ 0 minimising Σ importance·|(known + features·w)/seconds − 1|, and its mean.

    Iteratively re-weighted non-negative least squares: weight 1/√|residual| turns squares into
    absolute values (Schlossmacher, JASA 68, 1973).

    Parameters
    ----------
    features : array of shape (rows, terms)
    seconds : array of shape (rows,), positive
    iterations : int
        Rounds of re-weighting, at least one.
    known : array of shape (rows,) or float
        Part of the time that is not to be fitted, at most `seconds`.
    importance : array of shape (rows,) or float
        Weight of each row.
    """
    from scipy.optimize import nnls

    relative = features / seconds[:, None]
    norm = np.linalg.norm(relative, axis=0)
    norm[norm == 0.0] = 1.0
    scaled = relative / norm
    target = 1.0 - known / seconds
    share = np.broadcast_to(np.asarray(importance, dtype=float), seconds.shape)
    weight = np.sqrt(share)
    best, least = np.zeros(features.shape[1]), np.inf
    for _ in range(max(1, iterations)):
        solution, _ = nnls(scaled * weight[:, None], target * weight)
        residual = np.abs(scaled @ solution - target)
        error = float(np.average(residual, weights=share))
        if error < least:
            best, least = solution, error
        weight = np.sqrt(share / np.maximum(residual, ROBUST_RESIDUAL))
    return best / norm, least


def prefill_points(rows: Sequence[tuple[float, float, float, float]]) -> tuple[Array, Array, Array]:
    """Return (tokens, work, seconds) of (calls, new, cached, seconds) rows."""
    batch, new, cached, seconds = np.asarray(rows, dtype=float).T
    return batch * new, batch * new * (cached + new / 2.0), seconds


def fit_prefill(
    rows: Sequence[tuple[float, float, float, float]],
    iterations: int = 30,
    importance: Sequence[float] | None = None,
) -> tuple[PrefillCoefficients, float]:
    """Fit `PrefillCoefficients` to (calls, new tokens, cached tokens, seconds) rows.

    Parameters
    ----------
    rows : sequence of tuples
    iterations : int
        Rounds of re-weighting.
    importance : sequence of float, optional
        Weight of each row; all the same by default.

    Returns
    -------
    PrefillCoefficients
    float
        Mean absolute relative error, weighted by `importance`.
    """
    share = np.asarray(1.0 if importance is None else importance, dtype=float)
    tokens, work, seconds = prefill_points(rows)
    ones = np.ones_like(tokens)
    ramp = -np.expm1(-tokens / SCALE)
    fits = []
    for knee in KNEES:
        beyond = np.maximum(tokens - knee, 0.0)
        features = np.stack([ones, tokens, work, beyond, ramp], axis=1)
        weights, error = relative_nnls(features, seconds, iterations, importance=share)
        fits.append((error, knee, weights))
    error, knee, weights = min(fits, key=lambda item: item[0])
    p0, p1, p2, p3, p4 = (float(value) for value in weights)
    return (
        PrefillCoefficients(p0=p0, p1=p1, p2=p2, p3=p3, p4=p4, knee=knee, scale=SCALE),
        error,
    )


def fit_decode(
    rows: Sequence[tuple[float, float, float]],
    active_shares: Sequence[float] = (0.0,),
    iterations: int = 60,
    importance: Sequence[float] | None = None,
) -> tuple[DecodeCoefficients, float]:
    """Fit `DecodeCoefficients` to (sequences, context tokens of each, seconds) rows.

    Parameters
    ----------
    rows : sequence of tuples
    active_shares : sequence of float
        Candidates for the share of experts that a token touches; (0,) for a dense model.
    iterations : int
        Rounds of re-weighting.
    importance : sequence of float, optional
        Weight of each row; all the same by default.

    Returns
    -------
    DecodeCoefficients
    float
        Mean absolute relative error, weighted by `importance`.
    """
    weight = np.asarray(1.0 if importance is None else importance, dtype=float)
    batch, context, seconds = np.asarray(rows, dtype=float).T
    fits = []
    for share in active_shares:
        features = np.stack(
            [np.ones_like(batch), batch, batch * context, 1.0 - (1.0 - share) ** batch], axis=1
        )
        weights, error = relative_nnls(features, seconds, iterations, importance=weight)
        fits.append((error, share, weights))
    error, share, weights = min(fits, key=lambda item: item[0])
    d0, d1, d2, d3 = (float(value) for value in weights)
    if d3 == 0.0:
        share = 0.0
    return DecodeCoefficients(d0=d0, d1=d1, d2=d2, d3=d3, active_share=share), error


# Steps to which mixed coefficients are fitted: chunk tokens, sequences, context of each.
MIXED_CHUNKS = (512.0, 1024.0, 2048.0, 4096.0, 8192.0)
MIXED_BATCHES = (1.0, 16.0, 64.0, 128.0)
MIXED_CONTEXTS = (512.0, 2048.0, 8192.0)


def derive_mixed(prefill: PrefillCoefficients, decode: DecodeCoefficients) -> MixedCoefficients:
    """Derive the coefficients of mixed steps from those of prefill and decode.

    In a mixed step of q prefilled and B decoded tokens all q + B pass the matrix products
    together while each kind keeps its own attention, hence ``prefill(q + B, W) + d2·C``. That
    composition is within 1–7 % of the mixed steps of aiconfigurator-core; both steps after each
    other, which read the weights twice, are 9–23 % too long. A step without a chunk costs what a
    decode step does, so ``m0, d1, d2, d3`` are those of decode, and `m1, m2` are fitted to the
    composition for chunks of 512 to 8192 tokens (1–12 % off, most with mixtures of experts, whose
    experts a chunk reads all at once).
    """
    grid = np.array(
        [(q, b, c) for q in MIXED_CHUNKS for b in MIXED_BATCHES for c in MIXED_CONTEXTS]
    )
    chunk, batch, context = grid.T
    work = chunk * context / 2.0
    seconds = np.array(
        [
            prefill.seconds(q + b, w) + decode.d2 * b * c
            for q, b, c, w in zip(chunk, batch, context, work, strict=True)
        ]
    )
    alone = np.array([decode.step_seconds(b, b * c) for b, c in zip(batch, context, strict=True)])
    # Coefficients of zero are legal and must not divide by zero.
    seconds = np.maximum(np.maximum(seconds, alone), 1e-12)
    weights, _ = relative_nnls(np.stack([chunk, work], axis=1), seconds, 10, alone)
    return MixedCoefficients(
        m0=decode.d0,
        m1=float(weights[0]),
        m2=float(weights[1]),
        d1=decode.d1,
        d2=decode.d2,
        d3=decode.d3,
        active_share=decode.active_share,
    )
