"""The ONNX backend node tests that apply, on integer data.

A node test brings a model, inputs and outputs. Where its inputs are integers they are used as they are; where they are
random reals, the model is kept and ONNX Runtime computes what it gives on integers.
"""

from functools import cache

import numpy as np
import phantom_golden as golden
import pytest
from onnx import helper
from onnx.backend.test.case import node as backend
from onnx.backend.test.case.node import (  # noqa: F401  (importing a module registers its tests)
    averagepool,
    concat,
    conv,
    convinteger,
    convtranspose,
    globalaveragepool,
    matmulinteger,
    maxpool,
    qlinearconv,
    qlinearmatmul,
    relu,
    resize,
)
from onnx_reference import random_integers, run_model


@cache
def registered():
    return {case.name: case for case in backend._NodeTestCases}


def load(name):
    """Return the attributes, the present inputs by name, and the first output of a node test."""
    case = registered()[name]
    node = case.model.graph.node[0]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    inputs, outputs = case.data_sets[0]
    names = [value for value in node.input if value]
    return case.model, attributes, dict(zip(names, inputs, strict=True)), outputs[0]


def integral(array):
    """Return an integer copy; fail where the data are not integers."""
    result = np.asarray(array).astype(np.int64)
    np.testing.assert_array_equal(result, array)
    return result


