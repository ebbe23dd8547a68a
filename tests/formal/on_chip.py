"""Proofs of the memory on the chip: the order of two memories, and that each gets what is its own."""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2
from phantom_hw.memory.on_chip import OnChipMemory
from phantom_hw.memory.ram import ram_ports

from .axi import NARROW, Held, Offered
from .proof import Proof, implies

__all__ = ["FrontReading", "FrontWriting"]

WORDS, PLACES = 512, 4
"""On the chip; of these the last ones take part in the proof, and as many words behind them."""
BORDER = WORDS - PLACES


class FewBytes(wiring.Component):
    """A RAM that keeps the first byte of as many words as take part; the other bytes are zero."""

    def __init__(self, width: int, words: int):
        super().__init__(ram_ports(width, words))

    def elaborate(self, platform):
        m = Module()
        places = Array(Signal(8, name=f"place{i}") for i in range(PLACES))
        with m.If(self.write_enable[0]):
            m.d.sync += places[self.write_address[:ceil_log2(PLACES)]].eq(self.write_data[:8])
        with m.If(self.read_enable):
            m.d.sync += self.read_data.eq(places[self.read_address[:ceil_log2(PLACES)]])
        return m


class Front(OnChipMemory):
    """The memory on the chip at a bus with short bursts, with a RAM that is small enough for a solver."""

    def __init__(self, config):
        super().__init__(NARROW, WORDS)
        self._ram = FewBytes


def here(address: Value) -> Value:
    """Whether an address lies on the chip."""
    return address < WORDS * NARROW.word_bytes


def offer(m: Module, port, where: Value, long: Value, offered: Value) -> None:
    """Offer a burst of one word, or of two that begin at an even one, around the end of the chip's memory."""
    word = BORDER + where
    m.d.comb += [port.valid.eq(offered), port.payload.addr.eq(Cat(Const(0, NARROW.byte_bits), word)),
                 port.payload.len.eq(long & ~where[0])]


def passes_on(inside, outside) -> list[Value]:
    """A burst is offered outside exactly as it is, only if it lies there, and taken together with the one inside."""
    same = outside.payload.as_value() == inside.payload.as_value()
    return [implies(outside.valid, inside.valid & ~here(inside.payload.addr) & same),
            implies(~here(inside.payload.addr), (inside.valid & inside.ready) == (outside.valid & outside.ready))]


