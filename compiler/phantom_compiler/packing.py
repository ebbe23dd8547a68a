"""Payloads as arrays of words: the fields of an Amaranth layout to and from ``uint32[n, words]``.

Simulators and the command stream move payloads as little-endian 32-bit words: bit 0 of a payload is bit 0 of
word 0. Every bit offset is taken from the layout, so that a changed layout needs no change here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data
from numpy.typing import NDArray

__all__ = ["WORD_BITS", "pack", "pack_bytes", "payload_words", "unpack"]

WORD_BITS = 32
MAX_FIELD_BITS = 64
CHUNK = 8192  # beats packed at a time: the words of a chunk stay in the cache

Fields = Mapping[str, Any]


class _Leaf(NamedTuple):
    """A field that is a number: its keys, the lengths of the arrays around it, the offset of each element."""

    path: tuple[str, ...]
    lengths: tuple[int, ...]
    width: int
    signed: bool
    offsets: NDArray[np.int64]  # of shape `lengths`


def _leaves(
    shape: Any, path: tuple[str, ...], lengths: tuple[int, ...], offsets: NDArray[np.int64]
) -> Iterator[_Leaf]:
    if not isinstance(shape, data.Layout):
        try:
            shape = data.Layout.cast(shape)
        except TypeError:
            plain = Shape.cast(shape)
            if plain.width > MAX_FIELD_BITS:
                raise ValueError(
                    f"{'.'.join(path)} must have 0..{MAX_FIELD_BITS} bits, not {plain.width}"
                ) from None
            yield _Leaf(path, lengths, plain.width, plain.signed, offsets)
            return
    if isinstance(shape, data.ArrayLayout):
        steps = np.array([shape[i].offset for i in range(shape.length)], np.int64)
        yield from _leaves(shape.elem_shape, path, (*lengths, shape.length), offsets[..., None] + steps)
    elif isinstance(shape, data.UnionLayout):
        raise ValueError(f"{'.'.join(path) or 'layout'} must be a struct or an array, not a union")
    else:
        for key, field in shape:
            yield from _leaves(field.shape, (*path, str(key)), lengths, offsets + field.offset)


@lru_cache(maxsize=256)
def _layout_leaves(layout: data.Layout) -> tuple[_Leaf, ...]:
    layout = data.Layout.cast(layout)
    if isinstance(layout, (data.ArrayLayout, data.UnionLayout)):
        raise ValueError(f"layout must be a struct, not {layout!r}")
    return tuple(_leaves(layout, (), (), np.zeros((), np.int64)))


def _lookup(fields: Fields, path: tuple[str, ...]) -> NDArray[Any]:
    value: Any = fields
    for depth, key in enumerate(path):
        if not isinstance(value, Mapping) or key not in value:
            raise ValueError(f"field {'.'.join(path[: depth + 1])} is missing")
        value = value[key]
    return np.asarray(value)


def _known(fields: Fields, leaves: tuple[_Leaf, ...], prefix: tuple[str, ...] = ()) -> None:
    legal = list(dict.fromkeys(leaf.path[len(prefix)] for leaf in leaves if leaf.path[: len(prefix)] == prefix
                               and len(leaf.path) > len(prefix)))
    for key, value in fields.items():
        if key not in legal:
            raise ValueError(f"unknown field {'.'.join((*prefix, key))!r}; legal fields: {', '.join(legal)}")
        if isinstance(value, Mapping):
            _known(value, leaves, (*prefix, key))


def _checked(leaf: _Leaf, value: NDArray[Any]) -> NDArray[Any]:
    """Integers that fit the field, signed or unsigned."""
    name = ".".join(leaf.path)
    if value.dtype.kind not in "iub":
        raise ValueError(f"{name} must hold integers, not {value.dtype}")
    if value.size:
        low, high = int(value.min()), int(value.max())
        bottom, top = -(1 << leaf.width >> 1), (1 << leaf.width) - 1
        if low < bottom or high > top:
            raise ValueError(f"{name} must be in {bottom}..{top}, not {low if low < bottom else high}")
    return value


def payload_words(layout: data.Layout) -> int:
    """Return the number of 32-bit words of a payload, at least 1."""
    return max(1, -(-data.Layout.cast(layout).size // WORD_BITS))


def pack(layout: data.Layout, fields: Fields) -> NDArray[np.uint32]:
    """Turn fields into words.

    Parameters
    ----------
    layout : amaranth.lib.data.StructLayout
        Fields are integers of up to 64 bits, arrays and structs of those.
    fields : dict
        For each field an integer array of shape ``(n, ...)``, one axis for each array around the number;
        nested structs are nested dicts (an array of structs: a dict of arrays with the array's axis first).
        A scalar stands for all n payloads. Negative values are two's complement.

    Returns
    -------
    uint32 array, shape (n, words)

    Raises
    ------
    ValueError
        If a field is missing, unknown, of the wrong shape, or a value does not fit its width.
    """
    leaves = _layout_leaves(layout)
    _known(fields, leaves)
    values = [_checked(leaf, _lookup(fields, leaf.path)) for leaf in leaves]
    counts = {value.shape[0] for value in values if value.ndim}
    if len(counts) > 1:
        raise ValueError(f"fields must have one length, not {sorted(counts)}")
    n = counts.pop() if counts else 1
    columns = []
    for leaf, value in zip(leaves, values, strict=True):
        if value.ndim and value.shape != (n, *leaf.lengths):
            raise ValueError(f"{'.'.join(leaf.path)} must have shape {(n, *leaf.lengths)}, not {value.shape}")
        if leaf.width == 0 or not leaf.offsets.size:
            continue
        flat = value.reshape(n, leaf.offsets.size) if value.ndim else np.broadcast_to(value, (n, leaf.offsets.size))
        columns.append((leaf, flat))

    words = payload_words(layout)
    out = np.empty((n, words), np.uint32)
    buffer = np.empty((words, CHUNK), np.uint32)
    for start in range(0, n, CHUNK):
        stop = min(start + CHUNK, n)
        chunk = buffer[:, : stop - start]
        chunk[:] = 0
        for leaf, value in columns:
            _pack_leaf(chunk, leaf, value[start:stop])
        out[start:stop] = chunk.T
    return out


def pack_bytes(layout: data.Layout, fields: Fields, size: int) -> NDArray[np.uint8]:
    """Turn fields into payloads of ``size`` bytes each, which must hold the layout; the rest is zero."""
    words = np.ascontiguousarray(pack(layout, fields).astype("<u4"))
    plain = words.view(np.uint8)[:, :size]
    return np.pad(plain, ((0, 0), (0, size - plain.shape[1])))


def _pack_leaf(chunk: NDArray[np.uint32], leaf: _Leaf, value: NDArray[Any]) -> None:
    """OR the elements of a field into the words of a chunk, ``chunk[word, beat]``."""
    mask = (1 << leaf.width) - 1
    dtype = np.uint64 if leaf.width > WORD_BITS else np.uint32
    bits = np.ascontiguousarray(value.T.astype(dtype))
    bits &= bits.dtype.type(mask)
    for element, offset in zip(bits, leaf.offsets.ravel(), strict=True):
        word, shift = divmod(int(offset), WORD_BITS)
        chunk[word] |= (element << element.dtype.type(shift)).astype(np.uint32)
        taken = WORD_BITS - shift
        while taken < leaf.width:
            word += 1
            chunk[word] |= (element >> element.dtype.type(taken)).astype(np.uint32)
            taken += WORD_BITS


def unpack(layout: data.Layout, words: NDArray[np.uint32]) -> dict[str, Any]:
    """Turn words into fields, the inverse of :func:`pack`.

    Parameters
    ----------
    layout : amaranth.lib.data.StructLayout
    words : uint32 array, shape (n, words)

    Returns
    -------
    dict
        int64 arrays of shape ``(n, ...)``, nested as for :func:`pack`; a field is unsigned unless its shape
        is signed. Unsigned fields of 64 bits are uint64.

    Raises
    ------
    ValueError
        If `words` has the wrong shape.
    """
    words = np.asarray(words)
    expected = payload_words(layout)
    if words.ndim != 2 or words.shape[1] != expected:
        raise ValueError(f"words must have shape (n, {expected}), not {words.shape}")
    columns = np.ascontiguousarray(words.astype(np.uint32, copy=False).T).astype(np.uint64)
    result: dict[str, Any] = {}
    for leaf in _layout_leaves(layout):
        node = result
        for key in leaf.path[:-1]:
            node = node.setdefault(key, {})
        node[leaf.path[-1]] = _unpack_leaf(columns, leaf)
    return result


def _unpack_leaf(columns: NDArray[np.uint64], leaf: _Leaf) -> NDArray[Any]:
    n = columns.shape[1]
    elements = np.zeros((leaf.offsets.size, n), np.uint64)
    if leaf.width:
        for element, offset in zip(elements, leaf.offsets.ravel(), strict=True):
            word, shift = divmod(int(offset), WORD_BITS)
            element |= columns[word] >> np.uint64(shift)
            taken = WORD_BITS - shift
            while taken < leaf.width:
                word += 1
                element |= columns[word] << np.uint64(taken)
                taken += WORD_BITS
        elements &= np.uint64((1 << leaf.width) - 1)
    values: NDArray[Any] = elements
    if leaf.signed or leaf.width < MAX_FIELD_BITS:
        values = elements.view(np.int64)
    if leaf.signed and leaf.width:
        unused = MAX_FIELD_BITS - leaf.width
        values = (values << unused) >> unused
    return np.ascontiguousarray(values.T).reshape(n, *leaf.lengths)
