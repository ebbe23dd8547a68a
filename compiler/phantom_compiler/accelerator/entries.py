"""Row programs and packets as they lie in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig
from phantom_hw.moving.layouts import base_layout, entry_bytes, row_layout

from phantom_compiler.accelerator.buffer import BufferLayout
from phantom_compiler.packing import pack_bytes
from phantom_compiler.schedule import Schedule

__all__ = ["base_entries", "row_entries"]

IntArray = NDArray[np.int64]


def row_entries(
    config: PhantomConfig, schedule: Schedule, layout: BufferLayout, channels: int, extra_cols: NDArray[np.uint64],
    idle: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """The row entries of one set of filters, ``[entries, bytes]``.

    Parameters
    ----------
    channels : int
        Of a group.
    extra_cols : uint64 array, shape (rows,)
        PE columns that need a row besides its users.
    idle : bool array, shape (pe_rows,)
        PE rows without any row: they get one of zeros at the end.
    """
    parts = layout.parts(channels)[schedule.row, :layout.geometry.parts // len(layout.distances)]
    place = parts + (schedule.group * channels * layout.channel_step)[:, None]
    rows, per_row = parts.shape
    every = np.repeat(np.arange(rows), per_row)
    columns = (schedule.cols | extra_cols)[every]
    last = np.zeros((rows, per_row), np.int64)
    last[:, -1] = 1
    waiting = np.flatnonzero(idle)
    everyone = np.full(len(waiting), (1 << config.mesh_cols * config.pe_cols) - 1, np.uint64)
    cols = np.concatenate([columns, everyone])[:, None] >> np.arange(
        0, config.mesh_cols * config.pe_cols, config.pe_cols, dtype=np.uint64)
    nothing = np.zeros(len(waiting), np.int64)
    return pack_bytes(row_layout(config), {
        "place": np.concatenate([np.maximum(place, 0).ravel(), nothing]),
        "base": np.concatenate([schedule.stream[every] // config.pe_cols, nothing]),
        "zero": np.concatenate([(parts < 0).ravel().astype(np.int64), nothing]),
        "last": np.concatenate([last.ravel(), nothing + 1]),
        "short": np.concatenate([0 * every, nothing + 1]),
        "pe_row": np.concatenate([schedule.pe_row[every], waiting]),
        "cols": cols & np.uint64((1 << config.pe_cols) - 1),
    }, entry_bytes(config))


def base_entries(config: PhantomConfig, fields: dict[str, Any]) -> NDArray[np.uint8]:
    """Base entries, ``[entries, bytes]``."""
    return pack_bytes(base_layout(config), fields, entry_bytes(config))