class FrontReading(Proof):
    """Reads of both memories by a manager and from an external memory that do what they like; bounded from reset.

    Bursts have two beats at most and lie around the end of the chip's memory. Two of them and a third lie within the
    depth, with beats of both memories in turns; a burst like others leaves the block as it found it.

    Assumptions
    -----------
    offers_stay
        What the manager and external memory offer and is not taken is offered again, unchanged.

    Properties
    ----------
    offer_stays
        What is offered to external memory or to the manager and not taken is offered again, unchanged.
    only_its_own
        External memory gets exactly the bursts that lie in it, unchanged.
    in_order
        A beat is offered only for a burst that was taken, with the response and the data of its memory.
    last_beat
        ``r.last`` is set exactly in a burst's last beat.
    taken_once
        A beat of external memory is taken exactly when the manager takes it.
    comes_soon
        The oldest burst has a beat on offer after three cycles, if external memory has one for a burst that is its own.
    """

    METHOD: ClassVar[str] = "bounded"
    DEPTH: ClassVar[int] = 10
    COVER_DEPTH: ClassVar[int] = 12
    BLOCKS: ClassVar[dict[str, type]] = {"front": Front}

    @classmethod
    def inputs(cls, config):
        return {"where": In(3), "long": In(1), "offered": In(1), "taken": In(1), "answers": In(1), "response": In(2),
                "ready": In(1)}

    def elaborate(self, platform):
        m = Module()
        front = self.build(m, "front")
        ar, r, outer_ar, outer_r = front.read.ar, front.read.r, front.external_read.ar, front.external_read.r
        offer(m, ar, self.where, self.long, self.offered)
        ar_held, outer_held = Held(m, ar, "ar"), Held(m, outer_ar, "outer_ar")
        r_held, outer_r_held = Held(m, r, "r"), Held(m, outer_r, "outer_r")
        bursts, outside = Offered(m, ar, ar_held, "bursts"), Offered(m, outer_ar, outer_held, "outside")
        beat, outer_beat, came = Signal(2), Signal(2), Signal(5)
        ends, outer_ends, leaves, enters = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            outer_ar.ready.eq(self.taken), r.ready.eq(self.ready),
            outer_r.valid.eq(self.answers & (outside.accepted > 0)),
            outer_r.payload.data.eq(Cat(Const(0, 8), came)), outer_r.payload.resp.eq(self.response),
            outer_r.payload.last.eq(outer_beat == outside.len),
            leaves.eq(r.valid & r.ready), ends.eq(leaves & (beat == bursts.len)),
            enters.eq(outer_r.valid & outer_r.ready), outer_ends.eq(enters & (outer_beat == outside.len)),
        ]
        bursts.finish(ends)
        outside.finish(outer_ends)
        m.d.sync += [beat.eq(Mux(ends, 0, beat + leaves)), outer_beat.eq(Mux(outer_ends, 0, outer_beat + enters)),
                     came.eq(came + enters)]
        self.assume(m, offers_stay=ar_held.stays & outer_r_held.stays)
        inside, there = here(bursts.address), bursts.accepted > 0
        waited = Signal(2)
        due = there & ~r.valid & (inside | outer_r.valid)
        m.d.sync += waited.eq(Mux(due, waited + (waited != 3), 0))
        same = r.payload.as_value() == outer_r.payload.as_value()
        self.must(
            m,
            offer_stays=[outer_held.stays, r_held.stays],
            only_its_own=passes_on(ar, outer_ar),
            in_order=implies(r.valid, there & Mux(
                inside, (r.payload.resp.as_value() == 0) & (r.payload.data == 0), outer_r.valid & same)),
            last_beat=implies(r.valid, r.payload.last == (beat == bursts.len)),
            taken_once=enters == (leaves & ~inside),
            comes_soon=waited < 3,
        )
        self.reach(m, chip_then_outside=ends & ~inside & (came == 1) & (bursts.count == 1),
                   outside_waits=outer_r.valid & inside & there, two_of_the_chip=ends & inside & (bursts.accepted == 2))
        return m


