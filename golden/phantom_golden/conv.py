"""Exact integer convolution, NCHW: any kernel, stride, padding, dilation and groups (architecture §2)."""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ._validate import Int64Array, IntArray, int_array, integer, integers
from .exact import exact_dtype, product_bound

__all__ = ["conv1d", "conv2d", "conv_output_size"]

BAND_BYTES = 32 * 2**20
"""Memory one band of unfolded (im2col) input rows may take; it bounds the memory a large layer needs."""


def conv_output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return the number of output positions along one axis; `padding` is the sum of both ends.

    Raises
    ------
    ValueError
        If the dilated kernel does not fit the padded input.
    """
    extent = dilation * (kernel - 1) + 1
    if extent > size + padding:
        raise ValueError(f"dilated kernel must be at most the padded input of {size + padding}, not {extent}")
    return (size + padding - extent) // stride + 1


def check_groups(x: IntArray, weights: IntArray, groups: int) -> int:
    """Return `groups`; raise `ValueError` unless the channels of `x` and `weights` match it."""
    groups = integer("groups", groups, 1)
    if x.shape[1] % groups or weights.shape[0] % groups:
        raise ValueError(
            f"groups must divide the input channels {x.shape[1]} and the filters {weights.shape[0]}, not {groups}"
        )
    if weights.shape[1] != x.shape[1] // groups:
        raise ValueError(
            f"weights must have {x.shape[1] // groups} channels (input channels / groups), not {weights.shape[1]}"
        )
    return groups


def conv2d(
    x: IntArray,
    weights: IntArray,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Int64Array:
    """Convolve (correlate, as ONNX Conv does) integers exactly.

    Depthwise is ``groups=C``, pointwise a 1×1 kernel. The input is unfolded in bands of output rows, so the
    memory is bounded, and multiplied in floating point where that is provably exact.

    Parameters
    ----------
    x : integer array, shape (N, C, H, W)
        Activations, zero-point 0.
    weights : integer array, shape (K, C/groups, KH, KW)
    stride : (vertical, horizontal), at least 1
    padding : (top, left, bottom, right), at least 0
        The order of the ONNX attribute `pads`.
    dilation : (vertical, horizontal), at least 1
    groups : int
        Divides C and K.

    Returns
    -------
    int64 array, shape (N, K, OH, OW)
        Raw accumulators: neither bias nor requantization.

    Raises
    ------
    ValueError
        If a shape, dtype or parameter is illegal, or a sum may not fit int64.
    """
    x = int_array("x", x, 4)
    weights = int_array("weights", weights, 4)
    groups = check_groups(x, weights, groups)
    sv, sh = integers("stride", stride, 2, 1)
    top, left, bottom, right = integers("padding", padding, 4, 0)
    dv, dh = integers("dilation", dilation, 2, 1)
    images, channels, height, width = x.shape
    filters, _, kh, kw = weights.shape
    oh = conv_output_size(height, kh, sv, top + bottom, dv)
    ow = conv_output_size(width, kw, sh, left + right, dh)

    dtype = exact_dtype(product_bound(x, weights))
    matrix = weights.reshape(groups, filters // groups, -1).astype(dtype)
    band = max(1, BAND_BYTES // (channels * kh * kw * ow * matrix.itemsize))
    out = np.empty((images, filters, oh, ow), np.int64)
    padded = np.zeros((channels, height + top + bottom, width + left + right), dtype)
    for image in range(images):
        padded[:, top : top + height, left : left + width] = x[image]
        sc, sy, sx = padded.strides
        windows = as_strided(
            padded,
            (channels, kh, kw, oh, ow),
            (sc, dv * sy, dh * sx, sv * sy, sh * sx),
            writeable=False,
        )
        for row in range(0, oh, band):
            rows = min(band, oh - row)
            columns = windows[:, :, :, row : row + rows].reshape(groups, -1, rows * ow)
            out[image, :, row : row + rows] = np.matmul(matrix, columns).reshape(filters, rows, ow)
    return out


def conv1d(
    x: IntArray,
    weights: IntArray,
    *,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    dilation: int = 1,
    groups: int = 1,
) -> Int64Array:
    """Convolve along one axis: `conv2d` on inputs of height 1.

    Parameters
    ----------
    x : integer array, shape (N, C, L)
    weights : integer array, shape (K, C/groups, KL)
    stride, dilation : int, at least 1
    padding : (begin, end), at least 0
    groups : int
        Divides C and K.

    Returns
    -------
    int64 array, shape (N, K, OL)
        Raw accumulators.

    Raises
    ------
    ValueError
        If a shape, dtype or parameter is illegal, or a sum may not fit int64.
    """
    x = int_array("x", x, 3)
    weights = int_array("weights", weights, 3)
    begin, end = integers("padding", padding, 2, 0)
    acc = conv2d(
        x[:, :, None],
        weights[:, :, None],
        stride=(1, integer("stride", stride, 1)),
        padding=(0, begin, 0, end),
        dilation=(1, integer("dilation", dilation, 1)),
        groups=groups,
    )
    return acc[:, :, 0]