def pads(attributes, size, kernel, stride, dilation):
    """Return (top, left, bottom, right), resolving `auto_pad`."""
    auto = attributes.get("auto_pad", b"NOTSET").decode()
    if not auto.startswith("SAME"):
        return tuple(attributes.get("pads", [0] * (2 * len(size))))
    total = [
        max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
    ]
    small, large = [n // 2 for n in total], [n - n // 2 for n in total]
    return tuple(large + small if auto == "SAME_LOWER" else small + large)


def window(attributes, size, kernel):
    stride = tuple(attributes.get("strides", [1] * len(size)))
    dilation = tuple(attributes.get("dilations", [1] * len(size)))
    padding = pads(attributes, size, kernel, stride, dilation)
    return {"stride": stride, "dilation": dilation, "padding": padding}


@pytest.mark.parametrize(
    "name",
    [
        "test_basic_conv_with_padding",
        "test_basic_conv_without_padding",
        "test_conv_with_strides_padding",
        "test_conv_with_strides_no_padding",
        "test_conv_with_strides_and_asymmetric_padding",
        "test_conv_with_autopad_same",
        "test_convinteger_without_padding",
        "test_convinteger_with_padding",
    ],
)
def test_conv(name):
    _, attributes, inputs, expected = load(name)
    x, weights, *zeros = map(integral, inputs.values())
    if zeros:
        x, weights = x - zeros[0], weights - (zeros[1].reshape(-1, 1, 1, 1) if len(zeros) > 1 else 0)
    acc = golden.conv2d(x, weights, **window(attributes, x.shape[2:], weights.shape[2:]))
    np.testing.assert_array_equal(acc, expected)


TRANSPOSED = {
    "test_convtranspose": {},
    "test_convtranspose_1d": {},
    "test_convtranspose_pad": {},
    "test_convtranspose_pads": {},
    "test_convtranspose_kernel_shape": {},
    "test_convtranspose_output_shape": {"padding": (0, 0, 0, 0), "output_padding": (1, 1)},
    "test_convtranspose_dilations": {},
    "test_convtranspose_autopad_same": {"padding": (0, 0, 1, 1)},
    "test_convtranspose_group_2": {},
    "test_convtranspose_group_2_image_3": {},
}
"""Test and what its attributes `output_shape` and `auto_pad` come to."""


@pytest.mark.parametrize("name, resolved", TRANSPOSED.items(), ids=TRANSPOSED)
def test_conv_transpose(name, resolved):
    _, attributes, inputs, expected = load(name)
    x, weights = map(integral, inputs.values())
    rank = x.ndim - 2
    settings = {
        "stride": tuple(attributes.get("strides", [1] * rank)),
        "dilation": tuple(attributes.get("dilations", [1] * rank)),
        "padding": tuple(attributes.get("pads", [0] * 2 * rank)),
        "output_padding": tuple(attributes.get("output_padding", [0] * rank)),
        **resolved,
    }
    groups = attributes.get("group", 1)
    if rank == 1:
        scalars = {key: value[0] for key, value in settings.items() if key != "padding"}
        acc = golden.transposed_conv1d(x, weights, padding=settings["padding"], groups=groups, **scalars)
    else:
        acc = golden.transposed_conv2d(x, weights, groups=groups, **settings)
    np.testing.assert_array_equal(acc, expected)


def test_matmul_integer():
    _, _, inputs, expected = load("test_matmulinteger")
    a, b, a_zero, b_zero = map(integral, inputs.values())
    np.testing.assert_array_equal(golden.matmul(a - a_zero, b - b_zero), expected)


def shifted(acc, scale, y_zero, dtype):
    """Requantize onto an output zero-point: the limits move by it, then the values."""
    limits = np.iinfo(dtype)
    zero = int(y_zero)
    mult, shift = golden.scale_to_mult_shift(scale)
    return golden.requantize(acc, mult, shift, lo=limits.min - zero, hi=limits.max - zero) + zero


def test_qlinear_conv():
    _, attributes, inputs, expected = load("test_qlinearconv")
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero = inputs.values()
    weights = integral(w) - integral(w_zero).reshape(-1, 1, 1, 1)
    acc = golden.conv2d(integral(x) - int(x_zero), weights, **window(attributes, x.shape[2:], w.shape[2:]))
    got = shifted(acc, golden.requantize_scale(x_scale, w_scale, y_scale), y_zero, expected.dtype)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("real", ["float32", "float16"])
@pytest.mark.parametrize("integer", ["uint8", "int8"])
@pytest.mark.parametrize("rank", ["2D", "3D"])
def test_qlinear_matmul(rank, integer, real):
    _, _, inputs, expected = load(f"test_qlinearmatmul_{rank}_{integer}_{real}")
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = inputs.values()
    acc = golden.matmul(integral(a) - integral(a_zero), integral(b) - integral(b_zero))
    scale = golden.requantize_scale(a_scale.item(), b_scale.item(), y_scale.item())
    np.testing.assert_array_equal(shifted(acc, scale, y_zero.item(), expected.dtype), expected)


MAX_POOLS = [
    "test_maxpool_1d_default",
    "test_maxpool_2d_ceil",
    "test_maxpool_2d_ceil_output_size_reduce_by_one",
    "test_maxpool_2d_default",
    "test_maxpool_2d_dilations",
    "test_maxpool_2d_pads",
    "test_maxpool_2d_precomputed_pads",
    "test_maxpool_2d_precomputed_same_upper",
    "test_maxpool_2d_precomputed_strides",
    "test_maxpool_2d_same_lower",
    "test_maxpool_2d_same_upper",
    "test_maxpool_2d_strides",
    "test_maxpool_2d_uint8",
]
AVERAGE_POOLS = [
    "test_averagepool_1d_default",
    "test_averagepool_2d_ceil",
    "test_averagepool_2d_ceil_last_window_starts_on_pad",
    "test_averagepool_2d_default",
    "test_averagepool_2d_dilations",
    "test_averagepool_2d_pads",
    "test_averagepool_2d_pads_count_include_pad",
    "test_averagepool_2d_precomputed_pads",
    "test_averagepool_2d_precomputed_pads_count_include_pad",
    "test_averagepool_2d_precomputed_same_upper",
    "test_averagepool_2d_precomputed_strides",
    "test_averagepool_2d_same_lower",
    "test_averagepool_2d_same_upper",
    "test_averagepool_2d_strides",
]


def pool_case(name):
    """Return integer inputs (N, C, H, W), the pool's parameters and the expected output of the same rank."""
    model, attributes, inputs, expected = load(name)
    ((key, x),) = inputs.items()
    if np.any(x != np.rint(x)):
        x = random_integers(np.random.default_rng(0), x.shape, np.int8).astype(x.dtype)
        expected = run_model(model, {key: x})[0]
    size = x.shape[2:]
    kernel = tuple(attributes["kernel_shape"])
    settings = window(attributes, size, kernel)
    if len(size) == 1:
        x, expected, kernel = x[:, :, None], expected[:, :, None], (1, *kernel)
        settings = {
            "stride": (1, *settings["stride"]),
            "dilation": (1, *settings["dilation"]),
            "padding": (0, settings["padding"][0], 0, settings["padding"][1]),
        }
    settings["ceil_mode"] = bool(attributes.get("ceil_mode", 0))
    return integral(x), kernel, settings, bool(attributes.get("count_include_pad", 0)), expected


@pytest.mark.parametrize("name", MAX_POOLS)
def test_max_pool(name):
    x, kernel, settings, _, expected = pool_case(name)
    np.testing.assert_array_equal(golden.max_pool2d(x, kernel, **settings), expected)


@pytest.mark.parametrize("name", AVERAGE_POOLS)
def test_average_pool(name):
    x, kernel, settings, include_pad, expected = pool_case(name)
    sums = golden.sum_pool2d(x, kernel, **settings)
    counts = golden.pool_counts(x.shape[2:], kernel, count_include_pad=include_pad, **settings)
    assert sums.shape == expected.shape
    np.testing.assert_allclose(sums / counts, expected, rtol=1e-5, atol=1e-5)


def test_global_average_pool():
    _, _, inputs, expected = load("test_globalaveragepool_precomputed")
    ((_, x),) = inputs.items()
    got = golden.global_average_pool(integral(x), scale=1.0, lo=-128, hi=127)
    np.testing.assert_array_equal(got, np.rint(expected))


@pytest.mark.parametrize("name", ["scales_nearest", "scales_nearest_axes_2_3", "scales_nearest_axes_3_2"])
def test_resize(name):
    _, _, inputs, expected = load(f"test_resize_upsample_{name}")
    x, _ = inputs.values()
    factor = (expected.shape[2] // x.shape[2], expected.shape[3] // x.shape[3])
    np.testing.assert_array_equal(golden.upsample_nearest(integral(x), factor), expected)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_concat(rank):
    for axis in range(-rank, rank):
        label = f"negative_{-axis}" if axis < 0 else str(axis)
        name = f"test_concat_{rank}d_axis_{label}"
        _, _, inputs, expected = load(name)
        tensors = [integral(x) for x in inputs.values()]
        np.testing.assert_array_equal(golden.concat(tensors, axis), expected)


def test_relu():
    model, _, inputs, _ = load("test_relu")
    ((key, x),) = inputs.items()
    x = random_integers(np.random.default_rng(0), x.shape, np.int8)
    np.testing.assert_array_equal(golden.relu(x), run_model(model, {key: x.astype(np.float32)})[0])
