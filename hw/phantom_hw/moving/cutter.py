"""Dense words cut where rows end."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.memory.slots import values_layout
from phantom_hw.moving.layouts import position_bits
from phantom_hw.moving.placement import origin_layout
from phantom_hw.moving.slot_requests import piece_bits, slot_layout

__all__ = ["RowCutter", "piece_layout"]


def piece_layout(config: PhantomConfig) -> data.StructLayout:
    """The first ``count`` of ``values`` are consecutive positions of a row, with ``first`` from the row's first one on.

    ``home`` is where the row's phase 0 begins in the buffer.
    """
    return data.StructLayout({
        "values": data.ArrayLayout(config.act_width, config.moving_link), "count": piece_bits(config), "first": 1,
        "home": position_bits(config),
    })


class RowCutter(wiring.Component):
    """Cut the dense words of slots into pieces that each belong to one row, and make the zeros of filled rows.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    origin : In, stream of origin_layout
        One for each command. Taken when the pieces of the command before have been taken and ``piece`` is ready for
        another one.
    slot : In, stream of slot_layout
        The slots, or rows of zeros, of the commands.
    source : In, stream of values_layout
    piece : Out, stream of piece_layout
    current : Out, origin_layout
        The command that the pieces belong to. It changes after a cycle in which ``piece`` is ready.
    busy : Out
        A command is not completely cut.

    Latency: 0. Throughput: 1 piece a cycle; a command takes one cycle more.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "origin": In(stream.Signature(origin_layout(config))),
            "slot": In(stream.Signature(slot_layout(config))),
            "source": In(stream.Signature(values_layout(config, config.moving_link))),
            "piece": Out(stream.Signature(piece_layout(config))),
            "current": Out(origin_layout(config)),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        lanes, current, slot, piece = self._config.moving_link, self.current, self.slot.payload, self.piece.payload
        start = Signal(max(exact_log2(lanes), 1))  # lane of the word where the next piece begins
        left = Signal(position_bits(self._config) + 1)  # positions of the row, if lines are not taken whole
        there, goes, through = Signal(piece_bits(self._config)), Signal(), Signal()
        row_ends, word_ends, slot_ends = Signal(), Signal(), Signal()
        fewer, same = self._compare(left, there)
        m.d.comb += [
            there.eq(Mux(~current.fill & self.source.payload.last, slot.last, lanes) - start),
            word_ends.eq(current.whole | ~fewer),
            slot_ends.eq(Mux(current.fill, fewer | same, word_ends & self.source.payload.last)),
            row_ends.eq(Mux(current.whole, slot_ends & slot.line, slot_ends | fewer | same)),
            piece.count.eq(Mux(word_ends, there, left)),
            piece.values.eq(Mux(current.fill, 0, self._shifted(start))),
            self.piece.valid.eq(self.busy & self.slot.valid & (current.fill | self.source.valid)),
            goes.eq(self.piece.valid & self.piece.ready),
            through.eq(goes & slot_ends),
            self.slot.ready.eq(through), self.source.ready.eq(goes & ~current.fill & word_ends),
        ]
        with m.If(goes):
            m.d.sync += [
                start.eq(Mux(word_ends | current.fill, 0, start + piece.count)),
                left.eq(Mux(row_ends, current.width, left - piece.count)), piece.first.eq(row_ends),
            ]
            with m.If(row_ends):
                self._next_row(m, slot_ends & slot.channel)
        m.d.comb += self.origin.ready.eq(~self.busy & self.piece.ready)
        with m.If(self.origin.ready):
            m.d.sync += [
                current.eq(self.origin.payload), self.busy.eq(self.origin.valid), piece.first.eq(1),
                left.eq(self.origin.payload.width), piece.home.eq(self.origin.payload.home),
            ]
        with m.If(through & slot.command):
            m.d.sync += self.busy.eq(0)
        return m

    def _next_row(self, m: Module, channel_ends: Value) -> None:
        """On to the place of the next row; ``current.home`` stays where the channel began."""
        home, current = self.piece.payload.home, self.current
        with m.If(channel_ends):
            m.d.sync += [home.eq(current.home + current.channel_step), current.home.eq(
                current.home + current.channel_step)]
        with m.Else():
            m.d.sync += home.eq(home + current.row_step)

    @staticmethod
    def _compare(left: Value, there: Value) -> tuple[Value, Value]:
        """``left < there`` and ``left == there``; the long ``left`` is compared without its carry chain."""
        low, none = left[:len(there)], ~left[len(there):].any()
        return none & (low < there), none & (low == there)

    def _shifted(self, start: Value) -> Value:
        """The values of the word from lane ``start`` on."""
        values, width = Value.cast(self.source.payload.values), self._config.act_width
        for bit in range(exact_log2(self._config.moving_link)):
            values = Mux(start[bit], values[width << bit:], values)
        return values
