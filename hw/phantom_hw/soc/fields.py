"""Fields of commands: what one line of the command set's description says, and where its bits lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from phantom_hw.config import PhantomConfig

__all__ = [
    "WORD_BITS", "Bound", "Field", "Limit", "Place", "address", "array", "choice", "flag", "mask", "number", "place",
]

WORD_BITS = 32
ADDRESS_BITS = 64


@dataclass(frozen=True)
class Limit:
    """A bound that depends on the configuration.

    Parameters
    ----------
    text : str
        The formula for the documentation, in names of configuration fields.
    value : function
        From a configuration to the bound.
    """

    text: str
    value: Callable[[PhantomConfig], int]


Bound = int | Limit


@dataclass(frozen=True, kw_only=True)
class Field:
    """One operand of a command.

    Parameters
    ----------
    name, meaning, unit : str
        One line of documentation; the unit is that of the value.
    width : int
        Bits in the command, the same in every configuration: at most 32, or 64 for an address.
    low, high : int or Limit
        Legal range; ``high`` None stands for all that the width holds.
    multiple : int
        A power of two of which the value must be a multiple.
    signed : bool
        Two's complement.
    kind : str
        ``"number"``, ``"address"``, ``"choice"`` (one of ``names``), ``"mask"`` (a bit for each of ``names``, or for
        each of something that has numbers instead of names).
    names : tuple of str
        Of the values or of the bits, from 0.
    count : int
        Elements of an array; 1 for a plain field.
    used : int or Limit
        Elements that a configuration uses; the others are reserved.

    Raises
    ------
    ValueError
        The description contradicts itself.
    """

    name: str
    meaning: str
    width: int
    unit: str = ""
    low: Bound = 0
    high: Bound | None = None
    multiple: int = 1
    signed: bool = False
    kind: str = "number"
    names: tuple[str, ...] = ()
    count: int = 1
    used: Bound | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"a field's name must be an identifier, not {self.name!r}")
        if not (1 <= self.width <= WORD_BITS or (self.kind == "address" and self.width == ADDRESS_BITS)):
            raise ValueError(f"{self.name}: width must be in 1..{WORD_BITS}, or {ADDRESS_BITS} for an address, "
                             f"not {self.width!r}")
        if self.multiple < 1 or self.multiple & (self.multiple - 1):
            raise ValueError(f"{self.name}: multiple must be a power of two, not {self.multiple!r}")
        if self.count < 1 or (self.count > 1 and self.width > WORD_BITS):
            raise ValueError(f"{self.name}: count must be at least 1, and 1 for an address, not {self.count!r}")

    @property
    def smallest(self) -> int:
        """Least value that the width holds."""
        return -(1 << self.width - 1) if self.signed else 0

    @property
    def largest(self) -> int:
        """Greatest value that the width holds."""
        return (1 << self.width - self.signed) - 1


def number(name: str, width: int, meaning: str, *, unit: str = "", low: Bound = 0, high: Bound | None = None,
           multiple: int = 1, signed: bool = False) -> Field:
    """A number."""
    return Field(name=name, meaning=meaning, width=width, unit=unit, low=low, high=high, multiple=multiple,
                 signed=signed)


def flag(name: str, meaning: str) -> Field:
    """One bit."""
    return Field(name=name, meaning=meaning, width=1)


def address(name: str, meaning: str, *, multiple: int = 1) -> Field:
    """A byte address in external memory; its legal range is that of the address bus."""
    return Field(name=name, meaning=meaning, width=ADDRESS_BITS, unit="byte address", kind="address",
                 multiple=multiple)


def choice(name: str, names: Iterable[str], meaning: str, width: int = 8) -> Field:
    """One of several names."""
    listed = tuple(names)
    return Field(name=name, meaning=meaning, width=width, kind="choice", names=listed, high=len(listed) - 1)


def mask(name: str, width: int, meaning: str, *, names: Iterable[str] = (), high: Bound | None = None) -> Field:
    """Bits that each name a part; at least one."""
    listed = tuple(names)
    return Field(name=name, meaning=meaning, width=width, kind="mask", names=listed, low=1,
                 high=(1 << len(listed)) - 1 if listed else high)


def array(field: Field, count: int, used: Bound) -> Field:
    """``count`` elements like ``field``, of which a configuration uses the first ``used``."""
    return Field(**{**vars(field), "count": count, "used": used})


@dataclass(frozen=True)
class Place:
    """Where a field lies in its command.

    Parameters
    ----------
    field : Field
    start : int
        Bit of the first element, counted from the command's first bit.
    """

    field: Field
    start: int

    def element(self, index: int) -> int:
        """First bit of an element: as many elements a word as it holds whole."""
        per_word = max(1, WORD_BITS // self.field.width)
        return self.start + index // per_word * WORD_BITS + index % per_word * self.field.width

    @property
    def end(self) -> int:
        """The bit behind the last one."""
        return self.element(self.field.count - 1) + self.field.width

    @property
    def word(self) -> int:
        """Word of the first element."""
        return self.start // WORD_BITS

    @property
    def lsb(self) -> int:
        """Bit of the first element within its word."""
        return self.start % WORD_BITS


def place(fields: Iterable[Field], start: int = WORD_BITS) -> tuple[Place, ...]:
    """Give each field its place, in order: none crosses a word, an address begins at an even word, an array at a word.

    Parameters
    ----------
    fields : iterable of Field
    start : int
        First free bit; by default the one behind word 0.
    """
    def aligned(bit: int, unit: int) -> int:
        return -(-bit // unit) * unit

    places = []
    for field in fields:
        if field.width > WORD_BITS:
            start = aligned(start, field.width)
        elif field.count > 1 or start % WORD_BITS + field.width > WORD_BITS:
            start = aligned(start, WORD_BITS)
        places.append(Place(field, start))
        start = places[-1].end
    return tuple(places)
