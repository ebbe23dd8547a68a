"""Where row programs and packets lie in the memories on the chip, and what can be loaded while something is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from phantom_hw.config import PhantomConfig

__all__ = ["Held", "Placement", "Region", "Sizes"]


@dataclass(frozen=True)
class Region:
    """Places that follow each other; behind the last place of a memory comes its first one.

    Parameters
    ----------
    start, length : int
    """

    start: int = 0
    length: int = 0

    def meets(self, other: Region, size: int) -> bool:
        """Whether two regions of a memory of ``size`` places have one in common."""
        if not self.length or not other.length:
            return False
        return (other.start - self.start) % size < self.length or (self.start - other.start) % size < other.length


@dataclass(frozen=True)
class Held:
    """What the last piece of a layer reads until it is sent.

    Parameters
    ----------
    program, packets : Region
    """

    program: Region = Region()
    packets: Region = Region()


@dataclass(frozen=True)
class Sizes:
    """What a piece takes.

    Parameters
    ----------
    key : (set, segment)
        Pieces of one key have the same packets.
    entries : int
        Entries of the row program.
    words : int
        Words of the packets of the longest column.
    """

    key: tuple[int, int]
    entries: int
    words: int


class Placement:
    """The places of the pieces of a layer.

    Entries of a piece lie in the half of the row program's memory in which those of the piece before do not, if all
    pieces fit a half. Packets stay where they are if all of them fit together; otherwise those of a piece, too, lie in
    another half than those of the piece before. The first piece's are placed behind what is held by the layer
    before, so that it can be loaded while that one is sent.

    Parameters
    ----------
    config : PhantomConfig
    pieces : sequence of Sizes
        In the order in which they are sent.
    header : int
        Words of the layer's packet, which lies in front of the first piece's.
    held : Held
        What the layer before still reads.
    """

    def __init__(self, config: PhantomConfig, pieces: Sequence[Sizes], header: int, held: Held):
        self._config, self._pieces, self._header = config, pieces, header
        self._half = config.program_words // 2 if 2 * max(one.entries for one in pieces) <= config.program_words else 0
        self._first = int(bool(self._half) and held.program.meets(Region(0, self._half), config.program_words)
                          and not held.program.meets(Region(self._half, self._half), config.program_words))
        self._packets_half = (config.stationary_words // 2
                              if 2 * max(one.words for one in pieces) <= config.stationary_words else 0)
        self._origin = held.packets.start + held.packets.length
        self._resident: dict[tuple[int, int], int] = {}
        words = {one.key: one.words for one in pieces}
        if sum(words.values()) <= config.stationary_words:
            self._resident = dict(zip(words, accumulate(words.values(), initial=0), strict=False))
        self.program_early = not held.program.meets(self.program(0), config.program_words)
        """The first piece's entries may be loaded while the layer before is sent."""
        needs = Region(self.header, header + pieces[0].words)
        self.packets_early = needs.length <= config.stationary_words and not held.packets.meets(
            needs, config.stationary_words)
        """So may the layer's packet and the first piece's."""

    @property
    def resident(self) -> bool:
        """All packets of the layer stay in the buffers."""
        return bool(self._resident)

    @property
    def alternates(self) -> bool:
        """A piece may be loaded while the one before is sent."""
        return bool(self._half) and bool(self._resident or self._packets_half)

    @property
    def header(self) -> int:
        """Place of the layer's packet."""
        return self._origin % self._config.stationary_words

    def program(self, i: int) -> Region:
        """Entries of piece ``i``."""
        return Region((i + self._first) % 2 * self._half, self._pieces[i].entries)

    def packets(self, i: int) -> Region:
        """Packets of piece ``i``, in every stationary buffer."""
        one = self._pieces[i]
        place = self._resident[one.key] if self._resident else i % 2 * self._packets_half
        return Region((self._origin + self._header + place) % self._config.stationary_words, one.words)

    @property
    def held(self) -> Held:
        """What is read until the last piece is sent."""
        last = len(self._pieces) - 1
        return Held(self.program(last), self.packets(last))
