"""Words of a narrow bus to wider ones."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.memory.align import dense_layout

__all__ = ["WordGather"]


class WordGather(wiring.Component):
    """Join ``ratio`` words of a request to one; the last of a request may have fewer.

    Parameters
    ----------
    width : int
        Bits of a word.
    ratio : int
        Words that are joined, a power of two, 2 or more.

    Members
    -------
    source : In, stream of dense_layout(width)
    sink : Out, stream of dense_layout(ratio * width)
    busy : Out
        Something is inside.

    Latency: 1 cycle after the last of the joined words. Throughput: 1 word of ``source`` a cycle.

    Raises
    ------
    ValueError
        ``ratio`` out of its range.
    """

    def __init__(self, width: int, ratio: int):
        if ratio < 2 or ratio & (ratio - 1):
            raise ValueError(f"ratio must be a power of two of at least 2, not {ratio!r}")
        self._width, self._ratio = width, ratio
        super().__init__({
            "source": In(stream.Signature(dense_layout(width))),
            "sink": Out(stream.Signature(dense_layout(ratio * width))),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        part = Signal(ceil_log2(self._ratio))  # where the next word goes
        whole, word = Signal(), Signal.like(self.sink.payload, reset_less=True)
        enters = Signal()
        m.d.comb += [
            self.sink.valid.eq(whole), self.sink.payload.eq(word),
            self.source.ready.eq(~whole | self.sink.ready), enters.eq(self.source.valid & self.source.ready),
            self.busy.eq(whole | (part != 0)),
        ]
        ends = self.source.payload.last | part.all()
        with m.If(self.source.ready):
            m.d.sync += whole.eq(self.source.valid & ends)
        with m.If(enters):
            m.d.sync += [
                part.eq(Mux(ends, 0, part + 1)),
                word.data.word_select(part, self._width).eq(self.source.payload.data),
                word.count.eq(part * (self._width // 8) + self.source.payload.count),
                word.last.eq(self.source.payload.last),
            ]
        return m
