"""Memory slots of the sparse-mask format: a chunk as bytes (architecture §6).

In memory a chunk takes one slot of fixed size, so that any chunk's address follows from its number, and a
reader that stops behind the last value moves only what is nonzero:

    bytes 0 .. ceil(N/8)-1     mask, position p is bit p % 8 of byte p // 8; bits beyond N are zero
    then                       the nonzero values in position order, little endian, `value_width` bits each
                               (4-bit values: the first in the low nibble); the rest of the slot is zero on
                               writing and ignored on reading

A slot is as long as a chunk without a zero needs, rounded up to a multiple of `align` bytes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._validate import choice, integer
from .sparse import SparseTensor

__all__ = ["VALUE_WIDTHS", "from_bytes", "slot_bytes", "to_bytes"]

VALUE_WIDTHS = (4, 8, 16, 32)
"""Legal widths of a stored value, in bits."""


def slot_bytes(chunk: int, value_width: int, align: int = 1) -> int:
    """Return the size of a slot in bytes: mask and `chunk` values, rounded up to a multiple of `align`.

    Raises
    ------
    ValueError
        If `chunk` or `align` is below 1 or `value_width` is not 4, 8, 16 or 32.
    """
    chunk = integer("chunk", chunk, 1)
    align = integer("align", align, 1)
    width: int = choice("value_width", value_width, VALUE_WIDTHS)
    needed = -(-chunk // 8) + -(-chunk * width // 8)
    return -(-needed // align) * align


def to_bytes(tensor: SparseTensor, value_width: int, *, signed: bool = True, align: int = 1) -> NDArray[np.uint8]:
    """Pack every chunk into its memory slot.

    Parameters
    ----------
    tensor : SparseTensor
    value_width : int
        4, 8, 16 or 32 bits.
    signed : bool
        Two's complement, or unsigned.
    align : int
        Slots are multiples of this many bytes.

    Returns
    -------
    uint8 array, shape (chunks, slot_bytes)

    Raises
    ------
    ValueError
        If a value does not fit the width or a parameter is illegal.
    """
    size = slot_bytes(tensor.chunk, value_width, align)
    low, high = (-(2 ** (value_width - 1)), 2 ** (value_width - 1) - 1) if signed else (0, 2**value_width - 1)
    if tensor.nonzeros and (tensor.values.min() < low or tensor.values.max() > high):
        worst = int(tensor.values.min() if tensor.values.min() < low else tensor.values.max())
        raise ValueError(f"values must be in {low}..{high}, not {worst}")
    masks = tensor.masks.reshape(-1, tensor.chunk)
    slots = np.zeros((len(masks), size), np.uint8)
    mask_size = -(-tensor.chunk // 8)
    slots[:, :mask_size] = np.packbits(masks, axis=1, bitorder="little")
    count = tensor.chunk + tensor.chunk % 2  # whole bytes of 4-bit values
    packed = np.zeros((len(masks), count), np.int64)
    packed[_packed_places(masks, count)] = tensor.values
    if value_width == 4:
        body = ((packed[:, 0::2] & 15) | ((packed[:, 1::2] & 15) << 4)).astype(np.uint8)
    else:
        words = (packed[:, : tensor.chunk] & (2**value_width - 1)).astype(f"<u{value_width // 8}")
        body = words.view(np.uint8).reshape(len(masks), -1)
    slots[:, mask_size : mask_size + body.shape[1]] = body
    return slots


def _packed_places(masks: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Return which of `count` value places each chunk fills: as many from the front as its mask has bits."""
    return np.asarray(np.arange(count) < masks.sum(axis=1)[:, None])


def from_bytes(
    data: NDArray[np.uint8],
    shape: tuple[int, ...],
    chunk: int,
    value_width: int,
    *,
    signed: bool = True,
    align: int = 1,
) -> SparseTensor:
    """Read a tensor back from its memory slots.

    Parameters
    ----------
    data : uint8 array, shape (chunks, slot_bytes) or flat
    shape, chunk, value_width, signed, align
        As given to `encode` and `to_bytes`.

    Returns
    -------
    SparseTensor

    Raises
    ------
    ValueError
        If the size of `data` does not match, a mask bit beyond the chunk or the row is set, or a stored value
        is 0.
    """
    size = slot_bytes(chunk, value_width, align)
    shape = tuple(integer("shape", s, 1) for s in shape)
    if not shape:
        raise ValueError("shape must have at least 1 dimension, not ()")
    per_row = -(-shape[-1] // chunk)
    rows = int(np.prod(shape[:-1], dtype=np.int64))
    array: NDArray[Any] = np.asarray(data)
    if array.dtype != np.uint8 or array.size != rows * per_row * size:
        raise ValueError(f"data must be {rows * per_row * size} uint8, not {array.size} {array.dtype}")
    slots = array.reshape(-1, size)
    mask_size = -(-chunk // 8)
    bits = np.unpackbits(slots[:, :mask_size], axis=1, bitorder="little").astype(np.bool_)
    if bits[:, chunk:].any():
        raise ValueError(f"mask bits beyond the chunk of {chunk} positions must be zero")
    masks = bits[:, :chunk]
    body = slots[:, mask_size : mask_size + -(-chunk * value_width // 8)]
    if value_width == 4:
        words = np.stack([body & 15, body >> 4], axis=2).reshape(len(slots), -1).astype(np.int64)
    else:
        words = np.ascontiguousarray(body).view(f"<u{value_width // 8}").astype(np.int64)
    if signed:
        sign = 2 ** (value_width - 1)
        words = (words ^ sign) - sign
    values = words[_packed_places(masks, words.shape[1])]
    return SparseTensor(shape, chunk, masks.reshape(rows, per_row, chunk).copy(), values)
