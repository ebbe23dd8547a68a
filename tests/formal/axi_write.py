"""Proof of the AXI4 write manager: the rules of the bus, and that no byte but those of the request is written."""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In
from phantom_hw.memory.control import ErrorKind
from phantom_hw.memory.write_manager import WriteManager

from .axi import NARROW, Held, Offered, ended, fault_reported, near_page, request_inputs, within_page
from .proof import Proof, implies

__all__ = ["Writer", "Writing"]

BYTES = NARROW.word_bytes


class Writer(WriteManager):
    """A write manager with short bursts."""

    def __init__(self, config):
        super().__init__(NARROW)


class Writing(Proof):
    """The write manager between an accelerator and a bus that do what they like; bounded from reset.

    Bursts have two beats at most and two are under way at most. Requests have up to 15 bytes and lie around the end
    of a page: two bursts and the responses to them lie within the depth. The bytes of the data are numbered.

    Assumptions
    -----------
    response_after_data
        Responses come only for bursts that were accepted and whose data were.

    Properties
    ----------
    offer_stays
        What is offered on AW or W and not taken is offered again, unchanged.
    no_page_crossed
        A burst lies within 4 KiB and has at most ``max_burst`` beats.
    within_limit
        No more bursts are under way than may be.
    never_blocks
        ``b.ready`` is always high.
    address_first
        Data are offered only for a burst whose address was offered before.
    last_beat
        ``w.last`` is set exactly in a burst's last beat.
    no_gap
        From a burst's first beat on, data are offered in each cycle up to its last one.
    only_the_request
        Of the first request, exactly its bytes are written (unless something was cancelled or refused).
    right_bytes
        Each of them has the value that was sent for it.
    fault_reported
        The first error response is reported with the address of its burst, and kept until it is cleared.
    cancel_stops
        No burst is offered after a cancellation; when those under way have ended, it takes a few cycles, and as many
        as the buffer has places, until the manager is idle.
    idle_is_true
        When the manager is idle, no burst is under way.
    """

    METHOD: ClassVar[str] = "bounded"
    DEPTH: ClassVar[int] = 12
    COVER_DEPTH: ClassVar[int] = 14
    BLOCKS: ClassVar[dict[str, type]] = {"writer": Writer}

    @classmethod
    def inputs(cls, config):
        return {**request_inputs(4, 4), "sends": In(1), "aw_ready": In(1), "w_ready": In(1), "answers": In(1),
                "response": In(2)}

    def elaborate(self, platform):
        m = Module()
        block = self.build(m, "writer")
        requests, words, aw, w, b = block.requests, block.data, block.bus.aw, block.bus.w, block.bus.b
        sent, beat = Signal(2), Signal(2)  # words that were taken, beats of the burst that were
        m.d.comb += [
            requests.payload.address.eq(near_page(self.where)), requests.payload.length.eq(self.length),
            requests.valid.eq(self.offered), block.cancel.eq(self.cancel), block.clear.eq(self.clear),
            words.valid.eq(self.sends),
            words.payload.eq(Cat(Cat(Const(i, 3), sent, Const(0, 3)) for i in range(BYTES))),
            aw.ready.eq(self.aw_ready), w.ready.eq(self.w_ready),
            b.valid.eq(self.answers), b.payload.resp.eq(self.response),
        ]
        aw_held, w_held = Held(m, aw, "aw"), Held(m, w, "w")
        # bursts whose data were not all taken; bursts without a response; those of them that could have one
        sending, waiting = Offered(m, aw, aw_held, "sending"), Offered(m, aw, aw_held, "waiting")
        complete, ends, leaves, inside = Signal(3), Signal(), Signal(), Signal()
        m.d.comb += [leaves.eq(w.valid & w.ready), ends.eq(leaves & (beat == sending.len))]
        sending.finish(ends)
        waiting.finish(b.valid)
        m.d.sync += [
            sent.eq(sent + (words.valid & words.ready)), complete.eq(complete + ends - b.valid),
            beat.eq(Mux(ends, 0, beat + leaves)),
            inside.eq((inside | w.valid) & ~ends),
        ]
        self.assume(m, response_after_data=implies(b.valid, (complete > 0) & (waiting.accepted > 0)))
        cancelled, before = Signal(), Signal()
        m.d.comb += cancelled.eq(self.cancel | before)
        m.d.sync += before.eq(self.cancel)
        only, right = self._first(m, block, sending, beat, leaves)
        self.must(
            m,
            offer_stays=[aw_held.stays, w_held.stays],
            no_page_crossed=within_page(aw, NARROW),
            within_limit=waiting.count + waiting.new <= NARROW.outstanding,
            never_blocks=b.ready,
            address_first=implies(w.valid, sending.count != 0),
            last_beat=implies(w.valid, w.payload.last == (beat == sending.len)),
            no_gap=implies(inside, w.valid),
            only_the_request=only,
            right_bytes=right,
            fault_reported=fault_reported(m, block, self.clear, b.valid, b.payload.resp.as_value(), waiting),
            cancel_stops=[implies(before, ~waiting.new),
                          ended(m, block, self.cancel, (waiting.count != 0) | aw.valid, NARROW.buffer + 3)],
            idle_is_true=implies(block.idle, (waiting.count == 0) & ~aw.valid & ~w.valid),
        )
        self.reach(m, second_burst=ends & (waiting.count == 2) & (sending.len == 0),
                   burst_of_two=ends & (sending.len == 1), fault_kept=block.error.kind == ErrorKind.DECERR,
                   two_wait=waiting.count == 2, data_before_acceptance=ends & aw_held.stalled)
        return m

    def _first(self, m: Module, block, sending: Offered, beat: Value, leaves: Value) -> tuple[Value, Value]:
        """The properties of the first request's data."""
        requests, w = block.requests, block.bus.w.payload
        seen, done = Signal(), Signal()
        first, beyond = Signal(13), Signal(13)
        taken = requests.valid & requests.ready & ~seen
        with m.If(taken):
            m.d.sync += [seen.eq(1), first.eq(near_page(self.where)), beyond.eq(near_page(self.where) + self.length)]
        base = Signal(13)  # of the word on offer
        m.d.comb += base.eq(sending.address + beat * BYTES)
        with m.If(leaves & (base + BYTES >= beyond)):
            m.d.sync += done.eq(1)
        void = Signal()  # data were dropped, or another request may have taken the first one's place
        m.d.sync += void.eq(void | self.cancel | (requests.valid & requests.ready & (self.length == 0)))
        # first byte and end of the request, counted from the word
        low, high = Signal(signed(14)), Signal(signed(14))
        m.d.comb += [low.eq(first - base), high.eq(beyond - base)]
        only = [w.strb[i] == ((low <= i) & (i < high)) for i in range(BYTES)]
        right = [implies(w.strb[i], w.data.word_select(i, 8) == (i - low)[:5]) for i in range(BYTES)]
        looked = block.bus.w.valid & seen & ~done & ~void
        return implies(looked, Cat(only).all()), implies(looked, Cat(right).all())
