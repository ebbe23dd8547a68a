"""The seeded faults of the memory on the chip."""

from __future__ import annotations

from .axi_mutants import replaced
from .on_chip import FrontReading, FrontWriting
from .tamper import Mutant, hidden, seeded

__all__ = ["ON_CHIP_MUTANTS"]

ON_CHIP_MUTANTS: list[Mutant] = []


@seeded(ON_CHIP_MUTANTS, "front", {FrontReading: "offer_stays"})
def beats_flicker(config, real, port):
    """A beat is withdrawn while a burst is offered."""
    return hidden(real, port, "read.r", ~port.read.ar.valid)


@seeded(ON_CHIP_MUTANTS, "front", {FrontReading: "only_its_own"})
def reads_one_beat(config, real, port):
    """External memory is asked for one beat whatever was asked for."""
    ar = real.external_read.ar.payload
    return {"external_read.ar.payload": replaced(ar, len=0 * ar.len)}


@seeded(ON_CHIP_MUTANTS, "front", {FrontReading: "in_order"})
def errors_are_dropped(config, real, port):
    """An error of external memory comes as OKAY."""
    r = real.read.r.payload
    return {"read.r.payload": replaced(r, resp=0 * r.resp.as_value())}


@seeded(ON_CHIP_MUTANTS, "front", {FrontReading: "last_beat"})
def every_beat_is_the_last(config, real, port):
    """``r.last`` is always set."""
    r = real.read.r.payload
    return {"read.r.payload": replaced(r, last=r.last | 1)}


@seeded(ON_CHIP_MUTANTS, "front", {FrontReading: "taken_once"})
def outside_never_waits(config, real, port):
    """A beat of external memory is taken whether or not it is its turn."""
    return {"external_read.r.ready": real.external_read.r.ready | 1}


@seeded(ON_CHIP_MUTANTS, "front", {FrontReading: "comes_soon"})
def beats_wait_for_more(config, real, port):
    """A beat is offered only while a burst is."""
    return hidden(real, port, "read.r", port.read.ar.valid)


@seeded(ON_CHIP_MUTANTS, "front", {FrontWriting: "offer_stays"})
def data_flicker(config, real, port):
    """Data are withdrawn from external memory while an address is offered."""
    return hidden(real, port, "external_write.w", ~port.write.aw.valid)


@seeded(ON_CHIP_MUTANTS, "front", {FrontWriting: "only_its_own"})
def all_bytes(config, real, port):
    """External memory is told to write all bytes of a word."""
    w = real.external_write.w.payload
    return {"external_write.w.payload": replaced(w, strb=~(0 * w.strb))}


@seeded(ON_CHIP_MUTANTS, "front", {FrontWriting: "address_first"})
def data_of_the_chip_go_on(config, real, port):
    """Data are offered to external memory whatever burst they are of."""
    return {"external_write.w.valid": real.external_write.w.valid | port.write.w.valid}


@seeded(ON_CHIP_MUTANTS, "front", {FrontWriting: "no_waiting"})
def data_wait_for_the_address(config, real, port):
    """Data are offered to external memory only when the address was taken."""
    goes = ~real.external_write.aw.valid
    return hidden(real, port, "external_write.w", goes)


@seeded(ON_CHIP_MUTANTS, "front", {FrontWriting: "written_is_read"})
def strobes_are_ignored(config, real, port):
    """The first byte of a word is always written."""
    w = port.write.w.payload
    return {"write.w.payload": replaced(w, strb=w.strb | 1)}


@seeded(ON_CHIP_MUTANTS, "front", {FrontWriting: "right_response"})
def failures_are_dropped(config, real, port):
    """A write that failed in external memory is answered with OKAY."""
    b = real.write.b.payload
    return {"write.b.payload": replaced(b, resp=0 * b.resp.as_value())}


@seeded(ON_CHIP_MUTANTS, "front", {FrontWriting: "answers_soon"})
def responses_wait_for_more(config, real, port):
    """A response is offered only while an address is."""
    return hidden(real, port, "write.b", port.write.aw.valid)
