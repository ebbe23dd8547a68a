"""Add, ReLU and clamp against quantize-dequantize graphs in ONNX Runtime."""

from fractions import Fraction

import numpy as np
import phantom_golden as golden
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_reference import S8, U8, node, random_integers, run

SCALES = st.floats(2.0**-12, 2.0**4, width=32)
DTYPES = st.sampled_from([U8, S8, np.dtype(np.int16)])


def qdq_add(a, b, scales, dtype):
    nodes = [
        node("DequantizeLinear", "a as", "af"),
        node("DequantizeLinear", "b bs", "bf"),
        node("Add", "af bf", "sum"),
        node("QuantizeLinear", "sum ys yz", "y"),
    ]
    feeds = {"a": a, "b": b, "as": np.float32(scales[0]), "bs": np.float32(scales[1])}
    return run(nodes, dtype, **feeds, ys=np.float32(scales[2]), yz=np.zeros((), dtype))


@given(SCALES, SCALES, st.floats(0.25, 4, width=32), DTYPES, DTYPES, DTYPES, st.integers(0, 2**32))
def test_add_equals_qdq_graph(scale_a, scale_b, reach, dtype_a, dtype_b, dtype, seed):
    rng = np.random.default_rng(seed)
    shape = (2, 3, 8, 9)
    a, b = random_integers(rng, shape, dtype_a), random_integers(rng, shape, dtype_b)
    peak = scale_a * np.iinfo(dtype_a).max + scale_b * np.iinfo(dtype_b).max
    scale_out = np.float32(peak / np.iinfo(dtype).max * reach)
    limits = np.iinfo(dtype)
    multipliers = golden.add_multipliers(scale_a, scale_b, scale_out)
    got = golden.quantized_add(a, b, *multipliers, lo=limits.min, hi=limits.max)
    difference = np.abs(got - qdq_add(a, b, (scale_a, scale_b, scale_out), dtype).astype(np.int64))
    assert difference.max() <= 1
    # scales in the ratio of small integers make exact ties, which float32 breaks either way
    assert np.count_nonzero(difference) <= 1 + 5e-2 * difference.size


def test_add_of_equal_scales_is_exact():
    a, b = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    multipliers = golden.add_multipliers(0.5, 0.5, 1.0)
    got = golden.quantized_add(a, b, *multipliers, lo=-128, hi=127)
    np.testing.assert_array_equal(got, np.clip(np.rint((a + b) / 2), -128, 127))
    np.testing.assert_array_equal(got, qdq_add(a.astype(np.int8), b.astype(np.int8), (0.5, 0.5, 1), np.int8))


@given(SCALES, SCALES, SCALES)
def test_multipliers_keep_the_larger_mantissa(scale_a, scale_b, scale_out):
    mult_a, mult_b, shift = golden.add_multipliers(scale_a, scale_b, scale_out)
    ratios = [np.float32(s) / np.float32(scale_out) for s in (scale_a, scale_b)]
    larger = int(np.argmax(ratios))
    assert Fraction((mult_a, mult_b)[larger], 2**shift) == Fraction(float(ratios[larger]))
    error = abs(Fraction((mult_a, mult_b)[1 - larger]) - Fraction(float(ratios[1 - larger])) * 2**shift)
    assert error <= Fraction(1, 2)


@given(st.integers(0, 2**24 - 1), st.integers(0, 2**24 - 1), st.integers(0, 63), st.integers(0, 2**32))
def test_add_is_the_exact_rational(mult_a, mult_b, shift, seed):
    rng = np.random.default_rng(seed)
    a, b = random_integers(rng, (20,), np.int32), random_integers(rng, (20,), np.int32)
    got = golden.quantized_add(a, b, mult_a, mult_b, shift, lo=-(2**31), hi=2**31 - 1)
    for p, q, y in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
        exact = round(Fraction(p * mult_a + q * mult_b, 2**shift))
        assert y == min(max(exact, -(2**31)), 2**31 - 1)


@pytest.mark.parametrize("scale_a, scale_b", [(1.0, 1e-30), (1e-30, 1.0), (1e-30, 1e-30)])
def test_vanishing_scale_adds_nothing(scale_a, scale_b):
    multipliers = golden.add_multipliers(scale_a, scale_b, 1.0)
    a = np.array([5, -7])
    got = golden.quantized_add(a, a, *multipliers, lo=-128, hi=127)
    assert got.tolist() == (a * (max(scale_a, scale_b) == 1)).tolist()


def test_relu_and_clamp_equal_onnx():
    x = np.arange(-128, 128, dtype=np.int8).reshape(4, 64)
    np.testing.assert_array_equal(golden.relu(x), run([node("Relu", "x", "y")], np.int8, x=x))
    limits = {"low": np.array(-5, np.int8), "high": np.array(6, np.int8)}
    np.testing.assert_array_equal(
        golden.clamp(x, -5, 6), run([node("Clip", "x low high", "y")], np.int8, x=x, **limits)
    )
