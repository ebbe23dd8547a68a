"""Requantization against exact rationals, and against ONNX Runtime within one step."""

from fractions import Fraction

import numpy as np
import phantom_golden as golden
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx_reference import S8, U8, node, random_integers, run, windows

MULTS = st.integers(0, 2**24 - 1)
SHIFTS = st.integers(0, 63)
SCALES = st.floats(2.0**-40, 2.0**23, width=32)


@given(st.integers(-(2**39), 2**39 - 1), MULTS, SHIFTS, st.integers(-(2**31), 2**31 - 1))
def test_requantize_is_the_exact_rational(acc, mult, shift, bias):
    assume(-(2**39) <= acc + bias < 2**39)
    exact = round(Fraction((acc + bias) * mult, 2**shift))  # Python rounds a Fraction half to even
    lo, hi = -(2**31), 2**31 - 1
    got = golden.requantize(np.array([acc]), mult, shift, bias=bias, lo=lo, hi=hi)
    assert got.item() == min(max(exact, lo), hi)


@pytest.mark.parametrize("shift", range(64))
def test_ties_go_to_even(shift):
    for value in range(-9, 10):
        half = value * 2 ** (shift - 1) if shift else value
        if abs(half) < 2**39:
            got = golden.requantize(np.array([half]), 1, shift, lo=-100, hi=100).item()
            assert got == round(Fraction(half, 2**shift))


@given(st.lists(SCALES, min_size=1, max_size=8))
def test_scale_splits_exactly(scales):
    mult, shift = golden.scale_to_mult_shift(np.array(scales, np.float32))
    for scale, m, s in zip(scales, mult.tolist(), shift.tolist(), strict=True):
        assert 2**23 <= m < 2**24 and 0 <= s <= golden.MAX_SHIFT
        assert Fraction(m, 2**s) == Fraction(scale)


@pytest.mark.parametrize("scale", [2.0**-40 * (1 - 2.0**-24), 2.0**-41, 1e-45, 1e-60])
def test_tiny_scale_rounds_every_sum_to_zero(scale):
    mult, shift = golden.scale_to_mult_shift(scale)
    sums = np.array([-(2**39), 2**39 - 1])
    assert golden.requantize(sums, mult, shift, lo=-1, hi=1).tolist() == [0, 0]
    assert [round(Fraction(int(v)) * Fraction(float(np.float32(scale)))) for v in sums] == [0, 0]


@given(st.integers(1, 5), st.integers(0, 2), st.integers(0, 2**32))
def test_channels_are_independent(channels, axis, seed):
    rng = np.random.default_rng(seed)
    shape = [3, 2, 4]
    shape[axis] = channels
    acc = rng.integers(-(2**31), 2**31, shape)
    mult, shift = rng.integers(0, 2**24, channels), rng.integers(20, 64, channels)
    bias = rng.integers(-(2**31), 2**31, channels)
    got = golden.requantize(acc, mult, shift, bias=bias, lo=-128, hi=127, axis=axis)
    for k in range(channels):
        one = golden.requantize(acc.take(k, axis), int(mult[k]), int(shift[k]), bias=int(bias[k]), lo=-128, hi=127)
        np.testing.assert_array_equal(got.take(k, axis), one)


def reduced(rng, shape):
    """Weights of seven bits: ONNX Runtime's int8 kernels then do not saturate on CPUs without VNNI."""
    return rng.integers(-63, 64, shape, np.int8)


def assert_within_one_step(got, expected):
    """At most one step apart, and hardly ever at all."""
    assert got.shape == expected.shape
    difference = np.abs(got - expected.astype(np.int64))
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= 1 + 1e-3 * difference.size


