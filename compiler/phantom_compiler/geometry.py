"""What lies where in a row: planes, tap offsets and output positions of one tiling of a layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowGeometry"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class RowGeometry:
    """The rows and items of a tile whose output is ``height`` stretches of ``width`` positions.

    A filter row is cut into *segments* of ``taps`` taps; a row of the core holds ``parts`` segments, each the same
    stretch of an input row shifted to its segment, so that all rows and segments share the tap offsets. With one tap
    a segment this is a 1 × 1 convolution's row: a plane for each of T input channels.

    Input positions are de-interleaved by the stride (polyphase). Taps of one phase share a plane (``merged``) or have
    a plane each, which is narrower where a dilation is wide. Several stretches (output rows) lie one after the other
    with the ``halo`` of the planes between them: the positions there are never masked in.

    Parameters
    ----------
    kernel_width, stride, dilation : int
        Horizontal.
    taps, parts : int
        Taps of a segment, segments of a row; ``taps * parts <= threads``.
    width, height : int
    merged : bool
    """

    kernel_width: int
    stride: int
    dilation: int
    taps: int
    parts: int
    width: int
    height: int
    merged: bool

    @property
    def segments(self) -> int:
        """Segments of one filter row."""
        return -(-self.kernel_width // self.taps)

    @property
    def segment_shift(self) -> int:
        """Input positions between two segments."""
        return self.taps * self.dilation

    @cached_property
    def planes(self) -> list[tuple[int, int, int, list[int]]]:
        """Phase, first index, spread and taps of each plane of a segment."""
        offsets = [divmod(tap * self.dilation, self.stride) for tap in range(self.taps)]
        if not self.merged:
            return [(phase, index, 0, [tap]) for tap, (index, phase) in enumerate(offsets)]
        planes = []
        for phase in sorted({phase for _, phase in offsets}):
            taps = [tap for tap in range(self.taps) if offsets[tap][1] == phase]
            first, last = offsets[taps[0]][0], offsets[taps[-1]][0]
            planes.append((phase, first, last - first, taps))
        return planes

    @cached_property
    def pitch(self) -> int:
        """Positions from one stretch to the next."""
        return self.width + max(spread for _, _, spread, _ in self.planes)

    @property
    def positions(self) -> int:
        """W: output positions of a row, those between the stretches included."""
        return (self.height - 1) * self.pitch + self.width

    @cached_property
    def _starts(self) -> list[int]:
        """Where each plane of a segment starts; last the length of all."""
        starts = [0]
        for _, _, spread, _ in self.planes:
            starts.append(starts[-1] + self.positions + spread)
        return starts

    @property
    def row_values(self) -> int:
        """Flat positions of a row."""
        return self.parts * self._starts[-1]

    def tap_base(self, threads: int) -> IntArray:
        """The flat position that each tap reads for output position 0; 0 for taps that the layer has not."""
        base = np.zeros(threads, np.int64)
        for start, (_, first, _, taps) in zip(self._starts, self.planes, strict=False):
            for tap in taps:
                for part in range(self.parts):
                    index = tap * self.dilation // self.stride - first
                    base[part * self.taps + tap] = part * self._starts[-1] + start + index
        return base

    def flat(self) -> tuple[IntArray, IntArray, IntArray]:
        """For each flat position: its part, its stretch (-1 where no tap reads) and its input offset."""
        part, stretch, offset = [], [], []
        for p in range(self.parts):
            for phase, first, spread, _ in self.planes:
                where = np.arange(self.positions + spread)
                line, place = np.divmod(where, self.pitch)
                part.append(np.full(len(where), p))
                stretch.append(np.where(place < self.width + spread, line, -1))
                offset.append(phase + (place + first) * self.stride)
        return np.concatenate(part), np.concatenate(stretch), np.concatenate(offset)

    def outputs(self) -> tuple[IntArray, IntArray]:
        """For each output position of a row: its stretch (-1 between stretches) and its place therein."""
        line, place = np.divmod(np.arange(self.positions), self.pitch)
        return np.where(place < self.width, line, -1), place

    def arrange(self, weights: NDArray[Any], threads: int) -> NDArray[Any]:
        """Cut filters into items: ``[K, C, KH, KW]`` to ``[K, rows, threads]``, the rows of :meth:`row_offsets`."""
        filters, channels, height, width = weights.shape
        cut = np.zeros((filters, channels, height, self.segments * self.taps), weights.dtype)
        cut[..., :width] = weights
        cut = cut.reshape(filters, -1, self.taps)
        rows = -(-cut.shape[1] // self.parts)
        items = np.zeros((filters, rows * self.parts, self.taps), weights.dtype)
        items[:, :cut.shape[1]] = cut
        items = items.reshape(filters, rows, self.parts * self.taps)
        return np.pad(items, ((0, 0), (0, 0), (0, threads - items.shape[2])))

    def row_offsets(self, channels: int, kernel_height: int, steps: tuple[int, int]) -> IntArray:
        """Offset of each part of each row in the padded input, -1 for parts that the last row has not.

        ``steps`` are the distances of two channels and of two filter rows in the flat input.
        """
        channel, line, segment = np.meshgrid(
            np.arange(channels), np.arange(kernel_height), np.arange(self.segments), indexing="ij")
        offset = (channel * steps[0] + line * steps[1] + segment * self.segment_shift).ravel()
        rows = -(-len(offset) // self.parts)
        padded = np.full(rows * self.parts, -1)
        padded[:len(offset)] = offset
        return padded.reshape(rows, self.parts)
