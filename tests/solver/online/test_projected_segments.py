"""The arrays of projected decoding are long enough for every sequence of joins and ends."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hexsolve.solver.online.projection.decode import segment_rows, simulate_decode

STEPS = st.sampled_from([0.007, 0.011, 0.013, 0.023, 0.1])


def segments_used(step: float, after: list[int], steps: list[int]) -> int:
    """Segments of calls that join on step boundaries, `after` steps after one another."""
    count = len(steps)
    segments = np.full((8 * count + 8, 5), np.nan)
    used = simulate_decode(
        np.array([step, 0.0, 0.0, 0.0, 0.0]), 10**9, 100, np.arange(count), count,
        np.cumsum(after) * step, np.full(count, 10), np.array(steps), np.zeros(count), segments,
        np.zeros(count, np.int64),
    )  # fmt: skip
    assert np.isnan(segments[used:]).all()
    return used


@settings(max_examples=300, deadline=None)
@given(
    STEPS,
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 140)), min_size=1, max_size=8),
)
@example(0.011, [(7, 90), (3, 80), (3, 100), (11, 120), (6, 130)])
def test_segments_fit_their_array(step, calls):
    after, steps = (list(column) for column in zip(*calls, strict=True))
    assert segments_used(step, after, steps) <= segment_rows(len(calls))


def test_two_rows_a_call_do_not_suffice():
    """Joins that miss the boundary by a rounding error, found by drawing."""
    rng = np.random.default_rng(5)
    over = 0
    for _ in range(3000):
        count = int(rng.integers(2, 7))
        step = float(rng.choice([0.007, 0.011, 0.013, 0.023]))
        after, steps = rng.integers(1, 12, count), rng.integers(60, 140, count)
        used = segments_used(step, after.tolist(), steps.tolist())
        assert used <= segment_rows(count)
        over += used > 2 * count + 2
    assert over
