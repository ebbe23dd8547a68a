"""The stationary buffer of a mesh column."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.mesh.packets import stationary_packet
from phantom_hw.stationary.buffer import StationaryBuffer
from phantom_hw.stationary.expander import PacketExpander
from phantom_hw.stationary.layouts import replay_layout
from phantom_hw.stationary.window import PacketWindow

__all__ = ["StationaryColumn"]


class StationaryColumn(wiring.Component):
    """Hold packed packets, and send them into the mesh as often as they are needed.

    Behind the buffer's last place comes its first one. Packets that are written while they are read have no defined
    value. Bytes that are no packets are sent as some packets; there are as many as were asked for, whatever the bytes.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    write : In, stream of {place, data}, always ready
        A word of the bus; ``place`` counts in such words.
    replay : In, stream of replay_layout
        Behind a queue of ``DEPTH``.
    sink : Out, stream of stationary_packet
    idle : Out
        All packets are sent.

    Latency: ``LATENCY`` cycles from replay to sink. Throughput: 1 packet a cycle; ``GAP`` cycles without one before
    each repetition and each replay.
    """

    DEPTH = 4
    GAP = PacketWindow.FILL
    LATENCY = 2 + PacketWindow.FILL + PacketExpander.LATENCY

    def __init__(self, config: PhantomConfig):
        self._config = config
        self._buffer = StationaryBuffer(config)
        super().__init__({
            "write": In(self._buffer.write.signature.flip()),
            "replay": In(stream.Signature(replay_layout(config))),
            "sink": Out(stream.Signature(stationary_packet(config))),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        layout = replay_layout(self._config)
        m.submodules.queue = queue = SyncFIFO(width=layout.size, depth=self.DEPTH)
        m.submodules.buffer = buffer = self._buffer
        m.submodules.window = window = PacketWindow(self._config)
        m.submodules.expander = expander = PacketExpander(self._config)
        wiring.connect(m, wiring.flipped(self.write), buffer.write)
        wiring.connect(m, expander.sink, wiring.flipped(self.sink))
        new, now = data.View(layout, queue.r_data), Signal(layout, reset_less=True)  # ``repeats``: with this one
        left, active, loads, ends, final = Signal.like(now.count), Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            queue.w_data.eq(self.replay.payload), queue.w_en.eq(self.replay.valid),
            self.replay.ready.eq(queue.w_rdy),

            expander.source.valid.eq(active & window.ready), window.take.eq(
                expander.source.valid & expander.source.ready),
            expander.source.payload.bytes.eq(window.bytes), expander.source.payload.wide.eq(window.wide),
            expander.source.payload.rows.eq(now.rows),
            ends.eq(window.take & (left == 1)), final.eq(now.repeats == 1),
            loads.eq(~active | (ends & final)), queue.r_en.eq(loads),
            window.start.eq(loads | ends), window.offset.eq(now.offset),
            buffer.place.eq(window.place), buffer.enable.eq(window.enable), window.line.eq(buffer.line),
            self.idle.eq(~queue.r_rdy & ~active & ~expander.busy),
        ]
        with m.If(loads):
            m.d.sync += [active.eq(queue.r_rdy), now.eq(new), left.eq(new.count)]
            m.d.comb += window.offset.eq(new.offset)
        with m.Elif(window.take):
            m.d.sync += [left.eq(left - 1)]
            with m.If(ends):
                m.d.sync += [left.eq(now.count), now.repeats.eq(now.repeats - 1)]
        return m
