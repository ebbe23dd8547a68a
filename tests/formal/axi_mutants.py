"""The seeded faults of the AXI4 managers."""

from __future__ import annotations

from amaranth.hdl import Cat, Value

from .axi import Reading, Splitting
from .axi_write import Writing
from .tamper import Mutant, hidden, seeded

__all__ = ["AXI_MUTANTS", "replaced"]

AXI_MUTANTS: list[Mutant] = []


def replaced(payload, **fields):
    """A payload with some of its fields replaced."""
    return Cat(*(Value.cast(fields.get(name, payload[name]))[:field.width] for name, field in payload.shape()))


# --- splitter ---------------------------------------------------------------------------------------------


@seeded(AXI_MUTANTS, "splitter", {Splitting: "no_page_crossed"})
def one_beat_more(config, real, port):
    """A burst that is not the last has a beat too many."""
    burst = real.bursts.payload
    return {"bursts.payload": replaced(burst, len=burst.len + ~burst.last)}


@seeded(AXI_MUTANTS, "splitter", {Splitting: "goes_on"})
def offset_forgotten(config, real, port):
    """Requests begin with the first byte of a word."""
    return {"bursts.payload": replaced(real.bursts.payload, begin=0 * real.bursts.payload.begin)}


@seeded(AXI_MUTANTS, "splitter", {Splitting: "ends_with_request"})
def whole_last_word(config, real, port):
    """The last burst of a request ends with a whole word."""
    burst = real.bursts.payload
    return {"bursts.payload": replaced(burst, end=~(0 * burst.end))}


@seeded(AXI_MUTANTS, "splitter", {Splitting: "legal_only"})
def nothing_refused(config, real, port):
    """A request that is not legal is not reported."""
    return {"refused": real.refused & ~real.refused}


@seeded(AXI_MUTANTS, "splitter", {Splitting: "offer_stays"})
def offer_flickers(config, real, port):
    """A burst is withdrawn while a request is offered."""
    return hidden(real, port, "bursts", ~port.requests.valid)


@seeded(AXI_MUTANTS, "splitter", {Splitting: "no_waiting"})
def waits_for_more(config, real, port):
    """A burst is offered only while a request is."""
    return hidden(real, port, "bursts", port.requests.valid)


# --- reading ----------------------------------------------------------------------------------------------


@seeded(AXI_MUTANTS, "reader", {Reading: "offer_stays"})
def address_flickers(config, real, port):
    """AR is withdrawn while data come."""
    return hidden(real, port, "bus.ar", ~port.bus.r.valid)


@seeded(AXI_MUTANTS, "reader", {Reading: "no_page_crossed"})
def long_bursts(config, real, port):
    """Bursts of one beat are issued with two."""
    ar = real.bus.ar.payload
    return {"bus.ar.payload": replaced(ar, len=ar.len | 1)}


@seeded(AXI_MUTANTS, "reader", {Reading: "within_limits"})
def place_free_too_early(config, real, port):
    """The consumer's words are taken for gone before they are."""
    return {"words.ready": port.words.ready | ~port.cancel}


@seeded(AXI_MUTANTS, "reader", {Reading: "never_blocks"})
def data_wait_for_the_consumer(config, real, port):
    """R is ready only while the consumer is."""
    return {"bus.r.ready": real.bus.r.ready & port.words.ready}


@seeded(AXI_MUTANTS, "reader", {Reading: "in_order"})
def words_inverted(config, real, port):
    """The first bit of a word is wrong when no beat comes."""
    word = real.words.payload
    return {"words.payload": replaced(word, data=word.data ^ ~port.bus.r.valid)}


@seeded(AXI_MUTANTS, "reader", {Reading: "whole_request"})
def never_the_last(config, real, port):
    """A word that has all bytes is never the last."""
    word = real.words.payload
    return {"words.payload": replaced(word, last=word.last & ~word.count[-1])}


