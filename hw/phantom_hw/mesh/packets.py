"""What travels on the links of the mesh: the single definition of every packet's fields."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout, moving_layout, stationary_layout

__all__ = ["local_stationary_layout", "moving_packet", "stationary_packet", "sum_packet"]


def moving_packet(config: PhantomConfig) -> data.StructLayout:
    """One beat of a row on a moving link; ``cols[i]`` names PE columns of the i-th core from here to the east."""
    beat = moving_layout(config).members
    return data.StructLayout({**beat, "cols": data.ArrayLayout(config.pe_cols, config.mesh_cols)})


def _stationary_bytes(config: PhantomConfig) -> int:
    return -(-max(stationary_layout(config).size, layer_layout(config).size) // 8)


def local_stationary_layout(config: PhantomConfig) -> data.StructLayout:
    """What a stationary link gives to a core: a beat of items, or with ``layer`` the configuration of a layer."""
    return data.StructLayout({"layer": 1, "content": data.ArrayLayout(8, _stationary_bytes(config))})


def stationary_packet(config: PhantomConfig) -> data.StructLayout:
    """One packet of a stationary link for the cores ``rows``, a bit each from here to the south.

    ``content`` holds the bits of a :func:`~.core.layouts.stationary_layout`, or with ``layer`` those of a
    :func:`~.core.layouts.layer_layout`: layers travel with the items, so that each core changes to the next one
    when it is through with its own items, whatever the others do.
    """
    return data.StructLayout({"rows": config.mesh_rows, **local_stationary_layout(config).members})


def sum_packet(config: PhantomConfig) -> data.StructLayout:
    """A sum on a result link: from the core in mesh column ``core``, its PE column ``column``.

    ``chunk`` numbers the chunks of a column in a tile, ``last`` ends a chunk, ``tile_last`` the core's tile.
    """
    return data.StructLayout({
        "value": signed(config.acc_width),
        "core": ceil_log2(config.mesh_cols),
        "column": ceil_log2(config.pe_cols),
        "chunk": ceil_log2(config.acc_depth),
        "last": 1,
        "tile_last": 1,
    })
