"""Sums of a core to the beats of its result link and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.packing import pack, unpack
from phantom_compiler.program import drain_order
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import result_layout

__all__ = ["ResultError", "decode_results", "drained_values", "encode_results", "wrap"]


class ResultError(ValueError):
    """A stream of result beats that is not what the encoder may send; names the beat."""


def wrap(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Two's complement of ``bits`` bits."""
    unused = 64 - bits
    return (values << unused) >> unused


def drained_values(config: PhantomConfig, sums: NDArray[np.int64], span: int) -> NDArray[np.int64]:
    """The sums ``[tiles, pe_cols, outputs]`` in the order in which a core drains them, ``[tiles, places]``."""
    column, address = drain_order(config, sums.shape[2], span)
    return sums[:, column, address]


def encode_results(config: PhantomConfig, sums: NDArray[np.int64], span: int) -> NDArray[np.uint32]:
    """Return the beats that a core sends for the sums of its tiles.

    Parameters
    ----------
    config : PhantomConfig
    sums : int64[tiles, pe_cols, outputs]
    span : int
        Addresses of a chunk, 1..N.

    Returns
    -------
    uint32[beats, words]
    """
    outputs = sums.shape[2]
    _, address = drain_order(config, outputs, span)
    values = drained_values(config, sums, span)
    position = address % span
    last = (position == span - 1) | (address == outputs - 1)
    nonzero = values != 0
    sent = nonzero | last
    chunk = np.cumsum(last) - last  # number of each place's chunk
    bits = nonzero.astype(np.uint64) << position.astype(np.uint64)
    masks = np.bitwise_or.reduceat(bits, np.flatnonzero(np.diff(chunk, prepend=-1)), axis=1)
    tile_last = np.zeros_like(last)
    tile_last[-1] = True
    everywhere = np.broadcast_to
    return pack(result_layout(config), {
        "value": values[sent],
        "nonzero": nonzero[sent].astype(np.uint8),
        "last": everywhere(last, sent.shape)[sent].astype(np.uint8),
        "tile_last": everywhere(tile_last, sent.shape)[sent].astype(np.uint8),
        "mask": np.where(last, masks[:, chunk], np.uint64(0))[sent],
    })


def decode_results(
    config: PhantomConfig, words: NDArray[np.uint32], outputs: int, span: int
) -> NDArray[np.int64]:
    """Return the sums that result beats stand for, the inverse of :func:`encode_results`.

    Parameters
    ----------
    config : PhantomConfig
    words : uint32[beats, words]
    outputs, span : int
        Addresses of a tile and of a chunk.

    Returns
    -------
    int64[tiles, pe_cols, outputs]

    Raises
    ------
    ResultError
        If masks, flags and values contradict each other.
    """
    beats = unpack(result_layout(config), words)
    last, nonzero = beats["last"].astype(bool), beats["nonzero"].astype(bool)
    if len(last) and not last[-1]:
        raise ResultError(f"result beat {len(last) - 1}: the stream ends within a chunk")
    column, address = drain_order(config, outputs, span)
    starts = np.flatnonzero(address % span == 0)
    chunks = int(last.sum())
    if chunks % len(starts):
        raise ResultError(f"{chunks} chunks are not a whole number of tiles of {len(starts)} chunks")
    tiles = chunks // len(starts)
    ends = np.flatnonzero(last)
    wanted = np.zeros(chunks, bool)
    wanted[len(starts) - 1::len(starts)] = True
    bad = np.flatnonzero(beats["tile_last"][ends].astype(bool) != wanted)
    if len(bad) or beats["tile_last"][~last].any():
        raise ResultError(f"tile_last is wrong at chunk {int(bad[0]) if len(bad) else 'middle'}")
    lengths = np.append(starts[1:], len(address)) - starts
    masks = beats["mask"][ends].astype(np.uint64).reshape(tiles, len(starts))
    place = np.arange(config.chunk)
    bits = (masks[:, :, None] >> place.astype(np.uint64) & np.uint64(1)).astype(bool)
    if (bits & (place >= lengths[:, None])).any():
        raise ResultError("a mask has bits beyond its chunk")
    chunk_of = np.cumsum(last) - last
    counts = np.bincount(chunk_of[nonzero], minlength=chunks)
    bad = np.flatnonzero(counts != bits.reshape(chunks, -1).sum(axis=1))
    if len(bad):
        raise ResultError(f"chunk {int(bad[0])}: mask and number of values differ")
    dense = np.zeros(bits.shape, np.int64)
    dense[bits] = wrap(beats["value"][nonzero], config.acc_width)
    valid = np.broadcast_to(place < lengths[:, None], bits.shape)
    sums = np.zeros((tiles, config.pe_cols, outputs), np.int64)
    sums[:, column, address] = dense[valid].reshape(tiles, len(address))
    return sums
