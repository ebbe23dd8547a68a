"""Positions of rows to their places in the moving buffers."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import lookup, select
from phantom_hw.moving.cutter import piece_layout
from phantom_hw.moving.layouts import position_bits, write_layout
from phantom_hw.moving.placement import STRIDE_BITS, origin_layout
from phantom_hw.moving.slot_requests import piece_bits

__all__ = ["PhaseScatter"]


class PhaseScatter(wiring.Component):
    """Write the positions of a piece of a row to the buffers, those of one phase at a time.

    Of a piece of n positions, with a stride of s, the positions i, i + s, i + 2s, ... have consecutive places. So a
    piece takes min(n, s) writes; after each of them the piece moves down by one lane, so that the values of a write are
    always those of the lanes 0, s, 2s, ...

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    current : In, origin_layout
        What the pieces belong to. May change after a cycle in which ``piece`` is ready.
    piece : In, stream of piece_layout
    write : Out, stream of write_layout
        The values behind the first ``count`` are arbitrary.
    busy : Out
        A piece is inside.

    Latency: 2 cycles from a piece to its first write. Throughput: 1 write a cycle.
    """

    LATENCY = 2

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "current": In(origin_layout(config)),
            "piece": In(stream.Signature(piece_layout(config))),
            "write": Out(stream.Signature(write_layout(config))),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, current, piece, out = self._config, self.current, self.piece.payload, self.write.payload
        lanes = config.moving_link
        values = Signal.like(piece.values, reset_less=True)
        left = Signal(piece_bits(config), reset_less=True)  # positions of the piece from lane 0 on
        steps = Signal.like(current.steps, reset_less=True)  # writes behind this one, if the piece has enough positions
        active, goes, final = Signal(), Signal(), Signal()
        count, exact = Signal(piece_bits(config)), Signal()
        m.d.comb += [
            goes.eq(active & (~self.write.valid | self.write.ready)),
            final.eq((left == 1) | (steps == 0)),
            self.piece.ready.eq(~active | (goes & final)),
            # positions of this phase; exact if the position behind the piece would be the next of them
            count.eq(lookup([left, current.steps], lambda n, s: -(-n // (s + 1)), len(left))),
            exact.eq(~current.far & lookup([left, current.steps], lambda n, s: n % (s + 1) == 0, 1)),
            self.busy.eq(active | self.write.valid),
        ]
        place = self._places(m, goes, final, count, exact)
        with m.If(goes):
            m.d.sync += [values.eq(Value.cast(values) >> config.act_width), left.eq(left - 1), steps.eq(steps - 1)]
        with m.If(self.piece.ready):
            m.d.sync += [active.eq(self.piece.valid), values.eq(piece.values), left.eq(piece.count),
                         steps.eq(current.steps)]
        with m.If(self.write.ready):
            m.d.sync += self.write.valid.eq(0)
        with m.If(goes):
            m.d.sync += [
                self.write.valid.eq(1), out.rows.eq(current.rows), out.place.eq(place), out.count.eq(count),
                *(out.values[i].eq(self._value(values, i)) for i in range(lanes)),
            ]
        return m

    def _value(self, values, index: int) -> Value:
        """Value ``index`` of a write, as wide as an operand."""
        config = self._config
        value = values[0] if index == 0 else select(
            self.current.steps, [values[lane] for lane in range(index, config.moving_link, index)])
        extension = config.operand_width - config.act_width
        return Cat(value, (value[-1] & self.current.signed).replicate(extension)) if extension else value

    def _places(self, m: Module, goes: Value, final: Value, count: Value, exact: Value) -> Signal:
        """The place of the position in lane 0.

        From one position to the next it is a phase further, or behind the last phase one place behind where phase 0
        was. ``back`` is the way from the place to that one, modulo the size of the buffer.
        """
        current, piece = self.current, self.piece.payload
        bits = position_bits(self._config)
        here = Signal(bits + bits + STRIDE_BITS, reset_less=True)
        kept = Signal.like(here)  # of the position behind the piece
        known, behind, onward = Signal(), Signal.like(here), Signal.like(here)
        place, back, until = here[:bits], here[bits:2 * bits], here[2 * bits:]
        with m.If(until == 1):
            m.d.comb += onward.eq(Cat((place + back)[:bits], Const(1, bits), current.stride))
        with m.Else():
            m.d.comb += onward.eq(Cat((place + current.phase_step)[:bits], (back - current.phase_step)[:bits],
                                      (until - 1)[:STRIDE_BITS]))
        m.d.comb += behind.eq(Cat((place + count)[:bits], back, until))
        with m.If(goes):
            m.d.sync += [here.eq(onward), known.eq(~final & (known | exact))]
            with m.If(exact):
                m.d.sync += kept.eq(behind)
            with m.If(final):
                m.d.sync += here.eq(Mux(exact, behind, Mux(known, kept, onward)))
        with m.If(self.piece.ready & self.piece.valid & piece.first):
            m.d.sync += here.eq(Cat((piece.home + current.lead)[:bits], (1 - current.lead)[:bits], current.until))
        return place
