"""What a mesh is fed for a layer, and how its sums make the output tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.program import drain_order
from phantom_compiler.tiling import Tiling

__all__ = ["MeshProgram", "MeshProgramError"]

IntArray = NDArray[np.int64]
Words = NDArray[np.uint32]


class MeshProgramError(ValueError):
    """Sums that cannot be those of the program."""


@dataclass(frozen=True, eq=False)
class MeshProgram:
    """A layer (or a slice of one) on a mesh.

    Parameters
    ----------
    config : PhantomConfig
    tiling : Tiling
    layer : dict
        The layer configuration, as fields of `layer_layout`.
    moving, stationary : list of uint32[packets, words]
        Packets of each mesh row's moving link and each mesh column's stationary link, in their order.
    out_index : list of int64[tiles, lanes, outputs], one for each mesh row
        Flat place in the output of each result of the PE columns of the mesh row side by side, -1 for results that
        belong to none (they are 0).
    result_shape : tuple of int
    effectual_macs, dense_macs : int
        Products of two nonzeros, and products without any skipping.
    """

    config: PhantomConfig
    tiling: Tiling
    layer: dict[str, Any]
    moving: list[Words]
    stationary: list[Words]
    out_index: list[IntArray]
    result_shape: tuple[int, ...]
    effectual_macs: int
    dense_macs: int

    @property
    def tiles(self) -> int:
        """Tiles of all cores together."""
        return sum(len(index) for index in self.out_index) * self.config.mesh_cols

    @property
    def outputs(self) -> int:
        """Accumulator addresses of a tile."""
        return int(self.layer["outputs"][0])

    @property
    def span(self) -> int:
        """Addresses of a chunk of results."""
        return int(self.layer["span"][0])

    @property
    def ideal_cycles(self) -> float:
        """Cycles with every thread busy in each: the bound that utilization is measured against."""
        return self.effectual_macs / (self.config.core_threads * self.config.cores)

    def assemble(self, sums: list[IntArray]) -> IntArray:
        """Put the sums of each core, in the order in which it drains them, into the output's shape.

        Raises
        ------
        MeshProgramError
            If a core gave too many or too few, or one that belongs to no output is not 0.
        """
        output = np.zeros(int(np.prod(self.result_shape)), np.int64)
        column, address = drain_order(self.config, self.outputs, self.span)
        for core, values in enumerate(sums):
            index = self.out_index[core // self.config.mesh_cols]
            places = index.reshape(len(index), self.config.mesh_cols, self.config.pe_cols, self.outputs)
            wanted = places[:, core % self.config.mesh_cols][:, column, address].ravel()
            if len(values) != len(wanted):
                raise MeshProgramError(f"core {core} gave {len(values)} sums, not {len(wanted)}")
            if values[wanted < 0].any():
                raise MeshProgramError(f"core {core}: sums without an output must be 0")
            output[wanted[wanted >= 0]] = values[wanted >= 0]
        return output.reshape(self.result_shape)
