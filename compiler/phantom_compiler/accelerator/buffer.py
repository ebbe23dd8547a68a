"""Where a layer's input lies in a moving buffer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from phantom_compiler.accelerator.source import LayerInput
from phantom_compiler.geometry import RowGeometry

__all__ = ["BufferLayout"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class BufferLayout:
    """Places of the padded input's rows in a buffer, counted from the place of row 0.

    Columns are de-interleaved by the horizontal stride, so that what one tap reads for neighbouring output positions
    lies side by side. If a row of the core has one stretch, all channels of an input row follow each other and the next
    row is behind them: the buffer is a ring of rows. If it has several stretches, the rows of a channel (of one phase
    of the vertical stride) follow each other, so that all stretches are read in one go; then ``rows`` rows are held.

    Parameters
    ----------
    source : LayerInput
    geometry : RowGeometry
    rows : int
        Rows that are held at a time.
    """

    source: LayerInput
    geometry: RowGeometry
    rows: int

    @property
    def stacked(self) -> bool:
        """The rows of a channel follow each other."""
        return self.geometry.height > 1

    @property
    def row_phases(self) -> int:
        """Phases that the rows are de-interleaved to."""
        return self.source.stride[0] if self.stacked else 1

    @property
    def columns(self) -> int:
        """Places of one phase of a row, all columns that are loaded or read included."""
        return self.geometry.pitch if self.stacked else -(-self.source.columns // self.source.stride[1])

    @property
    def row_step(self) -> int:
        """Places from a row to the next one of its phase."""
        return self.columns if self.stacked else self.source.shape[1] * self.channel_step

    @property
    def phase_step(self) -> int:
        """Places from a phase of the columns to the next."""
        return -(-self.rows // self.row_phases) * self.row_step if self.stacked else self.columns

    @property
    def row_phase_step(self) -> int:
        """Places from a phase of the rows to the next."""
        return self.source.stride[1] * self.phase_step

    @property
    def channel_step(self) -> int:
        """Places from a channel to the next."""
        return self.row_phases * self.row_phase_step

    @property
    def size(self) -> int:
        """Places of all rows that are held."""
        return self.source.shape[1] * self.channel_step if self.stacked else self.rows * self.row_step

    def place(self, row: IntArray | int, column: IntArray | int) -> IntArray:
        """Place of a row and a column."""
        phases, stride, row, column = self.row_phases, self.source.stride[1], np.asarray(row), np.asarray(column)
        return np.asarray((row % phases) * self.row_phase_step + (row // phases) * self.row_step
                          + (column % stride) * self.phase_step + column // stride)

    def parts(self, channels: int) -> IntArray:
        """Place of each part of each row of a group, from the block's own; -1 for parts that the last row has not."""
        geometry = self.geometry
        channel, line, segment = (axis.ravel() for axis in np.meshgrid(
            np.arange(channels), np.arange(self.source.kernel[0]), np.arange(geometry.segments), indexing="ij"))
        place = channel * self.channel_step + self.place(line * self.source.dilation[0],
                                                         segment * geometry.segment_shift)
        rows = -(-len(place) // geometry.parts)
        padded = np.full(rows * geometry.parts, -1)
        padded[:len(place)] = place
        return padded.reshape(rows, geometry.parts)

    def of_channels(self, values: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
        """The mean of a figure of each channel over the parts of each row, ``[groups, rows]``."""
        geometry, per_group = self.geometry, len(values) // groups
        channel = np.repeat(np.arange(per_group), self.source.kernel[0] * geometry.segments)
        rows = -(-len(channel) // geometry.parts)
        figures = np.full((groups, rows * geometry.parts), np.nan)
        figures[:, :len(channel)] = values.reshape(groups, per_group)[:, channel]
        return np.asarray(np.nanmean(figures.reshape(groups, rows, geometry.parts), axis=2))

    @cached_property
    def distances(self) -> list[int]:
        """Distances of the parts of a row from its first one if they are the same in all rows; otherwise just [0].

        Then the parts are read as planes of one part. Parts that the last row has not meet no weight, whatever is read.
        """
        parts = self.parts(self.source.problem.stationary.shape[1])
        whole = parts[(parts >= 0).all(axis=1)]
        distance = whole - whole[:, :1]
        if not len(whole) or (distance != distance[0]).any() or (distance < 0).any():
            return [0]
        return [int(d) for d in distance[0]]

    def planes(self) -> tuple[list[int], list[int]]:
        """Distance of each plane from the place of what it belongs to, and its positions."""
        planes = self.geometry.planes
        return ([distance + phase * self.phase_step + first for distance in self.distances
                 for phase, first, _, _ in planes],
                [self.geometry.positions + spread for _, _, spread, _ in planes] * len(self.distances))
