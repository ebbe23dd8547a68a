"""Command fetch: reads a command stream ahead of the decoder."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.fields import ADDRESS_BITS
from phantom_hw.soc.layouts import request_layout

__all__ = ["COUNT_BITS", "CommandFetch"]

COUNT_BITS = 32
"""Width of the number of commands in a stream."""


class CommandFetch(wiring.Component):
    """Requests commands one after another and holds them until they are taken, word of the bus by word.

    A command is requested only when there is a place for it, so that ``data`` never waits. No more than ``count``
    commands are requested: what lies behind a stream need not be memory.

    Parameters
    ----------
    commands : CommandSet
        Gives the size of a command and the width of the address bus.
    data_width : int
        Bits of the data bus, the configuration's ``bus_width``: at most a command.
    prefetch : int
        Commands that are held or on the way, a power of two in 2..16.

    Members
    -------
    begin : In; address : In, 64 bits; count : In
        Starts a stream of ``count`` commands at ``address``, which must be a multiple of a command's size. Only when
        ``settled`` and ``stop`` is over.
    stop : In
        No new request; what is held or still comes is dropped.
    request : Out, stream of request_layout
        A request once offered stays, even when stopped.
    data : In, stream of data_width bits
        What was requested, in order, byte 0 first; always ready.
    beat : Out, stream of data_width bits
        The commands.
    settled : Out
        Nothing is requested that has not come.
    exhausted : Out
        All commands of the stream have been taken.
    overrun : Out
        Instead of the next command comes the end of the address space.

    Latency: 1 cycle from data to beat. Throughput: 1 word of the bus a cycle.

    Raises
    ------
    ValueError
        A parameter is out of range.
    """

    LATENCY = 1

    def __init__(self, commands: CommandSet, data_width: int, prefetch: int):
        self.check(commands, data_width, prefetch)
        self._commands, self._data_width, self._prefetch = commands, data_width, prefetch
        super().__init__({
            "begin": In(1),
            "address": In(ADDRESS_BITS),
            "count": In(COUNT_BITS),
            "stop": In(1),
            "request": Out(stream.Signature(request_layout(commands))),
            "data": In(stream.Signature(data_width)),
            "beat": Out(stream.Signature(data_width)),
            "settled": Out(1),
            "exhausted": Out(1),
            "overrun": Out(1),
        })

    @staticmethod
    def check(commands: CommandSet, data_width: int, prefetch: int) -> None:
        """Raise an error if a parameter is out of range."""
        if data_width > commands.command_bits:
            raise ValueError(f"bus_width must be at most {commands.command_bits}, the bits of a command, "
                             f"not {data_width!r}")
        if prefetch not in (2, 4, 8, 16):
            raise ValueError(f"prefetch must be 2, 4, 8 or 16, not {prefetch!r}")

    def elaborate(self, platform):
        m = Module()
        arrived, taken = self._queue(m)
        asked = Signal()  # a request was accepted
        m.d.comb += asked.eq(self.request.valid & self.request.ready)

        # in commands: still to request; requested and not yet taken; requested and not yet here
        left = Signal(COUNT_BITS)
        held, awaited = (Signal(range(self._prefetch + 1), name=name) for name in ("held", "awaited"))
        low = ceil_log2(self._commands.command_bytes)
        place = Signal(self._commands.address_width - low + 1)  # of the next command, with a carry
        beyond = place[-1]
        asks = Signal()
        m.d.comb += [
            self.request.valid.eq(asks),
            self.request.payload.address.eq(Cat(Const(0, low), place)),
            self.request.payload.bytes.eq(self._commands.command_bytes),
            self.settled.eq(~asks & (awaited == 0)),
            self.exhausted.eq((left == 0) & (held == 0) & ~asks),
            self.overrun.eq(beyond & (held == 0) & (left != 0)),
        ]
        m.d.sync += [
            asks.eq(Mux(asks, ~asked, (left != 0) & ~beyond & (held != self._prefetch) & ~self.stop)),
            held.eq(Mux(self.stop, 0, held + asked - taken)),
            awaited.eq(awaited + asked - arrived),
        ]
        with m.If(asked):
            m.d.sync += [left.eq(left - 1), place.eq(place + 1)]
        with m.If(self.stop):
            m.d.sync += left.eq(0)
        with m.If(self.begin):
            m.d.sync += [left.eq(self.count), place.eq(self.address[low:self._commands.address_width])]
        return m

    def _queue(self, m: Module):
        """What has come; whether a command's last word arrives in this cycle, and whether one is taken."""
        beats = self._commands.command_bits // self._data_width
        depth = self._prefetch * beats
        queue = Memory(shape=self._data_width, depth=depth, init=[], attrs={"ram_style": "distributed"})
        m.submodules.queue = queue
        write, read = queue.write_port(), queue.read_port(domain="comb")
        back, front = (Signal(ceil_log2(depth) + 1, name=name) for name in ("back", "front"))
        came, went, arrived, taken = (Signal(name=name) for name in ("came", "went", "arrived", "taken"))
        last = beats - 1  # of the places of a command, in the low bits of a pointer
        m.d.comb += [
            self.data.ready.eq(1), came.eq(self.data.valid), went.eq(self.beat.valid & self.beat.ready),
            write.en.eq(came), write.addr.eq(back), write.data.eq(self.data.payload),
            read.addr.eq(front), self.beat.payload.eq(read.data), self.beat.valid.eq((back != front) & ~self.stop),
            arrived.eq(came & ((back & last) == last)), taken.eq(went & ((front & last) == last)),
        ]
        m.d.sync += [back.eq(back + came), front.eq(Mux(self.stop, back + came, front + went))]
        return arrived, taken
