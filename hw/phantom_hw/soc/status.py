"""How a job ends: the status codes, for the decoder, the CSRs, the C header and the documentation."""

from __future__ import annotations

import enum

__all__ = ["MEANINGS", "STATUS_BITS", "State", "Status"]


class State(enum.IntEnum):
    """What the command decoder does."""

    IDLE = 0
    RUNNING = 1
    STOPPING = 2


class Status(enum.IntEnum):
    """How the last job ended."""

    OK = 0
    RUNNING = 1
    ILLEGAL_OPCODE = 2
    BAD_VERSION = 3
    RESERVED_BITS = 4
    OUT_OF_RANGE = 5
    END_MISSING = 6
    BAD_ADDRESS = 7
    READ_SLAVE_ERROR = 8
    READ_DECODE_ERROR = 9
    WRITE_SLAVE_ERROR = 10
    WRITE_DECODE_ERROR = 11
    MALFORMED_DATA = 12
    ABORTED = 13
    WATCHDOG = 14


MEANINGS = {
    Status.OK: "The job ended with END and all units are idle; also the value after reset.",
    Status.RUNNING: "A job runs, or is being stopped.",
    Status.ILLEGAL_OPCODE: "A command's opcode is 0 or not in the command set.",
    Status.BAD_VERSION: "A command's version field is not the version of the command set.",
    Status.RESERVED_BITS: "A bit that must be zero is not.",
    Status.OUT_OF_RANGE: "A field's value is outside its legal range.",
    Status.END_MISSING: "The command stream has no END within `command_count` commands.",
    Status.BAD_ADDRESS: "The command stream does not begin at a multiple of a command's size, or it, or what a unit "
                        "reads or writes, leaves the address space; or a unit would write outside of `write_first` to "
                        "`write_last`.",
    Status.READ_SLAVE_ERROR: "AXI read: SLVERR.",
    Status.READ_DECODE_ERROR: "AXI read: DECERR.",
    Status.WRITE_SLAVE_ERROR: "AXI write: SLVERR.",
    Status.WRITE_DECODE_ERROR: "AXI write: DECERR.",
    Status.MALFORMED_DATA: "Data in memory are not in the format that they must have.",
    Status.ABORTED: "The host aborted the job.",
    Status.WATCHDOG: "Nothing moved for `watchdog` cycles.",
}

STATUS_BITS = 4
"""Width of a status code."""
