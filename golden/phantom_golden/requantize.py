"""Requantization: from exact accumulators to the next layer's integers (architecture §2).

``y = clamp(rne((acc + bias[k]) * mult[k] * 2^-shift[k]), lo, hi)`` where ``mult * 2^-shift`` *is* the float32
scale and `rne` rounds the exact product half to even. ONNX Runtime rounds the product to float32 first, so
the two may differ by one, close to a tie.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._validate import Int64Array, IntArray, int_array, integer, per_channel, value_range
from .accumulator import AccumulatorOverflowError

__all__ = [
    "MAX_SHIFT",
    "MULT_BITS",
    "requantize",
    "requantize_scale",
    "rescale",
    "round_shift",
    "scale_to_mult_shift",
]

MULT_BITS = 24
"""Bits of the multiplier: the mantissa of a float32 with its leading one."""

MAX_SHIFT = 63
"""Largest right shift; it fits a 6-bit field."""

SUM_BITS = 40
"""Width of ``acc + bias``, two's complement, for which the product with `mult` is exact in int64."""


def requantize_scale(x_scale: ArrayLike, weight_scale: ArrayLike, y_scale: ArrayLike) -> NDArray[np.float32]:
    """Return ``x_scale * weight_scale / y_scale`` in float32, in the order ONNX Runtime computes it.

    Parameters
    ----------
    x_scale, y_scale : float, positive
    weight_scale : float or array of shape (K,), positive

    Returns
    -------
    float32 array, the shape of `weight_scale`

    Raises
    ------
    ValueError
        If a scale is not positive and finite.
    """
    values = []
    for name, value in (("x_scale", x_scale), ("weight_scale", weight_scale), ("y_scale", y_scale)):
        scale = np.asarray(value, np.float32)
        if not np.all(np.isfinite(scale) & (scale > 0)):
            raise ValueError(f"{name} must be positive and finite, not {value!r}")
        values.append(scale)
    return np.asarray(values[0] * values[1] / values[2], np.float32)


def scale_to_mult_shift(scale: ArrayLike) -> tuple[Int64Array, Int64Array]:
    """Split float32 scales into a 24-bit multiplier and a right shift: ``scale == mult * 2^-shift`` exactly.

    A scale under 2^-40 becomes ``mult = 0, shift = 63``: every 40-bit sum times it rounds to zero, as it does
    here.

    Parameters
    ----------
    scale : float or array, positive, below 2^24
        Converted to float32 first.

    Returns
    -------
    (mult, shift) : int64 arrays, the shape of `scale`
        ``2^23 <= mult < 2^24`` or 0; ``0 <= shift <= 63``.

    Raises
    ------
    ValueError
        If a scale is negative, not finite, zero or at least 2^24.
    """
    with np.errstate(over="ignore", under="ignore"):
        value = np.asarray(scale).astype(np.float32)
    source = np.asarray(scale)
    bad = ~(np.isfinite(value) & (source > 0) & (value < 2.0**MULT_BITS))
    if np.any(bad):
        raise ValueError(f"scale must be positive and below 2^{MULT_BITS}, not {float(source[bad].flat[0])!r}")
    fraction, exponent = np.frexp(value)
    mult = np.ldexp(fraction.astype(np.float64), MULT_BITS).astype(np.int64)
    shift = MULT_BITS - exponent.astype(np.int64)
    tiny = (shift > MAX_SHIFT) | (mult == 0)
    return np.where(tiny, 0, mult), np.where(tiny, MAX_SHIFT, shift)


def round_shift(value: Int64Array, shift: Int64Array) -> Int64Array:
    """Return ``value * 2^-shift`` rounded half to even, exactly.

    Parameters
    ----------
    value : int64 array
    shift : int64 array that broadcasts with `value`, 0..63

    Returns
    -------
    int64 array
    """
    floor = value >> shift
    rest = value & ~(np.int64(-1) << shift)
    half = np.int64(1) << np.maximum(shift - 1, 0)
    tie_up = (rest == half) & (floor & 1 == 1)
    result: Int64Array = floor + (((rest > half) | tie_up) & (shift > 0))
    return result


def rescale(total: IntArray, mult: Int64Array, shift: Int64Array, lo: int, hi: int) -> Int64Array:
    """Return ``clamp(rne(total * mult * 2^-shift), lo, hi)``; `mult` and `shift` broadcast with `total`.

    Parameters
    ----------
    total : integer array
        Sums of at most 40 bits.
    mult, shift : int64 arrays, 0..2^24-1 and 0..63
    lo, hi : int
        Legal range of the result, ``lo <= hi``.

    Returns
    -------
    int64 array, the shape of `total`

    Raises
    ------
    ValueError
        If ``lo > hi`` or a limit does not fit int32.
    AccumulatorOverflowError
        If a sum leaves 40 bits, where the product would not be exact in int64.
    """
    lo, hi = value_range(lo, hi)
    limit = 2 ** (SUM_BITS - 1)
    for bound in (int(total.min()), int(total.max())):
        if not -limit <= bound < limit:
            raise AccumulatorOverflowError(f"sum to requantize must be in {-limit}..{limit - 1}, not {bound}")
    return np.clip(round_shift(total.astype(np.int64) * mult, shift), lo, hi)


def requantize(
    acc: IntArray,
    mult: ArrayLike,
    shift: ArrayLike,
    *,
    bias: ArrayLike = 0,
    lo: int,
    hi: int,
    axis: int = 1,
) -> Int64Array:
    """Return ``clamp(rne((acc + bias) * mult * 2^-shift), lo, hi)``.

    Parameters
    ----------
    acc : integer array, any shape
        Exact accumulators.
    mult : scalar or (K,) integers, 0..2^24-1
    shift : scalar or (K,) integers, 0..63
        See `scale_to_mult_shift`.
    bias : scalar or (K,) integers in the int32 range
    lo, hi : int
        Legal range of the result (ReLU, ReLU6, int8), ``lo <= hi``.
    axis : int
        The axis of `acc` that has K elements (1: the channels of NCHW); only used where a parameter is per
        channel.

    Returns
    -------
    int64 array, the shape of `acc`

    Raises
    ------
    ValueError
        If a shape, dtype or range is illegal.
    AccumulatorOverflowError
        If ``acc + bias`` leaves 40 bits, where the product would not be exact in int64.
    """
    acc = int_array("acc", acc)
    axis = integer("axis", axis, -acc.ndim, acc.ndim - 1) if acc.ndim > 1 else 0
    channels = acc.shape[axis]
    shape = [1] * acc.ndim
    shape[axis] = -1
    int32 = np.iinfo(np.int32)
    multiplier = per_channel("mult", mult, channels, 0, 2**MULT_BITS - 1).reshape(shape)
    shifts = per_channel("shift", shift, channels, 0, MAX_SHIFT).reshape(shape)
    offset = per_channel("bias", bias, channels, int(int32.min), int(int32.max)).reshape(shape)
    limit = 2**62  # beyond it, adding the bias could wrap before `rescale` looks
    for bound in (int(acc.min()), int(acc.max())):
        if not -limit <= bound <= limit:
            raise AccumulatorOverflowError(f"acc must be in {-limit}..{limit}, not {bound}")
    return rescale(acc.astype(np.int64) + offset, multiplier, shifts, lo, hi)
