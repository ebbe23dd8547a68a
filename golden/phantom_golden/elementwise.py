"""Elementwise operators on quantized values: clamp, ReLU and add (architecture §2)."""

import numpy as np

from ._validate import Int64Array, IntArray, int_array, integer, value_range
from .requantize import MAX_SHIFT, MULT_BITS, round_shift, scale_to_mult_shift

__all__ = ["add_multipliers", "clamp", "quantized_add", "relu"]


def clamp(x: IntArray, lo: int, hi: int) -> Int64Array:
    """Return `x` clipped to ``lo..hi``, as int64.

    Raises
    ------
    ValueError
        If `x` is not an integer array or ``lo > hi``.
    """
    lo, hi = value_range(lo, hi)
    return np.clip(int_array("x", x).astype(np.int64), lo, hi)


def relu(x: IntArray) -> Int64Array:
    """Return ``max(x, 0)`` as int64: with zero-point 0 the quantized ReLU is the integer one.

    Raises
    ------
    ValueError
        If `x` is not an integer array.
    """
    return np.maximum(int_array("x", x).astype(np.int64), 0)


def add_multipliers(scale_a: float, scale_b: float, scale_out: float) -> tuple[int, int, int]:
    """Bring the two scales of a quantized add onto one binary point.

    The larger of ``float32(scale_a / scale_out)`` and ``float32(scale_b / scale_out)`` keeps its full 24-bit
    mantissa and sets the shift; the smaller is rounded half to even at that shift. It is then off by at most
    ``2^-24`` of the larger ratio per unit, so an add of 8-bit values is within ``2^-16`` of the larger
    operand's step of the exact sum, and needs two multipliers of 24 bits, one adder and one rounding shift.

    Parameters
    ----------
    scale_a, scale_b, scale_out : float, positive
        Quantization steps of the operands and of the result.

    Returns
    -------
    (mult_a, mult_b, shift) : int
        ``0 <= mult < 2^24``, ``0 <= shift <= 63``.

    Raises
    ------
    ValueError
        If a scale is not positive and finite or a ratio reaches 2^24.
    """
    scales = []
    for name, value in (("scale_a", scale_a), ("scale_b", scale_b), ("scale_out", scale_out)):
        scale = np.float32(value)
        if not (np.isfinite(scale) and scale > 0):
            raise ValueError(f"{name} must be positive and finite, not {value!r}")
        scales.append(scale)
    with np.errstate(over="ignore", under="ignore"):
        ratios = np.array([scales[0] / scales[2], scales[1] / scales[2]], np.float32)
    ratios = np.maximum(ratios, np.finfo(np.float32).smallest_subnormal)
    mult, shift = scale_to_mult_shift(ratios)
    common = int(shift[np.argmax(ratios)])
    aligned = round_shift(mult, np.minimum(shift - common, MAX_SHIFT))
    return int(aligned[0]), int(aligned[1]), common


def quantized_add(a: IntArray, b: IntArray, mult_a: int, mult_b: int, shift: int, *, lo: int, hi: int) -> Int64Array:
    """Return ``clamp(rne((a * mult_a + b * mult_b) * 2^-shift), lo, hi)``, exact up to the one rounding.

    Parameters
    ----------
    a, b : integer arrays of one shape, values in the int32 range
    mult_a, mult_b, shift : int
        See `add_multipliers`.
    lo, hi : int
        Legal range of the result, ``lo <= hi``.

    Returns
    -------
    int64 array, the shape of `a`

    Raises
    ------
    ValueError
        If the shapes differ or a dtype or range is illegal.
    """
    a = int_array("a", a)
    b = int_array("b", b)
    if a.shape != b.shape:
        raise ValueError(f"a and b must have the same shape, not {a.shape} and {b.shape}")
    for name, array in (("a", a), ("b", b)):
        for value in (int(array.min()), int(array.max())):
            integer(f"values of {name}", value, -(2**31), 2**31 - 1)
    lo, hi = value_range(lo, hi)
    mult_a = integer("mult_a", mult_a, 0, 2**MULT_BITS - 1)
    mult_b = integer("mult_b", mult_b, 0, 2**MULT_BITS - 1)
    shift = integer("shift", shift, 0, MAX_SHIFT)
    total = a.astype(np.int64) * mult_a + b.astype(np.int64) * mult_b
    return np.clip(round_shift(total, np.array(shift, np.int64)), lo, hi)
