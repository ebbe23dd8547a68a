"""What one core is fed for a layer, and how its results make the output tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout, moving_layout, stationary_layout

from phantom_compiler.packing import pack
from phantom_compiler.tiling import Tiling

__all__ = ["CoreProgram", "drain_order"]

IntArray = NDArray[np.int64]


def drain_order(config: PhantomConfig, outputs: int, span: int) -> IntArray:
    """(PE column, address) of the values of a tile as a core drains them: chunk by chunk, in each column by column."""
    pairs = [
        (column, address)
        for start in range(0, outputs, span)
        for column in range(config.pe_cols)
        for address in range(start, min(start + span, outputs))
    ]
    return np.array(pairs, np.int64).T


@dataclass(frozen=True, eq=False)
class CoreProgram:
    """A layer (or a slice of one) on one core.

    Parameters
    ----------
    config : PhantomConfig
    tiling : Tiling
    layer, moving, stationary : dict
        The layer configuration (one payload) and the beats of both links in their order, as fields of
        `layer_layout`, `moving_layout` and `stationary_layout`.
    moving_ends, stationary_ends : int64 array, shape (tiles,)
        Number of beats up to the end of each tile.
    out_index : int64 array, shape (tiles, pe_cols, outputs)
        Flat place of each result in the output, -1 for results that belong to none (they are 0).
    result_shape : tuple of int
    effectual_macs : int
        Products of two nonzeros, those that the core computes.
    dense_macs : int
        Products of the layer without any skipping.
    """

    config: PhantomConfig
    tiling: Tiling
    layer: dict[str, Any]
    moving: dict[str, Any]
    stationary: dict[str, Any]
    moving_ends: IntArray
    stationary_ends: IntArray
    out_index: IntArray
    result_shape: tuple[int, ...]
    effectual_macs: int
    dense_macs: int

    @property
    def tiles(self) -> int:
        """Tiles, each of which gives ``pe_cols × outputs`` results."""
        return len(self.out_index)

    @property
    def outputs(self) -> int:
        """Accumulator addresses of a tile."""
        return self.out_index.shape[2]

    @property
    def span(self) -> int:
        """Addresses of a chunk of results."""
        return int(self.layer["span"][0])

    @property
    def ideal_cycles(self) -> float:
        """Cycles with every thread busy in each: the bound that utilization is measured against."""
        return self.effectual_macs / self.config.core_threads

    def layer_words(self) -> NDArray[np.uint32]:
        """The layer configuration, shape (1, words)."""
        return pack(layer_layout(self.config), self.layer)

    def moving_words(self) -> NDArray[np.uint32]:
        """The beats of the moving link, shape (beats, words)."""
        return pack(moving_layout(self.config), self.moving)

    def stationary_words(self) -> NDArray[np.uint32]:
        """The beats of the stationary link, shape (beats, words)."""
        return pack(stationary_layout(self.config), self.stationary)

    def assemble(self, results: NDArray[Any]) -> IntArray:
        """Put the results of all tiles, ``[tiles, pe_cols, outputs]``, into the output's shape.

        Raises
        ------
        ValueError
            If the results have the wrong shape or one that belongs to no output is not 0.
        """
        results = np.asarray(results)
        if results.shape != self.out_index.shape:
            raise ValueError(f"results must have shape {self.out_index.shape}, not {results.shape}")
        used = self.out_index >= 0
        if np.any(results[~used]):
            raise ValueError(f"results without an output must be 0, not {int(results[~used][results[~used] != 0][0])}")
        output = np.zeros(int(np.prod(self.result_shape)), np.int64)
        output[self.out_index[used]] = results[used]
        return output.reshape(self.result_shape)
