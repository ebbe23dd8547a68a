"""What the units that read and write slots of sparse tensors hand on, and what may be wrong with a slot."""

from __future__ import annotations

from amaranth.lib import data, enum
from amaranth.utils import bits_for, ceil_log2

from phantom_hw.config import PhantomConfig

__all__ = ["BUS_BYTES", "SlotError", "check_bus_bytes", "packed_layout", "slot_header_layout", "values_layout"]

BUS_BYTES = (8, 16, 32, 64)
"""Legal sizes of a word of the bus."""


class SlotError(enum.Enum, shape=3):  # type: ignore[call-arg]
    """What is wrong with a slot."""

    NONE = 0
    HEADER = 1
    """``positions`` is not in 1..``chunk``, or ``chunk`` not in 1..N."""
    MASK = 2
    """A bit of the mask beyond the slot's positions is set."""
    SHORT = 3
    """The data end before the last nonzero value."""
    LONG = 4
    """There are more words than a slot without a zero has."""
    ZERO = 5
    """A stored value is zero."""


def check_bus_bytes(bus_bytes: int) -> None:
    """Raise ValueError unless it is a legal size of a word of the bus."""
    if bus_bytes not in BUS_BYTES:
        raise ValueError(f"bus_bytes must be one of {', '.join(map(str, BUS_BYTES))}, not {bus_bytes!r}")


def slot_header_layout(config: PhantomConfig) -> data.StructLayout:
    """A slot to come: it has mask bits for ``chunk`` positions, of which the first ``positions`` are wanted.

    The others, with which the last chunk of a row is filled up, must be zero.
    """
    return data.StructLayout({"positions": bits_for(config.chunk), "chunk": bits_for(config.chunk)})


def packed_layout(config: PhantomConfig, lanes: int) -> data.StructLayout:
    """The nonzero values of consecutive positions, packed, with the positions' mask bits.

    ``ranks[i]`` is how many of the positions before i are not zero. Values behind the last nonzero one are arbitrary.
    """
    return data.StructLayout({
        "values": data.ArrayLayout(config.act_width, lanes),
        "ranks": data.ArrayLayout(ceil_log2(lanes), lanes),
        "mask": lanes,
        "last": 1,
    })


def values_layout(config: PhantomConfig, lanes: int) -> data.StructLayout:
    """Consecutive positions of a chunk, which ones are not zero, and whether the chunk ends with them.

    Zeros, and what lies beyond the end of the chunk, have the value 0.
    """
    return data.StructLayout({
        "values": data.ArrayLayout(config.act_width, lanes),
        "nonzero": lanes,
        "last": 1,
    })
