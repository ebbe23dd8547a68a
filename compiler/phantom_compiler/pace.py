"""How fast the PE columns of a mesh row get through a tile together: rows and items at their links, without values.

The closed formulas of the search take the links and the PEs one by one. Here they wait for each other: a row goes to
all columns that have items for it when each of them has a free slot, an item to all mesh rows when their PEs have room
for it, so that a column with much work for the rows so far holds up the others. An item takes the time that the
nonzeros of its row say, on average over the positions.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.activity import Activity
from phantom_compiler.arrangement import Arrangement
from phantom_compiler.balance import Balance, deal_rows
from phantom_compiler.geometry import RowGeometry
from phantom_compiler.schedule import deal, wide_core
from phantom_compiler.selector import busy_cycles
from phantom_compiler.tiling import Array, Tiling, row_beats

__all__ = ["Pace"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
ROWS = 512  # of a tile, that stand for all of them
SETS = 4  # of filters, that stand for all of them
MESH_ROWS = 4  # that wait for each other, for all of them
ITEMS = 1024  # that stand for all of them
PLACES = 4  # at which the rows are looked at
TILES = 2  # one after another


class Pace:
    """What the tilings of a layer take on the mesh.

    Parameters
    ----------
    activity : Activity
        With the problem of the layer, which has one group.
    config : PhantomConfig
    array : Array
        The mesh, alone or between its memories.
    """

    def __init__(self, activity: Activity, config: PhantomConfig, array: Array):
        self.activity, self.config, self.array = activity, config, array
        self._arrangements: dict[tuple[int, int], Arrangement] = {}

    def _items(self, geometry: RowGeometry) -> Arrangement:
        key = geometry.taps, geometry.parts
        if key not in self._arrangements:
            self._arrangements[key] = Arrangement.of(self.activity.problem, geometry, self.config.threads)
        return self._arrangements[key]

    def cycles(self, tiling: Tiling) -> float:
        """Cycles in which the mesh works on the layer, if its operands lie in the buffers."""
        problem, geometry, config = self.activity.problem, tiling.geometry, self.config
        wide, items = wide_core(config), self._items(geometry)
        width = tiling.sharing.width(wide.pe_cols, config.pe_cols)
        sets = deal(items.work, 1, tiling.sharing, tiling.depth, wide, Balance.BOTH)
        rows = np.flatnonzero(items.items)
        few = np.sort(np.random.default_rng(3).permutation(rows)[:ROWS])
        times = self._times(geometry, items, few) if len(few) else np.zeros((PLACES, 0))
        beats, drain = row_beats(geometry, config, self.array), tiling.outputs * wide.pe_cols / config.drain_lanes
        total, taken = 0.0, [sets[i * len(sets) // min(SETS, len(sets))] for i in range(min(SETS, len(sets)))]
        for filters in taken:
            dealt = [items.filled[np.ix_(column[column >= 0], few)].sum(axis=0) for column in filters[:width]]
            tile = _tile(np.stack(dealt, axis=1), times, beats, config, wide.pe_cols // width)
            total += max(tile * len(rows) / max(1, len(few)), drain) * len(sets) / len(taken)
        images, (height, columns) = problem.moving.shape[0], problem.out_size
        blocks = -(-images * -(-height // geometry.height) * -(-columns // geometry.width) // config.mesh_rows)
        return total * -(-blocks // (wide.pe_cols // width)) + drain

    def _times(self, geometry: RowGeometry, items: Arrangement, rows: IntArray) -> FloatArray:
        """Cycles of a PE for an item of each row, ``[places, rows]``: by the products that it has on average."""
        config, threads = self.config, self.config.threads
        least = 0.0 if config.skip_empty else -(-geometry.positions // config.group) / config.refill_groups
        # what is lost because products do not fill the window is the same share for all items
        sample, of_sample = items.sample(ITEMS)
        hits, met = self.activity.hits(geometry, of_sample, threads)
        counts = (hits & sample[:, None]).sum(axis=2)
        loss = busy_cycles(counts, config) / max(1e-9, float(np.maximum(counts.sum(axis=1) / threads, least).sum()))
        # products of an item by its row, which are as many on average as those of all items
        seen, _ = self.activity.hits(geometry, np.tile(rows, PLACES), threads)
        products = (seen.sum(axis=1) * np.tile(items.taps[rows], (PLACES, 1))).sum(axis=1).reshape(PLACES, len(rows))
        of_rows = items.items[rows]
        mean = float((products * of_rows).sum()) / (PLACES * of_rows.sum())
        products *= float(items.work.sum()) / items.items.sum() * met / max(1e-9, mean)
        return np.asarray(np.maximum(products / threads, least) * loss)


def _tile(items: IntArray, times: FloatArray, beats: int, config: PhantomConfig, streams: int) -> float:
    """Cycles of a tile, ``items[row, column]`` of a stream, all of which have the same items for their own rows."""
    alive = items.any(axis=1)
    items, times = items[alive], times[:, alive]
    pe_row, start = deal_rows(items * times.mean(axis=0)[:, None], config.pe_rows)
    order = np.lexsort((pe_row, start))
    width = items.shape[1]
    side_by_side = np.zeros((len(order) * streams, width * streams), np.int64)
    of_rows = np.empty((TILES, min(MESH_ROWS, config.mesh_rows), len(side_by_side)))
    for stream in range(streams):
        side_by_side[stream::streams, stream * width:(stream + 1) * width] = items[order]
        for tile, mesh_row in np.ndindex(of_rows.shape[:2]):
            of_rows[tile, mesh_row, stream::streams] = times[(tile + mesh_row + stream) % PLACES][order]
    return tile_pace(side_by_side, np.repeat(pe_row[order], streams), of_rows, beats, config.pe_rows, config.pe_cols,
                     config.row_slots, config.item_slots)


@numba.njit(cache=True)
def tile_pace(
    items: IntArray, pe_row: IntArray, times: FloatArray, beats: int, pe_rows: int, of_link: int, row_slots: int,
    item_slots: int,
) -> float:
    """Cycles of a tile among others like it.

    Parameters
    ----------
    items : int64 array, shape (rows, columns)
        Items of each row for each PE column of a mesh row, rows in the order of the moving link.
    pe_row : int64 array, shape (rows,)
    times : float array, shape (tiles, mesh rows, rows)
        Cycles that a PE takes for an item of each row, in each mesh row and in tiles one after another; the first tile
        is not counted.
    beats : int
        Of a row on the moving link.
    pe_rows : int
    of_link : int
        PE columns that a stationary link serves; in all mesh rows it brings the same items.
    row_slots, item_slots : int
        Rows and items that a PE holds.
    """
    rows, columns = items.shape
    tiles, mesh_rows, _ = times.shape
    links = columns // of_link
    free = np.zeros((mesh_rows, pe_rows, columns))  # when a PE has done all that it has got
    held = np.zeros((mesh_rows, pe_rows, columns, row_slots))  # when its last rows were done, a ring
    row_at = np.zeros((pe_rows, columns), np.int64)
    got = np.zeros((pe_rows, columns, item_slots))  # when the last items were done in all mesh rows, a ring
    item_at = np.zeros((pe_rows, columns), np.int64)
    moving, stationary = np.zeros(mesh_rows), np.zeros(links)
    begin = 0.0
    for tile in range(tiles):
        for j in range(rows):
            p = pe_row[j]
            for m in range(mesh_rows):
                arrives = moving[m]
                for c in range(columns):
                    if items[j, c]:
                        arrives = max(arrives, held[m, p, c, row_at[p, c]])
                moving[m] = arrives + beats
            for link in range(links):
                first = link * of_link
                most = 0
                for c in range(first, first + of_link):
                    most = max(most, items[j, c])
                for k in range(most):
                    sent = stationary[link]
                    for c in range(first, first + of_link):
                        if items[j, c] > k:
                            sent = max(sent, got[p, c, item_at[p, c]])
                    stationary[link] = sent + 1
                    for c in range(first, first + of_link):
                        if items[j, c] > k:
                            latest = 0.0
                            for m in range(mesh_rows):
                                done = max(free[m, p, c], sent + 1, moving[m]) + times[tile, m, j]
                                free[m, p, c] = done
                                latest = max(latest, done)
                            got[p, c, item_at[p, c]] = latest
                            item_at[p, c] = (item_at[p, c] + 1) % item_slots
            for c in range(columns):
                if items[j, c]:
                    for m in range(mesh_rows):
                        held[m, p, c, row_at[p, c]] = free[m, p, c]
                    row_at[p, c] = (row_at[p, c] + 1) % row_slots
        if tile == 0:
            begin = free.max()
    return float((free.max() - begin) / max(1, tiles - 1))
