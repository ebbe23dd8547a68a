"""Where the rows of a layer are read from: the padded input, its blocks of output positions, the parts of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.kernels import count_hits
from phantom_compiler.problem import Problem
from phantom_compiler.schedule import Schedule
from phantom_compiler.tiling import Tiling

__all__ = ["RowSource", "row_source"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RowSource:
    """Where the rows of a layer are read from.

    Parameters
    ----------
    x : integer array
        The moving operand, flat.
    blocks : int64 array, shape (blocks, 3)
        Blocks of output positions: their place in `x`, and the stretches and positions within that exist.
    parts : int64 array, shape (groups, rows, parts)
        Place in `x` of each part of each row, from the block's; -1 for none.
    flat, positions, tap_base
        See `RowGeometry`.
    taps : int
        Taps in use.
    channel_size : int
        Positions of one channel in `x`.
    """

    x: NDArray[Any]
    blocks: IntArray
    parts: IntArray
    flat: IntArray
    positions: IntArray
    tap_base: IntArray
    taps: int
    channel_size: int

    def of_channels(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean of a figure of each channel over the parts of each row, ``[groups, rows]``."""
        there = self.parts >= 0
        figures = np.where(there, values[np.where(there, self.parts, 0) // self.channel_size], 0.0)
        return np.asarray(figures.sum(axis=2) / np.maximum(1, there.sum(axis=2)))

    def hits(self, schedule: Schedule, tile_blocks: IntArray) -> NDArray[Any]:
        """Nonzeros that each tap of each row meets, ``[tiles, rows, threads]``."""
        return count_hits(self.x, self.blocks, tile_blocks, schedule.stream, self.row_parts(schedule), self.flat,
                          self.positions, self.tap_base, self.taps)

    def row_parts(self, schedule: Schedule) -> IntArray:
        """Places of the parts of a schedule's rows."""
        return np.ascontiguousarray(self.parts[schedule.group, schedule.row])


def row_source(problem: Problem, tiling: Tiling, config: PhantomConfig) -> tuple[RowSource, IntArray]:
    """Return the row source of a problem, and image, first row and first column of each block."""
    geometry = tiling.geometry
    (sv, sh), (rows, columns) = problem.stride, problem.out_size
    channels, kernel_height = problem.stationary.shape[1:3]
    # neighbours in a column of the image follow each other: what works on them at the same time finds the most alike
    image, left, top = (axis.ravel() for axis in np.meshgrid(
        np.arange(problem.moving.shape[0]), np.arange(0, columns, geometry.width), np.arange(0, rows, geometry.height),
        indexing="ij"))
    # zeros behind the input wherever a stretch may read
    height = (int(top.max()) + geometry.height - 1) * sv + (kernel_height - 1) * problem.dilation[0] + 1
    width = ((int(left.max()) + geometry.width - 1) * sh
             + (geometry.segments * geometry.taps - 1) * problem.dilation[1] + 1)
    beyond = max(0, height - problem.moving.shape[2]), max(0, width - problem.moving.shape[3])
    x = np.pad(problem.moving, ((0, 0), (0, 0), (0, beyond[0]), (0, beyond[1])))
    of_image, of_channel, of_row, _ = np.cumprod((1, *x.shape[:0:-1]))[::-1]
    base = image * of_image + top * sv * of_row + left * sh
    blocks = np.stack([base, np.minimum(geometry.height, rows - top), np.minimum(geometry.width, columns - left)], 1)
    parts = geometry.row_offsets(channels, kernel_height, (of_channel, problem.dilation[0] * of_row))
    of_group = np.arange(problem.groups)[:, None, None] * channels * of_channel
    part, stretch, offset = geometry.flat()
    offset = offset + np.maximum(stretch, 0) * sv * of_row
    source = RowSource(
        x=np.ascontiguousarray(x).ravel(), blocks=blocks, parts=np.where(parts < 0, -1, parts + of_group),
        flat=np.stack([part, stretch, offset], 1), positions=np.stack(geometry.outputs(), 1),
        tap_base=geometry.tap_base(config.threads), taps=geometry.taps * geometry.parts,
        channel_size=int(of_channel))
    return source, np.stack([image, top, left], 1)
