"""What travels between the command decoder, the memory system and the units, from the command set's description."""

from __future__ import annotations

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.fields import Field
from phantom_hw.soc.isa import Command, Unit

__all__ = ["command_layout", "field_shape", "request_layout", "unit_layout"]


def request_layout(commands: CommandSet) -> data.StructLayout:
    """A read of ``bytes`` bytes of external memory from ``address`` on."""
    return data.StructLayout({"address": commands.address_width, "bytes": bits_for(commands.command_bytes)})


def field_shape(commands: CommandSet, field: Field) -> Shape:
    """Shape of one value: no wider than the legal range needs."""
    low, high = commands.limits(field)
    width = max(bits_for(low, field.signed), bits_for(high, field.signed))
    return signed(width) if field.signed else unsigned(width)


def command_layout(commands: CommandSet, command: Command) -> data.StructLayout:
    """The operands of a command; an array has as many elements as the configuration uses."""
    return data.StructLayout({
        field.name: (data.ArrayLayout(field_shape(commands, field), commands.used(field)) if field.count > 1
                     else field_shape(commands, field))
        for field in command.fields
    })


def unit_layout(commands: CommandSet, unit: Unit) -> data.StructLayout:
    """What a unit gets: the operands; with several commands, the place of the command in the unit's list before them.

    ``command`` counts the unit's own commands in the order of their opcodes; ``operands`` has a member for each, named
    like it in small letters.
    """
    own = commands.unit_commands(unit)
    if len(own) == 1:
        return command_layout(commands, own[0])
    return data.StructLayout({
        "command": bits_for(len(own) - 1),
        "operands": data.UnionLayout({command.name.lower(): command_layout(commands, command) for command in own}),
    })
