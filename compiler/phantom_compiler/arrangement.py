"""The items of a layer, for one way to cut its filter rows into segments: all of them, and a few that stand for all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from phantom_compiler.geometry import RowGeometry
from phantom_compiler.problem import Problem
from phantom_compiler.selector import sample_items

__all__ = ["Arrangement"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Arrangement:
    """The nonzeros of a layer's items.

    Parameters
    ----------
    masks : bool array, shape (filters, rows, T)
        See :meth:`.RowGeometry.arrange`.
    """

    masks: NDArray[np.bool_]

    @classmethod
    def of(cls, problem: Problem, geometry: RowGeometry, threads: int) -> Arrangement:
        """Of all geometries with as many taps and parts as ``geometry``."""
        return cls(geometry.arrange(problem.stationary != 0, threads))

    @cached_property
    def filled(self) -> NDArray[np.bool_]:
        """Items that are not empty, ``[filters, rows]``."""
        return np.asarray(self.masks.any(axis=2))

    @cached_property
    def work(self) -> IntArray:
        """Nonzeros of each filter."""
        return np.asarray(self.masks.sum(axis=(1, 2)))

    @cached_property
    def items(self) -> IntArray:
        """Items of each row that are not empty."""
        return np.asarray(self.filled.sum(axis=0))

    @cached_property
    def taps(self) -> NDArray[np.float64]:
        """Share of each row's items that have each tap, ``[rows, T]``."""
        return np.asarray(self.masks.sum(axis=0) / np.maximum(1, self.items)[:, None])

    def sample(self, count: int) -> tuple[NDArray[np.bool_], IntArray]:
        """Items that stand for all, ``[count, T]``, and their rows; none if all are empty."""
        _, rows, threads = self.masks.shape
        there = np.flatnonzero(self.filled)
        weights = self.masks.sum(axis=2, dtype=np.uint8).ravel()[there]
        chosen = there[sample_items(weights, count)]
        return self.masks.reshape(-1, threads)[chosen], chosen % rows
