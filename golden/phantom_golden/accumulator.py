"""Worst-case accumulators, proved from the weights (architecture §2)."""

import numpy as np
from numpy.typing import ArrayLike

from ._validate import Int64Array, IntArray, int_array, integer, per_channel

__all__ = ["AccumulatorOverflowError", "accumulator_bounds", "check_accumulator"]

_INT32 = np.iinfo(np.int32)


class AccumulatorOverflowError(ValueError, OverflowError):
    """A layer's accumulator could leave its width."""


def accumulator_bounds(
    weights: IntArray, act_lo: int, act_hi: int, bias: ArrayLike | None = None
) -> tuple[Int64Array, Int64Array]:
    """Return the exact worst-case accumulator of every output channel.

    The bounds are attained by an input that shows each positive weight `act_hi` (for the maximum; `act_lo`
    for the minimum) and each negative weight the opposite. Zero lies in ``act_lo..act_hi``, so padding and
    every partial sum, in any order, lie within the bounds too.

    Parameters
    ----------
    weights : integer array, shape (K, ...)
        Axis 0 is the output channel; give a transposed convolution's through `flip_weights`.
    act_lo, act_hi : int
        Legal range of the activations, ``act_lo <= 0 <= act_hi``.
    bias : int32 array, shape (K,) or scalar, optional
        Added to the bounds.

    Returns
    -------
    (minimum, maximum) : int64 arrays, shape (K,)

    Raises
    ------
    ValueError
        If a shape, dtype or range is illegal or a bound does not fit int64.
    """
    weights = int_array("weights", weights)
    act_lo = integer("act_lo", act_lo, int(_INT32.min), 0)
    act_hi = integer("act_hi", act_hi, 0, int(_INT32.max))
    flat = weights.reshape(weights.shape[0], -1)
    largest = max(-int(flat.min()), int(flat.max())) * max(-act_lo, act_hi) * flat.shape[1]
    if largest + 2**31 >= 2**63:
        raise ValueError(f"accumulator bounds must stay below 2^63, the weights allow up to {largest}")
    positive = np.where(flat > 0, flat, 0).astype(np.int64).sum(axis=1)
    negative = np.where(flat < 0, flat, 0).astype(np.int64).sum(axis=1)
    offset: Int64Array = np.zeros(1, np.int64)
    if bias is not None:
        offset = per_channel("bias", bias, len(flat), int(_INT32.min), int(_INT32.max))
    return positive * act_lo + negative * act_hi + offset, positive * act_hi + negative * act_lo + offset


def check_accumulator(
    name: str,
    weights: IntArray,
    act_lo: int,
    act_hi: int,
    bias: ArrayLike | None = None,
    *,
    acc_width: int = 32,
) -> None:
    """Prove that no input can overflow a layer's accumulator, before and after the bias is added.

    Parameters
    ----------
    name : str
        The layer, for the message.
    weights, act_lo, act_hi, bias
        As of `accumulator_bounds`.
    acc_width : int
        Bits of the two's complement accumulator, 8..40 (`requantize` is exact for 40).

    Raises
    ------
    AccumulatorOverflowError
        A `ValueError` and `OverflowError` in one line that names the layer, the worst bound and the width.
    ValueError
        If an argument is illegal.
    """
    acc_width = integer("acc_width", acc_width, 8, 40)
    low, high = -(2 ** (acc_width - 1)), 2 ** (acc_width - 1) - 1
    for stage, offset in (("products", None), ("products and bias", bias)):
        minimum, maximum = accumulator_bounds(weights, act_lo, act_hi, offset)
        for bounds, channel in ((minimum, int(minimum.argmin())), (maximum, int(maximum.argmax()))):
            bound = int(bounds[channel])
            if not low <= bound <= high:
                raise AccumulatorOverflowError(
                    f"layer {name!r}: {stage} of output channel {channel} can reach {bound}, outside the "
                    f"{acc_width}-bit accumulator's {low}..{high}"
                )
