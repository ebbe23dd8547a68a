"""The rows and items of one set of filters, in the order of the links, before the moving operand is known."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.balance import Balance, deal_filters, deal_rows
from phantom_compiler.tiling import Sharing

__all__ = ["Schedule", "deal", "make_schedule", "wide_core"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Schedule:
    """Rows and items of a tile whose rows all hold something; tiles of other positions leave some out.

    A *stream* is what PE columns that get the same rows have in common. Rows and items follow each other in the order
    in which their PE rows are expected to need them, and an item never comes later than the next row of its PE row.
    That keeps the links free of deadlock: of all that has not arrived, the earliest is at the head of its link, and
    a PE without room for it has everything it needs to go on.

    Parameters
    ----------
    filters : int64 array, shape (pe_cols, depth)
        The filter behind each accumulator stretch of each column, or -1.
    stream, pe_row, cols, group, row : int64 arrays (cols: uint64), shape (rows,)
        Rows in the order of the moving link: stream (its first column), PE row, PE columns (a bit each), group of the
        convolution and number within the group.
    beat_pe_row : int64 array, shape (beats,)
        PE row of each stationary beat.
    item_row, item_beat, item_col, item_local, item_filter : int64 arrays, shape (items,)
        Items in the order of the stationary link.
    item_row_last : bool array
    """

    filters: IntArray
    stream: IntArray
    pe_row: IntArray
    cols: NDArray[np.uint64]
    group: IntArray
    row: IntArray
    beat_pe_row: IntArray
    item_row: IntArray
    item_beat: IntArray
    item_col: IntArray
    item_local: IntArray
    item_filter: IntArray
    item_row_last: NDArray[np.bool_]

    def of_items(self, values: NDArray[Any]) -> NDArray[Any]:
        """What ``values[filter, row of the group]`` holds for each item."""
        return values[self.item_filter, self.row[self.item_row]]

    def users(self, masks: NDArray[np.bool_]) -> IntArray:
        """How many items of each row use each tap, ``[rows, T]``; ``masks`` are the nonzeros of the items."""
        users = np.zeros((len(self.row), masks.shape[2]), np.int64)
        np.add.at(users, self.item_row, self.of_items(masks))
        return users


def wide_core(config: PhantomConfig) -> PhantomConfig:
    """The PE columns of a mesh row as those of one core, for the scheduler only: wider than a core may be."""
    wide = copy.copy(config)
    object.__setattr__(wide, "pe_cols", config.mesh_cols * config.pe_cols)
    return wide


def deal(
    work: IntArray, groups: int, sharing: Sharing, depth: int, config: PhantomConfig, balance: Balance
) -> list[IntArray]:
    """The filters of each tile, ``[pe_cols, depth]`` with -1 for none; `work` holds the nonzeros of each filter."""
    per_group, of_core = len(work) // groups, config.pe_cols // config.mesh_cols
    if sharing is Sharing.NOTHING:
        dealt = deal_filters(work.reshape(groups, per_group).sum(axis=1), config.pe_cols, depth // per_group, balance,
                             of_core)
        members = dealt[..., None] * per_group + np.arange(per_group)
        members[dealt < 0] = -1
        return list(members.reshape(len(dealt), config.pe_cols, depth))
    columns = sharing.width(config.pe_cols, of_core)
    tiles: list[IntArray] = []
    for group in range(groups):
        dealt = deal_filters(work[group * per_group:(group + 1) * per_group], columns, depth, balance,
                             min(of_core, columns))
        dealt = np.where(dealt < 0, -1, dealt + group * per_group)
        tiles.extend(np.tile(tile, (config.pe_cols // columns, 1)) for tile in dealt)
    return tiles


def _rank(keys: IntArray, by: NDArray[np.float64] | None = None) -> IntArray:
    """How many equal keys precede each element, in their order or in the order of `by`."""
    order = np.argsort(keys, kind="stable") if by is None else np.lexsort((by, keys))
    ordered = keys[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]] if len(keys) else np.zeros(0, bool)
    where = np.arange(len(keys))
    rank = np.empty(len(keys), np.int64)
    rank[order] = where - np.maximum.accumulate(np.where(first, where, 0))
    return rank


def _gaps(keys: IntArray, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each value to the next higher one of the same key; 1 for the last."""
    order = np.lexsort((values, keys))
    gaps = np.ones(len(keys))
    same = keys[order][1:] == keys[order][:-1]
    gaps[order[:-1][same]] = np.diff(values[order])[same]
    return gaps


