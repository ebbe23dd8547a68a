"""The sequencer of the moving operand: what the row streamers and the lanes do, and when."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.moving.dispatch import EntryDispatcher
from phantom_hw.moving.layouts import descriptor_layout, rows_layout
from phantom_hw.moving.program import RowProgram
from phantom_hw.moving.walker import ProgramWalker
from phantom_hw.results.layouts import pattern_layout, tile_layout
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.isa import UNITS
from phantom_hw.soc.layouts import unit_layout
from phantom_hw.vector.layouts import vector_layout

__all__ = ["MovingSequencer"]

PATTERN, ROWS, STREAM_MOVING, VECTOR = range(4)
"""The commands of the unit, as ``unit_layout`` counts them."""


class MovingSequencer(wiring.Component):
    """The units ``load_program`` and ``stream_moving``: a row program, and who is told what by it.

    STREAM_MOVING walks the program. A command is taken when all that the program has given so far is done in the row
    streamers: no row changes while it is made, and who sees the next command taken may overwrite what the one before
    has read. Lanes may still work with an old pattern: a pattern that results under way need is changed behind a FENCE
    only.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    load_command : In, stream of unit_layout of ``load_program``
    load_busy : Out
    request : Out, stream of request_layout
    data : In, stream of dense_layout
    stream_command : In, stream of unit_layout of ``stream_moving``
    stream_busy : Out
        Until all is handed out and the row streamers are idle.
    settings : Out, rows_layout
        As the last ROWS said; changes only while nothing waits for the row streamers and they are idle.
    vector : Out, vector_layout
        As the last VECTOR said, likewise; before the first one the operation is NONE.
    patterns : Out, stream of pattern_layout
    tiles : Out, array of mesh_rows * mesh_cols streams of tile_layout
        A stream for each core, mesh row after mesh row.
    descriptors : Out, array of mesh_rows streams of descriptor_layout
    streamers_idle : In, mesh_rows bits
        Low from the cycle ``EntryDispatcher.MARGIN + 1`` after that in which a descriptor is taken on, or earlier,
        until what it says is sent, with a vector operation as a result.

    Latency: ``LATENCY`` cycles from command to tile, 1 more to a descriptor. Throughput: 1 entry a cycle.
    """

    LATENCY = ProgramWalker.LATENCY + RowProgram.LATENCY

    def __init__(self, config: PhantomConfig):
        self._config = config
        commands = CommandSet(config, address_width=config.address_width)
        units = {unit.name: unit_layout(commands, unit) for unit in UNITS}
        self._command = units["stream_moving"]
        super().__init__({
            "load_command": In(stream.Signature(units["load_program"])),
            "load_busy": Out(1),
            "request": Out(stream.Signature(request_layout(bus_parameters(config)))),
            "data": In(stream.Signature(dense_layout(config.bus_width))),
            "stream_command": In(stream.Signature(units["stream_moving"])),
            "stream_busy": Out(1),
            "settings": Out(rows_layout(config)),
            "vector": Out(vector_layout(config)),
            "patterns": Out(stream.Signature(pattern_layout(config))),
            "tiles": Out(stream.Signature(tile_layout(config))).array(config.cores),
            "descriptors": Out(stream.Signature(descriptor_layout(config))).array(config.mesh_rows),
            "streamers_idle": In(config.mesh_rows),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.program = program = RowProgram(self._config)
        m.submodules.walker = walker = ProgramWalker(self._config)
        m.submodules.dispatcher = dispatcher = EntryDispatcher(self._config)
        for own, inner in ((self.load_command, program.command), (self.data, program.data)):
            wiring.connect(m, wiring.flipped(own), inner)
        wiring.connect(m, program.request, wiring.flipped(self.request))
        wiring.connect(m, walker.fetch, program.fetch)
        wiring.connect(m, program.fetched, dispatcher.source)
        for own, inner in ((self.tiles, dispatcher.tiles), (self.descriptors, dispatcher.descriptors)):
            for outer, port in zip(own, inner, strict=True):
                wiring.connect(m, port, wiring.flipped(outer))
        settled = Signal()
        m.d.comb += [
            self.load_busy.eq(program.busy),
            settled.eq(walker.idle & program.empty & dispatcher.idle & self.streamers_idle.all()),
            self.stream_busy.eq(self.patterns.valid | ~settled),
        ]
        self._carry_out(m, walker, settled)
        return m

    def _carry_out(self, m: Module, walker: ProgramWalker, settled: Signal) -> None:
        """Carry out the commands that the sequencer gets, one after another."""
        offer = self.stream_command
        head = offer.payload
        pattern, rows, vector = head.operands.pattern, head.operands.rows, head.operands.vector
        m.d.comb += walker.command.payload.eq(head.operands.stream_moving)
        with m.If(self.patterns.ready):
            m.d.sync += self.patterns.valid.eq(0)
        with m.Switch(head.command):
            with m.Case(STREAM_MOVING):
                m.d.comb += [walker.command.valid.eq(offer.valid & settled & ~self.patterns.valid),
                             offer.ready.eq(walker.command.ready & settled & ~self.patterns.valid)]
            with m.Case(PATTERN):
                m.d.comb += offer.ready.eq(settled & (~self.patterns.valid | self.patterns.ready))
                with m.If(offer.valid & offer.ready):
                    m.d.sync += [
                        self.patterns.valid.eq(1), self.patterns.payload.index.eq(pattern.index),
                        self.patterns.payload.bits.eq(Cat(pattern.bits[i] for i in range(2))),
                    ]
            with m.Case(ROWS):
                m.d.comb += offer.ready.eq(settled)
                with m.If(offer.valid & settled):
                    m.d.sync += [self.settings[name].eq(rows[name]) for name in rows.shape().members]
            with m.Case(VECTOR):
                m.d.comb += offer.ready.eq(settled)
                with m.If(offer.valid & settled):
                    m.d.sync += [Value.cast(self.vector[name]).eq(vector[name]) for name in vector.shape().members]
            with m.Default():  # there is no such command
                m.d.comb += offer.ready.eq(1)
