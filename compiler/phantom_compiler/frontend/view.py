"""How a tensor of a file lies in images (images, channels, rows, columns): orders and groups of their axes.

A view is a tuple of an entry for each axis of the tensor: the axes of the images that it is made of, the outermost
first. Axes of size 1 are left out, they may lie anywhere. So NHWC is ``((0,), (2,), (3,), (1,))`` and a flattened
image ``((0,), (1, 2, 3))``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["View", "dims", "natural", "reshape", "to_images", "transpose"]

View = tuple[tuple[int, ...], ...]


def natural(shape: Sequence[int], axes: Sequence[int] = (0, 1, 2, 3)) -> View:
    """The view of images as they are, or of some of their axes."""
    return tuple((axis,) if shape[axis] > 1 else () for axis in axes)


def dims(shape: Sequence[int], view: View) -> tuple[int, ...]:
    """The shape of the tensor, for images of a shape."""
    return tuple(prod(shape[axis] for axis in group) for group in view)


def transpose(view: View, perm: Sequence[int]) -> View:
    """The view behind a transpose."""
    return tuple(view[axis] for axis in perm)


def reshape(shape: Sequence[int], view: View, target: Sequence[int]) -> View | None:
    """The view behind a reshape, or None if it cuts an axis of the images."""
    rest = [axis for group in view for axis in group]
    result = []
    for size in target:
        group: list[int] = []
        while prod(shape[axis] for axis in group) < size and rest:
            group.append(rest.pop(0))
        if prod(shape[axis] for axis in group) != size:
            return None
        result.append(tuple(group))
    return None if rest else tuple(result)


def to_images(array: NDArray[Any], shape: Sequence[int], view: View) -> NDArray[Any]:
    """Bring the last axes of an array, all of a tensor's but that of the images, to (..., channels, rows, columns)."""
    axes = [axis for group in view[1:] for axis in group]
    leading = array.shape[:array.ndim - len(view) + 1]
    split = array.reshape(*leading, *(shape[axis] for axis in axes))
    order = [len(leading) + place for place in np.argsort(axes)]
    return split.transpose(*range(len(leading)), *order).reshape(*leading, *shape[1:])