def make_schedule(
    filters: IntArray, masks: NDArray[Any], groups: int, sharing: Sharing, config: PhantomConfig, balance: Balance,
    density: NDArray[np.float64] | None = None,
) -> Schedule:
    """Order the rows and items of the filters of a tile.

    Parameters
    ----------
    filters : int64 array, shape (pe_cols, depth)
    masks : bool array, shape (all filters, rows of a group, T)
        The nonzeros of the items.
    groups : int
    sharing : Sharing
    config : PhantomConfig
    balance : Balance
        How rows are dealt to PE rows, see `deal_rows`.
    density : float array, shape (groups, rows of a group), optional
        Share of nonzeros expected in each row; by default the same for all.
    """
    rows, per_group = masks.shape[1], len(masks) // groups
    column, local = np.nonzero(filters >= 0)
    number = filters[column, local]
    work = masks[number].sum(axis=2)  # [filters of the tile, rows]
    member, row = np.nonzero(work)
    column, local, number = column[member], local[member], number[member]
    work = work[member, row]
    group = number // per_group
    width = sharing.width(config.pe_cols, config.pe_cols // config.mesh_cols)
    stream = column // width * width  # named by its first column

    # the rows that some item needs, each stream's dealt to PE rows; rank: place in the PE row's list
    key = (stream * groups + group) * rows + row
    used, needed = np.unique(key, return_inverse=True)
    row_stream, row_group, row_number = used // rows // groups, used // rows % groups, used % rows
    total = np.zeros((len(used), config.pe_cols), np.int64)
    np.add.at(total, (needed, column), work)
    pe_row, start = np.zeros(len(used), np.int64), np.zeros(len(used))
    for s in range(0, config.pe_cols, width):
        mine = row_stream == s
        expected = total[mine, s:s + width] * (1.0 if density is None else density[row_group, row_number][mine, None])
        pe_row[mine], start[mine] = deal_rows(expected, config.pe_rows, balance)
    if sharing is Sharing.NOTHING:  # the rows of different columns side by side, so that their items share beats
        start = _rank(row_stream * config.pe_rows + pe_row, start).astype(np.float64)
    order = np.lexsort((row_stream, pe_row, start))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))

    # items behind each other in the order of their rows, the columns side by side
    item_row = place[needed]
    item_order = np.lexsort((local, column, item_row))
    item_row, column, local, number = (a[item_order] for a in (item_row, column, local, number))
    within = _rank(item_row * config.pe_cols + column)
    # each item when its PE is expected to need it, so that no PE row waits for the items of another; those of columns
    # with the same row and place share a beat
    list_of = row_stream * config.pe_rows + pe_row
    ends = start + _gaps(list_of, start)
    items_of_row = np.zeros(len(used), np.int64)
    np.maximum.at(items_of_row, item_row, within + 1)
    begin, end = start[order][item_row], ends[order][item_row]
    time = begin + (end - begin) * within / items_of_row[item_row]
    beat_order = np.lexsort((pe_row[order][item_row], time))
    ordered_time, ordered_row = time[beat_order], pe_row[order][item_row][beat_order]
    first = np.ones(len(time), bool)
    first[1:] = (ordered_time[1:] != ordered_time[:-1]) | (ordered_row[1:] != ordered_row[:-1])
    beat = np.empty_like(beat_order)
    beat[beat_order] = np.cumsum(first) - 1
    last = np.ones(len(item_row), bool)
    same = (item_row[1:] == item_row[:-1]) & (column[1:] == column[:-1])
    last[:-1] = ~same
    return Schedule(
        filters=filters, stream=row_stream[order], pe_row=pe_row[order],
        cols=((total[order] > 0) << np.arange(config.pe_cols, dtype=np.uint64)).sum(axis=1, dtype=np.uint64),
        group=row_group[order],
        row=row_number[order], beat_pe_row=ordered_row[first], item_row=item_row, item_beat=beat, item_col=column,
        item_local=local, item_filter=number, item_row_last=last)