@seeded(AXI_MUTANTS, "reader", {Reading: "fault_reported"})
def decode_errors_ignored(config, real, port):
    """DECERR counts as EXOKAY."""
    r = port.bus.r.payload
    response = r.resp.as_value()
    return {"bus.r.payload": replaced(r, resp=Cat(response[0], response[1] & ~response[0]))}


@seeded(AXI_MUTANTS, "reader", {Reading: "cancel_stops"})
def cancel_ignored(config, real, port):
    """The manager does not hear of a cancellation."""
    return {"cancel": port.cancel & ~port.cancel}


@seeded(AXI_MUTANTS, "reader", {Reading: "idle_is_true"})
def always_idle(config, real, port):
    """The manager is idle as soon as it takes requests."""
    return {"idle": real.idle | port.requests.ready}


# --- writing ----------------------------------------------------------------------------------------------


@seeded(AXI_MUTANTS, "writer", {Writing: "offer_stays"})
def data_flicker(config, real, port):
    """W is withdrawn while the address waits."""
    waits = real.bus.aw.valid & ~port.bus.aw.ready
    return hidden(real, port, "bus.w", ~waits)


@seeded(AXI_MUTANTS, "writer", {Writing: "no_page_crossed"})
def length_not_less_one(config, real, port):
    """AWLEN is the number of beats."""
    aw = real.bus.aw.payload
    return {"bus.aw.payload": replaced(aw, len=aw.len + 1)}


@seeded(AXI_MUTANTS, "writer", {Writing: "within_limit"})
def answered_when_sent(config, real, port):
    """The last beat counts as the response."""
    return {"bus.b.valid": port.bus.b.valid | (real.bus.w.valid & port.bus.w.ready & real.bus.w.payload.last)}


@seeded(AXI_MUTANTS, "writer", {Writing: "never_blocks"})
def responses_wait(config, real, port):
    """B is ready only when a request could be taken."""
    return {"bus.b.ready": real.bus.b.ready & port.requests.valid}


@seeded(AXI_MUTANTS, "writer", {Writing: "address_first"})
def address_hidden(config, real, port):
    """The address is offered only when data are."""
    return hidden(real, port, "bus.aw", real.bus.w.valid)


@seeded(AXI_MUTANTS, "writer", {Writing: "last_beat"})
def every_beat_the_last(config, real, port):
    """Every beat says that it is the last."""
    return {"bus.w.payload": replaced(real.bus.w.payload, last=~(0 * real.bus.w.payload.last))}


@seeded(AXI_MUTANTS, "writer", {Writing: "no_gap"})
def data_only_with_new_data(config, real, port):
    """Data are offered only while the producer offers some."""
    return hidden(real, port, "bus.w", port.data.valid)


@seeded(AXI_MUTANTS, "writer", {Writing: "only_the_request"})
def a_byte_more(config, real, port):
    """The byte before the first one of a word is written, too."""
    w = real.bus.w.payload
    return {"bus.w.payload": replaced(w, strb=w.strb | w.strb[1:])}


@seeded(AXI_MUTANTS, "writer", {Writing: "right_bytes"})
def bytes_exchanged(config, real, port):
    """The first two bytes of a word change places."""
    w = real.bus.w.payload
    return {"bus.w.payload": replaced(w, data=Cat(w.data[8:16], w.data[:8], w.data[16:]))}


@seeded(AXI_MUTANTS, "writer", {Writing: "fault_reported"})
def address_of_the_next_burst(config, real, port):
    """The address reported is eight bytes too high."""
    error = real.error
    return {"error": replaced(error, kind=error.kind.as_value(), address=error.address + 8)}


@seeded(AXI_MUTANTS, "writer", {Writing: "cancel_stops"})
def cancelled_while_data_come(config, real, port):
    """A cancellation is heard only while the producer offers nothing."""
    return {"cancel": port.cancel & ~port.data.valid}


@seeded(AXI_MUTANTS, "writer", {Writing: "idle_is_true"})
def idle_before_the_response(config, real, port):
    """The manager is idle when no data are on offer."""
    return {"idle": real.idle | ~real.bus.w.valid}
