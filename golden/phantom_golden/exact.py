"""Which dtype sums integers exactly: BLAS floating point where that is provable (architecture §2)."""

from typing import Any

import numpy as np

from ._validate import IntArray

__all__ = ["exact_dtype", "product_bound"]


def product_bound(x: IntArray, weights: IntArray) -> int:
    """Bound the absolute value of every partial sum of products of `x` with one output channel of `weights`.

    Parameters
    ----------
    x : integer array, any shape
    weights : integer array, shape (K, ...)
        Axis 0 is the output channel.

    Returns
    -------
    int
        ``max|x| * max_k sum|weights[k]|``: the order of summation and the subset summed do not matter.
    """
    peak = max(-int(x.min()), int(x.max()), 0)
    flat = weights.reshape(weights.shape[0], -1)
    size = max(-int(flat.min()), int(flat.max()), 0)
    if size * flat.shape[1] >= 2**62:  # the int64 sum below could wrap: settle for the coarser bound
        return peak * size * flat.shape[1]
    return peak * int(np.abs(flat.astype(np.int64)).sum(axis=1).max())


def exact_dtype(bound: int) -> np.dtype[Any]:
    """Return the fastest dtype in which sums of integers bounded by `bound` are exact.

    Parameters
    ----------
    bound : int
        Largest absolute value of any partial sum (see `product_bound`).

    Returns
    -------
    dtype
        float32 up to 2^24, float64 up to 2^53 (both run on BLAS), int64 below 2^63.

    Raises
    ------
    ValueError
        If `bound` reaches 2^63.
    """
    if bound <= 2**24:
        return np.dtype(np.float32)
    if bound <= 2**53:
        return np.dtype(np.float64)
    if bound < 2**63:
        return np.dtype(np.int64)
    raise ValueError(f"sums of products must stay below 2^63 to be exact in int64, the bound is {bound}")
