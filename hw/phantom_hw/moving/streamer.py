"""Row streamer: from the moving buffer of a mesh row to the packets of its moving link."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.core.queue import ResultQueue
from phantom_hw.mesh.packets import moving_packet
from phantom_hw.moving.buffer import MovingBuffer
from phantom_hw.moving.gather import RowGather
from phantom_hw.moving.layouts import descriptor_layout, rows_layout, write_layout
from phantom_hw.moving.masks import MaskFormer
from phantom_hw.moving.reads import PlaneReader, heading_layout
from phantom_hw.moving.sender import RowSender
from phantom_hw.moving.store import RowStore
from phantom_hw.results.layouts import pattern_layout

__all__ = ["RowStreamer"]


class RowStreamer(wiring.Component):
    """Make rows of parts of the moving buffer, form their masks, send them.

    For each plane p of a part, ``plane_length[p]`` values from ``place + plane_step[p]`` on are read. Those of all
    planes of all parts up to the one with ``last`` follow each other and are the row's flat positions; what is beyond
    ``row_width`` is dropped, and behind the end all is zero. The row goes out as ``beats`` packets, with the heading
    of the part that ended it. Bit ``mask[g][e][t]`` of packet b is set if the flat position ``tap_base[t] + i`` is not
    zero and bit i of the pattern is set, i = (b * mask_groups + g) * group + e.

    If the part that ends a row says ``short``, the row is one packet of zeros. Of parts that say so nothing is read.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    write : In, stream of write_layout; always ready
        Writes the first ``count`` values to consecutive places from ``place`` on, behind the last place to the first
        one. ``rows`` is not looked at. A descriptor that comes in a later cycle finds the values.
    settings : In, rows_layout
        Constant unless ``idle``.
    patterns : In, stream of pattern_layout; always ready
        Writes a pattern, while no descriptor that uses it is inside.
    descriptors : In, stream of descriptor_layout
    moving : Out, stream of moving_packet
    idle : Out
        From the cycle after a descriptor was taken low until its packets, if it ended a row, have left. A row that
        was begun and not ended does not count: the next part goes on with it.

    Latency: :meth:`latency` cycles from a part of a single read to the first packet. Throughput: 1 read of up to
    ``moving_link`` values and 1 packet a cycle, so that a row takes the larger of the number of its reads (one at
    least for each plane) and of its packets.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__(self.ports(config))

    @classmethod
    def ports(cls, config: PhantomConfig) -> wiring.Signature:
        """The signature, for whoever instantiates the streamer as a module emitted elsewhere."""
        return wiring.Signature({
            "write": In(stream.Signature(write_layout(config))),
            "settings": In(rows_layout(config)),
            "patterns": In(stream.Signature(pattern_layout(config))),
            "descriptors": In(stream.Signature(descriptor_layout(config))),
            "moving": Out(stream.Signature(moving_packet(config))),
            "idle": Out(1),
        })

    @staticmethod
    def latency(config: PhantomConfig) -> int:
        """Cycles from the last part of a row, if it is a single read, to the row's first packet: 8 to 13."""
        return PlaneReader.LATENCY + RowGather.latency(config) + MaskFormer.stages(config) + RowSender.LATENCY

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.buffer = buffer = MovingBuffer(config)
        m.submodules.reader = reader = PlaneReader(config)
        m.submodules.gather = gather = RowGather(config)
        m.submodules.store = store = RowStore(config)
        m.submodules.masks = masks = MaskFormer(config)
        m.submodules.headings = headings = ResultQueue(heading_layout(config))
        m.submodules.sender = sender = RowSender(config)
        # a heading waits from its row's last read until the row is sent
        assert RowGather.latency(config) + MaskFormer.stages(config) <= ResultQueue.SLOTS, "a heading finds no place"
        for ours, inner in ((self.write, buffer.write), (self.descriptors, reader.descriptors),
                            (self.patterns, sender.patterns)):
            wiring.connect(m, wiring.flipped(ours), inner)
        wiring.connect(m, reader.reads, gather.reads)
        wiring.connect(m, gather.nonzeros, masks.nonzeros)
        wiring.connect(m, masks.taps, sender.taps)
        wiring.connect(m, headings.result, sender.headings)
        wiring.connect(m, sender.moving, wiring.flipped(self.moving))
        m.d.comb += [
            reader.settings.eq(self.settings), masks.settings.eq(self.settings), sender.settings.eq(self.settings),
            buffer.advance.eq(gather.advance), buffer.place.eq(reader.reads.payload.place),
            gather.values.eq(buffer.values), store.write.eq(gather.write),
            store.place.eq(sender.place), sender.values.eq(store.values), gather.tail.eq(sender.place),
            headings.push.eq(reader.reads.valid & reader.reads.ready & reader.reads.payload.last),
            headings.payload.eq(reader.reads.payload.heading),
            self.idle.eq(reader.idle & gather.idle & masks.idle & sender.idle),
        ]
        return m
