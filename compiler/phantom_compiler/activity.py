"""Which positions of the rows of the moving operand meet a nonzero: seen in a calibration, or drawn."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from phantom_compiler.geometry import RowGeometry
from phantom_compiler.problem import Problem

__all__ = ["Activity"]

CONCENTRATION = 2.0  # of the Beta distribution of drawn rows' densities: many are much denser or emptier than the mean
Masks = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Activity:
    """The nonzeros of a layer's moving operand.

    Parameters
    ----------
    problem : Problem
        The layer; of its moving operand only the shape counts.
    density : float
        Share of nonzeros, where nothing was seen.
    seen : bool array, shape (images, groups·C, H, W), optional
        Nonzeros of a calibration, padded as ``problem.moving`` is.
    """

    problem: Problem
    density: float
    seen: Masks | None = None

    @classmethod
    def of_moving(cls, problem: Problem) -> Self:
        """As many nonzeros as the problem's moving operand has."""
        return cls(problem, float(np.count_nonzero(problem.moving)) / problem.moving.size)

    @cached_property
    def met(self) -> float:
        """Share of nonzeros among what the taps meet, padding included."""
        if self.seen is None:
            return self.density
        (sv, sh), (dv, dh), (rows, columns) = self.problem.stride, self.problem.dilation, self.problem.out_size
        height, width = self.problem.stationary.shape[2:]
        count = 0
        for i, j in itertools.product(range(height), range(width)):
            count += int(np.count_nonzero(self.seen[:, :, i * dv:i * dv + (rows - 1) * sv + 1:sv,
                                                j * dh:j * dh + (columns - 1) * sh + 1:sh]))
        return count / (self.seen.shape[0] * self.seen.shape[1] * rows * columns * height * width)

    def hits(self, geometry: RowGeometry, row: NDArray[np.int64], threads: int) -> tuple[Masks, float]:
        """What rows meet at places drawn at random, and how many nonzeros a tap meets in a row on average.

        Parameters
        ----------
        geometry : RowGeometry
        row : int64 array, shape (rows,)
            Numbers of the rows within their group, as :meth:`~.RowGeometry.arrange` counts them.
        threads : int

        Returns
        -------
        bool array, shape (rows, positions, T)
        float
        """
        if self.seen is None:
            return self._drawn(geometry, len(row), threads), self.met * np.count_nonzero(geometry.outputs()[0] >= 0)
        rows, columns = self.problem.out_size
        blocks = -(-rows // geometry.height) * -(-columns // geometry.width)
        return self._of_seen(self.seen, geometry, row, threads), self.met * rows * columns / blocks

    def _drawn(self, geometry: RowGeometry, rows: int, threads: int) -> Masks:
        """The densities of rows are drawn around the mean, too: activations are dense in some channels and places."""
        rng = np.random.default_rng(1)
        mean = min(max(self.density, 1e-3), 1 - 1e-3)
        of_rows = rng.beta(CONCENTRATION * mean, CONCENTRATION * (1 - mean), rows) * (self.density > 0)
        hits = rng.random((rows, geometry.positions, threads), np.float32) < of_rows[:, None, None]
        return np.asarray(hits & (geometry.outputs()[0] >= 0)[:, None])

    def _of_seen(self, seen: Masks, geometry: RowGeometry, row: NDArray[np.int64], threads: int) -> Masks:
        """Nonzeros come in clusters, which draws do not have.

        Where an item has two products at each position of a stretch, a thread of three has nothing to do.
        """
        rng = np.random.default_rng(2)
        channels, kernel_height = self.problem.stationary.shape[1:3]
        (out_rows, out_columns), g = self.problem.out_size, geometry

        def draw(number: int) -> NDArray[np.int64]:
            return (rng.random(len(row)) * number).astype(np.int64)

        image, group = draw(len(seen)), draw(self.problem.groups)
        top, left = draw(-(-out_rows // g.height)) * g.height, draw(-(-out_columns // g.width)) * g.width
        part = row[:, None] * g.parts + np.arange(g.parts)  # [rows, parts]
        there = part < channels * kernel_height * g.segments
        channel, line, segment = np.unravel_index(np.where(there, part, 0), (channels, kernel_height, g.segments))
        stretch, place = g.outputs()
        y, x = top[:, None] + stretch, left[:, None] + place  # [rows, positions]
        exists = (stretch >= 0) & (y < out_rows) & (x < out_columns)
        # [rows, positions, parts], and for each tap
        y = y[:, :, None] * self.problem.stride[0] + line[:, None] * self.problem.dilation[0]
        tap = segment[..., None] * g.taps + np.arange(g.taps)
        x = x[:, :, None, None] * self.problem.stride[1] + tap[:, None] * self.problem.dilation[1]
        inside = (there[:, None] & exists[..., None] & (y < seen.shape[2]))[..., None] & (x < seen.shape[3])
        of_group = group[:, None] * channels + channel
        hits = seen[image[:, None, None, None], of_group[:, None, :, None], np.minimum(y, seen.shape[2] - 1)[..., None],
                    np.minimum(x, seen.shape[3] - 1)] & inside
        hits = hits.reshape(len(row), g.positions, g.parts * g.taps)
        return np.pad(hits, ((0, 0), (0, 0), (0, threads - hits.shape[2])))
