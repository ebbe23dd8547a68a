"""Nonzero values packed into words, as they lie in a slot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from phantom_hw.config import PhantomConfig

__all__ = ["SlotPacker", "SlotShape"]


@dataclass(frozen=True)
class SlotShape:
    """Where the parts of a slot lie in words of the bus.

    Parameters
    ----------
    config : PhantomConfig
        Uses ``act_width`` and ``chunk``.
    bus_bytes : int
        Bytes of a word.
    """

    config: PhantomConfig
    bus_bytes: int

    @property
    def mask_bytes(self) -> int:
        """Bytes of the mask, at the head of the slot."""
        return -(-self.config.chunk // 8)

    @property
    def odd(self) -> bool:
        """Values lie across the words: they are packed as if the mask were a byte shorter, and moved by it later."""
        return self.config.act_width == 16 and self.mask_bytes % 2 == 1

    @property
    def alone(self) -> bool:
        """The mask fills a word, to which no value belongs."""
        return self.mask_bytes == self.bus_bytes

    @property
    def values(self) -> int:
        """Values of a word."""
        return 8 * self.bus_bytes // self.config.act_width

    @property
    def origin(self) -> int:
        """Place of a slot's first value in its word."""
        return 0 if self.alone else 8 * (self.mask_bytes - self.odd) // self.config.act_width

    @cached_property
    def words(self) -> int:
        """Words with values, of a slot without a zero."""
        return -(-(self.origin + self.config.chunk) // self.values)

    @property
    def most_bytes(self) -> int:
        """Bytes of a slot without a zero."""
        return self.mask_bytes + -(-self.config.chunk * self.config.act_width // 8)


class SlotPacker(wiring.Component):
    """Put the values of a chunk side by side, the first at ``origin`` of a word; what no value lies on is zero.

    Parameters
    ----------
    shape : SlotShape

    Members
    -------
    enters : In
        A beat of a chunk comes.
    value, nonzero, last : In
        The beat; without ``nonzero`` it has no value. A value beyond the chunk's size is dropped.
    word, push : Out
        A word is complete: in the cycle after the beat that ends it.
    done : Out
        It is the chunk's last word, or the chunk has ended and needs no further word.
    words, count : Out
        With ``done``: the chunk's words, this one included, and its values.
    whole : Out
        With ``done``: the last word is full, or there is none.
    dropped : Out
        A value was dropped in the cycle before.
    inside : Out
        A chunk has begun and not ended, or a word is about to be pushed.

    Latency: 1 cycle. Throughput: 1 beat a cycle.
    """

    LATENCY = 1

    def __init__(self, shape: SlotShape):
        self._shape = shape
        width = shape.config.act_width
        super().__init__({
            "enters": In(1),
            "value": In(width), "nonzero": In(1), "last": In(1),
            "word": Out(8 * shape.bus_bytes), "push": Out(1),
            "done": Out(1),
            "words": Out(bits_for(shape.words)), "count": Out(bits_for(shape.config.chunk)),
            "whole": Out(1),
            "dropped": Out(1),
            "inside": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        shape, width = self._shape, self._shape.config.act_width
        place = Signal(range(shape.values), init=shape.origin)  # where the next value goes
        fresh = Signal(init=1)  # nothing of the word is there yet
        needed = Signal(init=not shape.alone)  # the word must leave, even if no value comes any more
        count, words, begun = Signal.like(self.count), Signal.like(self.words), Signal()
        store, full, push = Signal(), Signal(), Signal()
        m.d.comb += [
            store.eq(self.enters & self.nonzero & (count != shape.config.chunk)),
            full.eq(store & (place == shape.values - 1)),
            push.eq(full | (self.enters & self.last & (needed | store))),
            self.inside.eq(begun | self.push | self.done),
        ]
        for i in range(shape.values):
            lane = self.word.word_select(i, width)
            with m.If(store & (place == i)):
                m.d.sync += lane.eq(self.value)
            with m.Elif(self.enters & fresh):
                m.d.sync += lane.eq(0)
        with m.If(store):
            m.d.sync += [place.eq(Mux(full, 0, place + 1)), needed.eq(~full), fresh.eq(full), count.eq(count + 1)]
        with m.If(self.enters):
            m.d.sync += [begun.eq(1), words.eq(words + push)]
            with m.If(self.last):
                m.d.sync += [
                    place.eq(shape.origin), needed.eq(not shape.alone), fresh.eq(1),
                    count.eq(0), words.eq(0), begun.eq(0),
                ]
        m.d.sync += [
            self.push.eq(push), self.done.eq(self.enters & self.last),
            self.words.eq(words + push), self.count.eq(count + store),
            self.whole.eq(full | (~needed & ~store)),
            self.dropped.eq(self.enters & self.nonzero & (count == shape.config.chunk)),
        ]
        return m
