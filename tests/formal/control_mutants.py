"""Seeded faults of the command decoder."""

from __future__ import annotations

from amaranth.hdl import Mux
from phantom_hw.soc.status import State, Status

from .control import Deciding
from .tamper import Mutant, seeded

__all__ = ["CONTROL_MUTANTS"]

CONTROL_MUTANTS: list[Mutant] = []


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "offers_stay"})
def offer_withdrawn(config, real, port):
    """An abort takes back what is offered to the first unit."""
    return {"one.valid": real.one.valid & ~port.abort_job}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "reads_the_stream"})
def read_again(config, real, port):
    """The second command is read from the place of the first one."""
    return {"request.payload": real.request.payload.as_value() & ~(1 << 3)}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "reads_no_more"})
def one_command_too_many(config, real, port):
    """The command behind the stream is read, too."""
    return {"count": port.count + 1}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "never_waits"})
def memory_waits(config, real, port):
    """The memory waits while a unit does not take its command."""
    waits = real.one.valid & ~port.one.ready
    return {"data.ready": real.data.ready & ~waits, "data.valid": port.data.valid & ~waits}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "hands_out_the_command"})
def operand_changed(config, real, port):
    """An operand of the second unit is wrong while the first unit is busy."""
    return {"two.payload": real.two.payload.as_value() ^ port.busy[0]}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "only_legal_commands"})
def version_ignored(config, real, port):
    """Commands of version 0 are taken for ones of version 1."""
    return {"data.payload": port.data.payload | 1 << 8}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "fence_waits"})
def fence_looks_at_one_unit(config, real, port):
    """The second unit never counts as busy."""
    return {"busy": port.busy & 1}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "done_when_idle"})
def end_does_not_wait(config, real, port):
    """Units count as idle as soon as they are told to halt."""
    return {"busy": Mux(real.halt, 0, port.busy)}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "ok_after_end"})
def missing_end_is_fine(config, real, port):
    """A stream without END is reported as OK."""
    return {"result": Mux(real.result == Status.END_MISSING, Status.OK, real.result)}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "nothing_after_an_error"})
def abort_ignored(config, real, port):
    """An abort does nothing."""
    return {"abort_job": port.abort_job & ~port.abort_job}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "first_error_counts"})
def abort_goes_first(config, real, port):
    """An error that comes together with an abort is not seen."""
    return {"error": Mux(port.abort_job, 0, port.error)}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "goes_on"})
def always_busy(config, real, port):
    """The first unit counts as busy as long as a job runs."""
    return {"busy": port.busy | (real.status.state != State.IDLE)}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "abort_ends"})
def abort_waits(config, real, port):
    """An abort is not heard while something is offered."""
    return {"abort_job": port.abort_job & ~real.one.valid & ~real.two.valid & ~real.request.valid}


@seeded(CONTROL_MUTANTS, "decoder", {Deciding: "watchdog_ends"})
def watchdog_off(config, real, port):
    """The watchdog never barks."""
    return {"watchdog": 0 * port.watchdog}
