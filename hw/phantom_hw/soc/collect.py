"""Puts commands together from words of the bus and checks them."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.soc.check import CommandCheck
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.fields import WORD_BITS
from phantom_hw.soc.status import STATUS_BITS

__all__ = ["CommandCollector", "checked_layout", "used_words"]


def used_words(commands: CommandSet) -> int:
    """Words up to the last one that a field of any command lies in."""
    ends = [place.end for command in commands.commands for place in commands.places(command)]
    return -(-max(ends, default=WORD_BITS) // WORD_BITS)


def checked_layout(commands: CommandSet) -> data.StructLayout:
    """A command, without the words that are reserved in all commands, and the status code that it deserves."""
    return data.StructLayout({"command": WORD_BITS * used_words(commands), "code": STATUS_BITS})


class CommandCollector(wiring.Component):
    """Takes the words of a command, checks it and offers it; then those of the next one.

    Parameters
    ----------
    commands : CommandSet
    data_width : int
        Bits of the data bus.

    Members
    -------
    beat : In, stream of data_width bits
        A command's first word first.
    checked : Out, stream of checked_layout
    clear : In
        Drops what is here.
    empty : Out
        No word of a command is here.

    Latency: ``LATENCY`` cycles from a command's last word to its offer. Throughput: a command in
    ``command_bits / data_width + LATENCY`` cycles.
    """

    LATENCY = CommandCheck.LATENCY + 1

    def __init__(self, commands: CommandSet, data_width: int):
        self._commands, self._data_width = commands, data_width
        super().__init__({
            "beat": In(stream.Signature(data_width)),
            "checked": Out(stream.Signature(checked_layout(commands))),
            "clear": In(1),
            "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        beat, beats = self.beat, self._commands.command_bits // self._data_width
        m.submodules.check = check = CommandCheck(self._commands, used_words(self._commands))
        command, trailing = Signal(len(check.command)), Signal()
        awaited = Signal(beats, init=1)  # the word that comes next, one-hot; none while the command is here
        waits = Signal(CommandCheck.LATENCY + 1)  # the cycles of the check, one-hot; the last bit stays
        taken, leaves = Signal(), Signal()
        m.d.comb += [
            beat.ready.eq(awaited.any()), taken.eq(beat.valid & beat.ready),
            check.command.eq(command), check.trailing.eq(trailing),
            self.checked.valid.eq(waits[-1]), leaves.eq(waits[-1] & self.checked.ready),
            self.checked.payload.command.eq(command), self.checked.payload.code.eq(check.code),
            self.empty.eq(awaited[0]),
        ]
        for number in range(beats):
            kept = command[number * self._data_width:(number + 1) * self._data_width]
            unused = beat.payload[len(kept):].any()
            with m.If(taken & awaited[number]):
                m.d.sync += [kept.eq(beat.payload), trailing.eq(unused | (trailing if number else 0))]
        last = taken & awaited[-1]
        with m.If(taken):
            m.d.sync += awaited.eq(awaited << 1)
        m.d.sync += waits.eq(Mux(waits[-1], waits, Cat(last, waits)))
        with m.If(leaves | self.clear):
            m.d.sync += [awaited.eq(1), waits.eq(0)]
        return m
