"""Bytes of any alignment to dense words, and dense words to any alignment."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import ConfigError
from phantom_hw.memory.parameters import DATA_WIDTHS

__all__ = ["ByteAligner", "dense_layout", "word_layout"]


def dense_layout(data_width: int) -> data.StructLayout:
    """A word whose bytes count from byte 0 on: how many (1..word_bytes), and whether it ends a request."""
    return data.StructLayout({"data": data_width, "count": (data_width // 8).bit_length(), "last": 1})


def word_layout(data_width: int) -> data.StructLayout:
    """A word of which ``count`` bytes count, the first of them at ``offset``; ``last`` ends a request."""
    count = (data_width // 8).bit_length()
    return data.StructLayout({"data": data_width, "offset": count - 1, "count": count, "last": 1})


class ByteAligner(wiring.Component):
    """Pack the bytes that count densely into words.

    A request's bytes begin at byte ``start`` of a word of their own, whichever bytes of the source's words they were.
    What is full leaves at once, the rest of a request with ``last``. Bytes below ``start`` and from ``count`` on have
    no defined value.

    Parameters
    ----------
    data_width : int
        64, 128, 256 or 512.

    Members
    -------
    source : In, stream of word_layout
        ``offset + count`` is at most the word's bytes.
    start : In
        Where the request's first byte goes; belongs to the source's word and is the same for all words of a request.
    sink : Out, stream of dense_layout
        ``count`` includes the bytes below ``start``.
    cancel : In
        Forget everything; what is offered is withdrawn.
    busy : Out
        A request is not completely through.

    Latency: 2 cycles. Throughput: 1 word a cycle; with ``start`` above 0 as many as words that leave.

    Raises
    ------
    ConfigError
        Another width.
    """

    LATENCY = 2

    def __init__(self, data_width: int):
        if data_width not in DATA_WIDTHS:
            legal = ", ".join(map(str, DATA_WIDTHS))
            raise ConfigError(f"data_width must be one of {legal}, not {data_width!r}")
        self._bytes = data_width // 8
        source = word_layout(data_width)
        super().__init__({
            "source": In(stream.Signature(source)),
            "start": In(source["offset"].shape),
            "sink": Out(stream.Signature(dense_layout(data_width))),
            "cancel": In(1),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        size, word = self._bytes, self.source.payload
        index_bits = len(self.start)
        coarse = index_bits // 2  # bits of the amount that the second step rotates by
        inside, fill = Signal(), Signal(index_bits)  # in a request; where its next byte goes
        place, total, amount = Signal(index_bits), Signal(index_bits + 1), Signal(index_bits)
        m.d.comb += [
            place.eq(Mux(inside, fill, self.start)),
            total.eq(place + word.count),
            amount.eq(place - word.offset),
        ]
        plan = data.StructLayout({"place": index_bits, "total": index_bits + 1, "last": 1})
        one, two = (Signal(data.StructLayout({"data": 8 * size, "plan": plan}), name=name, reset_less=True)
                    for name in ("one", "two"))
        rest, below = Signal(coarse), Signal(size)
        has_one, has_two, taken = Signal(), Signal(), Signal()
        to_one, to_two = Signal(), Signal()  # what is in these stages may be overwritten
        m.d.comb += [
            to_two.eq(~has_two | taken), to_one.eq(~has_one | to_two),
            self.source.ready.eq(to_one & ~self.cancel),
        ]
        with m.If(to_one):
            m.d.sync += [
                has_one.eq(self.source.valid), rest.eq(amount[index_bits - coarse:]),
                one.data.eq(_rotate(word.data, amount[:index_bits - coarse], 1)),
                one.plan.place.eq(place), one.plan.total.eq(total), one.plan.last.eq(word.last),
            ]
            with m.If(self.source.valid):
                m.d.sync += [inside.eq(~word.last), fill.eq(total[:index_bits])]
        with m.If(to_two):
            m.d.sync += [
                has_two.eq(has_one), two.plan.eq(one.plan),
                two.data.eq(_rotate(one.data, rest, 1 << index_bits - coarse)),
                below.eq(Cat(one.plan.place > i for i in range(size))),
            ]
        pending = self._merge(m, has_two, two, below, taken)
        m.d.comb += self.busy.eq(inside | has_one | has_two | pending)
        with m.If(self.cancel):
            m.d.sync += [inside.eq(0), has_one.eq(0), has_two.eq(0), pending.eq(0)]
        return m

    def _merge(self, m: Module, valid: Signal, word: data.View, below: Signal, taken: Signal) -> Signal:
        """Join the rotated word with the bytes held of those before it; returns whether a whole word is held.

        A word that ends a request may fill the word under way and begin another. That one is held, and leaves while
        the next request's first word takes its place.
        """
        size = self._bytes
        held, held_count = Signal(8 * size, reset_less=True), Signal.like(self.sink.payload.count, reset_less=True)
        pending, held_last, ends, spills = Signal(), Signal(), Signal(), Signal()
        merged = Cat(Mux(below[i], held.word_select(i, 8), word.data.word_select(i, 8)) for i in range(size))
        total, out = word.plan.total, self.sink.payload
        m.d.comb += [
            ends.eq((total >= size) | word.plan.last), spills.eq(total > size),
            self.sink.valid.eq((pending | (valid & ends)) & ~self.cancel),
            out.data.eq(Mux(pending, held, merged)),
            out.count.eq(Mux(pending, held_count, Mux(total >= size, size, total))),
            out.last.eq(Mux(pending, held_last, word.plan.last & ~spills)),
            taken.eq(valid & Mux(pending, self.sink.ready & ~spills, ~ends | self.sink.ready)),
        ]
        with m.If(taken):
            m.d.sync += [
                held.eq(Mux(spills, word.data, merged)),
                held_last.eq(word.plan.last), held_count.eq(Mux(spills, total - size, total)),
                pending.eq(Mux(pending, ends, spills & word.plan.last)),
            ]
        with m.Elif(self.sink.ready):
            m.d.sync += pending.eq(0)
        return pending


def _rotate(value: Value, amount: Value, unit: int) -> Value:
    """Rotate a word's bytes upwards by ``amount`` times ``unit`` bytes."""
    result = Value.cast(value)
    for bit in range(len(amount)):
        result = Mux(amount[bit], result.rotate_left(8 * unit << bit), result)
    return result
