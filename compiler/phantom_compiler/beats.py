"""The beats of both links for tiles of one schedule: rows that hold nothing effectual and their items are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.kernels import fill_rows
from phantom_compiler.rows import RowSource
from phantom_compiler.schedule import Schedule
from phantom_compiler.tiling import Tiling

__all__ = ["TileBeats", "make_beats", "moving_beats", "of_mesh_column", "stationary_beats"]

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TileBeats:
    """Beats of both links as fields, and the number of beats up to the end of each tile."""

    moving: dict[str, Any]
    stationary: dict[str, Any]
    moving_ends: IntArray
    stationary_ends: IntArray

    @classmethod
    def join(cls, pieces: list[TileBeats]) -> TileBeats:
        """Put the beats of several sets of tiles behind each other."""
        def concatenate(dicts: list[dict[str, Any]]) -> dict[str, Any]:
            return {key: concatenate([d[key] for d in dicts]) if isinstance(value, dict)
                    else np.concatenate([d[key] for d in dicts]) for key, value in dicts[0].items()}

        def ends(parts: list[IntArray]) -> IntArray:
            offsets = np.cumsum([0, *(part[-1] for part in parts[:-1])])
            return np.concatenate([part + offset for part, offset in zip(parts, offsets, strict=True)])

        return cls(concatenate([p.moving for p in pieces]), concatenate([p.stationary for p in pieces]),
                   ends([p.moving_ends for p in pieces]), ends([p.stationary_ends for p in pieces]))


def make_beats(
    schedule: Schedule, source: RowSource, tile_blocks: IntArray, keep: BoolArray, items: NDArray[Any],
    tiling: Tiling, config: PhantomConfig,
) -> TileBeats:
    """Make the beats of some tiles.

    Parameters
    ----------
    schedule : Schedule
    source : RowSource
    tile_blocks : int64 array, shape (tiles, pe_cols)
    keep : bool array, shape (tiles, rows)
        The rows of the schedule that hold something effectual.
    items : integer array, shape (all filters, rows of a group, T)
    tiling : Tiling
    config : PhantomConfig
    """
    stationary, stationary_ends, extra_cols = stationary_beats(schedule, keep, items, tiling, config)
    moving, moving_ends = moving_beats(schedule, source, tile_blocks, keep, extra_cols, tiling, config)
    return TileBeats(moving, stationary, moving_ends, stationary_ends)


def _idle_rows(schedule: Schedule, keep: BoolArray, config: PhantomConfig) -> BoolArray:
    """PE rows that get no row in a tile, ``[tiles, pe_rows]``: they are sent a row of zeros behind all others."""
    return np.stack([~keep[:, schedule.pe_row == r].any(axis=1) for r in range(config.pe_rows)], axis=1)


def stationary_beats(
    schedule: Schedule, keep: BoolArray, items: NDArray[Any], tiling: Tiling, config: PhantomConfig
) -> tuple[dict[str, Any], IntArray, NDArray[np.uint64]]:
    """Stationary beats, the beats up to the end of each tile, and the PE columns to add to each row."""
    tiles, columns = len(keep), config.pe_cols
    sent = keep[:, schedule.item_row]  # items of each tile
    filled = np.zeros((tiles, len(schedule.beat_pe_row)), bool)
    of_column = [np.flatnonzero(schedule.item_col == c) for c in range(columns)]
    for mine in of_column:
        filled[:, schedule.item_beat[mine]] |= sent[:, mine]
    idle = _idle_rows(schedule, keep, config)
    counts = filled.sum(axis=1)
    ends = np.cumsum(counts + idle.sum(axis=1))
    starts = np.r_[0, ends[:-1]]
    place = starts[:, None] + np.cumsum(filled, axis=1) - 1  # of each beat that is filled

    n = int(ends[-1])
    pe_row = np.zeros(n, np.int64)
    fields = {name: np.zeros((n, columns), np.uint8) for name in ("valid", "row_last", "tile_last", "mask")}
    fields["dest"] = np.zeros((n, columns), np.int32)
    fields["values"] = np.zeros((n, columns, config.threads), np.int32)
    pe_row[place[filled]] = np.broadcast_to(schedule.beat_pe_row, filled.shape)[filled]
    numbers = schedule.of_items(items)
    bits = ((numbers != 0) << np.arange(config.threads)).sum(axis=1)
    for column, mine in enumerate(of_column):
        tile, which = np.nonzero(sent[:, mine])
        item = mine[which]
        at = place[tile, schedule.item_beat[item]]
        fields["valid"][at, column] = 1
        fields["row_last"][at, column] = schedule.item_row_last[item]
        fields["mask"][at, column] = bits[item]
        fields["dest"][at, column] = schedule.item_local[item] * tiling.geometry.positions
        fields["values"][at, column] = numbers[item]

    # the end of each PE's share of the tile
    extra_cols = np.zeros(keep.shape, np.uint64)
    every_tile = np.arange(tiles)
    for r in range(config.pe_rows):
        ending = every_tile[idle[:, r]]
        last = starts[ending] + counts[ending] + idle[ending, :r].sum(axis=1)
        pe_row[last] = r
        for name in ("valid", "row_last", "tile_last"):
            fields[name][last] = 1
        rows = np.flatnonzero(schedule.pe_row == r)
        beats = np.flatnonzero(schedule.beat_pe_row == r)
        if not len(rows):
            continue
        for column, mine in enumerate(of_column):
            mine = mine[schedule.pe_row[schedule.item_row[mine]] == r]
            works = sent[:, mine].any(axis=1)
            if len(mine):
                busy = every_tile[works]
                fields["tile_last"][place[busy, schedule.item_beat[mine[_last(sent[busy][:, mine])]]], column] = 1
            # no item for this PE, but others of its row have one: an empty item with the last row
            waiting = every_tile[~works & ~idle[:, r]]
            if not len(waiting):
                continue
            at = place[waiting, beats[_last(filled[waiting][:, beats])]]
            for name in ("valid", "row_last", "tile_last"):
                fields[name][at, column] = 1
            extra_cols[waiting, rows[_last(keep[waiting][:, rows])]] |= np.uint64(1 << column)
    return {"pe_row": pe_row, "items": fields}, ends, extra_cols


def of_mesh_column(beats: dict[str, Any], column: int, width: int) -> dict[str, Any]:
    """The part of the stationary beats of a mesh row, as one wide core, for one mesh column of ``width`` PE columns."""
    lanes = slice(column * width, (column + 1) * width)
    items = {name: values[:, lanes] for name, values in beats["items"].items()}
    sent = items["valid"].any(axis=1)
    return {"pe_row": beats["pe_row"][sent], "items": {name: values[sent] for name, values in items.items()}}


def _last(flags: BoolArray) -> IntArray:
    """The last true column of each line."""
    return flags.shape[1] - 1 - np.argmax(flags[:, ::-1], axis=1)


def moving_beats(
    schedule: Schedule, source: RowSource, tile_blocks: IntArray, keep: BoolArray, extra_cols: NDArray[np.uint64],
    tiling: Tiling, config: PhantomConfig,
) -> tuple[dict[str, Any], IntArray]:
    """Moving beats and the beats up to the end of each tile."""
    geometry = tiling.geometry
    groups = -(-geometry.positions // config.group)
    beats = max(-(-geometry.row_values // config.moving_link), -(-groups // config.mask_groups))
    idle = _idle_rows(schedule, keep, config)
    counts = keep.sum(axis=1)
    ends = np.cumsum(counts + idle.sum(axis=1))
    starts = np.r_[0, ends[:-1]]

    n = int(ends[-1])
    short = np.zeros(n, bool)  # a row of zeros needs no more than one beat
    block, pe_row, cols = np.full(n, -1), np.zeros(n, np.int64), np.zeros(n, np.uint64)
    parts = np.full((n, geometry.parts), -1)
    tile, row = np.nonzero(keep)
    at = (starts[:, None] + np.cumsum(keep, axis=1) - 1)[tile, row]
    block[at] = tile_blocks[tile, schedule.stream[row]]
    pe_row[at] = schedule.pe_row[row]
    cols[at] = schedule.cols[row] | extra_cols[tile, row]
    parts[at] = source.row_parts(schedule)[row]
    for r in range(config.pe_rows):
        ending = np.flatnonzero(idle[:, r])
        at = starts[ending] + counts[ending] + idle[ending, :r].sum(axis=1)
        pe_row[at] = r
        cols[at] = (1 << config.pe_cols) - 1
        short[at] = True

    values = np.zeros((n, beats * config.moving_link), np.int32)
    masks = np.zeros((n, beats * config.mask_groups * config.group), np.uint8)
    fill_rows(source.x, source.blocks, block, parts, source.flat, source.positions, source.tap_base, source.taps,
              values, masks)
    lengths = np.where(short, 1, beats)
    stops = np.cumsum(lengths)
    last = np.zeros(stops[-1], np.uint8)
    last[stops - 1] = 1
    sent = (np.arange(beats) < lengths[:, None]).ravel()
    mask_beats = masks.reshape(n * beats, config.mask_groups, config.group)
    value_beats = values.reshape(n * beats, config.moving_link)
    fields = {
        "pe_row": np.repeat(pe_row, lengths), "cols": np.repeat(cols, lengths), "last": last,
        "mask": mask_beats if sent.all() else mask_beats[sent],
        "values": value_beats if sent.all() else value_beats[sent],
    }
    return fields, stops[ends - 1]
