"""Command streams as text: one command a line, ``NAME field=value ...``, comments from ``;`` on."""

from __future__ import annotations

from phantom_hw.soc.commands import CommandError, CommandSet, Instruction
from phantom_hw.soc.fields import Field

__all__ = ["AssemblerError", "assemble", "disassemble"]

NOTHING = "none"
"""A mask without any bit."""


class AssemblerError(ValueError):
    """Text that is no command stream, or bytes that are none: one line that says where, what and what is legal."""


# --- text to bytes ----------------------------------------------------------------------------------------

def _number(text: str) -> int:
    digits = text.lower().removeprefix("-")
    base = 16 if digits.startswith("0x") else 10
    digits = digits.removeprefix("0x")
    if not digits or not digits.isascii() or not digits.isalnum():
        raise ValueError
    return int(digits, base) * (-1 if text.startswith("-") else 1)


def _value(field: Field, text: str) -> int:
    """The number that a text stands for."""
    if field.names and text in field.names and field.kind == "choice":
        return field.names.index(text)
    if field.kind == "mask" and (text == NOTHING or not text[:1].isdigit()):
        value = 0
        for name in () if text == NOTHING else text.split("|"):
            if name not in field.names:
                raise AssemblerError(f"{field.name}: unknown name {name!r}; {_legal(field)}")
            value |= 1 << field.names.index(name)
        return value
    try:
        return _number(text)
    except ValueError:
        raise AssemblerError(f"{field.name}: {text!r} is no value; {_legal(field)}") from None


def _legal(field: Field) -> str:
    if field.kind == "mask" and field.names:
        return f"legal: names with | between them out of {', '.join(field.names)}, {NOTHING}, or a number"
    if field.kind == "choice":
        return f"legal: {', '.join(field.names)}, or a number"
    return "legal: a decimal number, or a hexadecimal one after 0x"


def _instruction(commands: CommandSet, line: str) -> Instruction:
    name, *operands = line.split()
    name = name.upper()
    if name not in commands.opcodes:
        raise AssemblerError(f"unknown command {name!r}; commands: {', '.join(commands.opcodes)}")
    fields = {field.name: field for field in commands.named(name).fields}
    values: dict[str, int | tuple[int, ...]] = {}
    for operand in operands:
        field_name, equals, text = operand.partition("=")
        if not equals:
            raise AssemblerError(f"an operand must be FIELD=VALUE, not {operand!r}")
        if field_name not in fields:
            raise AssemblerError(f"{name} has no field {field_name!r}; fields: {', '.join(fields) or 'none'}")
        if field_name in values:
            raise AssemblerError(f"{name}: {field_name} is given twice")
        field = fields[field_name]
        values[field_name] = (tuple(_value(field, part) for part in text.split(",")) if field.count > 1
                              else _value(field, text))
    return Instruction(name, values)


def assemble(text: str, commands: CommandSet) -> bytes:
    """Translate a command stream.

    Parameters
    ----------
    text : str
        Numbers are decimal or, after ``0x``, hexadecimal; a choice is a name; a mask is names with ``|`` between them,
        ``none``, or a number; an array is values with commas between them. Every field needs a value.
    commands : CommandSet

    Returns
    -------
    bytes

    Raises
    ------
    AssemblerError
    """
    parts = []
    for count, line in enumerate(text.split("\n"), 1):
        code = line.partition(";")[0].strip()
        if not code:
            continue
        try:
            parts.append(commands.encode(_instruction(commands, code)))
        except (AssemblerError, CommandError) as error:
            raise AssemblerError(f"line {count}: {error}") from None
    return b"".join(parts)


# --- bytes to text ----------------------------------------------------------------------------------------

def _text(field: Field, value: int) -> str:
    if field.kind == "choice" and value < len(field.names):
        return field.names[value]
    if field.kind == "mask" and value >> len(field.names) == 0:
        return "|".join(name for bit, name in enumerate(field.names) if value >> bit & 1) or NOTHING
    return f"{value:#x}" if field.kind in ("address", "mask") else str(value)


def _line(commands: CommandSet, instruction: Instruction) -> str:
    words = [instruction.name]
    for field in commands.named(instruction.name).fields:
        value = instruction.values[field.name]
        parts = value if isinstance(value, tuple) else (value,)
        words.append(f"{field.name}={','.join(_text(field, part) for part in parts)}")
    return " ".join(words)


def disassemble(data: bytes, commands: CommandSet) -> str:
    """The text of a command stream, which :func:`assemble` translates back exactly.

    Raises
    ------
    AssemblerError
        A command is malformed, or the last one is not complete.
    """
    lines = []
    for offset in range(0, len(data), commands.command_bytes):
        code = data[offset:offset + commands.command_bytes]
        where = f"command {offset // commands.command_bytes} at offset {offset:#x}"
        if len(code) != commands.command_bytes:
            raise AssemblerError(f"{where}: a command has {commands.command_bytes} bytes, there are {len(code)}")
        try:
            lines.append(_line(commands, commands.decode(code)))
        except CommandError as error:
            raise AssemblerError(f"{where}: {error}") from None
    return "".join(f"{line}\n" for line in lines)
