"""What travels on the way of the results: the single definition of every payload's fields."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.utils import bits_for, ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.results.requantizer import BIAS_BITS, MULT_BITS, SHIFT_BITS
from phantom_hw.soc.isa import PATTERNS

__all__ = [
    "PARAMETER_BYTES", "SLOT_UNIT", "channel_layout", "chunk_layout", "clamp_layout", "parameter_layout",
    "pattern_index_layout", "pattern_layout", "tile_layout",
]

SLOT_UNIT = 8
"""Bytes: slots begin at multiples of it."""
SLOT_ADDRESS_BITS = 32
OFFSET_BITS = 24
PARAMETER_BYTES = 16
"""Bytes of a channel's parameters in memory: words of bias, multiplier and shift, slot address, flags."""


def pattern_index_layout() -> int:
    """Bits of a pattern's number."""
    return ceil_log2(PATTERNS)


def pattern_layout(config: PhantomConfig) -> data.StructLayout:
    """A pattern: which of up to N positions of a tile are there."""
    return data.StructLayout({"index": pattern_index_layout(), "bits": config.chunk})


def tile_layout(config: PhantomConfig) -> data.StructLayout:
    """What a lane must know of a core's tile.

    ``first`` is the place of its first channel in the lane, ``clamp`` which clamp holds, ``pattern`` which positions
    are there, and ``offset`` how far the tile's slots lie behind the first slots of their channels, in units of
    ``SLOT_UNIT`` bytes. Without ``write`` nothing of the tile is written.
    """
    return data.StructLayout({
        "first": ceil_log2(config.lane_channels), "clamp": 1, "pattern": pattern_index_layout(), "write": 1,
        "offset": OFFSET_BITS,
    })


def channel_layout() -> data.StructLayout:
    """What a lane holds of an output channel; ``slot`` is the address of its first slot in units of ``SLOT_UNIT``."""
    return data.StructLayout({
        "bias": signed(BIAS_BITS), "mult": MULT_BITS, "shift": SHIFT_BITS, "slot": SLOT_ADDRESS_BITS, "write": 1,
    })


def parameter_layout(config: PhantomConfig) -> data.StructLayout:
    """The parameters of channel ``index`` on their way to the ``lanes`` of the mesh rows ``rows``."""
    return data.StructLayout({
        "rows": config.mesh_rows, "lanes": config.drain_lanes, "index": ceil_log2(config.lane_channels),
        **channel_layout().members,
    })


def clamp_layout(config: PhantomConfig) -> data.StructLayout:
    """The range that results are clamped to by the clamp ``index``, in the ``lanes`` of the mesh rows ``rows``."""
    bound = signed(config.act_width + 1)
    return data.StructLayout({
        "rows": config.mesh_rows, "lanes": config.drain_lanes, "index": 1, "lo": bound, "hi": bound,
    })


def chunk_layout(config: PhantomConfig) -> data.StructLayout:
    """A beat of encoded activations; a chunk is one filter's positions in a tile, which make one slot.

    ``nonzero`` tells that ``value`` is the next nonzero of the chunk. ``last`` ends the chunk, whose mask (bit i:
    the i-th position that is there is nonzero) is then in ``mask`` and whose slot's address, in units of
    ``SLOT_UNIT``, in ``slot``.
    """
    return data.StructLayout({
        "value": config.act_width, "nonzero": 1, "last": 1, "mask": config.chunk, "slot": bits_for(
            (1 << SLOT_ADDRESS_BITS) - 1),
    })
