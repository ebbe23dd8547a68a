"""A short queue in LUT-RAM."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["ShortQueue"]


class ShortQueue(wiring.Component):
    """``places`` places between two streams, and one more at the output.

    Parameters
    ----------
    payload : ShapeLike
    places : int
        Of the LUT-RAM, a power of two.

    Members
    -------
    source : In, stream
    sink : Out, stream

    busy : Out
        Something is inside.

    Latency: 2 cycles. Throughput: 1 payload a cycle. ``source.ready``, ``sink.valid`` and the payload are registers.
    """

    PLACES = 16
    """What a LUT-RAM holds anyway."""
    LATENCY = 2

    def __init__(self, payload, places: int = PLACES):
        self._payload, self._places = payload, places
        super().__init__({"source": In(stream.Signature(payload)), "sink": Out(stream.Signature(payload)),
                          "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(
            shape=self._payload, depth=self._places, init=[], attrs={"ram_style": "distributed"})
        write, read = memory.write_port(), memory.read_port(domain="comb")
        back, front = Signal(range(self._places)), Signal(range(self._places))
        head = Signal.like(self.sink.payload, reset_less=True)
        some, full = Signal(), Signal()  # of the places in the LUT-RAM
        enters, leaves = Signal(), Signal()
        m.d.comb += [
            self.source.ready.eq(~full), self.sink.payload.eq(head), self.busy.eq(some | self.sink.valid),
            enters.eq(self.source.valid & ~full), leaves.eq(some & (~self.sink.valid | self.sink.ready)),
            write.en.eq(enters), write.addr.eq(back), write.data.eq(self.source.payload), read.addr.eq(front),
        ]
        m.d.sync += [back.eq(back + enters), front.eq(front + leaves)]
        with m.If(~self.sink.valid | self.sink.ready):
            m.d.sync += [self.sink.valid.eq(some), head.eq(read.data)]
        with m.If(enters & ~leaves):
            m.d.sync += [some.eq(1), full.eq((back + 1)[:len(front)] == front)]
        with m.Elif(leaves & ~enters):
            m.d.sync += [full.eq(0), some.eq((front + 1)[:len(back)] != back)]
        return m
