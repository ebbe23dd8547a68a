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

__all__ = ["Band", "Bands", "Share", "cut_into_bands"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """What one mesh row does of a band.

    Parameters
    ----------
    blocks : int64 array, shape (steps, streams)
        Numbers of blocks in the image, row by row; -1 for none.
    rows : (first, last)
        Rows of the padded input that its buffer must hold, ``last`` not included; whole lines of slots.
    fresh : int
        The first of them that it does not hold from the band before.
    """

    blocks: IntArray
    rows: tuple[int, int]
    fresh: int


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
        return max(len(share.blocks) for share in self.shares)


@dataclass(frozen=True)
class Bands:
    """All bands of a layer.

    Parameters
    ----------
    bands : list of Band
    layout : BufferLayout
    ahead : bool
        The buffers hold the input of a band and of the one behind it.
    """

    bands: list[Band]
    layout: BufferLayout
    ahead: bool

    def origin(self, config: PhantomConfig, number: int, row: int) -> int:
        """Place of row 0 of the padded input in the buffer of mesh row ``row`` for band ``number``."""
        if not self.layout.stacked:
            return 0  # a ring of rows: each where its number says
        first = self.bands[number].shares[row].rows[0]
        region = number % 2 * (config.moving_positions // 2) if self.ahead and len(self.bands) > 1 else 0
        return region - int(self.layout.place(first, 0))


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

    def rows(self, first: int, last: int) -> tuple[int, int]:
        """Rows of the padded input that blocks ``first`` .. ``last`` need; as whole lines of slots, where there are."""
        height, source = self.geometry.height, self.source
        start = first // self.cuts * height * source.stride[0]
        bottom = (last // self.cuts + 1) * height - 1
        stop = bottom * source.stride[0] + (source.kernel[0] - 1) * source.dilation[0] + 1
        origin, spacing, hold = source.origin[0], source.spacing[0], self.form.height
        line = -((origin - start) // spacing) // hold  # of the first activations
        if 0 <= line < self.form.lines:
            start = min(start, origin + line * hold * spacing)
        line = (stop - 1 - origin) // spacing // hold
        if 0 <= line < self.form.lines:
            stop = max(stop, origin + (min((line + 1) * hold, source.shape[2]) - 1) * spacing + 1)
        if self.geometry.height > 1:  # phases of rows stay what they are
            start -= start % source.stride[0]
        return start, stop

    def bands(self, count: int) -> list[Band]:
        """The bands of all images with the steps of an image cut into ``count``."""
        units, rows = -(-self.blocks // self.streams), self.config.mesh_rows
        dealt = [units // rows + (r < units % rows) for r in range(rows)]
        first = [0, *itertools.accumulate(dealt)]
        edges = np.linspace(0, max(dealt), count + 1).round().astype(int)
        result = []
        for image in range(self.source.shape[0]):
            held = [-(1 << 40)] * rows
            for begin, end in itertools.pairwise(edges):
                shares = []
                for r in range(rows):
                    share, held[r] = self.share(first[r] + begin, first[r] + min(end, dealt[r]), held[r])
                    shares.append(share)
                result.append(Band(image, tuple(shares)))
        return result

    def share(self, begin: int, end: int, held: int) -> tuple[Share, int]:
        """The share with units ``begin`` .. ``end - 1``, and the first row that is not held then."""
        blocks = np.arange(begin * self.streams, max(begin, end) * self.streams)
        blocks[blocks >= self.blocks] = -1
        there = blocks[blocks >= 0]
        if not len(there):
            return Share(blocks.reshape(-1, self.streams), (0, 0), 0), held
        rows = self.rows(int(there[0]), int(there[-1]))
        fresh = rows[0] if self.geometry.height > 1 else min(max(rows[0], held), rows[1])
        return Share(blocks.reshape(-1, self.streams), rows, fresh), rows[1]

    def needs(self, bands: list[Band], together: int) -> int:
        """Most rows that so many bands that follow each other need in a buffer."""
        most = 0
        for number in range(len(bands)):
            group = [band for band in bands[number:number + together] if band.image == bands[number].image]
            for r in range(self.config.mesh_rows):
                spans = [band.shares[r].rows for band in group if band.shares[r].blocks.size]
                if spans:
                    most = max(most, max(stop for _, stop in spans) - min(start for start, _ in spans))
        return most


def cut_into_bands(
    config: PhantomConfig, source: LayerInput, form: TensorFormat, geometry: RowGeometry, streams: int
) -> Bands | None:
    """The fewest bands whose input fits into the moving buffers, if it can two bands at a time.

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
    Bands or None
        None if not even a single step fits.
    """
    cutter = _Cutter(config, source, form, geometry, streams)
    units = -(-cutter.blocks // streams)
    most = -(-units // config.mesh_rows)
    counts = sorted({-(-most // n) for n in range(1, most + 1)})
    for ahead in (True, False):
        # a cut into more bands needs less room: look for the fewest by halves
        low, high, found = 0, len(counts), None
        while low < high:
            middle = (low + high) // 2
            bands = cutter.bands(counts[middle])
            several = ahead and len(bands) > 1
            together = 2 if several and geometry.height == 1 else 1
            layout = BufferLayout(source, geometry, cutter.needs(bands, together))
            size = layout.size * (2 if several and geometry.height > 1 else 1)
            if size <= config.moving_positions and not (several and source.shape[0] > 1 and geometry.height == 1):
                found, high = Bands(bands, layout, ahead), middle
            else:
                low = middle + 1
        if found is not None:
            return found
    return None
