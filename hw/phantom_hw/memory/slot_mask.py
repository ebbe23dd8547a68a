"""The mask of a slot, piece by piece."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import lookup
from phantom_hw.memory.slots import slot_header_layout

__all__ = ["SlotMask", "prefix_counts"]

GROUP = 4
"""Bits that are counted by a truth table."""


def prefix_counts(m: Module, bits: Value) -> list[Value]:
    """How many bits are set before each place, and last how many in all; sums of halves, in parallel."""
    if len(bits) <= GROUP:
        return [Const(0), *(lookup([bits[:i]], int.bit_count, i.bit_length()) for i in range(1, len(bits) + 1))]
    half = len(bits) // 2
    lower, upper = prefix_counts(m, bits[:half]), prefix_counts(m, bits[half:])
    for i, count in enumerate(upper[1:], half + 1):
        total = Signal(range(i + 1), name=f"count_{i}")
        m.d.comb += total.eq(lower[half] + count)
        lower.append(total)
    return lower


class SlotMask(wiring.Component):
    """A slot's mask, piece by piece.

    Parameters
    ----------
    config : PhantomConfig
    lanes : int

    Members
    -------
    load : In, 1; header : In, slot_header_layout; data : In
        Begin a slot whose first bytes are ``data``. Only behind a final piece, or at the beginning.
    step : In
        On to the next piece.
    mask, count : Out
        Mask bits of the piece and how many are set.
    final : Out
        It is the slot's last piece, or there is none.
    illegal, beyond : Out
        In the cycle after ``load``: the header is illegal; a bit beyond the positions is set.
    """

    def __init__(self, config: PhantomConfig, lanes: int):
        self._config, self._lanes = config, lanes
        self._bytes = -(-config.chunk // 8)
        super().__init__({
            "load": In(1),
            "header": In(slot_header_layout(config)),
            "data": In(8 * self._bytes),
            "step": In(1),
            "mask": Out(lanes),
            "count": Out(range(lanes + 1)),
            "final": Out(1),
            "illegal": Out(1),
            "beyond": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        lanes, header = self._lanes, self.header
        bits = max(8 * self._bytes, lanes)
        rest = Signal(max(bits - lanes, 1), reset_less=True)  # what the pieces after this one have
        left = Signal(bits_for(((1 << len(header.positions)) + lanes - 1) // lanes))  # pieces; 0 behind the last
        stored, wanted = Signal(8 * self._bytes), Signal(8 * self._bytes)
        m.d.comb += [
            stored.eq(Cat(self.data.word_select(i, 8) & (header.chunk > 8 * i).replicate(8)
                          for i in range(self._bytes))),
            wanted.eq(Cat(bit & (header.positions > i) for i, bit in enumerate(stored))),
            self.final.eq(left <= 1),
        ]
        following, after = Signal(lanes), Signal.like(rest)
        # a slot is loaded only behind a final piece, and that is known earlier than whether one is
        m.d.comb += Cat(following, after).eq(Mux(self.final, wanted, rest))
        with m.If(self.load | self.step):
            m.d.sync += [
                self.mask.eq(following), self.count.eq(prefix_counts(m, following)[-1]), rest.eq(after),
                left.eq(Mux(self.final, 0, left - 1)),
            ]
        with m.If(self.load):
            m.d.sync += left.eq((header.positions + (lanes - 1)) >> exact_log2(lanes))
        m.d.sync += [
            self.illegal.eq(self.load & ((header.positions == 0) | (header.positions > header.chunk)
                                         | (header.chunk > self._config.chunk))),
            self.beyond.eq(self.load & (stored != wanted)),
        ]
        return m
