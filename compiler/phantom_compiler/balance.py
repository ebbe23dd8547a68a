"""Two-level load balancing: filters to sets and cores, and within a core filters to PE columns and rows to PE rows."""

from __future__ import annotations

from enum import Flag
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["Balance", "deal_filters", "deal_rows"]

IntArray = NDArray[np.int64]


class Balance(Flag):
    """The levels of load balancing that are on (paper: two-level load balancing)."""

    NONE = 0  #: filters and rows are dealt in order
    INTER_CORE = 1  #: filters that run together weigh the same, and so do the shares of the cores
    INTRA_CORE = 2  #: within a core, filters go to PE columns longest-first, and rows to PE rows by their work
    BOTH = 3


def deal_filters(
    weights: IntArray, columns: int, depth: int, balance: Balance = Balance.BOTH, of_core: int | None = None
) -> IntArray:
    """Deal filters (or groups) to tiles and PE columns.

    Parameters
    ----------
    weights : integer array, shape (n,)
        Work of each filter: its nonzeros.
    columns, depth : int
        PE columns, and filters that one column takes in a tile.
    balance : Balance
        Between cores: sort by work, so that filters of one tile weigh the same, and give each tile's filters
        longest-first to the core with the least work. Within a core: the same with its PE columns. With both, all PE
        columns are one level. What is not balanced is dealt in order.
    of_core : int, optional
        PE columns of a core; by default all of them.

    Returns
    -------
    int64 array, shape (tiles, columns, depth)
        Numbers of filters, -1 where a column has fewer; the filters of a column come first.
    """
    n = len(weights)
    # as many filters for each column in every tile but the last, and tiles of about one size
    layers = -(-n // columns)
    tiles = -(-layers // depth)
    bounds = np.minimum(np.linspace(0, layers, tiles + 1).round().astype(np.int64) * columns, n)
    order = np.argsort(-weights, kind="stable") if Balance.INTER_CORE in balance else np.arange(n)
    result, work = np.full((tiles, columns, depth), -1, np.int64), np.ascontiguousarray(weights, np.int64)
    for tile in range(tiles):
        members = order[bounds[tile]:bounds[tile + 1]]
        if balance in (Balance.BOTH, Balance.NONE):
            _deal(work, members, balance is Balance.BOTH, result[tile])
        else:
            _deal_to_cores(work, members, balance, result[tile].reshape(-1, of_core or columns, depth))
    return result


def _deal_to_cores(work: IntArray, members: IntArray, balance: Balance, result: IntArray) -> None:
    """Deal filters to cores by one rule, then those of each core by the other, ``result[core, column, place]``."""
    shares = np.full((len(result), result.shape[1] * result.shape[2]), -1, np.int64)
    _deal(work, members, Balance.INTER_CORE in balance, shares)
    for share, columns in zip(shares, result, strict=True):
        own = np.sort(share[share >= 0])
        by_work = Balance.INTRA_CORE in balance
        _deal(work, own[np.argsort(-work[own], kind="stable")] if by_work else own, by_work, columns)


@numba.njit(cache=True)
def _deal(weights: IntArray, members: IntArray, by_work: bool, result: IntArray) -> None:
    """Deal the filters ``members`` of a tile to its columns, ``result[column, place]``: by work or in order."""
    columns, depth = result.shape
    loads, counts = np.zeros(columns), np.zeros(columns, np.int64)
    for place, member in enumerate(members):
        column = place * columns // len(members)
        if by_work:
            least = np.inf
            for c in range(columns):
                if counts[c] < depth and loads[c] < least:
                    column, least = c, loads[c]
        result[column, counts[column]] = member
        loads[column] += weights[member]
        counts[column] += 1


CANDIDATES = 64  # rows that are looked at for the next place


@numba.njit(cache=True)
def _evenly(work: NDArray[np.float64], pe_rows: int) -> tuple[IntArray, NDArray[np.float64]]:
    rows, columns = work.shape
    scale = np.zeros(columns)  # a column with more work in all is to have more of it at any time
    for c in range(columns):
        scale[c] = 1 / max(1e-9, work[:, c].sum())
    load = np.zeros((pe_rows, columns))
    total = np.zeros(pe_rows)
    dealt, start = np.zeros(rows, np.int64), np.zeros(rows)
    waiting = np.arange(rows)
    left = rows
    while left:
        r = int(np.argmin(total))
        best, best_spread = 0, np.inf
        for candidate in range(min(CANDIDATES, left)):
            row = waiting[candidate]
            squares, plain = 0.0, 0.0
            for c in range(columns):
                after = load[r, c] + work[row, c] * scale[c]
                squares += after * after
                plain += after
            spread = squares - plain * plain / columns
            if spread < best_spread:
                best, best_spread = candidate, spread
        row = waiting[best]
        waiting[best:left - 1] = waiting[best + 1:left]
        left -= 1
        dealt[row], start[row] = r, total[r]
        total[r] += work[row].sum()
        for c in range(columns):
            load[r, c] += work[row, c] * scale[c]
    return dealt, start


def deal_rows(
    work: NDArray[Any], pe_rows: int, balance: Balance = Balance.BOTH
) -> tuple[IntArray, NDArray[np.float64]]:
    """Deal the rows of a tile to PE rows, and order them.

    PE columns share rows, so that none gets further ahead than it has row slots. A column that has more work than the
    others for the rows so far makes them wait; over a whole tile that evens out.

    Parameters
    ----------
    work : array, shape (rows, columns)
        Work that each column is expected to have for a row: nonzeros of its items.
    pe_rows : int
    balance : Balance
        Within a core: the PE row with the least work so far gets that one of the next rows of which its columns have
        done the most even part of their work then; otherwise round-robin.

    Returns
    -------
    pe_row : int64 array, shape (rows,)
    start : float array, shape (rows,)
        When its PE row is expected to begin with a row: the work that the PE row has until then.
    """
    if Balance.INTRA_CORE not in balance:
        return np.arange(len(work)) % pe_rows, (np.arange(len(work)) // pe_rows).astype(np.float64)
    dealt: tuple[IntArray, NDArray[np.float64]] = _evenly(np.ascontiguousarray(work, np.float64), pe_rows)
    return dealt
