"""The sparse-mask format: one mask bit a position, the nonzero values packed behind (paper: sparse mask; §6).

The last axis of a tensor is cut into chunks of N positions; the last chunk of a row is filled up with zeros.
The layout in memory is in `slots`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._validate import Int64Array, IntArray, int_array, integer

__all__ = ["SparseTensor", "decode", "encode"]


@dataclass(frozen=True, eq=False)
class SparseTensor:
    """An integer tensor as masks and packed nonzero values.

    Parameters
    ----------
    shape : tuple of int
        Of the dense tensor, rank at least 1, every axis at least 1.
    chunk : int
        Positions per chunk, N, at least 1.
    masks : bool array, shape (rows, chunks per row, chunk)
        ``rows`` is the product of all axes but the last, C order. True where the value is nonzero.
    values : int64 array, shape (nonzeros,)
        The nonzero values in the order of the set mask bits.

    Raises
    ------
    ValueError
        If the parts do not fit each other: a shape, a mask bit beyond the row's end, the number of values, or
        a stored value of zero.
    """

    shape: tuple[int, ...]
    chunk: int
    masks: NDArray[np.bool_]
    values: Int64Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(integer("shape", s, 1) for s in self.shape))
        integer("chunk", self.chunk, 1)
        if not self.shape:
            raise ValueError("shape must have at least 1 dimension, not ()")
        expected = (self.rows, self.chunks_per_row, self.chunk)
        if self.masks.dtype != np.bool_ or self.masks.shape != expected:
            raise ValueError(f"masks must be bool of shape {expected}, not {self.masks.dtype} {self.masks.shape}")
        if self.masks.reshape(self.rows, -1)[:, self.shape[-1] :].any():
            raise ValueError(f"masks must be zero beyond the {self.shape[-1]} positions of a row")
        bits = int(self.masks.sum())
        if self.values.dtype != np.int64 or self.values.shape != (bits,):
            raise ValueError(f"values must be int64 of shape ({bits},), not {self.values.dtype} {self.values.shape}")
        if not self.values.all():
            raise ValueError("values must be nonzero: a set mask bit stands for a nonzero value")
        self.masks.flags.writeable = False
        self.values.flags.writeable = False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseTensor):
            return NotImplemented
        same = self.shape == other.shape and self.chunk == other.chunk
        return same and np.array_equal(self.masks, other.masks) and np.array_equal(self.values, other.values)

    __hash__ = None  # type: ignore[assignment]

    @property
    def rows(self) -> int:
        """Number of rows: the product of all axes but the last."""
        return int(np.prod(self.shape[:-1], dtype=np.int64))

    @property
    def chunks_per_row(self) -> int:
        """Chunks that one row takes, the last one possibly filled up with zeros."""
        return -(-self.shape[-1] // self.chunk)

    @property
    def nonzeros(self) -> int:
        """Number of nonzero values."""
        return len(self.values)

    @property
    def density(self) -> float:
        """Nonzero values / positions, 0..1."""
        return self.nonzeros / (self.rows * self.shape[-1])

    @property
    def offsets(self) -> Int64Array:
        """Index into `values` of the first value of each chunk and, last, of the end; shape (chunks + 1,)."""
        counts = self.masks.reshape(-1, self.chunk).sum(axis=1)
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])

    def slice(self, start: int, stop: int) -> "SparseTensor":
        """Return the positions ``start..stop-1`` of the last axis; nothing is decoded.

        Parameters
        ----------
        start, stop : int
            ``0 <= start < stop <= shape[-1]``; neither need lie on a chunk boundary.

        Returns
        -------
        SparseTensor
            Shape ``(*shape[:-1], stop - start)``, the same chunk.

        Raises
        ------
        ValueError
            If the range is illegal.
        """
        width = self.shape[-1]
        start = integer("start", start, 0, width - 1)
        stop = integer("stop", stop, start + 1, width)
        flat = self.masks.reshape(self.rows, -1)
        keep = np.zeros_like(flat)
        keep[:, start:stop] = flat[:, start:stop]
        return _from_mask((*self.shape[:-1], stop - start), self.chunk, flat[:, start:stop], self.values[keep[flat]])

    def slice_rows(self, start: int, stop: int) -> "SparseTensor":
        """Return the rows ``start..stop-1``, shape ``(stop - start, shape[-1])``; nothing is decoded.

        Raises
        ------
        ValueError
            Unless ``0 <= start < stop <= rows``.
        """
        start = integer("start", start, 0, self.rows - 1)
        stop = integer("stop", stop, start + 1, self.rows)
        first, last = self.offsets[[start * self.chunks_per_row, stop * self.chunks_per_row]]
        return SparseTensor(
            (stop - start, self.shape[-1]),
            self.chunk,
            self.masks[start:stop].copy(),
            self.values[first:last].copy(),
        )


def _from_mask(shape: tuple[int, ...], chunk: int, mask: NDArray[np.bool_], values: Int64Array) -> SparseTensor:
    """Cut a mask of shape (rows, width) into chunks."""
    rows, width = mask.shape
    chunks = -(-width // chunk)
    masks = np.zeros((rows, chunks * chunk), np.bool_)
    masks[:, :width] = mask
    return SparseTensor(shape, chunk, masks.reshape(rows, chunks, chunk), values)


def encode(array: IntArray, chunk: int) -> SparseTensor:
    """Compress an integer tensor.

    Parameters
    ----------
    array : integer array, rank at least 1
    chunk : int
        Positions per chunk, at least 1.

    Returns
    -------
    SparseTensor

    Raises
    ------
    ValueError
        If the array is empty or not of an integer type, or `chunk` is illegal.
    """
    array = int_array("array", array)
    chunk = integer("chunk", chunk, 1)
    flat = array.reshape(-1, array.shape[-1])
    mask = flat != 0
    return _from_mask(array.shape, chunk, mask, flat[mask].astype(np.int64))


def decode(tensor: SparseTensor) -> Int64Array:
    """Return the dense int64 tensor, shape ``tensor.shape``."""
    dense = np.zeros(tensor.masks.shape, np.int64)
    dense[tensor.masks] = tensor.values
    return np.ascontiguousarray(dense.reshape(tensor.rows, -1)[:, : tensor.shape[-1]]).reshape(tensor.shape)
