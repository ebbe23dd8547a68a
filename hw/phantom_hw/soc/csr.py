"""The CSR map: the one description that the register bank, the C header and the documentation follow."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from importlib import metadata
from typing import ClassVar

from phantom_hw.config import TDS_MODES, PhantomConfig
from phantom_hw.soc.isa import ISA_VERSION, UNITS
from phantom_hw.soc.status import MEANINGS, STATUS_BITS, State, Status

__all__ = ["BLOCKS", "Access", "Bits", "Block", "CsrMap", "PlacedRegister", "Register", "field_meanings"]

MAGIC = int.from_bytes(b"PHTM", "little")
NAME_WORDS = 4
"""Words that hold the configuration's name in ASCII, cut off or filled up with zeros."""
CHOICES = {"tds": TDS_MODES}
"""Configuration fields that are one of several names."""
WATCHDOG_RESET = 1 << 24


class Access(enum.Enum):
    """Who may do what with a register."""

    RO = "ro"
    RW = "rw"
    W1C = "w1c"
    WO = "wo"


@dataclass(frozen=True)
class Bits:
    """A part of a register, and the port of that name on the hardware's side.

    Parameters
    ----------
    name, meaning : str
    width : int
        1..32, or 64 if it is the whole register.
    lsb : int
    names : tuple of str
        Of the values, from 0.
    reset : int
    """

    name: str
    width: int
    meaning: str
    lsb: int = 0
    names: tuple[str, ...] = ()
    reset: int = 0


@dataclass(frozen=True)
class Register:
    """One register of 32 or 64 bits.

    Parameters
    ----------
    name, meaning : str
    access : Access
    bits : tuple of Bits
    constant : function, optional
        From a map to the value; such a register has no port.
    counter : function, optional
        From a configuration to the greatest number that is added in a cycle.
    """

    name: str
    meaning: str
    access: Access
    bits: tuple[Bits, ...]
    constant: Callable[[CsrMap], int] | None = None
    counter: Callable[[PhantomConfig], int] | None = None

    @property
    def words(self) -> int:
        """1 or 2."""
        return 2 if any(part.width > 32 for part in self.bits) else 1


@dataclass(frozen=True)
class Block:
    """Registers that follow each other from an offset on.

    Parameters
    ----------
    base : int
    name, meaning : str
    registers : tuple of Register
    """

    base: int
    name: str
    meaning: str
    registers: tuple[Register, ...]


@dataclass(frozen=True)
class PlacedRegister:
    """A register and its byte offset."""

    register: Register
    offset: int


# --- the blocks -------------------------------------------------------------------------------------------

def _constant(name: str, meaning: str, value: Callable[[CsrMap], int], width: int = 32,
              names: tuple[str, ...] = ()) -> Register:
    return Register(name, meaning, Access.RO, (Bits(name, width, meaning, names=names),), constant=value)


def _whole(name: str, meaning: str, access: Access, width: int = 32, reset: int = 0) -> Register:
    return Register(name, meaning, access, (Bits(name, width, meaning, reset=reset),))


def _counter(name: str, meaning: str, most: Callable[[PhantomConfig], int]) -> Register:
    return Register(name, meaning, Access.RO, (Bits(name, 64, meaning),), counter=most)


def _generator_version(csr_map: CsrMap) -> int:
    major, minor, patch = (int(part) for part in metadata.version("phantom-accelerator").split(".")[:3])
    return major << 16 | minor << 8 | patch


def field_meanings() -> dict[str, str]:
    """The meaning of every configuration field, from the documentation of :class:`PhantomConfig`."""
    section = (inspect.getdoc(PhantomConfig) or "").split("Parameters\n----------\n")[1]
    meanings: dict[str, str] = {}
    for names, text in re.findall(r"^(\w[\w, ]*) : \w+\n((?:    .*\n?)+)", section, re.MULTILINE):
        for name in names.split(", "):
            meanings[name] = " ".join(text.split()).replace("``", "`")
    return meanings


def _chosen(name: str, csr_map: CsrMap) -> int:
    return CHOICES[name].index(getattr(csr_map.config, name))


def _number(name: str, csr_map: CsrMap) -> int:
    return int(getattr(csr_map.config, name))


def _text(name: str, word: int, csr_map: CsrMap) -> int:
    text = getattr(csr_map.config, name).encode("ascii", "replace")
    return int.from_bytes(text[4 * word:4 * word + 4], "little")


def _configuration() -> Iterator[Register]:
    """A register for every field of the configuration; text takes several."""
    meanings = field_meanings()
    for field in fields(PhantomConfig):
        name, meaning = field.name, meanings[field.name]
        if name in CHOICES:
            yield _constant(f"config_{name}", meaning, partial(_chosen, name), names=CHOICES[name])
        elif field.type == "str":
            for part in range(NAME_WORDS):
                yield _constant(f"config_{name}{part}", f"{meaning} ASCII, characters {4 * part}..{4 * part + 3}.",
                                partial(_text, name, part))
        else:
            yield _constant(f"config_{name}", meaning, partial(_number, name))


