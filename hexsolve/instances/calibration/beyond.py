"""Points beyond a table, with the roofline's shape and the table's level.

A table that ends at a batch of 8 says little about what a sequence costs in a batch of 64: steps
that small are all weights and launches, and noise decides the slope. The points added here have
little weight, so they matter only where the table leaves the fit open.
"""

from collections.abc import Sequence

import numpy as np

from hexsolve.instances.calibration.table import Row
from hexsolve.models.roofline import Array, Roofline

# Weight of all points beyond a table together, relative to the table. Prefill needs less: its
# terms show within a few thousand tokens, and real engines lose efficiency beyond those.
DECODE_WEIGHT = 0.15
PREFILL_WEIGHT = 0.03
BATCHES = (16.0, 32.0, 64.0, 128.0, 256.0)
CONTEXTS = (1024.0, 8192.0, 32768.0)
NEW_TOKENS = (4096.0, 16384.0, 65536.0)
CACHED_TOKENS = (0.0, 32768.0)


def beyond_decode(
    rows: Sequence[Row], roofline: Roofline
) -> tuple[list[tuple[float, float, float]], list[float]]:
    """Return (batch, context, seconds) points and the weights of rows and points together."""
    batch, context, seconds = np.array([(r.batch, r.cached, r.seconds) for r in rows]).T
    points = [
        (b, c)
        for b in BATCHES
        for c in CONTEXTS
        if b > batch.max() or (c > context.max() and b <= batch.max())
    ]
    if not points:
        return [], [1.0] * len(rows)
    level = _level(seconds, roofline.decode_seconds(batch, context), batch * context)
    times = level * roofline.decode_seconds(*np.array(points).T)
    found = [(b, c, float(time)) for (b, c), time in zip(points, times, strict=True)]
    return found, _weights(len(rows), len(found), DECODE_WEIGHT)


def beyond_prefill(
    rows: Sequence[Row], roofline: Roofline
) -> tuple[list[tuple[float, float, float, float]], list[float]]:
    """Return (calls, new, cached, seconds) points and the weights of rows and points together."""
    batch, new, cached, seconds = np.array([(r.batch, r.new, r.cached, r.seconds) for r in rows]).T
    points = [
        (1.0, n, h)
        for n in NEW_TOKENS
        for h in CACHED_TOKENS
        if n > (batch * new).max() or h > cached.max()
    ]
    if not points:
        return [], [1.0] * len(rows)
    level = _level(seconds, roofline.prefill_seconds(batch, new, cached), batch * new)
    times = level * roofline.prefill_seconds(*np.array(points).T)
    found = [(*point, float(time)) for point, time in zip(points, times, strict=True)]
    return found, _weights(len(rows), len(found), PREFILL_WEIGHT)


def _level(measured: Array, expected: Array, size: Array) -> float:
    """Return by what the larger half of the rows exceeds the roofline (median)."""
    larger = size >= np.median(size)
    return float(np.median(measured[larger] / expected[larger]))


def _weights(rows: int, points: int, together: float) -> list[float]:
    return [1.0] * rows + [together * rows / points] * points