@given(windows(), st.sampled_from([U8, S8]), st.floats(2.0**-10, 1.0, width=32))
def test_conv_equals_qlinear_conv(drawn, dtype, reach):
    rng = np.random.default_rng(drawn.seed)
    x = random_integers(rng, (drawn.images, drawn.channels, *drawn.size), dtype)
    weights = reduced(rng, (drawn.filters, drawn.group_channels, *drawn.kernel))
    bias = rng.integers(-(2**12), 2**12, drawn.filters, np.int32)
    x_scale = np.float32(rng.uniform(0.001, 0.1))
    w_scale = rng.uniform(0.001, 0.1, drawn.filters).astype(np.float32)
    acc = golden.conv2d(
        x, weights, stride=drawn.stride, padding=drawn.padding, dilation=drawn.dilation, groups=drawn.groups
    )
    y_scale = np.float32(x_scale * w_scale.max() * max(1, np.abs(acc).max()) * reach / 100)
    mult, shift = golden.scale_to_mult_shift(golden.requantize_scale(x_scale, w_scale, y_scale))
    limits = np.iinfo(dtype)
    got = golden.requantize(acc, mult, shift, bias=bias, lo=limits.min, hi=limits.max)
    expected = run(
        [node("QLinearConv", "x xs xz w ws wz ys yz b", "y", group=drawn.groups, **drawn.attributes)],
        dtype,
        x=x,
        xs=x_scale,
        xz=np.zeros((), dtype),
        w=weights,
        ws=w_scale,
        wz=np.zeros(drawn.filters, np.int8),
        ys=y_scale,
        yz=np.zeros((), dtype),
        b=bias,
    )
    assert_within_one_step(got, expected)


@given(
    st.integers(1, 30),
    st.integers(1, 80),
    st.integers(1, 30),
    st.sampled_from([U8, S8]),
    st.integers(0, 2**32),
)
def test_matmul_equals_qlinear_matmul(m, i, n, dtype, seed):
    rng = np.random.default_rng(seed)
    a, b = random_integers(rng, (m, i), dtype), reduced(rng, (i, n))
    a_scale, b_scale = np.float32(rng.uniform(0.001, 0.1)), np.float32(rng.uniform(0.001, 0.1))
    acc = golden.matmul(a, b)
    y_scale = np.float32(a_scale * b_scale * max(1, np.abs(acc).max()) / rng.uniform(20, 2000))
    mult, shift = golden.scale_to_mult_shift(golden.requantize_scale(a_scale, b_scale, y_scale))
    limits = np.iinfo(dtype)
    got = golden.requantize(acc, mult, shift, lo=limits.min, hi=limits.max)
    zero = np.zeros((), dtype)
    expected = run(
        [node("QLinearMatMul", "a as az b bs bz ys yz", "y")],
        dtype,
        **{"a": a, "as": a_scale, "az": zero, "b": b, "bs": b_scale, "bz": np.zeros((), np.int8)},
        ys=y_scale,
        yz=zero,
    )
    assert_within_one_step(got, expected)


@given(windows(), st.sampled_from([U8, S8, np.dtype(np.int16)]), st.booleans())
def test_conv_equals_qdq_graph(drawn, dtype, rectify):
    """Dequantize, Conv in float32, Relu, quantize: as a quantizer writes a model."""
    rng = np.random.default_rng(drawn.seed)
    x = random_integers(rng, (drawn.images, drawn.channels, *drawn.size), dtype)
    weights = random_integers(rng, (drawn.filters, drawn.group_channels, *drawn.kernel), S8)
    bias = rng.integers(-(2**12), 2**12, drawn.filters, np.int32)
    x_scale = np.float32(rng.uniform(0.001, 0.1))
    w_scale = rng.uniform(0.001, 0.1, drawn.filters).astype(np.float32)
    acc = golden.conv2d(
        x, weights, stride=drawn.stride, padding=drawn.padding, dilation=drawn.dilation, groups=drawn.groups
    )
    y_scale = np.float32(x_scale * w_scale.max() * max(1, np.abs(acc).max()) / 200)
    mult, shift = golden.scale_to_mult_shift(golden.requantize_scale(x_scale, w_scale, y_scale))
    lo = 0 if rectify else -128
    got = golden.requantize(acc, mult, shift, bias=bias, lo=lo, hi=127)
    nodes = [
        node("DequantizeLinear", "x xs", "xf"),
        node("DequantizeLinear", "w ws", "wf", axis=0),
        node("DequantizeLinear", "b bs", "bf", axis=0),
        node("Conv", "xf wf bf", "c", group=drawn.groups, **drawn.attributes),
        node("Relu" if rectify else "Identity", "c", "r"),
        node("QuantizeLinear", "r ys yz", "y"),
    ]
    feeds = {"x": x, "xs": x_scale, "w": weights, "ws": w_scale, "b": bias, "bs": x_scale * w_scale}
    expected = run(nodes, np.int8, **feeds, ys=y_scale, yz=np.zeros((), np.int8))
    assert_within_one_step(got, expected)
