"""What travels on the way of the moving operand: the single definition of every payload's fields."""

from __future__ import annotations

from functools import cache

from amaranth.lib import data
from amaranth.utils import bits_for, ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.results.layouts import pattern_index_layout, tile_layout

__all__ = [
    "base_layout", "descriptor_layout", "entry_bytes", "entry_layout", "position_bits", "row_layout", "rows_layout",
    "write_layout",
]


def position_bits(config: PhantomConfig) -> int:
    """Bits of a place in a moving buffer, which counts values."""
    return ceil_log2(config.moving_positions)


def write_layout(config: PhantomConfig) -> data.StructLayout:
    """Values for the consecutive places from ``place`` on of the moving buffers of ``rows``: the first ``count``."""
    return data.StructLayout({
        "rows": config.mesh_rows,
        "place": position_bits(config),
        "count": bits_for(config.moving_link),
        "values": data.ArrayLayout(config.operand_width, config.moving_link),
    })


def rows_layout(config: PhantomConfig) -> data.StructLayout:
    """How rows are made: what the command ``ROWS`` says."""
    return data.StructLayout({
        "planes": bits_for(config.threads),
        "beats": bits_for(config.max_beats),
        "plane_length": data.ArrayLayout(bits_for(config.row_width), config.threads),
        "tap_base": data.ArrayLayout(bits_for(config.row_width - 1), config.threads),
        "plane_step": data.ArrayLayout(position_bits(config), config.threads),
    })


def _columns(config: PhantomConfig) -> data.ArrayLayout:
    """PE columns of each core of a mesh row, a bit each."""
    return data.ArrayLayout(config.pe_cols, config.mesh_cols)


def descriptor_layout(config: PhantomConfig) -> data.StructLayout:
    """A part of a row, for the row streamer of one mesh row.

    ``place`` is where the part lies in the moving buffer; with ``zero`` it is all zeros and nothing is read. ``last``
    ends the row, which goes to the PEs ``cols`` of ``pe_row``; of the output positions only those in ``pattern`` are
    there. With ``short`` the row is one beat without a nonzero, whatever its parts are.
    """
    return data.StructLayout({
        "place": position_bits(config), "zero": 1, "last": 1, "short": 1, "pe_row": bits_for(config.pe_rows - 1),
        "cols": _columns(config), "pattern": pattern_index_layout(),
    })


@cache
def row_layout(config: PhantomConfig) -> data.StructLayout:
    """A row entry of the row program: a part of a row.

    Its place is ``place`` behind the base of the mesh column ``base``; the rest is as in a descriptor.
    """
    return data.StructLayout({
        "place": position_bits(config), "base": bits_for(config.mesh_cols - 1), "zero": 1, "last": 1, "short": 1,
        "pe_row": bits_for(config.pe_rows - 1), "cols": _columns(config),
    })


@cache
def base_layout(config: PhantomConfig) -> data.StructLayout:
    """A base entry of the row program: where the rows of the cores ``cols`` of the mesh rows ``rows`` begin.

    Each of these cores begins the tile ``tile``.
    """
    return data.StructLayout({
        "place": position_bits(config), "rows": config.mesh_rows, "cols": config.mesh_cols,
        "tile": tile_layout(config),
    })


def entry_layout(config: PhantomConfig) -> data.UnionLayout:
    """An entry of the row program, from its lowest bit on; base or row entry by its place in the program."""
    return data.UnionLayout({"row": row_layout(config), "base": base_layout(config)})


@cache
def entry_bytes(config: PhantomConfig) -> int:
    """Bytes of an entry in memory, 8 or 16; bits beyond the entry's are zero."""
    return 8 * -(-entry_layout(config).size // 64)
