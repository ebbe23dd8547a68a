"""Pooling against ONNX Runtime."""

import numpy as np
import phantom_golden as golden
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx_reference import S8, U8, node, random_integers, run, windows


def draw_input(drawn, dtype):
    rng = np.random.default_rng(drawn.seed)
    return random_integers(rng, (drawn.images, drawn.channels, *drawn.size), dtype)


def geometry(drawn, ceil_mode):
    return {
        "stride": drawn.stride,
        "padding": drawn.padding,
        "dilation": drawn.dilation,
        "ceil_mode": ceil_mode,
    }


def covered(drawn, ceil_mode):
    """Skip windows that lie in the padding only: those have no quantized value."""
    try:
        golden.pool_counts(drawn.size, drawn.kernel, **geometry(drawn, ceil_mode))
    except ValueError as error:
        assert "every window" in str(error)
        return False
    return True


@given(windows(pad_within_kernel=True), st.sampled_from([U8, S8]), st.booleans())
def test_max_pool_equals_max_pool(drawn, dtype, ceil_mode):
    assume(covered(drawn, ceil_mode))
    x = draw_input(drawn, dtype)
    got = golden.max_pool2d(x, drawn.kernel, **geometry(drawn, ceil_mode))
    attributes = {"kernel_shape": drawn.kernel, "ceil_mode": int(ceil_mode), **drawn.attributes}
    np.testing.assert_array_equal(got, run([node("MaxPool", "x", "y", **attributes)], dtype, x=x))


@given(windows(pad_within_kernel=True), st.sampled_from([U8, S8]), st.booleans(), st.booleans())
def test_average_pool_equals_qdq_graph(drawn, dtype, ceil_mode, include_pad):
    assume(covered(drawn, ceil_mode))
    x = draw_input(drawn, dtype)
    rng = np.random.default_rng(drawn.seed)
    x_scale, y_scale = rng.uniform(0.01, 0.02, 2).astype(np.float32)
    limits = np.iinfo(dtype)
    got = golden.average_pool2d(
        x,
        drawn.kernel,
        scale=x_scale / y_scale,
        lo=limits.min,
        hi=limits.max,
        count_include_pad=include_pad,
        **geometry(drawn, ceil_mode),
    )
    attributes = {
        "kernel_shape": drawn.kernel,
        "ceil_mode": int(ceil_mode),
        "count_include_pad": int(include_pad),
        **drawn.attributes,
    }
    nodes = [
        node("DequantizeLinear", "x xs", "xf"),
        node("AveragePool", "xf", "a", **attributes),
        node("QuantizeLinear", "a ys yz", "y"),
    ]
    expected = run(nodes, dtype, x=x, xs=x_scale, ys=y_scale, yz=np.zeros((), dtype))
    difference = np.abs(got - expected.astype(np.int64))
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= 1 + 1e-2 * difference.size


@given(windows(pad_within_kernel=True), st.booleans(), st.booleans())
def test_sums_and_counts_equal_average_pool(drawn, ceil_mode, include_pad):
    """Without quantization, so that no rounding hides a wrong sum or count."""
    assume(covered(drawn, ceil_mode))
    x = draw_input(drawn, S8)
    sums = golden.sum_pool2d(x, drawn.kernel, **geometry(drawn, ceil_mode))
    counts = golden.pool_counts(drawn.size, drawn.kernel, count_include_pad=include_pad, **geometry(drawn, ceil_mode))
    attributes = {
        "kernel_shape": drawn.kernel,
        "ceil_mode": int(ceil_mode),
        "count_include_pad": int(include_pad),
        **drawn.attributes,
    }
    average = run([node("AveragePool", "x", "y", **attributes)], np.float32, x=x.astype(np.float32))
    np.testing.assert_allclose(sums / counts, average, rtol=1e-5, atol=1e-5)


@given(windows(), st.sampled_from([U8, S8]))
def test_global_average_pool_equals_qdq_graph(drawn, dtype):
    x = draw_input(drawn, dtype)
    x_scale, y_scale = np.random.default_rng(drawn.seed).uniform(0.01, 0.02, 2).astype(np.float32)
    limits = np.iinfo(dtype)
    got = golden.global_average_pool(x, scale=x_scale / y_scale, lo=limits.min, hi=limits.max)
    nodes = [
        node("DequantizeLinear", "x xs", "xf"),
        node("GlobalAveragePool", "xf", "a"),
        node("QuantizeLinear", "a ys yz", "y"),
    ]
    expected = run(nodes, dtype, x=x, xs=x_scale, ys=y_scale, yz=np.zeros((), dtype))
    assert got.shape == expected.shape == (*x.shape[:2], 1, 1)
    assert np.abs(got - expected.astype(np.int64)).max() <= 1


@pytest.mark.parametrize("kernel", [(2, 2), (4, 2), (1, 8)])
def test_average_of_a_power_of_two_is_exact(kernel):
    rng = np.random.default_rng(3)
    x = random_integers(rng, (1, 4, 16, 16), S8)
    got = golden.average_pool2d(x, kernel, stride=kernel, scale=1.0, lo=-128, hi=127)
    blocks = x.reshape(1, 4, 16 // kernel[0], kernel[0], 16 // kernel[1], kernel[1]).astype(np.int64)
    np.testing.assert_array_equal(got, np.rint(blocks.mean(axis=(3, 5))))
