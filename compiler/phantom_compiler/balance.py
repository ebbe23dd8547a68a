"""Intra-core load balancing: filters to PE columns and rows to PE rows."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["deal_filters", "deal_rows"]

IntArray = NDArray[np.int64]


def deal_filters(weights: IntArray, columns: int, depth: int, balance: bool = True) -> IntArray:
    """Deal filters (or groups) to tiles and PE columns.

    Parameters
    ----------
    weights : integer array, shape (n,)
        Work of each filter: its nonzeros.
    columns, depth : int
        PE columns, and filters that one column takes in a tile.
    balance : bool
        Sort by work, so that filters of one tile weigh the same, and give each tile's filters longest-first to the
        column with the least work. Otherwise filters are dealt in order.

    Returns
    -------
    int64 array, shape (tiles, columns, depth)
        Numbers of filters, -1 where a column has fewer; the filters of a column come first.
    """
    n = len(weights)
    tiles = -(-n // (columns * depth))
    # tiles of equal size, not a full one after the other and a small rest
    bounds = np.linspace(0, n, tiles + 1).round().astype(np.int64)
    order = np.argsort(-weights, kind="stable") if balance else np.arange(n)
    result = np.full((tiles, columns, depth), -1, np.int64)
    for tile in range(tiles):
        members = order[bounds[tile]:bounds[tile + 1]]
        loads, counts = np.zeros(columns), np.zeros(columns, np.int64)
        for place, member in enumerate(members):
            if balance:
                column = int(np.argmin(np.where(counts < depth, loads, np.inf)))
            else:
                column = place * columns // len(members)
            result[tile, column, counts[column]] = member
            loads[column] += weights[member]
            counts[column] += 1
    return result


@numba.njit(cache=True)
def _least_loaded(work: IntArray, pe_rows: int) -> IntArray:
    rows, columns = work.shape
    load = np.zeros((pe_rows, columns), np.int64)
    dealt = np.zeros(rows, np.int64)
    for row in range(rows):
        best, best_load = 0, np.int64(1 << 62)
        for r in range(pe_rows):
            total = np.int64(0)
            for c in range(columns):
                if work[row, c]:
                    total = max(total, load[r, c] + work[row, c])
            if total < best_load:
                best, best_load = r, total
        dealt[row] = best
        for c in range(columns):
            load[best, c] += work[row, c]
    return dealt


def deal_rows(work: IntArray, pe_rows: int, balance: bool = True) -> IntArray:
    """Deal the rows of a tile to PE rows.

    Parameters
    ----------
    work : integer array, shape (rows, columns)
        Nonzeros of the items that each column has for a row.
    pe_rows : int
    balance : bool
        Each row goes to the PE row whose busiest column has the least work so far; otherwise round-robin.

    Returns
    -------
    int64 array, shape (rows,)
    """
    if not balance:
        return np.arange(len(work)) % pe_rows
    return _least_loaded(np.ascontiguousarray(work, np.int64), pe_rows)
