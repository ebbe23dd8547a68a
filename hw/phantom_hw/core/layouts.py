"""What travels on the ports of a Phantom core: the single definition of every payload's fields."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.utils import bits_for, ceil_log2

from phantom_hw.config import PhantomConfig

__all__ = ["item_layout", "layer_layout", "moving_layout", "result_layout", "stalls_layout",
           "stationary_layout", "sum_layout"]


def moving_layout(config: PhantomConfig) -> data.StructLayout:
    """One beat of a row on its way to the PEs ``cols`` (a bit each) of ``pe_row``.

    Beat b of a row carries the values of the flat positions b*moving_link onwards (all planes one
    after another) and the mask bits of output groups b*mask_groups onwards, already aligned to the taps:
    bit ``mask[g][e][t]`` says whether tap t of output position (b*mask_groups + g)*G + e meets a nonzero.
    """
    return data.StructLayout({
        "pe_row": ceil_log2(config.pe_rows),
        "cols": config.pe_cols,
        "last": 1,
        "mask": data.ArrayLayout(data.ArrayLayout(config.threads, config.group), config.mask_groups),
        "values": data.ArrayLayout(config.operand_width, config.moving_link),
    })


def item_layout(config: PhantomConfig) -> data.StructLayout:
    """One item (ARCHITECTURE section 3): up to T stationary values, their mask and where the sums go.

    ``dest`` is the accumulator address of output position 0, ``row_last`` ends the use of the
    current row, ``tile_last`` ends the PE's share of a tile. Only a tile's end may have an empty mask.
    """
    return data.StructLayout({
        "valid": 1,
        "row_last": 1,
        "tile_last": 1,
        "dest": ceil_log2(config.acc_depth),
        "mask": config.threads,
        "values": data.ArrayLayout(config.operand_width, config.threads),
    })


def stationary_layout(config: PhantomConfig) -> data.StructLayout:
    """One beat of the stationary link: an item for each PE column of ``pe_row`` whose ``valid`` is set."""
    return data.StructLayout({
        "pe_row": ceil_log2(config.pe_rows),
        "items": data.ArrayLayout(item_layout(config), config.pe_cols),
    })


def layer_layout(config: PhantomConfig) -> data.StructLayout:
    """What stays the same for a layer.

    ``groups`` is ceil(W / G) for rows of W output positions, ``tap_base[t]`` the flat position that tap t
    reads for output position 0 (its plane and offset), ``outputs`` the accumulator addresses that a
    tile uses, drained in chunks of ``span`` (1..N) from each PE column in turn; the ``signed`` bits tell how the
    operands are extended.
    """
    return data.StructLayout({
        "groups": bits_for(config.max_groups),
        "outputs": bits_for(config.acc_depth),
        "span": bits_for(config.chunk),
        "moving_signed": 1,
        "stationary_signed": 1,
        "tap_base": data.ArrayLayout(ceil_log2(config.row_width), config.threads),
    })


def sum_layout(config: PhantomConfig) -> data.StructLayout:
    """A sum as it was drained: from PE column ``column``, of the chunk number ``chunk`` of that column in its tile.

    ``last`` ends the chunk, ``tile_last`` the tile.
    """
    return data.StructLayout({
        "value": signed(config.acc_width),
        "column": ceil_log2(config.pe_cols),
        "chunk": ceil_log2(config.acc_depth),
        "last": 1,
        "tile_last": 1,
    })


def stalls_layout(config: PhantomConfig) -> data.StructLayout:
    """What a core waits for: each PE for a row or for an item, a bit each; and whether it drains.

    A PE waits if its window is empty: for a row, if it has an item, and for an item, if it has a row.
    """
    return data.StructLayout({"moving": config.pes, "stationary": config.pes, "drain": 1})


def result_layout(config: PhantomConfig) -> data.StructLayout:
    """One beat of the encoded results: chunks of up to N accumulators, zeros left out.

    ``nonzero`` tells that ``value`` is the next nonzero of the chunk; ``last`` ends the chunk, whose mask
    (bit i: position i is nonzero) is then in ``mask``; ``tile_last`` ends the tile.
    """
    return data.StructLayout({
        "value": config.acc_width,
        "nonzero": 1,
        "last": 1,
        "tile_last": 1,
        "mask": config.chunk,
    })
