"""Nearest upsampling and concatenation (architecture §2)."""

from collections.abc import Sequence

import numpy as np

from ._validate import Int64Array, IntArray, int_array, integer, integers
from .requantize import requantize, scale_to_mult_shift

__all__ = ["concat", "quantized_concat", "upsample_nearest"]


def upsample_nearest(x: IntArray, factor: tuple[int, int]) -> Int64Array:
    """Repeat every position `factor` times: ONNX Resize, mode nearest, integer scales, asymmetric and floor.

    Parameters
    ----------
    x : integer array, shape (N, C, H, W)
    factor : (vertical, horizontal), at least 1

    Returns
    -------
    int64 array, shape (N, C, H·vertical, W·horizontal)

    Raises
    ------
    ValueError
        If the shape, dtype or factor is illegal.
    """
    x = int_array("x", x, 4)
    vertical, horizontal = integers("factor", factor, 2, 1)
    return x.astype(np.int64).repeat(vertical, axis=2).repeat(horizontal, axis=3)


def concat(tensors: Sequence[IntArray], axis: int = 1) -> Int64Array:
    """Concatenate tensors of one scale; nothing is rounded.

    Parameters
    ----------
    tensors : sequence of integer arrays
        Equal shapes but for `axis`.
    axis : int

    Returns
    -------
    int64 array

    Raises
    ------
    ValueError
        If there is no tensor, a dtype is not an integer type, or the shapes do not match.
    """
    if not tensors:
        raise ValueError("tensors must hold at least 1 array, not 0")
    arrays = [int_array(f"tensors[{i}]", t) for i, t in enumerate(tensors)]
    axis = integer("axis", axis, -arrays[0].ndim, arrays[0].ndim - 1) % arrays[0].ndim
    shapes = [a.shape for a in arrays]
    if len({(*s[:axis], *s[axis + 1 :], len(s)) for s in shapes}) != 1:
        raise ValueError(f"tensors must have equal shapes but for axis {axis}, not {shapes}")
    return np.concatenate([a.astype(np.int64) for a in arrays], axis=axis)


def quantized_concat(
    tensors: Sequence[IntArray], scales: Sequence[float], scale_out: float, *, lo: int, hi: int, axis: int = 1
) -> Int64Array:
    """Concatenate tensors of different scales: requantize each to the scale of the result.

    Parameters
    ----------
    tensors : sequence of integer arrays
        Equal shapes but for `axis`.
    scales : sequence of float, positive
        One per tensor; the multiplier is the mantissa of ``float32(scale / scale_out)``, so equal scales
        change nothing.
    scale_out : float, positive
    lo, hi : int
        Legal range of the result, ``lo <= hi``.
    axis : int

    Returns
    -------
    int64 array

    Raises
    ------
    ValueError
        If a shape, dtype, scale or range is illegal.
    """
    if len(tensors) != len(scales):
        raise ValueError(f"scales must hold one value per tensor ({len(tensors)}), not {len(scales)}")
    if not (np.isfinite(np.float32(scale_out)) and np.float32(scale_out) > 0):
        raise ValueError(f"scale_out must be positive and finite, not {scale_out!r}")
    parts = []
    for tensor, scale in zip(tensors, scales, strict=True):
        mult, shift = scale_to_mult_shift(np.float32(scale) / np.float32(scale_out))
        parts.append(requantize(tensor, mult, shift, lo=lo, hi=hi))
    return concat(parts, axis)