class FrontWriting(Proof):
    """Writes of both memories by a manager and to an external memory that do what they like; bounded from reset.

    Bursts have two beats at most and lie around the end of the chip's memory; two are under way at most. What is
    written is read, a word at a time.

    Assumptions
    -----------
    offers_stay
        What the manager and external memory offer and is not taken is offered again, unchanged.
    within_limit
        No more bursts are under way than may be.
    data_after_address
        Data are offered only for a burst whose address is or was.

    Properties
    ----------
    offer_stays
        What is offered to external memory or to the manager and not taken is offered again, unchanged.
    only_its_own
        External memory gets exactly the bursts that lie in it, unchanged, and their data.
    address_first
        Data are offered to external memory only for a burst whose address was offered before.
    no_waiting
        They are offered without waiting until the address is taken.
    written_is_read
        A word that is read while nothing is written has the last byte that was written to it.
    right_response
        A response is offered only for a burst whose data were taken, with what its memory says.
    answers_soon
        A burst of the chip whose data were taken, and that is the oldest, has its response on offer after two cycles.
    """

    METHOD: ClassVar[str] = "bounded"
    DEPTH: ClassVar[int] = 10
    COVER_DEPTH: ClassVar[int] = 12
    BLOCKS: ClassVar[dict[str, type]] = {"front": Front}

    @classmethod
    def inputs(cls, config):
        return {"where": In(3), "long": In(1), "offered": In(1), "taken": In(1), "sends": In(1), "data": In(8),
                "strobe": In(1), "outer_ready": In(1), "answers": In(1), "response": In(2), "ready": In(1),
                "reads": In(1), "place": In(2)}

    def elaborate(self, platform):
        m = Module()
        front = self.build(m, "front")
        aw, w, b = front.write.aw, front.write.w, front.write.b
        outer_aw, outer_w, outer_b = front.external_write.aw, front.external_write.w, front.external_write.b
        offer(m, aw, self.where, self.long, self.offered)
        held = {name: Held(m, port, name) for name, port in (
            ("aw", aw), ("w", w), ("b", b), ("outer_aw", outer_aw), ("outer_w", outer_w), ("outer_b", outer_b))}
        sending, waiting = (Offered(m, aw, held["aw"], name) for name in ("sending", "waiting"))
        outside = Offered(m, outer_aw, held["outer_aw"], "outside")
        beat, done, outer_done = Signal(2), Signal(3), Signal(3)  # bursts without a response whose data were taken
        leaves, ends, passes, answered = Signal(), Signal(), Signal(), Signal()
        inside = here(sending.address)
        m.d.comb += [
            outer_aw.ready.eq(self.taken), outer_w.ready.eq(self.outer_ready), b.ready.eq(self.ready),
            w.valid.eq(self.sends), w.payload.data.eq(self.data), w.payload.strb.eq(self.strobe),
            w.payload.last.eq(beat == sending.len),
            outer_b.valid.eq(self.answers & (outer_done != 0)), outer_b.payload.resp.eq(self.response),
            leaves.eq(w.valid & w.ready), ends.eq(leaves & (beat == sending.len)),
            passes.eq(outer_w.valid & outer_w.ready), answered.eq(outer_b.valid & outer_b.ready),
        ]
        sending.finish(ends)
        waiting.finish(b.valid & b.ready)
        outside.finish(ends & ~inside)
        m.d.sync += [
            beat.eq(Mux(ends, 0, beat + leaves)), done.eq(done + ends - (b.valid & b.ready)),
            outer_done.eq(outer_done + (ends & ~inside) - answered),
        ]
        self.assume(m, offers_stay=held["aw"].stays & held["w"].stays & held["outer_b"].stays,
                    within_limit=waiting.count + waiting.new <= NARROW.outstanding,
                    data_after_address=implies(w.valid, sending.count + sending.new > 0))
        oldest_here, waited = here(waiting.address), Signal(2)
        m.d.sync += waited.eq(Mux((done != 0) & oldest_here & ~b.valid, waited + (waited != 3), 0))
        response = b.payload.resp.as_value()
        same = outer_w.payload.as_value() == w.payload.as_value()
        self.must(
            m,
            offer_stays=[held[name].stays for name in ("outer_aw", "outer_w", "b")],
            only_its_own=[*passes_on(aw, outer_aw), implies(outer_w.valid, w.valid & ~inside & same),
                          implies(~inside, leaves == passes)],
            address_first=implies(outer_w.valid, outside.count + outside.new > 0),
            no_waiting=implies(w.valid & (sending.count != 0) & ~inside, outer_w.valid),
            written_is_read=self._read(m, front, sending.address, beat, leaves & inside, waiting, aw),
            right_response=[
                implies(b.valid, (done != 0) & Mux(oldest_here, response == 0, outer_b.valid
                                                  & (response == outer_b.payload.resp.as_value()))),
                answered == (b.valid & b.ready & ~oldest_here)],
            answers_soon=waited < 2,
        )
        self.reach(m, chip_waits_for_outside=(done == 2) & ~oldest_here & b.valid & (outer_done == 1),
                   data_before_taken=passes & (outside.accepted == 0), two_beats=ends & inside & (beat == 1))
        return m

    def _read(self, m: Module, front, address, beat, written, waiting, aw) -> Value:
        """The property of what is read back, against bytes that are kept here."""
        places = Array(Signal(8, name=f"kept{i}") for i in range(PLACES))
        word = (address >> NARROW.byte_bits) + beat
        with m.If(written & self.strobe):
            m.d.sync += places[word[:ceil_log2(PLACES)]].eq(self.data)
        under_way, place, quiet = Signal(), Signal.like(self.place), Signal()
        none = (waiting.count == 0) & ~aw.valid
        m.d.comb += [
            front.read.ar.valid.eq(self.reads & ~under_way), front.read.r.ready.eq(1),
            front.read.ar.payload.addr.eq(Cat(Const(0, NARROW.byte_bits), BORDER + self.place)),
        ]
        with m.If(front.read.ar.valid & front.read.ar.ready):
            m.d.sync += [under_way.eq(1), place.eq(self.place), quiet.eq(none)]
        with m.Elif(front.read.r.valid):
            m.d.sync += under_way.eq(0)
        with m.Elif(~none):
            m.d.sync += quiet.eq(0)
        return implies(front.read.r.valid & quiet & none, under_way & (front.read.r.payload.data == places[place]))
