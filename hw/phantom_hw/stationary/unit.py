"""The way of the stationary operand: from memory into a buffer for each mesh column, and into the mesh."""

from __future__ import annotations

from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.mesh.packets import stationary_packet
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.isa import UNITS
from phantom_hw.soc.layouts import unit_layout
from phantom_hw.stationary.column import StationaryColumn
from phantom_hw.stationary.loader import StationaryLoader

__all__ = ["StationaryUnit"]


class StationaryUnit(wiring.Component):
    """The units ``load_stationary`` and ``stream_stationary``: stationary buffers that replay packed packets.

    A load writes the same words to all of its columns, whole words of the bus: if these have several words of a buffer,
    the place of the first one must be a multiple of them; otherwise the next lower multiple is its place. Columns send
    at their own pace. A STREAM_STATIONARY is taken when each of its columns has a place for it in its queue. The form
    of the packets is described in :mod:`phantom_hw.stationary.layouts`.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    load_command : In, stream of unit_layout of ``load_stationary``
    load_busy : Out
        From the cycle after a command was taken until its words are there.
    request : Out, stream of request_layout
        One for each command.
    data : In, stream of dense_layout
    stream_command : In, stream of unit_layout of ``stream_stationary``
    stream_busy : Out
        From the cycle after a command was taken until its packets are sent.
    stationary : Out, array of mesh_cols streams of stationary_packet

    Latency: ``LATENCY`` cycles from command to packet. Throughput: 1 packet a cycle and column, with gaps between
    repetitions; loading 1 word of the bus a cycle.
    """

    LATENCY = StationaryColumn.LATENCY

    def __init__(self, config: PhantomConfig):
        self._config = config
        commands = CommandSet(config, address_width=config.address_width)
        units = {unit.name: unit_layout(commands, unit) for unit in UNITS}
        super().__init__({
            "load_command": In(stream.Signature(units["load_stationary"])),
            "load_busy": Out(1),
            "request": Out(stream.Signature(request_layout(bus_parameters(config)))),
            "data": In(stream.Signature(dense_layout(config.bus_width))),
            "stream_command": In(stream.Signature(units["stream_stationary"])),
            "stream_busy": Out(1),
            "stationary": Out(stream.Signature(stationary_packet(config))).array(config.mesh_cols),
        })

    def elaborate(self, platform):
        m = Module()
        columns = [StationaryColumn(self._config) for _ in self.stationary]
        for number, column in enumerate(columns):
            m.submodules[f"column_{number}"] = column
            wiring.connect(m, column.sink, wiring.flipped(self.stationary[number]))
        self._load(m, columns)

        command = self.stream_command.payload
        room = Cat(column.replay.ready | ~command.columns[number] for number, column in enumerate(columns))
        m.d.comb += [
            self.stream_command.ready.eq(room.all()),
            self.stream_busy.eq(~Cat(column.idle for column in columns).all()),
        ]
        for number, column in enumerate(columns):
            m.d.comb += column.replay.valid.eq(
                self.stream_command.valid & self.stream_command.ready & command.columns[number])
            m.d.comb += [column.replay.payload[name].eq(command[name])
                         for name in column.replay.payload.shape().members]
        return m

    def _load(self, m: Module, columns: list[StationaryColumn]) -> None:
        """Fill the buffers."""
        m.submodules.loader = loader = StationaryLoader(self._config)
        wiring.connect(m, wiring.flipped(self.load_command), loader.command)
        wiring.connect(m, loader.request, wiring.flipped(self.request))
        wiring.connect(m, wiring.flipped(self.data), loader.data)
        m.d.comb += self.load_busy.eq(loader.busy)
        for number, column in enumerate(columns):
            m.d.comb += [
                column.write.valid.eq(loader.write.valid & loader.write.payload.columns[number]),
                column.write.payload.place.eq(loader.write.payload.place),
                column.write.payload.data.eq(loader.write.payload.data),
            ]
