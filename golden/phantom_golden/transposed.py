"""Exact integer transposed convolution, and its lowering to a convolution (architecture §2).

`transposed_conv2d` scatters every input value into the output, as the operator is defined. The accelerator
has no scatter: the compiler rewrites the layer as an ordinary convolution,

    stuffed = zero_stuff(x, stride, transposed_padding(kernel, ...))
    conv2d(stuffed, flip_weights(weights, groups), dilation=dilation, groups=groups)

which is equal value for value. The stuffed zeros are zeros like any other and are skipped by the sparse mask.
"""

import numpy as np

from ._validate import Int64Array, IntArray, int_array, integer, integers
from .exact import exact_dtype, product_bound

__all__ = ["flip_weights", "transposed_conv1d", "transposed_conv2d", "transposed_padding", "zero_stuff"]


def _check_output_padding(
    output_padding: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    values = integers("output_padding", output_padding, len(stride), 0)
    for value, s, d in zip(values, stride, dilation, strict=True):
        if value >= max(s, d):
            raise ValueError(f"output_padding must be below the larger of stride {s} and dilation {d}, not {value}")
    return values


def transposed_conv2d(
    x: IntArray,
    weights: IntArray,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    output_padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Int64Array:
    """Scatter integers exactly: ``out[s·y + d·i - top] += w[i] · x[y]`` (ONNX ConvTranspose).

    Parameters
    ----------
    x : integer array, shape (N, C, H, W)
    weights : integer array, shape (C, K/groups, KH, KW)
        The layout of ONNX ConvTranspose.
    stride : (vertical, horizontal), at least 1
    padding : (top, left, bottom, right), at least 0
        Positions cut off the output, the ONNX attribute `pads`.
    output_padding : (vertical, horizontal)
        Positions appended at the bottom and the right, below the larger of stride and dilation.
    dilation : (vertical, horizontal), at least 1
    groups : int
        Divides C.

    Returns
    -------
    int64 array, shape (N, K, OH, OW)
        Raw accumulators; ``OH = stride·(H-1) + dilation·(KH-1) + 1 + output_padding - top - bottom``.

    Raises
    ------
    ValueError
        If a shape, dtype or parameter is illegal, or a sum may not fit int64.
    """
    x = int_array("x", x, 4)
    weights = int_array("weights", weights, 4)
    flipped = flip_weights(weights, groups)
    if weights.shape[0] != x.shape[1]:
        raise ValueError(f"weights must have {x.shape[1]} input channels on axis 0, not shape {weights.shape}")
    sv, sh = integers("stride", stride, 2, 1)
    top, left, bottom, right = integers("padding", padding, 4, 0)
    dv, dh = integers("dilation", dilation, 2, 1)
    ov, ohz = _check_output_padding(output_padding, (sv, sh), (dv, dh))
    images, channels, height, width = x.shape
    _, group_filters, kh, kw = weights.shape
    filters = group_filters * groups
    full_h = sv * (height - 1) + dv * (kh - 1) + 1 + ov
    full_w = sh * (width - 1) + dh * (kw - 1) + 1 + ohz
    if full_h <= top + bottom or full_w <= left + right:
        raise ValueError(f"padding must leave a part of the {full_h}x{full_w} output, not {padding!r}")

    dtype = exact_dtype(product_bound(x, flipped))
    full = np.zeros((images, filters, full_h, full_w), np.int64)
    moving = x.reshape(images, groups, channels // groups, height * width).astype(dtype)
    taps = weights.reshape(groups, channels // groups, group_filters, kh, kw).astype(dtype)
    for i in range(kh):
        for j in range(kw):
            matrix = np.swapaxes(taps[..., i, j], 1, 2)
            product = np.matmul(matrix, moving).reshape(images, filters, height, width)
            rows = slice(dv * i, dv * i + sv * (height - 1) + 1, sv)
            columns = slice(dh * j, dh * j + sh * (width - 1) + 1, sh)
            full[:, :, rows, columns] += product.astype(np.int64)
    return np.ascontiguousarray(full[:, :, top : full_h - bottom, left : full_w - right])


def transposed_conv1d(
    x: IntArray,
    weights: IntArray,
    *,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Int64Array:
    """Transposed convolution along one axis: `transposed_conv2d` on inputs of height 1.

    Parameters
    ----------
    x : integer array, shape (N, C, L)
    weights : integer array, shape (C, K/groups, KL)
    stride, dilation : int, at least 1
    padding : (begin, end), at least 0
    output_padding : int
        Below the larger of stride and dilation.
    groups : int
        Divides C.

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
    acc = transposed_conv2d(
        x[:, :, None],
        weights[:, :, None],
        stride=(1, integer("stride", stride, 1)),
        padding=(0, begin, 0, end),
        output_padding=(0, integer("output_padding", output_padding, 0)),
        dilation=(1, integer("dilation", dilation, 1)),
        groups=groups,
    )
    return acc[:, :, 0]


def flip_weights(weights: IntArray, groups: int = 1) -> IntArray:
    """Turn the weights of a transposed convolution into those of the convolution that equals it.

    Parameters
    ----------
    weights : integer array, shape (C, K/groups, ...)
    groups : int
        Divides C.

    Returns
    -------
    array of the same dtype, shape (K, C/groups, ...)
        Input and output channels swapped within each group, every spatial axis reversed.

    Raises
    ------
    ValueError
        If the shape or dtype is illegal or `groups` does not divide the input channels.
    """
    weights = int_array("weights", weights, 3, 4)
    groups = integer("groups", groups, 1)
    channels, group_filters, *kernel = weights.shape
    if channels % groups:
        raise ValueError(f"groups must divide the input channels {channels}, not {groups}")
    split = weights.reshape(groups, channels // groups, group_filters, *kernel).swapaxes(1, 2)
    merged = split.reshape(groups * group_filters, channels // groups, *kernel)
    return np.ascontiguousarray(np.flip(merged, axis=tuple(range(2, merged.ndim))))


def transposed_padding(
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    output_padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int, int, int]:
    """Return the padding (top, left, bottom, right) that the lowered convolution gives the stuffed input.

    Parameters
    ----------
    kernel : (vertical, horizontal), at least 1
    stride, padding, output_padding, dilation
        As of `transposed_conv2d`.

    Returns
    -------
    tuple of 4 int
        ``dilation·(kernel-1) - padding`` (+ output_padding at the far ends); negative where the transposed
        convolution cuts off more than the kernel reaches: the stuffed input is cropped there.

    Raises
    ------
    ValueError
        If a parameter is illegal.
    """
    kh, kw = integers("kernel", kernel, 2, 1)
    steps = integers("stride", stride, 2, 1)
    top, left, bottom, right = integers("padding", padding, 4, 0)
    dv, dh = integers("dilation", dilation, 2, 1)
    ov, oh = _check_output_padding(output_padding, steps, (dv, dh))
    reach_v, reach_h = dv * (kh - 1), dh * (kw - 1)
    return reach_v - top, reach_h - left, reach_v - bottom + ov, reach_h - right + oh


def zero_stuff(x: IntArray, stride: tuple[int, int], padding: tuple[int, int, int, int] = (0, 0, 0, 0)) -> IntArray:
    """Insert ``stride - 1`` zeros between the positions of `x`, then pad (or crop, where negative).

    Parameters
    ----------
    x : integer array, shape (N, C, H, W)
    stride : (vertical, horizontal), at least 1
    padding : (top, left, bottom, right), any sign
        See `transposed_padding`.

    Returns
    -------
    array of the same dtype, shape (N, C, stride·(H-1) + 1 + top + bottom, stride·(W-1) + 1 + left + right)

    Raises
    ------
    ValueError
        If a shape, dtype or parameter is illegal or nothing is left of the input.
    """
    x = int_array("x", x, 4)
    sv, sh = integers("stride", stride, 2, 1)
    top, left, bottom, right = integers("padding", padding, 4, -(2**31))
    images, channels, height, width = x.shape
    full_h, full_w = sv * (height - 1) + 1, sh * (width - 1) + 1
    out_h, out_w = full_h + top + bottom, full_w + left + right
    if out_h < 1 or out_w < 1:
        raise ValueError(f"padding must leave a part of the {full_h}x{full_w} stuffed input, not {padding!r}")
    grow = (max(top, 0), max(left, 0), max(bottom, 0), max(right, 0))
    out = np.zeros((images, channels, full_h + grow[0] + grow[2], full_w + grow[1] + grow[3]), x.dtype)
    out[:, :, grow[0] : grow[0] + full_h : sv, grow[1] : grow[1] + full_w : sh] = x
    cut_top, cut_left = grow[0] - top, grow[1] - left
    return np.ascontiguousarray(out[:, :, cut_top : cut_top + out_h, cut_left : cut_left + out_w])
