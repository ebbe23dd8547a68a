"""Commands of the moving loaders: each loader gets what concerns its mesh rows."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.moving.loader import load_unit
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.layouts import unit_layout

__all__ = ["LoadDistributor"]


class LoadDistributor(wiring.Component):
    """Hand a command to the loaders of the mesh rows that it names, with the rows of each.

    What is loaded into mesh rows of several loaders is read from memory once for each of them. A command that names no
    mesh row goes to the first loader.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    source : In, stream of unit_layout of ``load_moving``
        Is taken when the last loader takes its part.
    sinks : Out, array of moving_loaders streams of the same
        Each in its own time; no part depends on another one's ``ready``.

    Latency: none. Throughput: 1 command a cycle.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        commands = CommandSet(config, address_width=config.address_width)
        unit = load_unit(commands)
        self._names = [command.name.lower() for command in commands.unit_commands(unit)]
        layout = unit_layout(commands, unit)
        super().__init__({"source": In(stream.Signature(layout)),
                          "sinks": Out(stream.Signature(layout)).array(config.moving_loaders)})

    def elaborate(self, platform):
        m = Module()
        config, command = self._config, self.source.payload
        count = config.moving_loaders
        done, parts, rows = Signal(count), Signal(count), Signal(config.mesh_rows)  # loaders that have had theirs
        with m.Switch(command.command):
            for number, name in enumerate(self._names):
                with m.Case(number):
                    m.d.comb += rows.eq(command.operands[name].rows)
        for loader, sink in enumerate(self.sinks):
            own = sum(1 << r for r in range(config.mesh_rows) if config.loader_of(r) == loader)
            m.d.comb += [
                parts[loader].eq((rows & own).any() | ((rows == 0) if loader == 0 else 0)),
                sink.valid.eq(self.source.valid & parts[loader] & ~done[loader]),
                Value.cast(sink.payload).eq(Value.cast(command)),
            ]
            with m.Switch(command.command):
                for number, name in enumerate(self._names):
                    with m.Case(number):
                        m.d.comb += sink.payload.operands[name].rows.eq(rows & own)
        had = done | Cat(sink.valid & sink.ready for sink in self.sinks)
        m.d.comb += self.source.ready.eq(~(parts & ~had).any())
        with m.If(self.source.valid):
            m.d.sync += done.eq(Mux(self.source.ready, 0, had))
        return m
