"""An own reading of the command set's description: bit strings, no code of the package but the description's data."""

from __future__ import annotations

import numpy as np
from phantom_hw.config import PhantomConfig
from phantom_hw.soc.isa import COMMANDS, ISA_VERSION, UNITS
from phantom_hw.soc.status import Status

WORDS = 16
TEXT = {name: code for code, name in enumerate((command.name for command in COMMANDS), 1)}


def bound(limit, config: PhantomConfig, otherwise: int) -> int:
    """The formula in the documentation, evaluated."""
    if limit is None:
        return otherwise
    names = {name: getattr(config, name) for name in dir(config) if not name.startswith("_")}
    return limit if isinstance(limit, int) else eval(limit.text, {"__builtins__": {}}, names)


class Reference:
    """The command set in a configuration.

    ``spans[name]`` lists for each value of a command (field, index, first bit, low, high).
    """

    def __init__(self, config: PhantomConfig):
        self.config = config
        self.spans = {command.name: self._spans(command) for command in COMMANDS}

    def _spans(self, command):
        bit, spans = 32, []
        for field in command.fields:
            if field.width == 64:
                while bit % 64:
                    bit += 1
            elif field.count > 1:
                while bit % 32:
                    bit += 1
            for index in range(field.count):
                if field.width < 64 and bit // 32 != (bit + field.width - 1) // 32:
                    bit = (bit // 32 + 1) * 32
                most = 2**(self.config.address_width if field.width == 64 else field.width - field.signed) - 1
                low = bound(field.low, self.config, -2**(field.width - 1) if field.signed else 0)
                if index < bound(field.used, self.config, field.count):
                    spans.append((field, index, bit, low, bound(field.high, self.config, most)))
                bit += field.width
        assert bit <= WORDS * 32
        return spans

    def bits(self, command: bytes) -> str:
        """Bit 0 first."""
        return "".join(f"{byte:08b}"[::-1] for byte in command)

    def values(self, command: bytes) -> list[int]:
        """Of a command with a known opcode, in the order of the spans."""
        bits, found = self.bits(command), []
        for field, _, start, _, _ in self.spans[COMMANDS[command[0] - 1].name]:
            value = int(bits[start:start + field.width][::-1], 2)
            found.append(value - 2**field.width if field.signed and bits[start + field.width - 1] == "1" else value)
        return found

    def status(self, command: bytes) -> Status:
        """What the hardware must say."""
        if not 1 <= command[0] <= len(COMMANDS):
            return Status.ILLEGAL_OPCODE
        if command[1] != ISA_VERSION:
            return Status.BAD_VERSION
        spans = self.spans[COMMANDS[command[0] - 1].name]
        allowed = set(range(16)) | {start + i for field, _, start, _, _ in spans for i in range(field.width)}
        if any(bit == "1" and place not in allowed for place, bit in enumerate(self.bits(command))):
            return Status.RESERVED_BITS
        for (field, _, _, low, high), value in zip(spans, self.values(command), strict=True):
            if not low <= value <= high or value % field.multiple:
                return Status.OUT_OF_RANGE
        return Status.OK

    def unit(self, command: bytes) -> str:
        """Which unit gets it; "" for none."""
        return COMMANDS[command[0] - 1].unit

    def payload(self, command: bytes) -> int:
        """What the unit's stream has: which of the unit's commands it is, if there are several, then the operands.

        They lie one after another, no wider than the range needs.
        """
        own = [name for name, code in TEXT.items() if COMMANDS[code - 1].unit == self.unit(command)]
        result, place = own.index(COMMANDS[command[0] - 1].name), (len(own) - 1).bit_length()
        for (field, _, _, low, high), value in zip(self.spans[COMMANDS[command[0] - 1].name], self.values(command),
                                                   strict=True):
            width = max(1, high.bit_length(), (~low).bit_length() if low < 0 else 0) + field.signed
            result |= (value % 2**width) << place
            place += width
        return result

    # --- random commands ------------------------------------------------------------------------------------

    def pack(self, name: str, values: list[int]) -> bytes:
        """A command of these values, legal or not."""
        word = TEXT[name] | ISA_VERSION << 8
        for (field, _, start, _, _), value in zip(self.spans[name], values, strict=True):
            word |= (value % 2**field.width) << start
        return word.to_bytes(4 * WORDS, "little")

    def random(self, rng: np.random.Generator, name: str) -> bytes:
        """A legal command; the ends of the ranges are as likely as all that is between."""
        values = []
        for field, _, _, low, high in self.spans[name]:
            draw = low + int(rng.integers(0, 2**63)) * 2 % (high - low + 1)
            value = [low, high, draw, draw][rng.integers(4)]
            values.append(value - value % field.multiple)
        return self.pack(name, values)

    def spoilt(self, rng: np.random.Generator, command: bytes) -> bytes:
        """A command changed somehow: often malformed, but not always."""
        name = COMMANDS[command[0] - 1].name
        word, kind = int.from_bytes(command, "little"), rng.integers(10)
        if kind == 0:
            word ^= 1 << int(rng.integers(32 * WORDS))
        elif kind == 1:
            word = word & ~0xFF | int(rng.choice([0, len(COMMANDS) + 1, 255, rng.integers(256)]))
        elif kind == 2:
            word = word & ~0xFF00 | int(rng.integers(256)) << 8
        elif kind == 3:
            return bytes(len(command))
        elif self.spans[name]:
            field, _, start, low, high = self.spans[name][rng.integers(len(self.spans[name]))]
            edges = [low - 1, high + 1, low, high, high - high % field.multiple, field.multiple // 2]
            value = [*edges, int(rng.integers(2**32))][rng.integers(len(edges) + 1)] % 2**field.width
            word = word & ~((2**field.width - 1) << start) | value << start
        return word.to_bytes(4 * WORDS, "little")


NAMES = [command.name for command in COMMANDS if command.unit]
UNIT_NAMES = [unit.name for unit in UNITS]
