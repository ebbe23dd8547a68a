"""Output encoder: results to the sparse-mask format."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import result_layout
from phantom_hw.core.queue import ResultQueue

__all__ = ["OutputEncoder"]


class OutputEncoder(wiring.Component):
    """Drop zeros, collect the mask of each chunk (paper section III-F).

    Nonzero values leave in order; the chunk's last beat carries its mask, so that nothing waits for the end of the
    chunk. A writer with static slot addresses puts the mask at the head of the slot. Whoever sends values reserves a
    place in the queue for each: ``SLOTS`` places in all, ``freed`` returns them.

    Parameters
    ----------
    config : PhantomConfig
        Uses ``chunk``.
    layout : StructLayout, optional
        What leaves: ``value``, ``nonzero``, ``last``, ``mask`` and any other fields, which go with the value. By
        default result_layout.

    Members
    -------
    valid, last : In, 1; value : In
        The next position's value; ``last`` ends the chunk.
    there : In, 1
        Without it there is no such position: the value does not count and has no bit of the mask, but ``last`` holds.
        High if it is left open.
    tile_last : In, 1
        And every other field of the layout that the encoder does not make.
    result : Out, stream of the layout
    freed : Out, 0..2
        Places returned in this cycle: a dropped zero, a beat taken.

    Latency: 1 cycle from value to beat. Throughput: 1 value a cycle in, 1 beat a cycle out.
    """

    SLOTS = ResultQueue.SLOTS
    LATENCY = ResultQueue.LATENCY

    def __init__(self, config: PhantomConfig, layout: data.StructLayout | None = None):
        self._config = config
        self._layout = layout = result_layout(config) if layout is None else layout
        self._others = [name for name in layout.members if name not in ("value", "nonzero", "last", "mask")]
        super().__init__({
            "valid": In(1),
            "last": In(1),
            "there": In(1, init=1),
            **{name: In(layout.members[name]) for name in self._others},
            "value": In(layout.members["value"]),
            "result": Out(stream.Signature(layout)),
            "freed": Out(2),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        nonzero, keep = Signal(), Signal()
        mask, whole = Signal(config.chunk), Signal(config.chunk)
        index = Signal(ceil_log2(config.chunk))
        m.d.comb += [
            nonzero.eq(self.there & (self.value != 0)),
            keep.eq(self.valid & (nonzero | self.last)),
            whole.eq(mask | (nonzero << index)),
        ]
        with m.If(self.valid):
            m.d.sync += [mask.eq(Mux(self.last, 0, whole)), index.eq(Mux(self.last, 0, index + self.there))]

        m.submodules.queue = queue = ResultQueue(self._layout)
        wiring.connect(m, queue.result, wiring.flipped(self.result))
        m.d.comb += [
            queue.push.eq(keep),
            queue.payload.value.eq(self.value),
            queue.payload.nonzero.eq(nonzero),
            queue.payload.last.eq(self.last),
            *(queue.payload[name].eq(getattr(self, name)) for name in self._others),
            queue.payload.mask.eq(Mux(self.last, whole, 0)),
            self.freed.eq((self.valid & ~keep) + queue.taken),
        ]
        return m
