"""From packed packets to those of the mesh."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout, stationary_layout
from phantom_hw.mesh.packets import stationary_packet
from phantom_hw.stationary.choice import count_bits, select
from phantom_hw.stationary.layouts import NARROW, header_bytes, items_header, layer_header
from phantom_hw.stationary.window import raw_layout

__all__ = ["PacketExpander"]


class PacketExpander(wiring.Component):
    """Give each value of a packet its place among the items.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    source : In, stream of raw_layout
        Its ready is that of all stages: no packet closes up behind a gap.
    sink : Out, stream of stationary_packet
    busy : Out
        A packet is on its way.

    Latency: 3 cycles. Throughput: 1 packet a cycle.
    """

    LATENCY = 3

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "source": In(stream.Signature(raw_layout(config))),
            "sink": Out(stream.Signature(stationary_packet(config))),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        raw, unpacked = Signal(raw_layout(config), reset_less=True), Signal(self._unpacked_layout(), reset_less=True)
        span = Signal(layer_layout(config)["span"].shape)
        has_raw, has_unpacked, moves = Signal(), Signal(), Signal()
        m.d.comb += [
            moves.eq(~self.sink.valid | self.sink.ready), self.source.ready.eq(moves),
            self.busy.eq(has_raw | has_unpacked | self.sink.valid),
        ]
        fields, packet = self._unpack(m, raw), self._packet(m, unpacked, span)
        with m.If(moves):
            m.d.sync += [
                has_raw.eq(self.source.valid), raw.eq(self.source.payload),
                has_unpacked.eq(has_raw), unpacked.eq(fields),
                self.sink.valid.eq(has_unpacked), self.sink.payload.eq(packet),
            ]
            with m.If(has_unpacked & unpacked.layer):
                m.d.sync += span.eq(unpacked.setup.span)
        return m

    def _unpacked_layout(self) -> data.StructLayout:
        """A packet with its fields in their places, but for the values and the units of ``place``."""
        config, columns = self._config, self._config.pe_cols
        taps = columns * config.threads
        return data.StructLayout({
            "rows": config.mesh_rows, "layer": 1, "setup": layer_layout(config), "wide": 1,
            "pe_row": ceil_log2(config.pe_rows), "tile_last": 1, "mask": taps, "row_last": columns,
            "place": data.ArrayLayout(ceil_log2(config.acc_depth), columns),
            "values": taps * config.operand_width,
            "before": data.ArrayLayout((taps - 1).bit_length(), taps),  # values that precede each tap's
        })

    def _unpack(self, m: Module, raw: data.View) -> data.View:
        """Take a packet's header apart."""
        config, result = self._config, Signal(self._unpacked_layout(), name="fields")
        layouts = [items_header(config, wide=wide) for wide in (False, True)]
        narrow, wide = (data.View(layout, raw.bytes[:layout.size]) for layout in layouts)
        values = [raw.bytes[8 * header_bytes(layout):][:len(result.values)] for layout in layouts]
        header = data.View(layer_header(config), raw.bytes[:layer_header(config).size])
        items, tile_last = Signal(), narrow.code >= config.pe_rows
        m.d.comb += [
            items.eq(narrow.code < 2 * config.pe_rows),
            result.rows.eq(raw.rows), result.wide.eq(raw.wide),
            result.layer.eq(header.code == 2 * config.pe_rows), result.setup.eq(header.layer),
            result.pe_row.eq(Mux(items, narrow.code - Mux(tile_last, config.pe_rows, 0), 0)),
            result.tile_last.eq(tile_last),
            result.mask.eq(Mux(items, Value.cast(narrow.mask), 0)),
            result.row_last.eq(Mux(items, Value.cast(narrow.row_last), 0)),
            result.values.eq(Mux(raw.wide, values[1], values[0])),
            *(result.place[i].eq(Mux(items, Mux(raw.wide, wide.place[i], narrow.place[i]), 0))
              for i in range(config.pe_cols)),
            *(result.before[i].eq(count_bits(list(result.mask[:i]))) for i in range(1, len(result.mask))),
        ]
        return result

    def _packet(self, m: Module, unpacked: data.View, span: Signal) -> data.View:
        """The packet of the mesh."""
        config, width, taps = self._config, self._config.operand_width, self._config.threads
        result = Signal(stationary_packet(config), name="packet")
        beat = Signal(stationary_layout(config), name="beat")
        m.d.comb += [
            result.rows.eq(unpacked.rows), result.layer.eq(unpacked.layer), beat.pe_row.eq(unpacked.pe_row),
            result.content.as_value().eq(Mux(unpacked.layer, Value.cast(unpacked.setup), Value.cast(beat))),
        ]
        for column in range(config.pe_cols):
            item, place, row_last = beat.items[column], unpacked.place[column], unpacked.row_last[column]
            mask = unpacked.mask[column * taps:(column + 1) * taps]
            m.d.comb += [
                item.valid.eq(mask.any() | row_last), item.mask.eq(mask), item.row_last.eq(row_last),
                item.tile_last.eq(row_last & unpacked.tile_last),
                item.dest.eq(Mux(unpacked.wide, place, place[:NARROW] * span)),
            ]
            for tap in range(taps):
                number = column * taps + tap
                choices = [unpacked.values.word_select(i, width) for i in range(number + 1)]
                m.d.comb += item.values[tap].eq(Mux(mask[tap], select(choices, unpacked.before[number]), 0))
        return result
