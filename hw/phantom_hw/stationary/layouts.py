"""What travels on the way of the stationary operand, and how packets lie in memory.

Packed packets
--------------
A stream of packets is a sequence of bytes, little-endian; packets follow each other without gaps, and each begins at a
byte. A packet is a header, padded with zeros to whole bytes, and the values of its items.

``code``, the header's lowest bits, is r for items of PE row r, or ``pe_rows`` + r for those items that end a tile, or
``2 * pe_rows`` for the packet of a layer. Larger codes are reserved: such a packet has the size of an items' header,
and nothing in it.

Items: the header is :func:`items_header`, with an item for each PE column: its ``mask``, whether it is the last of
its row, its ``place``. There is no item if mask and ``row_last`` are zero. The code's end of a tile holds for the
items with ``row_last``, so items of which only some end the tile are sent in two packets. ``place`` has ``NARROW``
bits and counts in spans of the layer, or as many bits as an accumulator address, which it is then: the layer decides
which. The values of the bits set in the masks follow, PE column after PE column, tap after tap, ``operand_width``
bits each from the lowest bit on; the last byte is padded.

A layer: the header is :func:`layer_header`: ``wide`` for places of all bits from here on, and what the cores are given.
No values follow.

A buffer counts in words of ``WORD_BYTES``.
"""

from __future__ import annotations

from functools import cache

from amaranth.lib import data
from amaranth.utils import bits_for, ceil_log2, exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.layouts import field_shape

__all__ = ["NARROW", "WORD_BYTES", "code_bits", "header_bytes", "items_header", "layer_header", "line_bytes",
           "packet_bytes", "replay_layout", "words_at_once"]

WORD_BYTES = 16
"""Bytes of a word of the stationary buffer."""
NARROW = 3
"""Bits of a place that counts in spans."""


def code_bits(config: PhantomConfig) -> int:
    """Bits of a packet's code."""
    return bits_for(2 * config.pe_rows)


@cache
def items_header(config: PhantomConfig, *, wide: bool) -> data.StructLayout:
    """Header of a packet with items."""
    def each(shape: int) -> data.ArrayLayout:
        return data.ArrayLayout(shape, config.pe_cols)

    return data.StructLayout({"code": code_bits(config), "mask": each(config.threads), "row_last": each(1),
                              "place": each(ceil_log2(config.acc_depth) if wide else NARROW)})


@cache
def layer_header(config: PhantomConfig) -> data.StructLayout:
    """The packet of a layer."""
    return data.StructLayout({"code": code_bits(config), "wide": 1, "layer": layer_layout(config)})


def header_bytes(header: data.StructLayout) -> int:
    """Bytes of a header."""
    return -(-header.size // 8)


def packet_bytes(config: PhantomConfig) -> int:
    """Bytes of the largest packet."""
    values = -(-config.pe_cols * config.threads * config.operand_width // 8)
    narrow, wide = (header_bytes(items_header(config, wide=wide)) for wide in (False, True))
    return max(max(narrow, wide) + values, header_bytes(layer_header(config)))


def line_bytes(config: PhantomConfig) -> int:
    """Bytes that a buffer is read in: words, a power of two of them, that can hold a packet."""
    return WORD_BYTES << ceil_log2(-(-packet_bytes(config) // WORD_BYTES))


def words_at_once(config: PhantomConfig) -> int:
    """Words that a load writes at once if the bus has several: its place must be a multiple of them."""
    return max(1, config.bus_width // 8 // WORD_BYTES)


def replay_layout(config: PhantomConfig) -> data.StructLayout:
    """What a mesh column sends: ``count`` packets from word ``offset`` on, ``repeats`` times, to the cores ``rows``."""
    commands = CommandSet(config, address_width=config.address_width)
    fields = {field.name: field for field in commands.named("STREAM_STATIONARY").fields}
    return data.StructLayout({
        "offset": exact_log2(config.stationary_words), "count": field_shape(commands, fields["count"]),
        "repeats": field_shape(commands, fields["repeats"]), "rows": config.mesh_rows,
    })
