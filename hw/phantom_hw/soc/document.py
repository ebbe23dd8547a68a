"""``python -m phantom_hw.soc.document DIR``: the pages of the command set and of the CSR map."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from phantom_hw.generate import OutputError, write_files
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.csr import BLOCKS, Access, CsrMap, PlacedRegister
from phantom_hw.soc.fields import WORD_BITS, Bound, Field, Place
from phantom_hw.soc.isa import ISA_VERSION, Command
from phantom_hw.soc.status import MEANINGS, State, Status

__all__ = ["csr_page", "isa_page", "main", "pages"]

NOTE = "<!-- Generated from hw/phantom_hw/soc/ by `python -m phantom_hw.soc.document docs`. Do not edit. -->\n"

ISA_TEXT = """# Command set

Version {version}. The host writes a stream of commands into memory and starts it with the [CSRs](csr.md). The command
decoder reads the commands one after another, checks them, and hands each to its unit; units work at the same time. A
command waits until its unit takes it, and the commands behind it wait with it. Where one command needs the result of
another, a FENCE stands between them.

A command has {words} words of 32 bits ({bytes} bytes), little-endian, and lies at a multiple of {bytes} bytes. Fields
do not cross words; addresses have two words, the lower one first. Every bit that is no part of a field must be zero.
Places are the same in every configuration; legal ranges follow from it (its fields are explained by `phantom config`).

