"""The row program: its memory, how it is loaded and how it is read."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.memory.table_loader import TableLoader
from phantom_hw.moving.layouts import entry_bytes, entry_layout
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.isa import UNITS
from phantom_hw.soc.layouts import unit_layout

__all__ = ["RowProgram", "fetch_layout", "fetched_layout"]


def fetch_layout(config: PhantomConfig) -> data.StructLayout:
    """A place of the row program to be read; ``base`` tells a base entry, ``rows`` whom it is for."""
    return data.StructLayout({"index": exact_log2(config.program_words), "base": 1, "rows": config.mesh_rows})


def fetched_layout(config: PhantomConfig) -> data.StructLayout:
    """An entry that was read, with what :func:`fetch_layout` said of it."""
    return data.StructLayout({"entry": entry_layout(config), "base": 1, "rows": config.mesh_rows})


class RowProgram(wiring.Component):
    """Memory of ``program_words`` entries, which LOAD_PROGRAM fills and whoever walks the program reads.

    Entries that are loaded while they are read have no defined value.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    command : In, stream of unit_layout of ``load_program``
    busy : Out
        From the cycle after a command was taken until its entries are there.
    request : Out, stream of request_layout
        One for each command.
    data : In, stream of dense_layout
    fetch : In, stream of fetch_layout
    fetched : Out, stream of fetched_layout
        In the order of ``fetch``.
    empty : Out
        Nothing is on its way from ``fetch`` to ``fetched``.

    Latency: 2 cycles from fetch to fetched. Throughput: 1 entry a cycle; loading takes at least 1 cycle for each word.
    """

    LATENCY = 2

    def __init__(self, config: PhantomConfig):
        self._config, self._parameters = config, bus_parameters(config)
        commands = CommandSet(config, address_width=config.address_width)
        unit = next(unit for unit in UNITS if unit.name == "load_program")
        super().__init__({
            "command": In(stream.Signature(unit_layout(commands, unit))),
            "busy": Out(1),
            "request": Out(stream.Signature(request_layout(self._parameters))),
            "data": In(stream.Signature(dense_layout(config.bus_width))),
            "fetch": In(stream.Signature(fetch_layout(config))),
            "fetched": Out(stream.Signature(fetched_layout(config))),
            "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        size = entry_layout(self._config).size
        m.submodules.memory = memory = Memory(
            shape=size, depth=self._config.program_words, init=[], attrs={"no_rw_check": 1})
        self._load(m, memory.write_port())

        # ``head`` becomes the output register of the RAM, which is slow, so that another one follows it
        read, out = memory.read_port(domain="comb"), Signal(fetched_layout(self._config), reset_less=True)
        head = Signal(size, reset_less=True)
        has_read, has_out, to_read, to_out = Signal(), Signal(), Signal(), Signal()
        about = Signal(data.StructLayout({"base": 1, "rows": self._config.mesh_rows}), reset_less=True)
        m.d.comb += [
            to_out.eq(~has_out | self.fetched.ready), to_read.eq(~has_read | to_out),
            self.fetch.ready.eq(to_read), read.addr.eq(self.fetch.payload.index),
            self.fetched.valid.eq(has_out), self.fetched.payload.eq(out), self.empty.eq(~has_read & ~has_out),
        ]
        with m.If(to_read):
            m.d.sync += [has_read.eq(self.fetch.valid), about.base.eq(self.fetch.payload.base),
                         about.rows.eq(self.fetch.payload.rows), head.eq(read.data)]
        with m.If(to_out):
            m.d.sync += [has_out.eq(has_read), out.entry.as_value().eq(head), out.base.eq(about.base),
                         out.rows.eq(about.rows)]
        return m

    def _load(self, m: Module, port) -> None:
        """Fill the memory."""
        m.submodules.loader = loader = TableLoader(
            self._parameters, entry_bytes(self._config), self._config.program_words)
        wiring.connect(m, loader.request, wiring.flipped(self.request))
        wiring.connect(m, wiring.flipped(self.data), loader.data)
        command = self.command.payload
        m.d.comb += [
            loader.command.valid.eq(self.command.valid), self.command.ready.eq(loader.command.ready),
            loader.command.payload.address.eq(command.address), loader.command.payload.count.eq(command.count),
            loader.command.payload.offset.eq(command.offset), self.busy.eq(loader.busy),
            port.en.eq(loader.write.valid), port.addr.eq(loader.write.payload.place),
            port.data.eq(loader.write.payload.record[:len(port.data)]),
        ]
