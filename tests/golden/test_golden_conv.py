"""Convolution against ONNX Runtime ConvInteger, and against SciPy for wider integers."""

import numpy as np
import phantom_golden as golden
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_reference import S8, U8, Window, node, random_integers, run, unsigned, windows
from phantom_golden import conv
from scipy.signal import correlate2d


def conv_integer(x: np.ndarray, weights: np.ndarray, drawn: Window) -> np.ndarray:
    (x, x_zero), (weights, weight_zero) = unsigned(x), unsigned(weights)
    return run(
        [node("ConvInteger", "x w xz wz", "y", group=drawn.groups, **drawn.attributes)],
        np.int32,
        x=x,
        w=weights,
        xz=np.array(x_zero, np.uint8),
        wz=np.array(weight_zero, np.uint8),
    )


@given(windows(), st.sampled_from([U8, S8]))
def test_conv2d_equals_conv_integer(drawn, dtype):
    rng = np.random.default_rng(drawn.seed)
    x = random_integers(rng, (drawn.images, drawn.channels, *drawn.size), dtype)
    weights = random_integers(rng, (drawn.filters, drawn.group_channels, *drawn.kernel), S8)
    acc = golden.conv2d(
        x, weights, stride=drawn.stride, padding=drawn.padding, dilation=drawn.dilation, groups=drawn.groups
    )
    assert acc.dtype == np.int64
    np.testing.assert_array_equal(acc, conv_integer(x, weights, drawn))


@given(windows(rank=1), st.sampled_from([U8, S8]))
def test_conv1d_equals_conv_integer(drawn, dtype):
    rng = np.random.default_rng(drawn.seed)
    x = random_integers(rng, (drawn.images, drawn.channels, *drawn.size), dtype)
    weights = random_integers(rng, (drawn.filters, drawn.group_channels, *drawn.kernel), S8)
    acc = golden.conv1d(
        x,
        weights,
        stride=drawn.stride[0],
        padding=drawn.padding,
        dilation=drawn.dilation[0],
        groups=drawn.groups,
    )
    np.testing.assert_array_equal(acc, conv_integer(x, weights, drawn))


@given(windows(), st.sampled_from([np.int16, np.uint16, np.int32]))
def test_wide_values_equal_scipy(drawn, dtype):
    """int16 takes the float64 path, int32 times int32 the int64 path."""
    rng = np.random.default_rng(drawn.seed)
    x = random_integers(rng, (1, drawn.channels, *drawn.size), dtype)
    wide = np.int32 if dtype is np.int32 else np.int16
    weights = random_integers(rng, (drawn.filters, drawn.group_channels, *drawn.kernel), wide)
    weights >>= 9 if wide is np.int32 else 0  # int64 must hold the sums
    acc = golden.conv2d(
        x, weights, stride=drawn.stride, padding=drawn.padding, dilation=drawn.dilation, groups=drawn.groups
    )
    top, left, bottom, right = drawn.padding
    padded = np.pad(x[0].astype(np.int64), ((0, 0), (top, bottom), (left, right)))
    kh, kw = (d * (k - 1) + 1 for d, k in zip(drawn.dilation, drawn.kernel, strict=True))
    for k in range(drawn.filters):
        first = k // drawn.group_filters * drawn.group_channels
        total = 0
        for c in range(drawn.group_channels):
            kernel = np.zeros((kh, kw), np.int64)
            kernel[:: drawn.dilation[0], :: drawn.dilation[1]] = weights[k, c]
            total = total + correlate2d(padded[first + c], kernel, "valid")
        np.testing.assert_array_equal(acc[0, k], total[:: drawn.stride[0], :: drawn.stride[1]])


@pytest.mark.parametrize("groups", [1, 6])
def test_bands_change_nothing(monkeypatch, groups):
    rng = np.random.default_rng(1)
    x = random_integers(rng, (2, 6, 23, 17), U8)
    weights = random_integers(rng, (12, 6 // groups, 3, 5), S8)
    settings = {"stride": (2, 1), "padding": (1, 2, 0, 2), "groups": groups}
    whole = golden.conv2d(x, weights, **settings)
    monkeypatch.setattr(conv, "BAND_BYTES", 1)
    np.testing.assert_array_equal(golden.conv2d(x, weights, **settings), whole)


@pytest.mark.parametrize("bound, dtype", [(2**24, "float32"), (2**24 + 1, "float64"), (2**53 + 1, "int64")])
def test_dtype_is_exact_at_its_bound(bound, dtype):
    from phantom_golden.exact import exact_dtype

    assert exact_dtype(bound) == np.dtype(dtype)
    assert int(np.array(bound).astype(dtype)) == bound
    with pytest.raises(ValueError, match=r"below 2\^63"):
        exact_dtype(2**63)


def test_extreme_sums_are_exact():
    """One product above 2^53 and an odd remainder that float64 would lose."""
    x = np.array([2**31 - 1, 1], np.int64).reshape(1, 2, 1, 1)
    weights = np.array([2**31 - 1, 1], np.int64).reshape(1, 2, 1, 1)
    assert golden.conv2d(x, weights).item() == (2**31 - 1) ** 2 + 1
