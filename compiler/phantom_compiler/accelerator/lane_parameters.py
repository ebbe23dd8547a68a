"""What post-processing lanes are told of the channels of a set of filters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from phantom_hw.results.layouts import PARAMETER_BYTES, SLOT_UNIT

from phantom_compiler.accelerator.plan import LayerPlan, channels_of_set
from phantom_compiler.accelerator.sets import FilterSet
from phantom_compiler.accelerator.tensor import TensorFormat

__all__ = ["lane_parameters"]


def lane_parameters(plan: LayerPlan, output: TensorFormat, one: FilterSet, lane: int) -> NDArray[np.uint8]:
    """Parameters of a lane's channels for a set of filters: filter by filter, the PE columns side by side.

    Returns
    -------
    uint8 array, shape (channels, PARAMETER_BYTES)
    """
    config, quantized = plan.config, plan.quantized
    columns = [c * config.pe_cols + p for c in range(config.mesh_cols) if config.lane_of(c) == lane
               for p in range(config.pe_cols)]
    number = one.filters[columns].T.ravel()
    there = number >= 0
    index = np.where(there, number, 0)
    slot = (output.address + index * output.channel_pitch) // SLOT_UNIT
    words = np.stack([quantized.bias[index], quantized.mult[index] | quantized.shift[index] << 24, slot, there], 1)
    words[~there] = 0
    table = np.zeros((channels_of_set(config, plan.tiling), words.shape[1]), "<u4")
    table[:len(words)] = words & 0xFFFFFFFF
    assert table.itemsize * table.shape[1] == PARAMETER_BYTES
    return np.ascontiguousarray(table).view(np.uint8).reshape(len(table), PARAMETER_BYTES)
