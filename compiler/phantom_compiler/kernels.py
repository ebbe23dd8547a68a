"""The loops over every value of every row, compiled."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["count_hits", "fill_rows"]

IntArray = NDArray[np.int64]


@numba.njit(cache=True)
def _read_row(
    x: NDArray[Any], base: int, parts: IntArray, flat: IntArray, height: int, row: IntArray
) -> None:
    """The flat positions of a row; ``flat[f]`` holds part, stretch and offset."""
    for f in range(len(flat)):
        part = parts[flat[f, 0]]
        stretch = flat[f, 1]
        at = base + part + flat[f, 2]
        row[f] = x[at] if part >= 0 and 0 <= stretch < height and at < len(x) else 0


@numba.njit(cache=True)
def count_hits(
    x: NDArray[Any], blocks: IntArray, tile_blocks: IntArray, stream: IntArray, parts: IntArray, flat: IntArray,
    positions: IntArray, tap_base: IntArray, taps: int,
) -> NDArray[Any]:
    """Nonzero values that each tap of each row of each tile meets, ``[tiles, rows, threads]``.

    ``blocks[b]`` holds base, height and width of a block of output positions, ``tile_blocks[tile, stream]`` its number
    or -1, ``positions[x]`` the stretch and place of an output position.
    """
    tiles, rows, threads = len(tile_blocks), len(stream), len(tap_base)
    hits = np.zeros((tiles, rows, threads), np.int32)
    row = np.zeros(len(flat), np.int64)
    for tile in range(tiles):
        for e in range(rows):
            block = tile_blocks[tile, stream[e]]
            if block < 0:
                continue
            base, height, width = blocks[block]
            _read_row(x, base, parts[e], flat, height, row)
            for position in range(len(positions)):
                stretch, place = positions[position]
                if 0 <= stretch < height and place < width:
                    for t in range(taps):
                        hits[tile, e, t] += row[tap_base[t] + position] != 0
    return hits


@numba.njit(cache=True)
def fill_rows(
    x: NDArray[Any], blocks: IntArray, row_block: IntArray, row_parts: IntArray, flat: IntArray,
    positions: IntArray, tap_base: IntArray, taps: int, values: NDArray[np.int32], masks: NDArray[np.uint8],
) -> None:
    """Values ``[n, flat positions]`` and mask bits ``[n, output positions]`` of rows; block -1 is a row of zeros."""
    row = np.zeros(len(flat), np.int64)
    for n in range(len(row_block)):
        if row_block[n] < 0:
            continue
        base, height, width = blocks[row_block[n]]
        _read_row(x, base, row_parts[n], flat, height, row)
        for f in range(len(flat)):
            values[n, f] = row[f]
        for position in range(len(positions)):
            stretch, place = positions[position]
            if 0 <= stretch < height and place < width:
                bits = 0
                for t in range(taps):
                    if row[tap_base[t] + position] != 0:
                        bits |= 1 << t
                masks[n, position] = bits
