"""The command set in one configuration: places and legal ranges, commands to bytes and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from phantom_hw.config import PhantomConfig
from phantom_hw.soc.fields import ADDRESS_BITS, WORD_BITS, Bound, Field, Limit, Place, place
from phantom_hw.soc.isa import (
    COMMAND_WORDS,
    COMMANDS,
    END,
    FENCE,
    ISA_VERSION,
    OPCODE_BITS,
    UNITS,
    VERSION_BITS,
    Command,
    Unit,
)
from phantom_hw.soc.status import Status

__all__ = ["CommandError", "CommandSet", "Element", "Instruction", "Values"]

Values = Mapping[str, int | tuple[int, ...]]


class CommandError(ValueError):
    """A command that cannot be encoded or decoded: one line; ``status`` is what the hardware says of it."""

    def __init__(self, status: Status, message: str):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Instruction:
    """A command with its operands.

    Parameters
    ----------
    name : str
        Of the command.
    values : mapping
        Of every field: an integer, for an array a tuple of the elements that the configuration uses.
    """

    name: str
    values: Values


@dataclass(frozen=True)
class Element:
    """One value in a command, as the configuration limits it.

    Parameters
    ----------
    field : Field
    index : int
        Within an array.
    start : int
        First bit in the command.
    low, high : int
        Legal range.
    """

    field: Field
    index: int
    start: int
    low: int
    high: int

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.field.name}[{self.index}]" if self.field.count > 1 else self.field.name

    @property
    def bits(self) -> int:
        """All bits of the value, as a mask over the command."""
        return ((1 << self.field.width) - 1) << self.start

    def legal(self, value: int) -> bool:
        """The value is in the legal range."""
        return self.low <= value <= self.high and value % self.field.multiple == 0

    def extract(self, command: int) -> int:
        """The value in a command."""
        value = command >> self.start & ((1 << self.field.width) - 1)
        return value - (1 << self.field.width) if value > self.field.largest else value

    def range_text(self) -> str:
        """The legal range for messages."""
        span = f"{self.low}..{self.high}" if self.field.kind not in ("address", "mask") else \
            f"{self.low:#x}..{self.high:#x}"
        return span + (f", a multiple of {self.field.multiple}" if self.field.multiple > 1 else "")


class CommandSet:
    """The command set in a configuration.

    Parameters
    ----------
    config : PhantomConfig or None
        Without one, all that the widths hold is legal.
    address_width : int, optional
        Bits of the address bus, 32..64; by default those of the configuration, or 64 without one.
    commands, units : sequence
        The description; another one serves proofs and tests.
    words : int
        Words of a command, a power of two.

    Raises
    ------
    ValueError
        A parameter is out of range, or the description contradicts itself.
    """

    def __init__(self, config: PhantomConfig | None = None, *, address_width: int | None = None,
                 commands: Sequence[Command] = COMMANDS, units: Sequence[Unit] = UNITS, words: int = COMMAND_WORDS):
        if address_width is None:
            address_width = ADDRESS_BITS if config is None else config.address_width
        if not 32 <= address_width <= ADDRESS_BITS:
            raise ValueError(f"address_width must be an integer in 32..{ADDRESS_BITS}, not {address_width!r}")
        if words < 2 or words & (words - 1):
            raise ValueError(f"words must be a power of two from 2, not {words!r}")
        self.config, self.address_width = config, address_width
        self.commands, self.units, self.words = tuple(commands), tuple(units), words
        self._check()

    def _check(self) -> None:
        names = [command.name for command in self.commands]
        if len(set(names)) != len(names) or len(names) >= 1 << OPCODE_BITS:
            raise ValueError(f"the commands need different names, at most {(1 << OPCODE_BITS) - 1}, not {names!r}")
        if END not in names:
            raise ValueError(f"the commands need {END!r}, not {names!r}")
        known = {unit.name for unit in self.units}
        for command in self.commands:
            if (command.unit not in known) != (command.name in (END, FENCE)):
                raise ValueError(f"{command.name}: unit must be one of {sorted(known)}, not {command.unit!r}")
            fields = [field.name for field in command.fields]
            if len(set(fields)) != len(fields):
                raise ValueError(f"{command.name}: the fields need different names, not {fields!r}")
            end = max((item.end for item in self.places(command)), default=0)
            if end > self.command_bits:
                raise ValueError(f"{command.name}: the fields must fit {self.command_bits} bits, not {end!r}")

    # --- places and ranges ------------------------------------------------------------------------------

    @property
    def command_bits(self) -> int:
        """Of a command."""
        return self.words * WORD_BITS

    @property
    def command_bytes(self) -> int:
        """Of a command."""
        return self.command_bits // 8

    @property
    def header_reserved(self) -> int:
        """Mask of the reserved bits in word 0."""
        return (1 << WORD_BITS) - (1 << OPCODE_BITS + VERSION_BITS)

    @cached_property
    def opcodes(self) -> dict[str, int]:
        """Opcode by the name of the command."""
        return {command.name: opcode for opcode, command in enumerate(self.commands, 1)}

    def named(self, name: str) -> Command:
        """A command of the set."""
        return self.commands[self.opcodes[name] - 1]

    def unit_commands(self, unit: Unit) -> list[Command]:
        """The commands that a unit gets."""
        return [command for command in self.commands if command.unit == unit.name]

    @staticmethod
    def places(command: Command) -> tuple[Place, ...]:
        """Where the fields lie."""
        return place(command.fields)

    def limits(self, field: Field) -> tuple[int, int]:
        """Legal range of a field, within what its width holds."""
        def value(bound: Bound | None, unknown: int) -> int:
            if bound is None or isinstance(bound, int):
                return unknown if bound is None else bound
            return unknown if self.config is None else bound.value(self.config)

        high = (1 << self.address_width) - 1 if field.kind == "address" and field.high is None else field.largest
        low, high = value(field.low, field.smallest), value(field.high, high)
        if not field.smallest <= low <= high <= field.largest:
            raise ValueError(f"{field.name}: {low}..{high} must lie in {field.smallest}..{field.largest}")
        return low, high

    def used(self, field: Field) -> int:
        """Elements of an array that the configuration uses."""
        if field.used is None or isinstance(field.used, int):
            return field.count if field.used is None else field.used
        return field.count if self.config is None else field.used.value(self.config)

    def elements(self, command: Command) -> list[Element]:
        """All values of a command."""
        return [Element(item.field, index, item.element(index), *self._element_limits(item.field))
                for item in self.places(command) for index in range(self.used(item.field))]

    def _element_limits(self, field: Field) -> tuple[int, int]:
        """Legal range of an element: 0 is legal where the configuration that may not use it is not known."""
        low, high = self.limits(field)
        return (min(low, 0) if self.config is None and isinstance(field.used, Limit) else low), high

    def reserved(self, command: Command) -> int:
        """Mask of the bits that must be zero."""
        taken = (1 << OPCODE_BITS + VERSION_BITS) - 1
        for element in self.elements(command):
            taken |= element.bits
        return ((1 << self.command_bits) - 1) & ~taken

    # --- to bytes and back ------------------------------------------------------------------------------

    def encode(self, instruction: Instruction) -> bytes:
        """The bytes of a command.

        Raises
        ------
        CommandError
            Unknown command or field, a field left out, a value out of range.
        """
        if instruction.name not in self.opcodes:
            raise CommandError(Status.ILLEGAL_OPCODE,
                               f"unknown command {instruction.name!r}; commands: {', '.join(self.opcodes)}")
        command, values = self.named(instruction.name), instruction.values
        names = [field.name for field in command.fields]
        if unknown := sorted(set(values) - set(names)):
            raise CommandError(Status.OUT_OF_RANGE, f"{command.name} has no field {unknown[0]!r}; "
                                                    f"fields: {', '.join(names) or 'none'}")
        if missing := [name for name in names if name not in values]:
            raise CommandError(Status.OUT_OF_RANGE, f"{command.name} needs a value for {missing[0]}")
        for field in command.fields:
            given = values[field.name]
            size = len(given) if isinstance(given, tuple) else 1
            if isinstance(given, tuple) != (field.count > 1) or size != self.used(field):
                raise CommandError(Status.OUT_OF_RANGE, f"{command.name}: {field.name} must have {self.used(field)} "
                                                        f"values, not {size}")
        word = self.opcodes[command.name] | ISA_VERSION << OPCODE_BITS
        for element in self.elements(command):
            given = values[element.field.name]
            value = given[element.index] if isinstance(given, tuple) else given
            self._require_legal(command, element, value)
            word |= (value & ((1 << element.field.width) - 1)) << element.start
        return word.to_bytes(self.command_bytes, "little")

    def decode(self, data: bytes) -> Instruction:
        """A command from its bytes; the checks come in the order of the hardware.

        Raises
        ------
        CommandError
            The hardware would refuse the command.
        """
        if len(data) != self.command_bytes:
            raise ValueError(f"a command has {self.command_bytes} bytes, not {len(data)!r}")
        word = int.from_bytes(data, "little")
        opcode, version = word & 0xFF, word >> OPCODE_BITS & 0xFF
        if not 1 <= opcode <= len(self.commands):
            raise CommandError(Status.ILLEGAL_OPCODE, f"opcode must be in 1..{len(self.commands)}, not {opcode}")
        if version != ISA_VERSION:
            raise CommandError(Status.BAD_VERSION, f"version must be {ISA_VERSION}, not {version}")
        command = self.commands[opcode - 1]
        if wrong := word & self.reserved(command):
            bit = wrong.bit_length() - 1
            raise CommandError(Status.RESERVED_BITS, f"{command.name}: bit {bit % WORD_BITS} of word "
                                                     f"{bit // WORD_BITS} is reserved and must be 0")
        values: dict[str, int | tuple[int, ...]] = {}
        for element in self.elements(command):
            value = element.extract(word)
            self._require_legal(command, element, value)
            name = element.field.name
            before = values.get(name, ())
            values[name] = (*before, value) if isinstance(before, tuple) and element.field.count > 1 else value
        return Instruction(command.name, values)

    @staticmethod
    def _require_legal(command: Command, element: Element, value: int) -> None:
        if not element.legal(value):
            raise CommandError(Status.OUT_OF_RANGE, f"{command.name}: {element.name} must be in "
                                                    f"{element.range_text()}, not {value}")