The decoder checks each command before anything of it happens: opcode, version, reserved bits, ranges, in this order.
The first malformed command ends the job with a [status code](csr.md#status-codes); neither it nor anything behind it is
carried out, commands before it are given up, and `failed_index` and `failed_address` name it. The stream has at most
`command_count` commands, and one of them is END; nothing behind them is read.

`phantom asm` translates text into a command stream and `phantom disasm` back: a command a line, its fields as
`name=value`, comments after `;`.

    LOAD_STATIONARY address=0x1000 count=96 offset=0 columns=0x1   ; 96 words into the buffer of column 0
    FENCE units=load_stationary|load_moving   ; names with | between them
    STREAM_STATIONARY offset=0 count=130 repeats=4 columns=0x1 rows=0x1
    END
"""

CSR_TEXT = """# Control and status registers

The registers are an AXI4-Lite subordinate with 32-bit data. An address without a register gives DECERR; a write to a
read-only register and a read of a write-only one give SLVERR. A 64-bit register is two words, the lower one first.
Write strobes count. Bits that are not named read as 0 and ignore writes; write 0 to them.

| access | meaning |
|---|---|
| ro | read only |
| rw | read and write |
| w1c | read; a 1 that is written clears the bit |
| wo | write only |

To run a job: write the command stream to memory, its address to `command_address` and the number of its commands to
`command_count`, then 1 to `start`. When the interrupt comes, or `state` is IDLE again, `code` tells how the job ended.
The command set is described in [isa.md](isa.md).
"""


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in line) + " |\n" for line in lines)


# --- commands ---------------------------------------------------------------------------------------------

def _bound(bound: Bound | None, otherwise: str) -> str:
    if bound is None:
        return otherwise
    return str(bound) if isinstance(bound, int) else f"`{bound.text}`"


def _range(field: Field) -> str:
    if field.kind == "choice":
        return ", ".join(f"{value} {name}" for value, name in enumerate(field.names))
    if field.kind == "mask" and field.names:
        return ", ".join(f"bit {bit} {name}" for bit, name in enumerate(field.names)) + "; at least one"
    span = f"{_bound(field.low, str(field.smallest))} to {_bound(field.high, str(field.largest))}"
    text = "within the address bus" if field.kind == "address" else span
    return text + (f", a multiple of {field.multiple}" if field.multiple > 1 else "")


def _place(place: Place) -> tuple[str, str]:
    """The words and the bits of a field."""
    field, last = place.field, (place.end - 1) // WORD_BITS
    words = f"{place.word}" if last == place.word else f"{place.word}–{last}"
    if field.width > WORD_BITS:
        return words, "all"
    if field.count > 1:
        return words, f"{field.width} each, {WORD_BITS // field.width} a word"
    top = place.lsb + field.width - 1
    return words, f"{top}:{place.lsb}" if field.width > 1 else f"{top}"


def _command(commands: CommandSet, command: Command) -> str:
    rows = []
    for place in commands.places(command):
        field = place.field
        name = f"`{field.name}`" + (f" [{_bound(field.used, str(field.count)).strip('`')}]" if field.count > 1 else "")
        rows.append((name, *_place(place), _range(field), field.unit, field.meaning))
    unit = f"Unit: `{command.unit}`." if command.unit else "Carried out by the decoder."
    table = "\n" + _table(("field", "word", "bits", "legal", "unit", "meaning"), rows) if rows else ""
    return f"\n### {command.name}\n\nOpcode {commands.opcodes[command.name]}. {unit} {command.meaning}\n{table}"


def isa_page(commands: CommandSet | None = None) -> str:
    """``docs/isa.md``, or the page of another command set."""
    commands = commands or CommandSet()
    header = _table(("bits of word 0", "legal", "meaning"), [
        ("7:0", f"1 to {len(commands.commands)}", "Opcode; 0 is illegal, so that zeroed memory is an error."),
        ("15:8", ISA_VERSION, "Version of the command set."), ("31:16", 0, "Reserved."),
    ])
    units = _table(("bit", "unit", "what it does"), [(bit, f"`{unit.name}`", f"{unit.meaning}")
                                                       for bit, unit in enumerate(commands.units)])
    text = ISA_TEXT.format(version=ISA_VERSION, words=commands.words, bytes=commands.command_bytes)
    return (f"{NOTE}{text}\n{header}\n## Units\n\n{units}\n## Commands\n"
            + "".join(_command(commands, command) for command in commands.commands))


# --- registers --------------------------------------------------------------------------------------------

def _register(placed: PlacedRegister) -> Iterable[tuple]:
    register = placed.register
    offsets = f"{placed.offset:#05x}" + (f", {placed.offset + 4:#05x}" if register.words == 2 else "")
    whole = len(register.bits) == 1 and register.bits[0].name == register.name
    reset = register.bits[0].reset if whole and register.access is Access.RW else ""
    values = ", ".join(f"{value} {name}" for value, name in enumerate(register.bits[0].names)) if whole else ""
    yield (offsets, f"`{register.name}`", register.access.value, "all" if whole else "", reset,
           register.meaning + (f" {values}." if values else ""))
    for part in () if whole else register.bits:
        bits = f"{part.lsb + part.width - 1}:{part.lsb}" if part.width > 1 else f"{part.lsb}"
        where = " See below." if part.names else ""
        yield "", f"`{part.name}`", "", bits, part.reset if register.access is Access.RW else "", part.meaning + where


def csr_page() -> str:
    """``docs/csr.md``."""
    text = NOTE + CSR_TEXT
    placed = iter(CsrMap.placed())
    for block in BLOCKS:
        rows = [row for _ in block.registers for row in _register(next(placed))]
        text += f"\n## {block.name}\n\n{block.meaning}\n\n"
        text += _table(("offset", "register", "access", "bits", "reset", "meaning"), rows)
    text += "\n## Status codes\n\n" + _table(("code", "name", "meaning"), [
        (status.value, status.name, MEANINGS[status]) for status in Status])
    return text + "\n## States\n\n" + _table(("state", "name"), [(state.value, state.name) for state in State])


def pages() -> dict[str, str]:
    """The text of the pages by file name."""
    return {"isa.md": isa_page(), "csr.md": csr_page()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages to a folder; exit status 2 if that is not possible."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 1 or given[0].startswith("-"):
        print("usage: python -m phantom_hw.soc.document DIR", file=sys.stderr)
        return 2
    try:
        write_files(given[0], pages())
    except OutputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
