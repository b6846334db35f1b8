"""The coefficients: bounds, shapes and closed forms that solvers and simulators rely on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.fitting import derive_mixed
from hexsolve.models.latency import (
    DecodeCoefficients,
    EnginePerformance,
    MeasuredRange,
    PrefillCoefficients,
    prefill_work,
)

seconds = st.floats(0, 1e-2)
EXACT = settings(deadline=None, derandomize=True, max_examples=150)


@st.composite
def decodes(draw):
    return DecodeCoefficients(
        d0=draw(seconds),
        d1=draw(st.floats(0, 1e-3)),
        d2=draw(st.floats(0, 1e-6)),
        d3=draw(seconds),
        active_share=draw(st.floats(0, 1)),
    )


@st.composite
def prefills(draw):
    return PrefillCoefficients(
        p0=draw(seconds),
        p1=draw(st.floats(0, 1e-4)),
        p2=draw(st.floats(0, 1e-8)),
        floor=draw(seconds),
        p3=draw(st.floats(0, 1e-4)),
        knee=draw(st.floats(0, 1000)),
        p4=draw(seconds),
        scale=draw(st.floats(1, 2000)),
    )


@given(decodes(), st.integers(1, 512), st.integers(1, 512), st.floats(0, 1e6))
@EXACT
def test_decode_tangent_bounds_every_batch_and_touches_at_its_reference(
    decode, reference, batch, context
):
    c0, c1, c2 = decode.affine_upper(reference)
    step = decode.step_seconds(batch, context)
    assert c0 + c1 * batch + c2 * context >= step * (1 - 1e-9) - 1e-15
    at_reference = decode.step_seconds(reference, context)
    assert c0 + c1 * reference + c2 * context == pytest.approx(at_reference, rel=1e-9, abs=1e-15)


@given(decodes(), st.integers(1, 300), st.floats(0, 1e6))
@EXACT
def test_decode_is_nondecreasing_and_concave_in_the_batch(decode, batch, context):
    one, two, three = (decode.step_seconds(batch + i, context) for i in range(3))
    assert one <= two * (1 + 1e-12)
    assert two - one >= (three - two) - 1e-12


@given(decodes(), st.integers(1, 64), st.integers(0, 100_000), st.integers(0, 40))
@EXACT
def test_closed_form_of_many_steps_is_their_sum(decode, batch, context, steps):
    total = sum(decode.step_seconds(batch, context + i * batch) for i in range(steps))
    assert decode.steps_seconds(batch, context, steps) == pytest.approx(total, rel=1e-9, abs=1e-12)


@given(prefills(), st.floats(0, 30_000), st.floats(0, 5_000), st.floats(0, 1e9))
@EXACT
def test_prefill_never_gets_shorter_with_more_work(prefill, tokens, more, work):
    assert prefill.seconds(tokens + more, work) >= prefill.seconds(tokens, work) - 1e-15
    assert prefill.seconds(tokens, work + more) >= prefill.seconds(tokens, work) - 1e-15


@given(prefills(), st.integers(1, 16_384), st.floats(0, 1), st.floats(0, 1e8))
@EXACT
def test_prefill_upper_bound_holds_within_the_budget(prefill, budget, share, work):
    fixed, per_token, per_pair = prefill.affine_upper(budget)
    tokens = share * budget
    bound = fixed + per_token * tokens + per_pair * work
    assert bound >= prefill.seconds(tokens, work) * (1 - 1e-9) - 1e-15


def test_prefill_formula_by_hand():
    prefill = PrefillCoefficients(p0=0.01, p1=1e-5, p2=1e-9, floor=0.02, p3=2e-5, knee=100)
    # 2 calls: 300 new after 1000 cached, 100 new: T = 400, W = 300·1150 + 100·50 = 350,000.
    assert prefill_work(300, 1000) == 345_000
    expected = 0.01 + 400e-5 + 350_000e-9 + 300 * 2e-5
    assert prefill.batch_seconds([(300, 1000), (100, 0)]) == pytest.approx(expected)
    assert prefill.call_seconds(1, 0) == 0.02
    assert prefill.batch_seconds([]) == 0.0


@given(decodes(), prefills(), st.integers(1, 200), st.integers(0, 8000))
@EXACT
def test_mixed_step_without_a_chunk_is_a_decode_step(decode, prefill, batch, context):
    mixed = derive_mixed(prefill, decode)
    alone = decode.step_seconds(batch, context)
    assert mixed.step_seconds(batch, context, 0, 0) == pytest.approx(alone)
    assert mixed.step_seconds(batch, context, 2048, 1e6) >= alone


def test_measured_range_marks_what_lies_outside():
    box = MeasuredRange(
        new_tokens=(32, 1024),
        cached_tokens=(0, 4096),
        prefill_batch=(1, 8),
        decode_batch=(1, 64),
        context=(256, 8192),
    )
    assert not box.prefill_extrapolates(32, 4096, 8)
    assert box.prefill_extrapolates(31, 0)
    assert box.prefill_extrapolates(64, 4097)
    assert box.prefill_extrapolates(64, 0, 9)
    assert not box.decode_extrapolates(64, 64 * 256)
    assert box.decode_extrapolates(65, 65 * 256)
    assert box.decode_extrapolates(2, 2 * 8193)


def test_pipelined_engine_is_occupied_for_its_share_of_the_latency():
    zero = DecodeCoefficients(d0=0.01, d1=0, d2=0)
    prefill = PrefillCoefficients(p0=0.1, p1=0, p2=0)
    engine = EnginePerformance(
        llm="m",
        gpu="g",
        tp=2,
        pp=4,
        prefill=prefill,
        decode=zero,
        mixed=derive_mixed(prefill, zero),
        kv_capacity_tokens=1,
        kv_bytes_per_token=1,
        origin="roofline",
    )
    assert engine.gpus == 8
    assert engine.prefill_occupancy_seconds(0.1) == pytest.approx(0.025)
