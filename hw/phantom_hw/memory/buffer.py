"""A queue in block RAM."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

__all__ = ["WordBuffer"]


class WordBuffer(wiring.Component):
    """A queue whose words lie in a block RAM.

    A word is never read in the cycle in which it is written, and the memory says so to synthesis: otherwise it would
    spend registers and multiplexers as wide as a word to give the old value in that case.

    Parameters
    ----------
    payload : ShapeLike
    depth : int
        Words in the RAM, a power of two from 2 on; one more is in the output register.

    Members
    -------
    source : In, stream
    sink : Out, stream
    empty : Out
        No word is inside.

    Latency: 2 cycles. Throughput: 1 word a cycle. ``source.ready`` and ``sink.valid`` depend on registers only.

    Raises
    ------
    ValueError
        The depth is no power of two from 2 on.
    """

    LATENCY = 2

    def __init__(self, payload, depth: int):
        if type(depth) is not int or depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two from 2 on, not {depth!r}")
        self._payload, self._depth = payload, depth
        super().__init__({"source": In(stream.Signature(payload)), "sink": Out(stream.Signature(payload)),
                          "empty": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = Memory(
            shape=self._payload, depth=self._depth, init=[], attrs={"no_rw_check": 1})
        write, read = words.write_port(), words.read_port(domain="comb")
        head = Signal.like(self.sink.payload, reset_less=True)  # becomes the output register of the RAM
        back, front = Signal(exact_log2(self._depth)), Signal(exact_log2(self._depth))
        level = Signal(range(self._depth + 1))  # words in the RAM
        enters, loads = Signal(), Signal()
        m.d.comb += [
            self.source.ready.eq(level != self._depth),
            enters.eq(self.source.valid & self.source.ready),
            loads.eq((level != 0) & (~self.sink.valid | self.sink.ready)),
            write.en.eq(enters), write.addr.eq(back), write.data.eq(self.source.payload), read.addr.eq(front),
            self.sink.payload.eq(head), self.empty.eq((level == 0) & ~self.sink.valid),
        ]
        m.d.sync += [back.eq(back + enters), front.eq(front + loads), level.eq(level + enters - loads)]
        with m.If(loads):
            m.d.sync += [head.eq(read.data), self.sink.valid.eq(1)]
        with m.Elif(self.sink.ready):
            m.d.sync += self.sink.valid.eq(0)
        return m