BLOCKS = (
    Block(0x000, "Identification", "What this is.", (
        _constant("magic", "`PHTM` in ASCII, P in the lowest byte.", lambda m: MAGIC),
        _constant("isa_version", "Version of the command set, as in every command.", lambda m: ISA_VERSION),
        _constant("generator_version", "Major, minor and patch number in bits 23..16, 15..8 and 7..0.",
                  _generator_version),
        _constant("prefetch", "Commands that are read ahead.", lambda m: m.prefetch),
    )),
    Block(0x040, "Control", "Starting a job and seeing how it ends.", (
        Register("control", "Starts and ends jobs.", Access.WO, (
            Bits("start", 1, "Write 1: start a job; without effect while one runs."),
            Bits("abort_job", 1, "Write 1: end the job with status ABORTED; without effect if none runs.", 1),
        )),
        Register("status", "What the accelerator does, and how the last job ended.", Access.RO, (
            Bits("state", 2, "What the command decoder does.", 0, tuple(state.name for state in State)),
            Bits("code", STATUS_BITS, "Status code.", 8, tuple(status.name for status in Status)),
        )),
        Register("interrupt_enable", "Which events raise the interrupt.", Access.RW, (
            Bits("done_enable", 1, "A job has ended with status OK."),
            Bits("error_enable", 1, "A job has ended with another status.", 1),
        )),
        Register("interrupt_status", "Events since they were cleared; write 1 to clear. The interrupt stays high as "
                 "long as an enabled one is set.", Access.W1C, (
            Bits("done", 1, "A job has ended with status OK."),
            Bits("failed", 1, "A job has ended with another status.", 1),
        )),
        _whole("command_address", "Address of the command stream, a multiple of a command's size. Read when a job "
               "starts.", Access.RW, 64),
        _whole("command_count", "Commands in the stream; nothing behind them is read. Read when a job starts.",
               Access.RW),
        _whole("watchdog", "Cycles in which nothing moves, after which a job is ended; 0 for no limit.", Access.RW,
               reset=WATCHDOG_RESET),
        _whole("failed_address", "After an error: the address that was reported with it, else that of the command.",
               Access.RO, 64),
        _whole("failed_index", "After an error: place in the stream of the command that the decoder was at.",
               Access.RO),
        Register("busy", "The units that are busy, or were when the job was stopped, in the order of FENCE.",
                 Access.RO, (Bits("busy_units", len(UNITS), "A bit for each unit."),)),
        _whole("write_first", "First byte that may be written. A job that would write outside of `write_first` to "
               "`write_last` ends with BAD_ADDRESS before it does.", Access.RW, 64),
        _whole("write_last", "Last byte that may be written.", Access.RW, 64, reset=(1 << 64) - 1),
    )),
    Block(0x100, "Performance counters", "Cleared when a job starts. Reading the low half keeps the high half for the "
          "next read of it: a pair of reads gives one value.", (
        _counter("cycles", "Cycles that the job has taken.", lambda c: 1),
        _counter("busy_threads", "Threads with work, summed over the cycles: the effectual MACs.",
                 lambda c: c.cores * c.core_threads),
        _counter("moving_starved", "PEs that wait for the moving operand, summed over the cycles.",
                 lambda c: c.cores * c.pes),
        _counter("stationary_starved", "PEs that wait for the stationary operand, summed over the cycles.",
                 lambda c: c.cores * c.pes),
        _counter("drain", "Cores that drain accumulators, summed over the cycles.", lambda c: c.cores),
        _counter("read_beats", "Words read from memory.", lambda c: 1),
        _counter("write_beats", "Words written to memory.", lambda c: 1),
        _counter("commands", "Commands handed out or carried out.", lambda c: 1),
    )),
    Block(0x200, "Configuration", "The configuration that the hardware was generated from.", tuple(_configuration())),
)
"""New registers go to the end of a block: what is there keeps its offset."""


class CsrMap:
    """The CSR map of one accelerator.

    Parameters
    ----------
    config : PhantomConfig
    prefetch : int
        Of the command decoder.
    """

    ENABLES: ClassVar[dict[str, str]] = {"done": "done_enable", "failed": "error_enable"}
    """Which bit enables the interrupt of an event."""

    def __init__(self, config: PhantomConfig, *, prefetch: int = 4):
        self.config = config
        self.prefetch: int = prefetch

    @staticmethod
    def placed() -> list[PlacedRegister]:
        """All registers with their offsets; a 64-bit one begins at a multiple of 8.

        Raises
        ------
        ValueError
            Two blocks overlap, or two parts with a port have the same name.
        """
        placed: list[PlacedRegister] = []
        names: set[str] = set()
        end = 0
        for block in BLOCKS:
            if block.base < end:
                raise ValueError(f"{block.name} must begin at {end:#x} or later, not {block.base:#x}")
            end = block.base
            for register in block.registers:
                end = -(-end // (4 * register.words)) * 4 * register.words
                placed.append(PlacedRegister(register, end))
                end += 4 * register.words
                for part in register.bits if register.constant is None else ():
                    if part.name in names:
                        raise ValueError(f"the parts of registers need different names, not {part.name!r} twice")
                    names.add(part.name)
        return placed

    def constant(self, register: Register) -> int | None:
        """The value of a register that never changes."""
        return None if register.constant is None else register.constant(self)


assert set(MEANINGS) == set(Status) and len(Status) <= 1 << STATUS_BITS
