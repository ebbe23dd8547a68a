"""Proofs of the AXI4 managers: what they put on the bus keeps the rules, whatever the bus and the accelerator do."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In
from phantom_hw.memory.burst import LENGTH_BITS, BurstSplitter
from phantom_hw.memory.control import ErrorKind
from phantom_hw.memory.parameters import BusParameters
from phantom_hw.memory.read_manager import ReadManager

from .proof import Proof, implies

__all__ = ["NARROW", "Held", "Offered", "Reader", "Reading", "Splitter", "Splitting", "ended", "fault_reported",
           "near_page", "request_inputs", "within_page"]

PAGE = 4096
WIDE = BusParameters(data_width=512, max_burst=256, buffer=64)
"""Bursts are bounded by the page."""
NARROW = BusParameters(data_width=64, max_burst=2, buffer=4, outstanding=2)
"""Bursts are short, so that several lie within a bounded proof."""


class Splitter(BurstSplitter):
    """The splitter of a wide bus."""

    def __init__(self, config):
        super().__init__(WIDE)


class Reader(ReadManager):
    """A read manager with short bursts."""

    def __init__(self, config):
        super().__init__(NARROW)


class Held:
    """Whether a stream offers what it offered and was not taken."""

    def __init__(self, m: Module, port, name: str):
        payload = port.payload.as_value()
        self.stalled, before = Signal(name=f"{name}_stalled"), Signal(len(payload), name=f"{name}_before")
        m.d.sync += [self.stalled.eq(port.valid & ~port.ready), before.eq(payload)]
        self.stays = implies(self.stalled, port.valid & (payload == before))


class Offered:
    """The bursts that were offered on an address channel before this cycle and are not finished.

    Attributes
    ----------
    new : a burst is offered for the first time in this cycle
    count : bursts; the last may still be on offer
    accepted : bursts that were taken
    address, len : of the oldest
    """

    SLOTS = NARROW.outstanding + 2

    def __init__(self, m: Module, port, held: Held, name: str):
        self._m, self._port = m, port
        self._slots = [Signal.like(port.payload, name=f"{name}_slot{i}") for i in range(self.SLOTS)]
        self.count, self.new = Signal(range(self.SLOTS + 1), name=f"{name}_count"), Signal(name=f"{name}_new")
        self.accepted = self.count - held.stalled
        self.address, self.len = self._slots[0].addr, self._slots[0].len
        m.d.comb += self.new.eq(port.valid & ~held.stalled)

    def finish(self, oldest: Value) -> None:
        """The oldest burst ends in this cycle if ``oldest`` is true."""
        m, slots = self._m, self._slots
        with m.If(oldest):
            m.d.sync += [here.eq(there) for here, there in pairwise(slots)]
        with m.If(self.new):
            for place, slot in enumerate(slots):
                with m.If(self.count - oldest == place):
                    m.d.sync += slot.eq(self._port.payload)
        m.d.sync += self.count.eq(self.count + self.new - oldest)


def within_page(port, parameters: BusParameters) -> Value:
    """The burst on offer consists of whole words, is not too long and lies within a page."""
    address, size = port.payload.addr, parameters.word_bytes
    fits = address[:12] + (port.payload.len + 1) * size <= PAGE
    return implies(port.valid, fits & (address % size == 0) & (port.payload.len < parameters.max_burst))


def is_legal(address: Value, length: Value) -> Value:
    """A request has 1..2^24 bytes, all in the address space."""
    return (length >= 1) & (length <= 1 << 24) & (address + length <= 1 << len(address))


def request_inputs(address: int, length: int) -> dict:
    """Free inputs: requests with so many bits of address and length, cancellation, and forgetting errors."""
    return {"where": In(address), "length": In(length), "offered": In(1), "cancel": In(1), "clear": In(1)}


def near_page(where: Value) -> Value:
    """An address in the first or the last bytes of a page, from a few free bits."""
    return Cat(where[:-1], where[-1].replicate(12 - len(where[:-1])))


def ended(m: Module, block, cancel: Value, underway: Value, longest: int) -> Value:
    """If cancelled for so many cycles in which no burst was under way, everything has left the block."""
    waited = Signal(range(longest + 1))
    m.d.sync += waited.eq(Mux(cancel & ~underway, waited + (waited != longest), 0))
    return implies(waited == longest, block.idle)


def fault_reported(m: Module, block, clear: Value, answered: Value, response: Value, bursts: Offered) -> list[Value]:
    """The first error response is reported in the next cycle, with its burst's address, and kept."""
    bad = answered & ((response == 2) | (response == 3))
    expected, kind, address = Signal(), Signal(2), Signal.like(bursts.address)
    none = block.error.kind == ErrorKind.NONE
    with m.If(none | clear):
        m.d.sync += [expected.eq(bad), kind.eq(response), address.eq(bursts.address)]
    found = block.error.kind.as_value()
    return [implies(expected, (found == kind) & (block.error.address == address)),
            implies(~expected, (found == 0) | (found == 1))]


