"""Quantization against ONNX QuantizeLinear; scales, bias and pruning against their definitions."""

import numpy as np
import phantom_golden as golden
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx_reference import node, run

DTYPES = {(8, True): np.int8, (8, False): np.uint8, (16, True): np.int16, (16, False): np.uint16}
SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("width, signed", DTYPES)
@given(st.floats(2.0**-10, 2.0**4, width=32), SEEDS)
def test_quantize_equals_quantize_linear(width, signed, scale, seed):
    x = np.random.default_rng(seed).normal(0, scale * 2 ** (width - 2), (4, 50)).astype(np.float32)
    x[0, :8] = np.float32(scale) * np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1e9, -1e9, 0])
    dtype = DTYPES[width, signed]
    q = golden.quantize(x, scale, width, signed=signed)
    feeds = {"s": np.float32(scale), "z": np.zeros((), dtype)}
    np.testing.assert_array_equal(q, run([node("QuantizeLinear", "x s z", "y")], dtype, x=x, **feeds))
    back = run([node("DequantizeLinear", "x s", "y")], np.float32, x=q.astype(dtype), s=np.float32(scale))
    np.testing.assert_array_equal(golden.dequantize(q, scale), back)


@pytest.mark.parametrize("width", golden.WIDTHS)
@given(SEEDS)
def test_weights_fill_their_range(width, seed):
    weights = np.random.default_rng(seed).normal(0, 0.3, (5, 4, 3, 3)).astype(np.float32)
    weights[2] = 0
    scales = golden.weight_scales(weights, width)
    assert scales.dtype == np.float32 and scales[2] == 1
    q = golden.quantize(weights, scales, width, narrow=True, axis=0)
    lo, hi = golden.integer_range(width, narrow=True)
    peaks = np.abs(q).reshape(5, -1).max(axis=1)
    assert q.min() >= lo and peaks.tolist() == [hi, hi, 0, hi, hi]
    back = golden.dequantize(q, scales, axis=0)
    assert np.all(np.abs(back - weights) <= scales.reshape(-1, 1, 1, 1) * 0.51)
    assert not back[weights == 0].any()


@pytest.mark.parametrize(
    "width, signed, narrow, limits",
    [(4, True, False, (-8, 7)), (8, True, True, (-127, 127)), (16, False, False, (0, 65535))],
)
def test_integer_range(width, signed, narrow, limits):
    assert golden.integer_range(width, signed=signed, narrow=narrow) == limits


def test_activation_scale():
    assert golden.activation_scale(0.0, 25.5, 8, signed=False) == np.float32(0.1)
    assert golden.activation_scale(-12.7, 3, 8, signed=True) == np.float32(12.7 / 127)
    assert golden.activation_scale(0, 0, 4, signed=False) == 1


@given(st.floats(2.0**-10, 1, width=32), SEEDS)
def test_minimum_weight_scale_makes_every_bias_fit(act_scale, seed):
    rng = np.random.default_rng(seed)
    bias = rng.normal(0, 10, 64).astype(np.float32)
    minimum = golden.minimum_weight_scale(bias, act_scale)
    dead = golden.weight_scales(np.full((64, 3), 1e-25, np.float32), 8, minimum=minimum)
    steps = golden.quantize_bias(bias, act_scale, dead)
    assert np.abs(steps).max() < 2**31
    with pytest.raises(ValueError, match="bias must fit"):
        golden.quantize_bias(bias, act_scale, dead / 2)


def test_quantize_bias_rounds_half_to_even():
    assert golden.quantize_bias(np.array([0.5, 1.5, -2.5]), 0.5, np.array([2.0, 2.0, 2.0])).tolist() == [0, 2, -2]


@given(
    arrays.arrays(np.int8, arrays.array_shapes(max_dims=4, max_side=6)),
    st.floats(0, 1),
    st.sampled_from([np.int8, np.float32]),
)
def test_prune_keeps_the_largest(weights, density, dtype):
    """Against a full stable sort."""
    weights = weights.astype(dtype)
    keep = round(density * weights.size)
    order = sorted(range(weights.size), key=lambda i: (-abs(int(weights.flat[i])), i))
    expected = np.zeros(weights.size, dtype)
    for i in order[:keep]:
        expected[i] = weights.flat[i]
    pruned = golden.magnitude_prune(weights, density)
    assert pruned.dtype == weights.dtype
    np.testing.assert_array_equal(pruned, expected.reshape(weights.shape))


@pytest.mark.parametrize("density", [0.0, 0.1, 0.23, 0.5, 1.0])
def test_prune_density_is_exact(density):
    weights = np.random.default_rng(5).normal(size=(64, 32, 3, 3)).astype(np.float32)
    assert np.count_nonzero(golden.magnitude_prune(weights, density)) == round(density * weights.size)
