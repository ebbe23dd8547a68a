"""The stationary buffer of a mesh column."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.mesh.packets import local_stationary_layout, stationary_packet
from phantom_hw.stationary.layouts import replay_layout

__all__ = ["StationaryColumn"]


class StationaryColumn(wiring.Component):
    """Hold packets, and send them into the mesh as often as they are needed.

    Behind the buffer's last place comes its first one. Packets that are written while they are read have no defined
    value.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    write : In, stream of {place, packet}, always ready
    replay : In, stream of replay_layout
        Behind a queue of ``DEPTH``.
    sink : Out, stream of stationary_packet
    idle : Out
        All packets are sent.

    Latency: 3 cycles from replay to sink. Throughput: 1 packet a cycle, also from replay to replay.
    """

    DEPTH = 4
    LATENCY = 3

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "write": In(stream.Signature(data.StructLayout({
                "place": exact_log2(config.stationary_words), "packet": local_stationary_layout(config).size,
            }), always_ready=True)),
            "replay": In(stream.Signature(replay_layout(config))),
            "sink": Out(stream.Signature(stationary_packet(config))),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        layout = replay_layout(self._config)
        m.submodules.queue = queue = SyncFIFO(width=layout.size, depth=self.DEPTH)
        m.submodules.memory = memory = Memory(
            shape=local_stationary_layout(self._config).size, depth=self._config.stationary_words, init=[],
            attrs={"no_rw_check": 1})
        write, read = memory.write_port(), memory.read_port(domain="comb")
        head = Signal.like(read.data, reset_less=True)  # becomes the output register of the RAM
        new, now = data.View(layout, queue.r_data), Signal(layout, reset_less=True)  # ``repeats``: with this one
        place, left = Signal.like(now.offset), Signal.like(now.count)
        active, sending, rows = Signal(), Signal(), Signal.like(now.rows)
        advance, ends, loads = Signal(), Signal(), Signal()
        packet = self.sink.payload
        m.d.comb += [
            write.en.eq(self.write.valid), write.addr.eq(self.write.payload.place),
            write.data.eq(self.write.payload.packet),
            queue.w_data.eq(self.replay.payload), queue.w_en.eq(self.replay.valid),
            self.replay.ready.eq(queue.w_rdy),

            advance.eq(~sending | self.sink.ready), ends.eq(left == 1),
            loads.eq(~active | (advance & ends & (now.repeats == 1))), queue.r_en.eq(loads),
            read.addr.eq(place),
            self.sink.valid.eq(sending), packet.rows.eq(rows),
            packet.layer.eq(head[0]), packet.content.as_value().eq(head[1:]),
            self.idle.eq(~queue.r_rdy & ~active & ~sending),
        ]
        with m.If(loads):
            m.d.sync += [active.eq(queue.r_rdy), now.eq(new), place.eq(new.offset), left.eq(new.count)]
        with m.Elif(advance):
            m.d.sync += [place.eq(Mux(ends, now.offset, place + 1)), left.eq(Mux(ends, now.count, left - 1)),
                         now.repeats.eq(now.repeats - ends)]
        with m.If(advance):
            m.d.sync += [sending.eq(active), rows.eq(now.rows), head.eq(read.data)]
        return m
