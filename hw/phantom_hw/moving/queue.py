"""A short queue in LUT-RAM."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["ShortQueue"]


class ShortQueue(wiring.Component):
    """``PLACES`` places between two streams, as many as a LUT-RAM has.

    Parameters
    ----------
    payload : ShapeLike

    Members
    -------
    source : In, stream
    sink : Out, stream

    Latency: 1 cycle. Throughput: 1 payload a cycle. ``source.ready`` and ``sink.valid`` depend on registers only.
    """

    PLACES = 16

    def __init__(self, payload):
        self._payload = payload
        super().__init__({"source": In(stream.Signature(payload)), "sink": Out(stream.Signature(payload))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(
            shape=self._payload, depth=self.PLACES, init=[], attrs={"ram_style": "distributed"})
        write, read = memory.write_port(), memory.read_port(domain="comb")
        back, front = Signal(range(self.PLACES)), Signal(range(self.PLACES))
        some, full = Signal(), Signal()
        enters, leaves = Signal(), Signal()
        m.d.comb += [
            self.source.ready.eq(~full), self.sink.valid.eq(some),
            enters.eq(self.source.valid & ~full), leaves.eq(some & self.sink.ready),
            write.en.eq(enters), write.addr.eq(back), write.data.eq(self.source.payload),
            read.addr.eq(front), self.sink.payload.eq(read.data),
        ]
        m.d.sync += [back.eq(back + enters), front.eq(front + leaves)]
        with m.If(enters & ~leaves):
            m.d.sync += [some.eq(1), full.eq((back + 1)[:len(front)] == front)]
        with m.Elif(leaves & ~enters):
            m.d.sync += [full.eq(0), some.eq((front + 1)[:len(back)] != back)]
        return m
