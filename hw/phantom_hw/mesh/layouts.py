"""What goes into the post-processing lanes and out of them: the single definition of every payload's fields."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.utils import bits_for, ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.mesh.requantizer import BIAS_BITS, MULT_BITS, SHIFT_BITS

__all__ = ["activation_layout", "channel_layout", "limits_layout", "parameter_layout", "sum_layout"]


def _origin(config: PhantomConfig, cores: int) -> dict[str, int]:
    """Whose a value is: core of the lane, PE column of the core, filter of the column; and the set of parameters."""
    return {
        "core": bits_for(cores - 1),
        "column": bits_for(config.pe_cols - 1),
        "filter": ceil_log2(config.acc_depth),
        "set": 1,
    }


def sum_layout(config: PhantomConfig, cores: int) -> data.StructLayout:
    """A sum for a lane of ``cores`` cores. ``last`` ends the positions of a filter, ``tile_last`` the core's tile.

    The positions of one filter follow each other without others between them.
    """
    return data.StructLayout({
        "value": signed(config.acc_width), **_origin(config, cores), "last": 1, "tile_last": 1,
    })


def activation_layout(config: PhantomConfig, cores: int) -> data.StructLayout:
    """One beat of encoded activations: chunks of up to N, zeros left out.

    ``nonzero`` tells that ``value`` is the next nonzero of the chunk. ``last`` ends the chunk, whose mask (bit i:
    position i is nonzero) is then in ``mask``; ``burst_last`` ends the filter's positions, ``tile_last`` the core's
    tile.
    """
    return data.StructLayout({
        "value": config.act_width, "nonzero": 1, **_origin(config, cores),
        "last": 1, "burst_last": 1, "tile_last": 1, "mask": config.chunk,
    })


def channel_layout() -> data.StructLayout:
    """What an output channel is requantized with."""
    return data.StructLayout({"bias": signed(BIAS_BITS), "mult": MULT_BITS, "shift": SHIFT_BITS})


def parameter_layout(channels: int) -> data.StructLayout:
    """The parameters of channel ``index`` of a set, on their way to a lane with ``channels`` of them."""
    return data.StructLayout({"set": 1, "index": bits_for(channels - 1), **channel_layout().members})


def limits_layout(config: PhantomConfig) -> data.StructLayout:
    """The range that the results of a set are clamped to."""
    bound = signed(config.act_width + 1)
    return data.StructLayout({"set": 1, "lo": bound, "hi": bound})
