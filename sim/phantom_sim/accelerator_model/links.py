"""The packets of a segment on the links of the mesh, and what the PEs get of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_sim.accelerator_model import walk
from phantom_sim.cycle_kernel import Beats

__all__ = ["joined", "moving_links", "starts", "stationary_links"]

Ints = NDArray[np.int64]


def moving_links(config: PhantomConfig, streams: Sequence[tuple[Any, ...]]
                 ) -> tuple[Beats, tuple[Any, Any], Ints]:
    """Packets of all mesh rows, the rows of all PEs with their masks, and where each PE's begin.

    Of each STREAM_MOVING and mesh row ``streams`` has descriptors, headings, PE columns, masks and the beats of a row.
    """
    cols, shape = config.mesh_cols, np.array([config.pe_rows, config.pe_cols])
    links, everything, found_rows = [], [], []
    first = 0
    for r in range(config.mesh_rows):
        headings = joined([one[r][1] for one in streams], np.int64, (2,))
        columns = joined([one[r][2] for one in streams], np.int64, (cols,))
        beats = joined([np.where(one[r][1][:, 1] != 0, 1, one[r][4]) for one in streams], np.int64)
        width = max((one[r][3].shape[1] for one in streams), default=0)
        everything.append(joined([one[r][3] for one in streams], np.uint8, (width,)))
        near = (columns << (headings[:, :1] * config.pe_cols)).astype(np.uint64)
        near = np.repeat(near, beats, axis=0)
        last = np.zeros(len(near), np.bool_)
        last[np.cumsum(beats) - 1] = True
        links.append(_link(near, near != 0, last))
        found_rows.append((headings[:, 0].copy(), columns, first))
        first += len(headings)
    places = np.zeros(config.cores * config.pes, np.int64)
    for r, (pe_rows, columns, first) in enumerate(found_rows):
        walk.core_rows(pe_rows, columns, r, cols, shape, first, places, np.zeros(0, np.int32))
    begins = np.concatenate([[0], np.cumsum(places)])
    rows, places = np.zeros(begins[-1], np.int32), begins[:-1].copy()
    for r, (pe_rows, columns, first) in enumerate(found_rows):
        walk.core_rows(pe_rows, columns, r, cols, shape, first, places, rows)
    masks = np.concatenate(everything) if all(part.shape[1] for part in everything) else np.zeros((1, 1), np.uint8)
    return _all_links(links), (rows, masks), begins


def stationary_links(config: PhantomConfig, replays_of: Sequence[Sequence[tuple[Any, ...]]]
                     ) -> tuple[Beats, tuple[Ints, Any, Any]]:
    """Packets of all mesh columns, and the items of all PEs.

    Of each mesh column's replays ``replays_of`` has kinds, masks and ends of packets, mesh rows and repetitions.
    """
    cols, shape = config.mesh_cols, np.array([config.pe_rows, config.pe_cols])
    columns, links = [], []
    bits = np.arange(config.pe_cols, dtype=np.uint64)
    for replays in replays_of:
        kinds, masks, ends = (joined([np.tile(one[i], (one[4], 1)) for one in replays], kind, (width,))
                              for i, (kind, width) in enumerate(((np.int64, 2), (np.uint8, config.pe_cols),
                                                                 (np.uint8, config.pe_cols))))
        rows = joined([np.full(len(one[0]) * one[4], one[3]) for one in replays], np.int64)
        pes = (((masks | ends) != 0).astype(np.uint64) << bits).sum(axis=1, dtype=np.uint64)
        pes <<= (kinds[:, 0] * config.pe_cols).astype(np.uint64)
        here = (rows[:, None] >> np.arange(config.mesh_rows) & 1).astype(np.bool_)
        links.append(_link(np.where(here, pes[:, None], np.uint64(0)), here, np.zeros(len(rows), np.bool_)))
        columns.append((kinds, rows, masks, ends))
    places = np.zeros(config.cores * config.pes, np.int64)
    for c, column in enumerate(columns):
        walk.core_items(*column, c, cols, shape, places, np.zeros(0, np.uint8), np.zeros(0, np.uint8))
    begins = np.concatenate([[0], np.cumsum(places)])
    masks, flags, places = np.zeros(begins[-1], np.uint8), np.zeros(begins[-1], np.uint8), begins[:-1].copy()
    for c, column in enumerate(columns):
        walk.core_items(*column, c, cols, shape, places, masks, flags)
    return _all_links(links), (begins, masks, flags)


def joined(parts: list[Any], kind: Any, shape: tuple[int, ...] = ()) -> Any:
    """Arrays one after another; there may be none."""
    return np.ascontiguousarray(np.concatenate([np.zeros((0, *shape), kind), *parts]).astype(kind))


def starts(parts: list[Any]) -> Ints:
    """Where each of the parts begins among all of them, and where the last one ends."""
    return np.cumsum([0, *(len(part) for part in parts)]).astype(np.int64)


def _link(near: Any, here: Any, last: Any) -> Beats:
    beyond = np.zeros_like(here)
    beyond[:, :-1] = np.logical_or.accumulate(here[:, :0:-1], axis=1)[:, ::-1]
    return Beats(np.array([0, len(near)]), near, here, beyond, last, np.zeros(len(near), np.int64))


def _all_links(links: list[Beats]) -> Beats:
    start = starts([link.last for link in links])
    joined = (np.ascontiguousarray(np.concatenate(parts)) for parts in list(zip(*links, strict=True))[1:])
    return Beats(start, *joined)
