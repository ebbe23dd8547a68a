"""Argument checks of the golden operators: one line with the argument, its value and the legal range."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

IntArray = NDArray[np.integer[Any]]
Int64Array = NDArray[np.int64]


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return `value` as an `int`; raise `ValueError` unless it is an integer in `low`..`high`."""
    legal = f"an integer of at least {low}" if high is None else f"an integer in {low}..{high}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name} must be {legal}, not {value!r}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name} must be {legal}, not {value!r}")
    return int(value)


def choice(name: str, value: Any, legal: Sequence[Any]) -> Any:
    """Return `value`; raise `ValueError` unless it is one of `legal`."""
    if isinstance(value, (bool, np.bool_)) or value not in legal:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, legal))}, not {value!r}")
    return value


def integers(name: str, value: Sequence[int], length: int, low: int) -> tuple[int, ...]:
    """Return `value` as a tuple of `length` integers, each at least `low`; raise `ValueError` otherwise."""
    legal = f"{length} integers of at least {low}"
    if not isinstance(value, (tuple, list)) or len(value) != length:
        raise ValueError(f"{name} must be {legal}, not {value!r}")
    for v in value:
        if isinstance(v, (bool, np.bool_)) or not isinstance(v, (int, np.integer)) or v < low:
            raise ValueError(f"{name} must be {legal}, not {value!r}")
    return tuple(int(v) for v in value)


def int_array(name: str, value: ArrayLike, *ndim: int) -> IntArray:
    """Return `value` as a non-empty integer array of one of the ranks `ndim` (none given: any from 1).

    Booleans, floating-point numbers and values outside int64 are rejected with a `ValueError`: the golden
    model never rounds or truncates silently.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be an integer array, not {array.dtype}")
    if (ndim and array.ndim not in ndim) or (not ndim and array.ndim < 1):
        legal = " or ".join(map(str, ndim)) or "at least 1"
        raise ValueError(f"{name} must have {legal} dimensions, not shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, not shape {array.shape}")
    if array.dtype == np.uint64 and int(array.max()) > np.iinfo(np.int64).max:
        raise ValueError(f"{name} must lie in the int64 range, not {int(array.max())}")
    return array


def per_channel(name: str, value: ArrayLike, channels: int, low: int, high: int) -> Int64Array:
    """Return `value` as int64 of shape `(1,)` or `(channels,)` with every element in `low`..`high`."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, not {array.dtype}")
    if array.shape not in ((), (1,), (channels,)):
        raise ValueError(f"{name} must be a scalar or of shape ({channels},), not shape {array.shape}")
    if array.min() < low or array.max() > high:
        worst = int(array.min()) if array.min() < low else int(array.max())
        raise ValueError(f"{name} must be in {low}..{high}, not {worst}")
    return array.astype(np.int64).reshape(-1)


def value_range(lo: Any, hi: Any) -> tuple[int, int]:
    """Return `(lo, hi)` as integers; raise `ValueError` unless both fit int32 and `lo <= hi`."""
    limits = np.iinfo(np.int32)
    low = integer("lo", lo, int(limits.min), int(limits.max))
    high = integer("hi", hi, int(limits.min), int(limits.max))
    if low > high:
        raise ValueError(f"lo must be at most hi, not lo={low}, hi={high}")
    return low, high
