"""The one form that every layer is lowered through: a convolution of a padded input with integer weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Problem", "Selection"]


@dataclass(frozen=True)
class Selection:
    """A slice of a layer's output.

    Parameters
    ----------
    rows : (start, stop), optional
        Output rows; for a 1-D convolution output positions, for a fully connected layer rows of the batch.
    channels : (start, stop), optional
        Output channels or neurons; of a grouped convolution whole groups.
    """

    rows: tuple[int, int] | None = None
    channels: tuple[int, int] | None = None

    @staticmethod
    def bounds(field: str, value: tuple[int, int] | None, size: int) -> tuple[int, int]:
        """Return the range, all of it for None; raise `ValueError` if it is empty or leaves ``0..size``."""
        if value is None:
            return 0, size
        start, stop = value
        if not 0 <= start < stop <= size:
            raise ValueError(f"select.{field} must be a range within 0..{size}, not {value!r}")
        return start, stop


@dataclass(frozen=True)
class Problem:
    """What one core computes: ``out[n, k, y, x] = sum over c, i, j of weights[k, c, i, j] *
    moving[n, g(k)·C + c, y·sv + i·dv, x·sh + j·dh]``.

    The operands are named by how they travel: of a fully connected layer the weights move and the activations
    stay, so that ``weights`` here holds activations.

    Parameters
    ----------
    moving : integer array, shape (N, groups·C, H, W)
        Padded already; reads beyond its end meet zeros.
    stationary : integer array, shape (K, C, KH, KW)
    stride, dilation : (vertical, horizontal)
    groups : int
    out_size : (OH, OW)
    moving_signed, stationary_signed : bool
    result_shape : tuple of int
        The layer's shape of the same results, in the order ``(n, k, y, x)``.
    dense_macs : int
        Products of the layer without any skipping.
    """

    moving: NDArray[Any]
    stationary: NDArray[Any]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    out_size: tuple[int, int]
    moving_signed: bool
    stationary_signed: bool
    result_shape: tuple[int, ...]
    dense_macs: int

    @property
    def out_shape(self) -> tuple[int, int, int, int]:
        """Images, filters, rows and columns of the results."""
        return (self.moving.shape[0], self.stationary.shape[0], *self.out_size)

    def flattened(self) -> Problem:
        """A pointwise problem as one with a single row of positions: nothing but the positions read is left."""
        if self.stationary.shape[2:] != (1, 1) or (self.out_size[0] == 1 and self.stride[1] == 1):
            return self
        (sv, sh), (rows, columns) = self.stride, self.out_size
        read = self.moving[:, :, : (rows - 1) * sv + 1 : sv, : (columns - 1) * sh + 1 : sh]
        images, channels = read.shape[:2]
        return Problem(
            np.ascontiguousarray(read).reshape(images, channels, 1, rows * columns), self.stationary, (1, 1), (1, 1),
            self.groups, (1, rows * columns), self.moving_signed, self.stationary_signed, self.result_shape,
            self.dense_macs,
        )
