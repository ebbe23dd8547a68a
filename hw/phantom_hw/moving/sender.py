"""Row sender: from rows that are complete to packets of the moving link."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.mesh.packets import moving_packet
from phantom_hw.moving.layouts import rows_layout
from phantom_hw.moving.masks import taps_layout
from phantom_hw.moving.reads import heading_layout
from phantom_hw.moving.store import RowStore
from phantom_hw.results.layouts import pattern_layout
from phantom_hw.soc.isa import PATTERNS

__all__ = ["RowSender"]


class RowSender(wiring.Component):
    """Send each row as packets: values from the row store, masks from a register that moves on with every packet.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    settings : In, rows_layout
        Constant while a row is inside.
    patterns : In, stream of pattern_layout; always ready
        Writes a pattern.
    taps : In, stream of taps_layout
    headings : In, stream of heading_layout
        A row's heading is there when its taps are.
    place : Out; values : In, array of moving_link values
        Reads the row store in the same cycle. ``place`` is the oldest word that is needed.
    moving : Out, stream of moving_packet
    idle : Out
        No row and no packet is inside.

    Latency: 2 cycles. Throughput: 1 packet a cycle, back to back.
    """

    LATENCY = 2

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "settings": In(rows_layout(config)),
            "patterns": In(stream.Signature(pattern_layout(config))),
            "taps": In(stream.Signature(taps_layout(config))),
            "headings": In(stream.Signature(heading_layout(config))),
            "place": Out(RowStore.address_bits(config)),
            "values": In(data.ArrayLayout(config.operand_width, config.moving_link)),
            "moving": Out(stream.Signature(moving_packet(config))),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, packet = self._config, self.moving.payload
        active, begins, goes = Signal(), Signal(), Signal()
        heading = Signal(heading_layout(config), reset_less=True)
        left = Signal.like(self.settings.beats, reset_less=True)
        place, end = Signal.like(self.place), Signal.like(self.place, reset_less=True)
        lanes = Signal(config.moving_link, reset_less=True)  # of the row's last word
        taps = [Signal.like(Value.cast(bits), name=f"tap{t}", reset_less=True)
                for t, bits in enumerate(self.taps.payload.bits)]
        allowed = Mux(self.headings.payload.short, 0, self._pattern(m, self.headings.payload.pattern))
        last, empty, final, advance = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            last.eq(heading.short | (left <= 1)), empty.eq(heading.short | (place == end)),
            final.eq((place + 1)[:len(end)] == end),
            advance.eq(~self.moving.valid | self.moving.ready), goes.eq(active & advance),
            begins.eq(self.taps.valid & (~active | (goes & last))),
            self.taps.ready.eq(~active | (goes & last)), self.headings.ready.eq(begins),
            self.place.eq(place), self.idle.eq(~active & ~self.moving.valid),
        ]
        step = config.mask_groups * config.group
        with m.If(begins):
            m.d.sync += [
                active.eq(1), heading.eq(self.headings.payload), left.eq(self.settings.beats),
                end.eq(self.taps.payload.end.word), lanes.eq(self._lanes(self.taps.payload.end.lanes)),
                *(tap.eq(bits & allowed) for tap, bits in zip(taps, self.taps.payload.bits, strict=True)),
            ]
        with m.Elif(goes):
            m.d.sync += [active.eq(~last), left.eq(left - 1), *(tap.eq(tap >> step) for tap in taps)]
        with m.If(goes):
            m.d.sync += place.eq(Mux(last, end, Mux(empty, place, place + 1)))

        with m.If(advance):
            m.d.sync += [
                self.moving.valid.eq(active), packet.last.eq(last), packet.pe_row.eq(heading.pe_row),
                packet.cols.eq(heading.cols),
                *(packet.values[lane].eq(Mux(empty | (final & ~there), 0, self.values[lane]))
                  for lane, there in enumerate(lanes)),
                *(packet.mask[g][e][t].eq(tap[g * config.group + e] if g * config.group + e < len(tap) else 0)
                  for g in range(config.mask_groups) for e in range(config.group) for t, tap in enumerate(taps)),
            ]
        return m

    def _lanes(self, count: Value) -> Value:
        """The lanes of a row's last word that belong to it."""
        return Cat((count > lane) | (count == 0) for lane in range(self._config.moving_link))

    def _pattern(self, m: Module, index: Value) -> Value:
        """The output positions that are there in pattern ``index``."""
        config = self._config
        memory = Memory(shape=config.chunk, depth=PATTERNS, init=[], attrs={"ram_style": "distributed"})
        m.submodules.patterns = memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            self.patterns.ready.eq(1), write.en.eq(self.patterns.valid),
            write.addr.eq(self.patterns.payload.index), write.data.eq(self.patterns.payload.bits),
            read.addr.eq(index),
        ]
        return read.data
