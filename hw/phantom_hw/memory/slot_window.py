"""Slots taken apart: pieces of the mask, and the values that belong to each piece."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import lookup
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.slot_mask import SlotMask, prefix_counts
from phantom_hw.memory.slots import SlotError, packed_layout, slot_header_layout

__all__ = ["SlotWindow"]


def _compare(a: Value, b: Value) -> tuple[Value, Value]:
    """``a > b`` and ``a == b``, without the carry chain that synthesis makes of a comparison."""
    bits = max(len(a), len(b))
    if bits <= 2:
        return (lookup([a, b], lambda x, y: x > y, 1), lookup([a, b], lambda x, y: x == y, 1))
    half = (bits // 2 + 1) // 2 * 2
    more, same = _compare(a[half:], b[half:])
    more_below, same_below = _compare(a[:half], b[:half])
    return more | (same & more_below), same & same_below


class SlotWindow(wiring.Component):
    """Take slots apart: masks into pieces of ``lanes`` positions, the values that belong to each piece from the data.

    The window is the word ``low`` from value ``start`` on and the word ``high`` behind it. ``start`` may be the size of
    a word, which says that ``low`` is used up. Behind a mask of an odd number of bytes, values of 16 bits lie a byte
    higher (``odd``); the last one of a word then needs the next word, too.

    Parameters
    ----------
    config : PhantomConfig
    word_bytes : int
        Bytes of a word, a power of two; a word holds ``lanes`` values, and a mask.
    lanes : int
        Positions of a piece, a power of two.

    Members
    -------
    header : In, stream of slot_header_layout
    source : In, stream of dense_layout
    sink : Out, stream of packed_layout
    error : Out, SlotError
        What was wrong in the cycle before.
    idle : Out
        Nothing is inside.

    Latency: 2 cycles. Throughput: 1 word in and 1 piece out a cycle.
    """

    LATENCY = 2

    def __init__(self, config: PhantomConfig, word_bytes: int, lanes: int):
        self._config, self._bytes, self._lanes = config, word_bytes, lanes
        self._values = 8 * word_bytes // config.act_width  # of a word
        super().__init__({
            "header": In(stream.Signature(slot_header_layout(config))),
            "source": In(stream.Signature(dense_layout(8 * word_bytes))),
            "sink": Out(stream.Signature(packed_layout(config, lanes))),
            "error": Out(SlotError),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.mask = mask = SlotMask(self._config, self._lanes)
        size = self._values
        active, has_high, odd = Signal(), Signal(), Signal()
        ended = Signal(init=1)  # the slot's last word was taken
        begin, enters, go, drains, room = Signal(), Signal(), Signal(), Signal(), Signal()
        start, behind = Signal(range(size + 1)), Signal(range(size + 1), init=size)  # ``behind`` is size - start
        more, exact = _compare(mask.count, behind)

        # a piece goes if its values are there or will never be; the slot is through with its last piece
        free = ~active | (go & mask.final)
        advance = ~self.sink.valid | self.sink.ready
        m.d.comb += [
            go.eq(active & advance & (has_high | ended | ~(more | (exact & odd)))),
            drains.eq(go & (more | exact)),
            # further words fill the window, or are swallowed behind the last piece
            room.eq(free | ~has_high | drains),
            begin.eq(free & ended & self.source.valid & self.header.valid),
            enters.eq(~ended & room & self.source.valid),
            self.header.ready.eq(free & ended & self.source.valid),
            self.source.ready.eq(Mux(ended, free & self.header.valid, room)),
            self.idle.eq(~active & ended & ~self.sink.valid),
            mask.load.eq(begin), mask.step.eq(go),
            mask.header.eq(self.header.payload), mask.data.eq(self.source.payload.data),
        ]
        with m.If(begin | enters):
            m.d.sync += ended.eq(self.source.payload.last)
        with m.If(free):
            m.d.sync += active.eq(begin)

        window = self._window(m, begin, enters, go, drains, start, behind, has_high, odd, mask)
        with m.If(advance):
            m.d.sync += self.sink.valid.eq(go)
            self._pack(m, mask, self._shifted(m, window, start[:exact_log2(size)], odd))
        short, there = Signal(), Mux(has_high, size, 0) + self._late(m, begin, enters, odd)
        m.d.sync += short.eq(go & ended & (start + mask.count > there))
        self._report(m, begin, enters, mask, short)
        return m

    def _first(self) -> tuple[Value, Value]:
        """Place of a slot's first value, and whether its values lie a byte higher."""
        width, mask_bytes = self._config.act_width, (self.header.payload.chunk + 7) >> 3
        return (mask_bytes << 3) >> exact_log2(width), mask_bytes[0] if width == 16 else Const(0)

    def _window(self, m: Module, begin, enters, go, drains, start, behind, has_high, odd, mask: SlotMask) -> Value:
        """Keep the two words of the window and the place of the first value that is not used yet."""
        low, high = (Signal(8 * self._bytes, name=name, reset_less=True) for name in ("low", "high"))
        down, into_low = Signal(), Signal()
        size, (first, first_odd) = self._values, self._first()
        m.d.comb += [down.eq(drains & has_high), into_low.eq(enters & ~has_high & (drains | start[-1]))]
        with m.If(go):
            m.d.sync += [start.eq(start + mask.count), behind.eq(behind - mask.count)]
        with m.If(begin):
            m.d.sync += [start.eq(first), behind.eq(size - first), odd.eq(first_odd), has_high.eq(0)]
        with m.Elif(down):
            m.d.sync += [start.eq((start + mask.count)[:exact_log2(size)]), behind.eq(behind - mask.count + size)]
            m.d.sync += has_high.eq(enters)
        with m.Elif(into_low):
            m.d.sync += [start.eq(0), behind.eq(size)]
        with m.Elif(enters):
            m.d.sync += has_high.eq(1)
        with m.If(begin | down | into_low):  # behind a final piece only another slot's first word may come
            m.d.sync += low.eq(Mux(has_high & ~mask.final, high, self.source.payload.data))
        with m.If(enters):
            m.d.sync += high.eq(self.source.payload.data)
        return Cat(low, high)

    def _shifted(self, m: Module, window: Value, start: Value, odd: Value) -> Value:
        """The values of the window from ``start`` on, as many as a piece may have."""
        width = self._config.act_width
        spare = 8 if width == 16 else 0
        for bit in reversed(range(len(start))):
            shifted = Signal((self._lanes + (1 << bit) - 1) * width + spare, name=f"shifted_{bit}")
            m.d.comb += shifted.eq(Mux(start[bit], window[width << bit:], window))
            window = shifted
        return Mux(odd, window[8:], window)[:self._lanes * width] if spare else window

    def _pack(self, m: Module, mask: SlotMask, values: Value) -> None:
        """Register a piece with its values; counting the nonzero positions before each shares the cycle."""
        out, ranks = self.sink.payload, prefix_counts(m, mask.mask)
        m.d.sync += [
            out.mask.eq(mask.mask), out.last.eq(mask.final), out.values.eq(values),
            *(out.ranks[i].eq(ranks[i]) for i in range(self._lanes)),
        ]

    def _late(self, m: Module, begin, enters, odd) -> Signal:
        """How many values the word that was taken last has."""
        width, values = self._config.act_width, Signal(range(self._values + 1))
        count, first_odd = self.source.payload.count, self._first()[1]
        with m.If(begin | enters):
            m.d.sync += values.eq((count - Mux(begin, first_odd, odd)) >> 1 if width == 16
                                  else count << exact_log2(8 // width))
        return values

    def _report(self, m: Module, begin, enters, mask: SlotMask, short: Value) -> None:
        """Say what is wrong; a slot has no more words than its mask and its values, were none zero, fill."""
        width, chunk = self._config.act_width, self.header.payload.chunk
        words = (((chunk + 7) >> 3) + ((chunk * width + 7) >> 3) + self._bytes - 1) >> exact_log2(self._bytes)
        left, long = Signal(words.shape()), Signal()
        with m.If(begin):
            m.d.sync += left.eq(words)
        with m.Elif(enters & (left > 1)):
            m.d.sync += left.eq(left - 1)
        m.d.sync += long.eq(enters & (left <= 1))
        with m.If(mask.illegal):
            m.d.comb += self.error.eq(SlotError.HEADER)
        with m.Elif(mask.beyond):
            m.d.comb += self.error.eq(SlotError.MASK)
        with m.Elif(short):
            m.d.comb += self.error.eq(SlotError.SHORT)
        with m.Elif(long):
            m.d.comb += self.error.eq(SlotError.LONG)
