"""Encoded activations to the slots of a sparse tensor in memory."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2, exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.slot_packer import SlotPacker, SlotShape
from phantom_hw.memory.slots import check_bus_bytes

__all__ = ["SparseEncoder", "chunk_layout", "slot_layout"]


def chunk_layout(config: PhantomConfig) -> data.StructLayout:
    """A beat of a chunk: with ``nonzero`` its next value; with ``last`` it ends, and ``mask`` is its mask."""
    return data.StructLayout({"value": config.act_width, "nonzero": 1, "last": 1, "mask": config.chunk})


def slot_layout(config: PhantomConfig, layout: data.StructLayout | None = None) -> data.StructLayout:
    """A slot that is ready: ``bytes`` of it are used; and the fields that a chunk's last beat has beside its own."""
    own = chunk_layout(config).members
    others = {} if layout is None else {name: shape for name, shape in layout.members.items() if name not in own}
    return data.StructLayout({"bytes": bits_for(SlotShape(config, 8).most_bytes), **others})


class SparseEncoder(wiring.Component):
    """Turn chunks, whose masks come last, into slots, whose masks come first.

    A slot is what :mod:`phantom_golden.slots` describes, with the mask of all N positions, also for a chunk that has
    fewer. Values are packed into words as they come and wait in a queue for the mask; there is room for two slots
    without a zero.

    Parameters
    ----------
    config : PhantomConfig
        Uses ``act_width`` and ``chunk``.
    bus_bytes : int
        Bytes of a word of the bus: 8, 16, 32 or 64.
    layout : StructLayout, optional
        Payload of ``source``: the fields of chunk_layout and any others. By default chunk_layout.

    Members
    -------
    source : In, stream of the layout
    slots : Out, stream of slot_layout
        One for each chunk, at the same time as its first word; each of the two may be taken first.
    sink : Out, stream of dense_layout
        The slots' bytes that are used, each slot from byte 0 of a word on; ``last`` ends it. Bytes of its last word
        that are not used are zero.
    error : Out
        A chunk had more than N values; the rest was dropped. Stays until ``clear``.
    clear : In
        Forget the error and all that is inside; what is offered is withdrawn.
    idle : Out
        Nothing is inside.

    Latency: ``LATENCY`` cycles from a chunk's last beat to its first word. Throughput: 1 beat and 1 word of the bus a
    cycle.

    Raises
    ------
    ValueError
        ``bus_bytes`` is not legal.
    """

    LATENCY = SlotPacker.LATENCY + 1
    SLOTS, WORDS = 4, 16
    """Slots that can wait, and words at least: what a LUT-RAM holds anyway."""

    def __init__(self, config: PhantomConfig, bus_bytes: int, layout: data.StructLayout | None = None):
        check_bus_bytes(bus_bytes)
        self._config, self._bytes = config, bus_bytes
        self._shape = SlotShape(config, bus_bytes)
        super().__init__({
            "source": In(stream.Signature(chunk_layout(config) if layout is None else layout)),
            "slots": Out(stream.Signature(slot_layout(config, layout))),
            "sink": Out(stream.Signature(dense_layout(8 * bus_bytes))),
            "error": Out(1),
            "clear": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        shape, beat = self._shape, self.source.payload
        m.submodules.packer = packer = SlotPacker(shape)
        # what is known of a slot when its last word is packed
        known = data.StructLayout({
            "mask": self._config.chunk, "final": bits_for(shape.words), "spills": 1,
            "slot": self.slots.payload.shape(),
        })
        depth = max(self.WORDS, 1 << ceil_log2(2 * shape.words + 1))
        m.submodules.words = words = SyncFIFO(width=8 * self._bytes, depth=depth)
        m.submodules.waiting = waiting = SyncFIFO(width=known.size, depth=self.SLOTS)
        enters, last = Signal(), Signal.like(beat, reset_less=True)
        m.d.comb += [
            # a beat's word and slot follow a cycle later, when those of the beat before may be on their way
            self.source.ready.eq((words.level < depth - 1) & (waiting.level < self.SLOTS - 1)),
            enters.eq(self.source.valid & self.source.ready),
            packer.enters.eq(enters), packer.value.eq(beat.value), packer.nonzero.eq(beat.nonzero),
            packer.last.eq(beat.last),
            words.w_data.eq(packer.word), words.w_en.eq(packer.push), waiting.w_en.eq(packer.done),
            self.idle.eq(~packer.inside & ~waiting.r_rdy),
        ]
        m.d.sync += [last.eq(beat), self.error.eq(self.error | packer.dropped)]
        entry = data.View(known, waiting.w_data)
        spills = packer.whole if shape.odd else Const(0)
        value_bytes = packer.count * self._config.act_width + 7 >> 3
        m.d.comb += [
            entry.mask.eq(last.mask), entry.spills.eq(spills), entry.final.eq(packer.words + shape.alone + spills - 1),
            entry.slot.bytes.eq(shape.mask_bytes + value_bytes),
            *(entry.slot[name].eq(last[name]) for name in self.slots.payload.shape().members if name != "bytes"),
        ]
        self._send(m, data.View(known, waiting.r_data), waiting, words)
        return ResetInserter(self.clear)(m)

    def _send(self, m: Module, entry: data.View, waiting: SyncFIFO, words: SyncFIFO) -> None:
        """Offer the first slot and its words, until both have been taken."""
        shape, out = self._shape, self.sink.payload
        place = Signal.like(entry.final)
        had_slot, had_words, final, sent = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.slots.valid.eq(waiting.r_rdy & ~had_slot), self.slots.payload.eq(entry.slot),
            self.sink.valid.eq(waiting.r_rdy & ~had_words), sent.eq(self.sink.valid & self.sink.ready),
            final.eq(place == entry.final),
            waiting.r_en.eq((had_slot | self.slots.ready) & (had_words | (self.sink.ready & final))),
        ]
        with m.If(sent):
            m.d.sync += place.eq(Mux(final, 0, place + 1))
        with m.If(waiting.r_rdy):
            m.d.sync += [
                had_slot.eq((had_slot | self.slots.ready) & ~waiting.r_en),
                had_words.eq((had_words | (self.sink.ready & final)) & ~waiting.r_en),
            ]

        first, spill = place == 0, entry.spills & final
        used = entry.slot.bytes[:exact_log2(self._bytes)]
        m.d.comb += [
            words.r_en.eq(sent & ~spill & ~(first if shape.alone else Const(0))),
            out.data.eq(self._with_mask(self._moved(m, words.r_data, sent, spill), entry.mask, first)),
            out.count.eq(Mux(final & used.any(), used, self._bytes)), out.last.eq(final),
        ]

    def _moved(self, m: Module, word: Value, sent: Value, spill: Value) -> Value:
        """The word, a byte higher if values lie across the words; the last byte of the one before comes first."""
        if not self._shape.odd:
            return word
        before = Signal(8, reset_less=True)
        with m.If(sent):
            m.d.sync += before.eq(word[-8:])
        return Cat(before, Mux(spill, 0, word[:-8]))

    def _with_mask(self, word: Value, mask: Value, first: Value) -> Value:
        """The word; a slot's first one with the mask at its head."""
        bits = 8 * self._shape.mask_bytes
        return Cat(Mux(first, mask, word[:bits])[:bits], word[bits:])
