"""The order in which the entries of the row program are read."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.moving.program import fetch_layout
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.layouts import command_layout

__all__ = ["ProgramWalker"]


class ProgramWalker(wiring.Component):
    """Walk a part of the row program step by step: the step's own base entries, then the row entries, always the same.

    Behind the program's last place comes its first one.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    command : In, stream of the operands of STREAM_MOVING
    fetch : Out, stream of fetch_layout
    idle : Out
        No command is under way.

    Latency: 1 cycle. Throughput: 1 entry a cycle, also from command to command.
    """

    LATENCY = 1

    def __init__(self, config: PhantomConfig):
        commands = CommandSet(config, address_width=config.address_width)
        super().__init__({
            "command": In(stream.Signature(command_layout(commands, commands.named("STREAM_MOVING")))),
            "fetch": Out(stream.Signature(fetch_layout(config))),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        new = self.command.payload
        held = Signal(new.shape(), reset_less=True)  # ``bases``: of the next step; ``steps``: with this one
        active, base = Signal(), Signal()
        index, left = Signal.like(self.fetch.payload.index), Signal.like(new.count)
        moves, ends, step_ends, loads = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.idle.eq(~active), self.fetch.valid.eq(active), self.fetch.payload.index.eq(index),
            self.fetch.payload.base.eq(base), self.fetch.payload.rows.eq(held.rows),
            moves.eq(active & self.fetch.ready), ends.eq(left == 1), step_ends.eq(moves & ends & ~base),
            loads.eq(~active | (step_ends & (held.steps == 1))), self.command.ready.eq(loads),
        ]
        with m.If(loads):
            m.d.sync += [active.eq(self.command.valid), held.eq(new), base.eq(1), index.eq(new.bases),
                         left.eq(new.base_count)]
        with m.Elif(moves & ends):
            m.d.sync += [base.eq(~base), index.eq(Mux(base, held.start, held.bases)),
                         left.eq(Mux(base, held.count, held.base_count))]
            with m.If(~base):
                m.d.sync += held.steps.eq(held.steps - 1)
        with m.Elif(moves):
            m.d.sync += [index.eq(index + 1), left.eq(left - 1)]
        with m.If(moves & base):
            m.d.sync += held.bases.eq(index + 1)
        return m
