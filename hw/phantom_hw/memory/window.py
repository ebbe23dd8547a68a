"""What may be written: a window of the memory that the host sets."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.memory.burst import LENGTH_BITS, request_layout
from phantom_hw.memory.parameters import BusParameters

__all__ = ["WINDOW_BITS", "WriteWindow"]

WINDOW_BITS = 64
"""Width of the bounds."""


class WriteWindow(wiring.Component):
    """Let requests pass until one does not lie within a window of addresses; from that one on nothing passes.

    Parameters
    ----------
    parameters : BusParameters

    Members
    -------
    first, last : In, 64 bits
        The window's first and last byte. A new value holds for requests that come later.
    source : In, stream of request_layout
    sink : Out, stream of request_layout
    busy : Out
        A request is inside, or one was refused.
    refused : Out; address : Out
        A request was refused, and its address; both stay until reset.

    Latency: ``LATENCY`` cycles. Throughput: 1 request a cycle.
    """

    LATENCY = 2

    def __init__(self, parameters: BusParameters):
        layout = request_layout(parameters)
        super().__init__({
            "first": In(WINDOW_BITS), "last": In(WINDOW_BITS),
            "source": In(stream.Signature(layout)), "sink": Out(stream.Signature(layout)),
            "busy": Out(1), "refused": Out(1), "address": Out(parameters.address_width),
        })

    def elaborate(self, platform):
        m = Module()
        given, held = self.source.payload, Signal.like(self.source.payload, reset_less=True)
        room = Signal(LENGTH_BITS)  # bytes behind the first one
        waits, inside, accepts, moves = Signal(), Signal(), Signal(), Signal()
        reach = Signal(WINDOW_BITS + 1)
        end = Signal(len(given.address) + 1, reset_less=True)  # the last byte; beyond the address space if that long
        m.d.comb += [
            room.eq(given.length - 1), reach.eq(end),
            moves.eq(~self.sink.valid | self.sink.ready),
            accepts.eq(~waits | moves), self.source.ready.eq(accepts & ~self.refused),
            inside.eq((held.address >= self.first) & (reach <= self.last)),
            self.busy.eq(waits | self.sink.valid | self.refused),
        ]
        with m.If(accepts):
            m.d.sync += [waits.eq(self.source.valid & ~self.refused), held.eq(given), end.eq(given.address + room)]
        with m.If(moves):
            m.d.sync += [self.sink.valid.eq(waits & inside & ~self.refused), self.sink.payload.eq(held)]
            with m.If(waits & ~inside & ~self.refused):
                m.d.sync += [self.refused.eq(1), self.address.eq(held.address)]
        return m
