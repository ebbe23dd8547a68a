"""What travels on the way of the stationary operand: the single definition of every payload's fields."""

from __future__ import annotations

from amaranth.lib import data
from amaranth.utils import bits_for, exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.mesh.packets import local_stationary_layout
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.layouts import field_shape

__all__ = ["packet_bytes", "replay_layout"]


def packet_bytes(config: PhantomConfig) -> int:
    """Bytes of a packet in memory: the bits of a ``local_stationary_layout`` from the lowest one on, then zeros."""
    return 8 * -(-local_stationary_layout(config).size // 64)


def replay_layout(config: PhantomConfig) -> data.StructLayout:
    """Packets that a mesh column sends: ``count`` from ``offset`` on, ``repeats`` times, to the cores ``rows``."""
    commands = CommandSet(config, address_width=config.address_width)
    fields = {field.name: field for field in commands.named("STREAM_STATIONARY").fields}
    return data.StructLayout({
        "offset": exact_log2(config.stationary_words), "count": bits_for(config.stationary_words),
        "repeats": field_shape(commands, fields["repeats"]), "rows": config.mesh_rows,
    })