class Splitting(Proof):
    """The splitter under arbitrary requests, stalls and cancellations; bounded from reset.

    All addresses and lengths are there, and with them all first bursts; a burst inside a request differs from the one
    before by its number only. The depth has room for several bursts of several requests.

    Properties
    ----------
    no_page_crossed
        A burst lies within 4 KiB and has at most ``max_burst`` beats.
    goes_on
        A burst begins at the byte after the last one, the first of a request with the request's first byte.
    ends_with_request
        The last burst of a request ends with the request's last byte, no other burst reaches it.
    legal_only
        A request is refused exactly if it is not legal.
    offer_stays
        What is offered and not taken is offered again, unchanged, unless it is cancelled.
    no_waiting
        A burst of a request under way is on offer after two cycles at most.
    """

    METHOD: ClassVar[str] = "bounded"
    DEPTH: ClassVar[int] = 7
    COVER_DEPTH: ClassVar[int] = 7
    BLOCKS: ClassVar[dict[str, type]] = {"splitter": Splitter}

    @classmethod
    def inputs(cls, config):
        return {**request_inputs(WIDE.address_width, LENGTH_BITS), "ready": In(1)}

    def elaborate(self, platform):
        m = Module()
        block = self.build(m, "splitter")
        requests, bursts, size = block.requests, block.bursts, WIDE.word_bytes
        burst = bursts.payload
        m.d.comb += [
            requests.payload.address.eq(self.where), requests.payload.length.eq(self.length),
            requests.valid.eq(self.offered), bursts.ready.eq(self.ready), block.cancel.eq(self.cancel),
        ]
        taken, leaves, legal = Signal(), Signal(), Signal()
        first, last = Signal(WIDE.address_width), Signal(WIDE.address_width)
        m.d.comb += [
            legal.eq(is_legal(self.where, self.length)),
            taken.eq(requests.valid & requests.ready & legal), leaves.eq(bursts.valid & bursts.ready),
            first.eq(burst.word * size + burst.begin), last.eq((burst.word + burst.len) * size + burst.end),
        ]
        # the request whose bursts are on offer, where it goes on and where it ends; and the one behind it
        now, then = Signal(), Signal()
        now_next, now_end, then_next, then_end = (Signal(WIDE.address_width, name=name) for name in (
            "now_next", "now_end", "then_next", "then_end"))
        done = leaves & burst.last
        with m.If(leaves):
            m.d.sync += now_next.eq(last + 1)
        with m.If(done):
            m.d.sync += [now.eq(then), then.eq(0), now_next.eq(then_next), now_end.eq(then_end)]
        with m.If(taken):
            with m.If((done & ~then) | ~now):
                m.d.sync += [now.eq(1), now_next.eq(self.where), now_end.eq(self.where + self.length - 1)]
            with m.Else():
                m.d.sync += [then.eq(1), then_next.eq(self.where), then_end.eq(self.where + self.length - 1)]
        waited = Signal(2)
        m.d.sync += waited.eq(Mux(now & ~bursts.valid, waited + 1, 0))
        with m.If(self.cancel):
            m.d.sync += [now.eq(0), then.eq(0), waited.eq(0)]
        held, cancelled = Held(m, bursts, "burst"), Signal()
        m.d.sync += cancelled.eq(self.cancel)
        fits = (burst.word * size)[:12] + (burst.len + 1) * size <= PAGE
        self.must(
            m,
            no_page_crossed=implies(bursts.valid, fits & (burst.len < WIDE.max_burst)),
            goes_on=implies(bursts.valid, now & (first == now_next)),
            ends_with_request=implies(bursts.valid, (burst.last & (last == now_end))
                                      | (~burst.last & (last < now_end) & (burst.end == size - 1))),
            legal_only=block.refused == (requests.valid & requests.ready & ~legal),
            offer_stays=implies(~cancelled, held.stays),
            no_waiting=waited < 2,
        )
        self.reach(m, third_burst=leaves & burst.last & (now_end - now_next < PAGE) & (waited == 0) & then,
                   to_the_last_byte=bursts.valid & burst.last & last.all(), longest=taken & (self.length == 1 << 24))
        return m


