"""Symmetric quantization with zero-point 0, and magnitude pruning (architecture §2)."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._validate import Int64Array, choice, integer

__all__ = [
    "WIDTHS",
    "activation_scale",
    "dequantize",
    "integer_range",
    "magnitude_prune",
    "minimum_weight_scale",
    "quantize",
    "quantize_bias",
    "weight_scales",
]

WIDTHS = (4, 8, 16)
"""Legal widths of activations and weights, in bits."""

FloatArray = NDArray[np.floating[Any]]


def integer_range(width: int, *, signed: bool = True, narrow: bool = False) -> tuple[int, int]:
    """Return the smallest and the largest integer of a width.

    Parameters
    ----------
    width : int
        4, 8 or 16.
    signed : bool
    narrow : bool
        Drop the most negative value of a signed width (-127..127), so that the range is symmetric.

    Returns
    -------
    (lo, hi) : int

    Raises
    ------
    ValueError
        If `width` is illegal.
    """
    width = choice("width", width, WIDTHS)
    if not signed:
        return 0, 2**width - 1
    return -(2 ** (width - 1)) + bool(narrow), 2 ** (width - 1) - 1


def _real(name: str, value: ArrayLike) -> FloatArray:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or array.size == 0:
        raise ValueError(f"{name} must be a non-empty real array, not {array.dtype} of shape {array.shape}")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, it holds {array[~np.isfinite(array)].flat[0]!r}")
    return array.astype(np.float32) if array.dtype.kind in "iu" else array


def weight_scales(weights: ArrayLike, width: int, *, minimum: ArrayLike = 0.0) -> NDArray[np.float32]:
    """Return one min-max scale per output channel: ``max|weights[k]| / (2^(width-1) - 1)``.

    Parameters
    ----------
    weights : real array, shape (K, ...)
    width : int
        4, 8 or 16; the weights use the narrow range.
    minimum : scalar or shape (K,)
        Smallest scale allowed (see `minimum_weight_scale`). A channel of zeros with minimum 0 gets scale 1.

    Returns
    -------
    float32 array, shape (K,)
        Positive.

    Raises
    ------
    ValueError
        If the width is illegal or a weight is not finite.
    """
    array = _real("weights", weights)
    if array.ndim < 1:
        raise ValueError(f"weights must have at least 1 dimension, not shape {array.shape}")
    _, hi = integer_range(width)
    peak = np.abs(array.reshape(array.shape[0], -1)).max(axis=1)
    scales = np.maximum((peak / hi).astype(np.float32), np.asarray(minimum, np.float32))
    return np.where(scales > 0, scales, np.float32(1)).astype(np.float32)


def minimum_weight_scale(bias: ArrayLike, act_scale: float) -> NDArray[np.float32]:
    """Return the smallest weight scale per channel with which `bias` still fits int32.

    A channel whose weights are all but dead has a tiny min-max scale; its bias in steps of
    ``act_scale * weight_scale`` would leave int32.

    Parameters
    ----------
    bias : real array, shape (K,)
    act_scale : float, positive

    Returns
    -------
    float32 array, shape (K,)

    Raises
    ------
    ValueError
        If the scale is not positive or a bias is not finite.
    """
    value = _real("bias", bias)
    step = _positive("act_scale", act_scale)
    margin = 1 + 2.0**-20  # covers the float32 roundings of the scale and of the product
    return (np.abs(value) * margin / (float(step) * np.iinfo(np.int32).max)).astype(np.float32)


def activation_scale(low: float, high: float, width: int, *, signed: bool) -> np.float32:
    """Return the min-max scale of an activation tensor with zero-point 0.

    Parameters
    ----------
    low, high : float
        Range of the calibrated values; zero is always in it.
    width : int
        4, 8 or 16.
    signed : bool
        Unsigned tensors take no negative value.

    Returns
    -------
    float32
        Positive; 1 for a tensor of zeros.

    Raises
    ------
    ValueError
        If ``low > high``, a limit is not finite, or `low` is negative for an unsigned tensor.
    """
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ValueError(f"low and high must be finite with low <= high, not {low!r} and {high!r}")
    if not signed and low < 0:
        raise ValueError(f"low must be at least 0 for an unsigned tensor, not {low!r}")
    _, hi = integer_range(width, signed=signed)
    scale = np.float32(max(abs(low), abs(high)) / hi)
    return scale if scale > 0 else np.float32(1)


def _positive(name: str, scale: ArrayLike) -> NDArray[np.float32]:
    value = np.asarray(scale, np.float32)
    if not np.all(np.isfinite(value) & (value > 0)):
        raise ValueError(f"{name} must be positive and finite, not {scale!r}")
    return value


def _along(scale: NDArray[np.float32], shape: tuple[int, ...], axis: int | None) -> NDArray[np.float32]:
    if axis is None:
        if scale.ndim and scale.shape != (1,):
            raise ValueError(f"scale must be a scalar without an axis, not of shape {scale.shape}")
        return scale.reshape(())
    axis = integer("axis", axis, -len(shape), len(shape) - 1)
    if scale.shape != (shape[axis],):
        raise ValueError(f"scale must have shape ({shape[axis]},), not {scale.shape}")
    broadcast = [1] * len(shape)
    broadcast[axis] = -1
    return scale.reshape(broadcast)


def quantize(
    x: ArrayLike,
    scale: ArrayLike,
    width: int,
    *,
    signed: bool = True,
    narrow: bool = False,
    axis: int | None = None,
) -> Int64Array:
    """Return ``clamp(rne(x / scale))``, the division in float32 as in ONNX QuantizeLinear.

    Parameters
    ----------
    x : real array
    scale : float, positive, or an array of one scale per position along `axis`
    width : int
        4, 8 or 16.
    signed, narrow : bool
        See `integer_range`.
    axis : int, optional
        The axis of per-channel scales (0 for weights).

    Returns
    -------
    int64 array, the shape of `x`

    Raises
    ------
    ValueError
        If a value is not finite, or the scale, width or axis is illegal.
    """
    array = _real("x", x).astype(np.float32)
    lo, hi = integer_range(width, signed=signed, narrow=narrow)
    step = _along(_positive("scale", scale), array.shape, axis)
    with np.errstate(over="ignore"):
        rounded = np.clip(np.rint(array / step), lo, hi)
    return np.asarray(rounded, np.int64)


def dequantize(q: ArrayLike, scale: ArrayLike, *, axis: int | None = None) -> NDArray[np.float32]:
    """Return ``q * scale`` in float32, as ONNX DequantizeLinear.

    Raises
    ------
    ValueError
        If `q` is not an integer array, or the scale or axis is illegal.
    """
    array = np.asarray(q)
    if array.dtype.kind not in "iu":
        raise ValueError(f"q must be an integer array, not {array.dtype}")
    return array.astype(np.float32) * _along(_positive("scale", scale), array.shape, axis)


def quantize_bias(bias: ArrayLike, act_scale: float, scales: ArrayLike) -> Int64Array:
    """Return the bias in accumulator steps, ``rne(bias / (act_scale * scales))``.

    Parameters
    ----------
    bias : real array, shape (K,)
    act_scale : float, positive
    scales : float array, shape (K,) or scalar, positive
        Weight scales.

    Returns
    -------
    int64 array, shape (K,)
        In the int32 range.

    Raises
    ------
    ValueError
        If a value is not finite, a scale is illegal, or a result leaves int32 (see `minimum_weight_scale`).
    """
    value = _real("bias", bias)
    step = _positive("act_scale", act_scale).astype(np.float64) * _positive("scales", scales)
    result = np.rint(value / step)
    limits = np.iinfo(np.int32)
    outside = (result < limits.min) | (result > limits.max)
    if np.any(outside):
        raise ValueError(f"bias must fit {limits.min}..{limits.max} steps, not {result[outside].flat[0]:.0f}")
    return result.astype(np.int64)


def magnitude_prune(weights: NDArray[Any], density: float) -> NDArray[Any]:
    """Keep the ``round(density * size)`` weights of largest magnitude and set the others to zero.

    Among equal magnitudes those that come first in C order stay, so the result is deterministic. (A kept
    weight may itself be zero: there are then fewer nonzeros than that.)

    Parameters
    ----------
    weights : real array, any shape
    density : float, 0..1

    Returns
    -------
    array of the same shape and dtype

    Raises
    ------
    ValueError
        If the density is out of range or a weight is not finite.
    """
    array = np.asarray(weights)
    _real("weights", array)
    if isinstance(density, bool) or not 0 <= density <= 1:
        raise ValueError(f"density must be in 0..1, not {density!r}")
    keep = round(float(density) * array.size)
    magnitude = np.abs(array.astype(np.int64) if array.dtype.kind in "iu" else array).ravel()
    mask = np.zeros(array.size, bool)
    if keep:
        threshold = np.partition(magnitude, array.size - keep)[array.size - keep]
        mask = magnitude > threshold
        ties = np.flatnonzero(magnitude == threshold)
        mask[ties[: keep - int(mask.sum())]] = True
    return np.where(mask.reshape(array.shape), array, array.dtype.type(0))
