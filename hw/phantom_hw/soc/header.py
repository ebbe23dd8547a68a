"""The C header of the command set and the CSR map."""

from __future__ import annotations

from collections.abc import Iterator

from phantom_hw.config import PhantomConfig
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.csr import CsrMap
from phantom_hw.soc.fields import WORD_BITS, Place
from phantom_hw.soc.isa import COMMAND_WORDS, ISA_VERSION, OPCODE_BITS
from phantom_hw.soc.status import MEANINGS, State, Status

__all__ = ["c_header"]

_MACROS = """
/* A command is an array of PHANTOM_COMMAND_WORDS words of type uint32_t, little-endian in memory.
   PHANTOM_BEGIN(words, ROWS) clears it and writes its header. PHANTOM_PUT(words, ROWS_PLANES, value) writes a field,
   PHANTOM_PUT_AT(words, ROWS_TAP_BASE, i, value) element i of an array, PHANTOM_PUT64(words, PARAMETERS_ADDRESS, value)
   an address. PHANTOM_GET, _GET_AT and _GET64 read them; a negative value comes as two's complement of the field's
   width. */
static inline void phantom_begin(uint32_t *words, uint32_t opcode)
{
    int i;
    for (i = 1; i < PHANTOM_COMMAND_WORDS; i++)
        words[i] = 0;
    words[0] = opcode | (uint32_t)PHANTOM_ISA_VERSION << PHANTOM_VERSION_SHIFT;
}

static inline void phantom_put(uint32_t *word, unsigned shift, uint32_t mask, uint32_t value)
{
    *word = (*word & ~(mask << shift)) | (value & mask) << shift;
}

static inline void phantom_put64(uint32_t *word, uint64_t value)
{
    word[0] = (uint32_t)value;
    word[1] = (uint32_t)(value >> 32);
}

#define PHANTOM_BEGIN(words, command) phantom_begin((words), PHANTOM_OP_##command)
#define PHANTOM_PUT(words, field, value) \\
    phantom_put((words) + PHANTOM_CMD_##field##_WORD, PHANTOM_CMD_##field##_SHIFT, PHANTOM_CMD_##field##_MASK, \\
                (uint32_t)(value))
#define PHANTOM_GET(words, field) \\
    ((words)[PHANTOM_CMD_##field##_WORD] >> PHANTOM_CMD_##field##_SHIFT & PHANTOM_CMD_##field##_MASK)
#define PHANTOM_AT_WORD(field, i) (PHANTOM_CMD_##field##_WORD + (i) / PHANTOM_CMD_##field##_PER_WORD)
#define PHANTOM_AT_SHIFT(field, i) ((unsigned)(i) % PHANTOM_CMD_##field##_PER_WORD * PHANTOM_CMD_##field##_BITS)
#define PHANTOM_PUT_AT(words, field, i, value) \\
    phantom_put((words) + PHANTOM_AT_WORD(field, i), PHANTOM_AT_SHIFT(field, i), PHANTOM_CMD_##field##_MASK, \\
                (uint32_t)(value))
#define PHANTOM_GET_AT(words, field, i) \\
    ((words)[PHANTOM_AT_WORD(field, i)] >> PHANTOM_AT_SHIFT(field, i) & PHANTOM_CMD_##field##_MASK)
#define PHANTOM_PUT64(words, field, value) phantom_put64((words) + PHANTOM_CMD_##field##_WORD, (value))
#define PHANTOM_GET64(words, field) \\
    ((uint64_t)(words)[PHANTOM_CMD_##field##_WORD + 1] << 32 | (words)[PHANTOM_CMD_##field##_WORD])
"""


def _number(value: int) -> str:
    return f"({value})" if value < 0 else f"{value}u" if value < 1 << WORD_BITS else f"UINT64_C({value:#x})"


def _hex(value: int) -> str:
    return f"0x{value:X}u"


def _field(commands: CommandSet, prefix: str, place: Place) -> Iterator[tuple[str, str]]:
    field, name = place.field, f"CMD_{prefix}_{place.field.name.upper()}"
    yield f"{name}_WORD", f"{place.word}"
    if field.width <= WORD_BITS:
        yield f"{name}_SHIFT", f"{place.lsb}"
        yield f"{name}_BITS", f"{field.width}u"
        yield f"{name}_MASK", _hex((1 << field.width) - 1)
    if field.count > 1:
        yield f"{name}_COUNT", f"{commands.used(field)}"
        yield f"{name}_PER_WORD", f"{WORD_BITS // field.width}"
    if not field.names:  # the names say what is legal, and may be those of limits
        low, high = commands.limits(field)
        yield f"{name}_MIN", _number(low)
        yield f"{name}_MAX", _number(high)
    if field.multiple > 1:
        yield f"{name}_MULTIPLE", f"{field.multiple}u"
    for value, text in enumerate(field.names):
        yield f"{name}_{text.upper()}", _hex(1 << value) if field.kind == "mask" else f"{value}u"


def _commands(commands: CommandSet) -> Iterator[tuple[str, str]]:
    yield "ISA_VERSION", f"{ISA_VERSION}"
    yield "VERSION_SHIFT", f"{OPCODE_BITS}"
    yield "COMMAND_WORDS", f"{COMMAND_WORDS}"
    yield "COMMAND_BYTES", f"{commands.command_bytes}"
    for name, opcode in commands.opcodes.items():
        yield f"OP_{name}", f"{opcode}u"
    for command in commands.commands:
        for place in commands.places(command):
            yield from _field(commands, command.name, place)


def _registers() -> Iterator[tuple[str, str]]:
    for placed in CsrMap.placed():
        register = placed.register
        name = f"CSR_{register.name.upper()}"
        yield name, _hex(placed.offset)
        for part in register.bits:
            if part.width < WORD_BITS:
                yield f"{name}_{part.name.upper()}_SHIFT", f"{part.lsb}"
                yield f"{name}_{part.name.upper()}_MASK", _hex((1 << part.width) - 1)
    for state in State:
        yield f"STATE_{state.name}", f"{state.value}u"


def c_header(config: PhantomConfig) -> str:
    """The header: opcodes, places and ranges of all fields, macros that use them, CSR offsets, status codes.

    Parameters
    ----------
    config : PhantomConfig
        Gives the legal ranges.

    Returns
    -------
    str
        C99.
    """
    commands = CommandSet(config)

    def defines(pairs: Iterator[tuple[str, str]]) -> str:
        return "".join(f"#define PHANTOM_{name} {value}\n" for name, value in pairs)

    statuses = "".join(f"#define PHANTOM_STATUS_{status.name} {status.value}u /* {MEANINGS[status]} */\n"
                       for status in Status)
    return (
        "/* SPDX-License-Identifier: Apache-2.0 */\n"
        f"/* Commands and CSRs of the configuration {config.name.replace('*/', '')}, generated by Phantom. "
        "Do not edit. */\n"
        "#ifndef PHANTOM_CONTROL_H\n#define PHANTOM_CONTROL_H\n#include <stdint.h>\n\n"
        "/* Commands: for each field its word, its lowest bit there, its width, its legal range */\n"
        f"{defines(_commands(commands))}{_MACROS}\n"
        "/* CSRs: byte offsets, and the parts of registers */\n"
        f"{defines(_registers())}\n/* Status codes */\n{statuses}\n#endif\n"
    )