class Reading(Proof):
    """The read manager between an accelerator and a bus that do what they like; bounded from reset.

    Bursts have two beats at most, two are under way at most, and the buffer has four places: several bursts, a full
    buffer and the wait for a place lie within the depth. Requests have up to 15 bytes and lie around the end of a page;
    :class:`Splitting` has all the others. The beats that come are numbered.

    Assumptions
    -----------
    data_after_address
        Data come only for bursts that were accepted.

    Properties
    ----------
    offer_stays
        What is offered on AR and not taken is offered again, unchanged; so are the words, unless they are cancelled.
    no_page_crossed
        A burst lies within 4 KiB and has at most ``max_burst`` beats.
    within_limits
        No more bursts are under way than may be, nor beats than have a place.
    never_blocks
        ``r.ready`` is always high.
    in_order
        The words are the beats that came, each once, in their order.
    whole_request
        The first request's words hold as many bytes as it asked for, from its first byte on, and the last word says so.
    fault_reported
        The first error response is reported with the address of its burst, and kept until it is cleared.
    cancel_stops
        No burst is offered after a cancellation; when those under way have ended, it takes as many cycles as the
        buffer has places, and a few, until the manager is idle.
    idle_is_true
        When the manager is idle, no burst is under way and no word on offer.
    """

    METHOD: ClassVar[str] = "bounded"
    DEPTH: ClassVar[int] = 11
    COVER_DEPTH: ClassVar[int] = 13
    BLOCKS: ClassVar[dict[str, type]] = {"reader": Reader}

    @classmethod
    def inputs(cls, config):
        return {**request_inputs(4, 4), "ar_ready": In(1), "words_ready": In(1), "answers": In(1), "response": In(2)}

    def elaborate(self, platform):
        m = Module()
        block = self.build(m, "reader")
        requests, words, ar, r = block.requests, block.words, block.bus.ar, block.bus.r
        came, went, beat = Signal(5), Signal(5), Signal(2)  # beats that came, words that went, beats of the burst
        m.d.comb += [
            requests.payload.address.eq(near_page(self.where)), requests.payload.length.eq(self.length),
            requests.valid.eq(self.offered), block.cancel.eq(self.cancel), block.clear.eq(self.clear),
            ar.ready.eq(self.ar_ready), words.ready.eq(self.words_ready),
            r.valid.eq(self.answers), r.payload.resp.eq(self.response), r.payload.data.eq(came),
        ]
        held, words_held = Held(m, ar, "ar"), Held(m, words, "words")
        bursts = Offered(m, ar, held, "bursts")
        ends = Signal()
        m.d.comb += [ends.eq(r.valid & (beat == bursts.len)), r.payload.last.eq(beat == bursts.len)]
        bursts.finish(ends)
        leaves = Signal()
        m.d.comb += leaves.eq(words.valid & words.ready)
        m.d.sync += [
            came.eq(came + r.valid), beat.eq(Mux(ends, 0, beat + r.valid)), went.eq(went + leaves),
        ]
        self.assume(m, data_after_address=implies(r.valid, bursts.accepted > 0))
        legal = self.length != 0
        # once it was cancelled, words are dropped where nobody sees it
        cancelled, before, dirty = Signal(), Signal(), Signal()
        m.d.comb += cancelled.eq(self.cancel | before)
        m.d.sync += [
            before.eq(cancelled | (requests.valid & requests.ready & ~legal)), dirty.eq(self.cancel),
        ]
        asked = Signal(5)  # beats of the bursts that were offered
        m.d.sync += asked.eq(asked + Mux(bursts.new, ar.payload.len + 1, 0))
        self.must(
            m,
            offer_stays=[held.stays, implies(~cancelled, words_held.stays)],
            no_page_crossed=within_page(ar, NARROW),
            within_limits=[bursts.count + bursts.new <= NARROW.outstanding,
                           implies(~cancelled, (asked - went)[:5] <= NARROW.buffer)],
            never_blocks=r.ready,
            in_order=implies(~cancelled & words.valid, (words.payload.data == went) & (went < came)),
            whole_request=self._first(m, block, cancelled, leaves),
            fault_reported=fault_reported(m, block, self.clear, r.valid, r.payload.resp.as_value(), bursts),
            cancel_stops=[implies(dirty, ~bursts.new),
                          ended(m, block, self.cancel, (bursts.count != 0) | ar.valid, NARROW.buffer + 3)],
            idle_is_true=implies(block.idle, (bursts.count == 0) & ~ar.valid & ~words.valid),
        )
        self.reach(m, full=~cancelled & (asked - went == NARROW.buffer) & (came == asked) & ~words.ready,
                   two_bursts_wait=(bursts.accepted == 2) & (bursts.len == 1), third_word=leaves & (went == 2),
                   error_kept=(block.error.kind == ErrorKind.DECERR) & (went == 2) & leaves)
        return m

    def _first(self, m: Module, block, cancelled: Value, leaves: Value) -> Value:
        """The property of the first request's words."""
        requests, word = block.requests, block.words.payload
        seen, done, got = Signal(), Signal(), Signal(8)
        address, length = Signal(12), Signal.like(self.length)
        with m.If(requests.valid & requests.ready & ~seen):
            m.d.sync += [seen.eq(1), address.eq(near_page(self.where)), length.eq(self.length)]
        with m.If(leaves & ~done):
            m.d.sync += [got.eq(got + word.count), done.eq(word.last)]
        total = got + word.count
        right = [word.offset == Mux(got == 0, address % NARROW.word_bytes, 0), word.count > 0,
                 Mux(word.last, total == length, (total < length)
                     & (word.offset + word.count == NARROW.word_bytes))]
        return implies(~cancelled & ~done & block.words.valid, seen & Cat(Value.cast(c).any() for c in right).all())
