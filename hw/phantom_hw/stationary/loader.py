"""From external memory into the stationary buffers."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.isa import UNITS
from phantom_hw.soc.layouts import unit_layout
from phantom_hw.stationary.buffer import place_bits
from phantom_hw.stationary.layouts import WORD_BYTES

__all__ = ["StationaryLoader"]


class StationaryLoader(wiring.Component):
    """Read words that follow each other in memory, and write them to consecutive places of the buffers.

    Behind a buffer's last place comes its first one. What the last word of the bus has beyond the command's ``count``
    is written, too. Requests go out ahead of the data of earlier commands.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    command : In, stream of unit_layout of ``load_stationary``
    request : Out, stream of request_layout
        One for each command.
    data : In, stream of dense_layout
    write : Out, stream of {place, columns, data}, always ready
        A word of the bus; ``place`` counts in such words.
    busy : Out
        From the cycle after a command was taken to the one in which its last word is written.

    Latency: 1 cycle from command to request and from data to write. Throughput: 1 word of the bus a cycle; the commands
    cost nothing.
    """

    DEPTH = 4
    """Commands whose requests are under way."""

    def __init__(self, config: PhantomConfig):
        self._config = config
        commands = CommandSet(config, address_width=config.address_width)
        unit = next(unit for unit in UNITS if unit.name == "load_stationary")
        self._span = data.StructLayout({"place": place_bits(config), "columns": config.mesh_cols})
        super().__init__({
            "command": In(stream.Signature(unit_layout(commands, unit))),
            "request": Out(stream.Signature(request_layout(bus_parameters(config)))),
            "data": In(stream.Signature(dense_layout(config.bus_width))),
            "write": Out(stream.Signature(
                data.StructLayout({**self._span.members, "data": config.bus_width}), always_ready=True)),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.spans = spans = SyncFIFO(width=self._span.size, depth=self.DEPTH)
        self._ask(m, spans)
        head, span = data.View(self._span, spans.r_data), Signal(self._span)  # what is being written
        active, takes, ends = Signal(), Signal(), Signal()
        m.d.comb += [
            self.data.ready.eq(active), takes.eq(self.data.valid & active), ends.eq(takes & self.data.payload.last),
            spans.r_en.eq(~active | ends),
            self.busy.eq(spans.r_rdy | active | self.write.valid),
        ]
        m.d.sync += [
            self.write.valid.eq(takes), self.write.payload.data.eq(self.data.payload.data),
            self.write.payload.place.eq(span.place), self.write.payload.columns.eq(span.columns),
        ]
        with m.If(spans.r_en):
            m.d.sync += [active.eq(spans.r_rdy), span.eq(head)]
        with m.Elif(takes):
            m.d.sync += span.place.eq(span.place + 1)
        return m

    def _ask(self, m: Module, spans: SyncFIFO) -> None:
        """Turn a command into a request, and note what its data are for."""
        command, free, bus_bytes = self.command.payload, Signal(), self._config.bus_width // 8
        span = data.View(self._span, spans.w_data)
        m.d.comb += [
            free.eq(~self.request.valid | self.request.ready),
            self.command.ready.eq(spans.w_rdy & free), spans.w_en.eq(self.command.valid & free),
            span.place.eq(command.offset * WORD_BYTES // bus_bytes), span.columns.eq(command.columns),
        ]
        with m.If(free):
            m.d.sync += [
                self.request.valid.eq(self.command.valid & spans.w_rdy),
                self.request.payload.address.eq(command.address),
                self.request.payload.length.eq(command.count * WORD_BYTES),
            ]
