"""The checks of a command, from the description of the command set."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.soc.commands import CommandSet, Element
from phantom_hw.soc.isa import ISA_VERSION, OPCODE_BITS, VERSION_BITS
from phantom_hw.soc.status import STATUS_BITS, Status

__all__ = ["CommandCheck", "outside"]

Judged = list[tuple[Value, list[int]]]
"""Faults that may be there, each with the opcodes of the commands in which it would be one."""


def outside(element: Element, value: Value) -> Value:
    """The value is not in the element's legal range; comparisons only where a bound is no power of two."""
    field, low, high = element.field, element.low, element.high
    if field.signed:
        signed = value.as_signed()
        wrong = Const(0, 1)
        if low > field.smallest:
            wrong = wrong | (signed < low)
        if high < field.largest:
            wrong = wrong | (signed > high)
    else:
        kept = high.bit_length()
        wrong = value[kept:].any() if kept < field.width else Const(0, 1)
        if high & (high + 1):
            wrong = wrong | (value[:kept] > high)
        if low:
            wrong = wrong | (~value.any() if low == 1 else value < low)
    rest = field.multiple.bit_length() - 1
    return wrong | value[:rest].any() if rest else wrong


class CommandCheck(wiring.Component):
    """What is wrong with a command: the first in the order opcode, version, reserved bits, ranges.

    Parameters
    ----------
    commands : CommandSet
    words : int
        Words of the command that are looked at; all others are reserved in every command.

    Members
    -------
    command : In, words of 32 bits
    trailing : In
        A bit is set in one of the other words.
    code : Out
        A status code, ``LATENCY`` cycles later; OK if nothing is wrong.

    Throughput: 1 command a cycle.
    """

    LATENCY = 2

    def __init__(self, commands: CommandSet, words: int):
        self._commands, self._words = commands, words
        super().__init__({"command": In(32 * words), "trailing": In(1), "code": Out(STATUS_BITS)})

    def elaborate(self, platform):
        m = Module()
        opcode = Signal(OPCODE_BITS)
        header = OPCODE_BITS + VERSION_BITS
        version_bad, header_bad = Signal(), Signal()
        m.d.sync += [
            opcode.eq(self.command[:OPCODE_BITS]),
            version_bad.eq(self.command[OPCODE_BITS:header] != ISA_VERSION),
            header_bad.eq(self.command[header:32].any() | self.trailing),
        ]
        reserved = self._among(m, opcode, self._reserved(), "reserved")
        ranges = self._among(m, opcode, self._ranges(), "range")
        known = Signal()
        m.d.comb += known.eq((opcode != 0) & (opcode <= len(self._commands.commands)))
        m.d.sync += self.code.eq(
            Mux(~known, Status.ILLEGAL_OPCODE,
                Mux(version_bad, Status.BAD_VERSION,
                    Mux(header_bad | reserved, Status.RESERVED_BITS,
                        Mux(ranges, Status.OUT_OF_RANGE, Status.OK)))))
        return m

    def _among(self, m: Module, opcode: Signal, faults: Judged, name: str) -> Value:
        """Whether one of the faults is there in a command in which it is one; the faults in a register."""
        found = []
        for number, (fault, opcodes) in enumerate(faults):
            register = Signal(name=f"{name}{number}")
            m.d.sync += register.eq(fault)
            found.append(register & Cat(opcode == one for one in opcodes).any())
        return Cat(found).any() if found else Const(0, 1)

    def _reserved(self) -> Judged:
        """Bits that are reserved in the same commands, all in one fault."""
        together: dict[tuple[int, ...], list[int]] = {}
        masks = {opcode: self._commands.reserved(self._commands.named(name))
                 for name, opcode in self._commands.opcodes.items()}
        for bit in range(32, 32 * self._words):
            opcodes = tuple(opcode for opcode, mask in masks.items() if mask >> bit & 1)
            if opcodes:
                together.setdefault(opcodes, []).append(bit)
        return [(Cat(self.command[bit] for bit in bits).any(), list(opcodes)) for opcodes, bits in together.items()]

    def _ranges(self) -> Judged:
        """Values at the same place with the same range, all in one fault."""
        together: dict[tuple, tuple[Element, list[int]]] = {}
        for name, opcode in self._commands.opcodes.items():
            for element in self._commands.elements(self._commands.named(name)):
                field = element.field
                key = (element.start, field.width, element.low, element.high, field.multiple, field.signed)
                together.setdefault(key, (element, []))[1].append(opcode)
        faults: Judged = []
        for element, opcodes in together.values():
            field = element.field
            if (element.low, element.high, field.multiple) != (field.smallest, field.largest, 1):
                value = self.command[element.start:element.start + field.width]
                faults.append((outside(element, value), opcodes))
        return faults
