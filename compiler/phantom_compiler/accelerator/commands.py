"""The command stream of a job, as it grows."""

from __future__ import annotations

from dataclasses import dataclass, field

from phantom_hw.config import PhantomConfig
from phantom_hw.soc.commands import CommandSet, Instruction
from phantom_hw.soc.isa import END, FENCE, UNITS

__all__ = ["CommandStream"]


@dataclass
class CommandStream:
    """Commands in their order.

    Parameters
    ----------
    config : PhantomConfig
    """

    config: PhantomConfig
    instructions: list[Instruction] = field(default_factory=list)

    def add(self, name: str, **values: int | tuple[int, ...]) -> None:
        """Add a command with all its fields."""
        self.instructions.append(Instruction(name, values))

    def fence(self, *units: str) -> None:
        """Wait for units; for all of them if none is named."""
        names = [unit.name for unit in UNITS]
        self.add(FENCE, units=sum(1 << names.index(unit) for unit in (units or names)))

    def to_bytes(self) -> bytes:
        """All commands and END.

        Raises
        ------
        CommandError
            If a value is beyond its field.
        """
        commands = CommandSet(self.config, address_width=self.config.address_width)
        return b"".join(commands.encode(one) for one in (*self.instructions, Instruction(END, {})))
