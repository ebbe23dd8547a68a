"""Which mesh row works on which blocks of the output, and which part of the input it needs for them when."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.buffer import BufferLayout
from phantom_compiler.accelerator.source import LayerInput
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.geometry import RowGeometry

__all__ = ["Band", "Share", "cut_into_bands"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """What one mesh row does of a band.

    Parameters
    ----------
    blocks : int64 array, shape (steps, streams)
        Numbers of blocks in the image, row by row; -1 for none.
    lines : (first, last)
        Lines of slots of the input that are read, ``last`` not included.
    first_row : int
        Row of the padded input that lies at the beginning of the mesh row's buffer.
    """

    blocks: IntArray
    lines: tuple[int, int]
    first_row: int


@dataclass(frozen=True)
class Band:
    """A part of the output of one image, whose input the moving buffers hold at a time.

    Parameters
    ----------
    image : int
    shares : tuple of Share
        One for each mesh row; those to the north have as many steps as the others or one more.
    """

    image: int
    shares: tuple[Share, ...]

    @property
    def steps(self) -> int:
        """Steps of the mesh row that has the most."""
        return len(self.shares[0].blocks)


@dataclass(frozen=True)
class _Cutter:
    """All that the cutting depends on."""

    config: PhantomConfig
    source: LayerInput
    form: TensorFormat
    geometry: RowGeometry
    streams: int

    @property
    def cuts(self) -> int:
        """Blocks side by side."""
        return -(-self.source.problem.out_size[1] // self.geometry.width)

    @property
    def blocks(self) -> int:
        """Blocks of an image."""
        return -(-self.source.problem.out_size[0] // self.geometry.height) * self.cuts

    def share(self, first: int, count: int) -> tuple[Share, int]:
        """The share with blocks ``first`` .. ``first + count - 1``, and the rows that it needs in the buffer."""
        steps = -(-count // self.streams)
        blocks = np.full(steps * self.streams, -1)
        blocks[:count] = np.arange(first, first + count)
        height, source = self.geometry.height, self.source
        top, bottom = first // self.cuts * height, (max(first, first + count - 1) // self.cuts + 1) * height - 1
        start = top * source.stride[0]
        stop = bottom * source.stride[0] + (source.kernel[0] - 1) * source.dilation[0] + 1
        origin, spacing, hold = source.origin[0], source.spacing[0], self.form.height
        # the rows of activations that lie in there, as whole lines of slots
        first_line = max(0, -((origin - start) // spacing)) // hold
        last = min(source.shape[2] - 1, (stop - 1 - origin) // spacing)
        last_line = last // hold + 1 if last >= 0 else first_line
        last_line = max(first_line, last_line)
        if last_line > first_line:  # a line may begin before the first row that is read and end behind the last
            before = start - (origin + first_line * hold * spacing)
            start -= -(-max(0, before) // source.stride[0]) * source.stride[0]
            stop = max(stop, origin + (min(last_line * hold, source.shape[2]) - 1) * spacing + 1)
        return Share(blocks.reshape(steps, self.streams), (first_line, last_line), start), stop - start

    def bands(self, count: int) -> tuple[list[Band], int]:
        """The bands of all images with an image cut into ``count``, and the rows that the buffers must hold."""
        rows, result = 0, []
        edges = np.linspace(0, -(-self.blocks // self.streams), count + 1).round().astype(int)
        for image in range(self.source.shape[0]):
            for begin, end in itertools.pairwise(edges):
                # units of `streams` blocks, dealt evenly
                base, extra = divmod(int(end - begin), self.config.mesh_rows)
                place, shares = int(begin), []
                for r in range(self.config.mesh_rows):
                    units = base + (r < extra)
                    first = place * self.streams
                    share, needed = self.share(first, max(0, min(units * self.streams, self.blocks - first)))
                    place += units
                    if units:
                        rows = max(rows, needed)
                    else:
                        share = Share(share.blocks, (0, 0), 0)
                    shares.append(share)
                if shares[0].blocks.size:
                    result.append(Band(image, tuple(shares)))
        return result, rows


def cut_into_bands(
    config: PhantomConfig, source: LayerInput, form: TensorFormat, geometry: RowGeometry, streams: int
) -> tuple[list[Band], BufferLayout, int] | None:
    """The fewest bands whose input fits into the moving buffers.

    Parameters
    ----------
    config : PhantomConfig
    source : LayerInput
    form : TensorFormat
        Of the input.
    geometry : RowGeometry
    streams : int
        Blocks that the cores of a mesh row work on at the same time.

    Returns
    -------
    bands, layout, regions
        Regions is how many bands the buffers hold at a time, 1 or 2. None if not even a single step fits.
    """
    cutter = _Cutter(config, source, form, geometry, streams)
    channels, most = source.shape[1], -(-cutter.blocks // streams)
    fallback = None
    counts = sorted({*range(1, min(most, 16) + 1), *(-(-most // n) for n in range(1, most + 1))})
    for count in counts:
        bands, rows = cutter.bands(count)
        layout = BufferLayout(source, geometry, rows)
        size = channels * layout.channel_step
        regions = 1 if len(bands) == 1 else 2
        if size * regions <= config.moving_positions:
            return bands, layout, regions
        if fallback is None and size <= config.moving_positions:
            fallback = bands, layout, 1
    return fallback
