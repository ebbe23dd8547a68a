"""Where an activation tensor lies in memory, slot by slot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from phantom_golden.slots import from_bytes, slot_bytes, to_bytes
from phantom_golden.sparse import decode, encode
from phantom_hw.config import PhantomConfig
from phantom_hw.results.layouts import SLOT_UNIT

__all__ = ["TensorFormat"]


@dataclass(frozen=True)
class TensorFormat:
    """An activation tensor as slots of the sparse-mask format.

    A slot holds ``height`` rows of ``width`` positions of one channel; only slots that span a whole row have several
    rows. Slots of a line follow each other, then lines, images and channels: so channels side by side are a tensor of
    their own. At the right and the lower edge of the image a slot has fewer positions.

    Parameters
    ----------
    config : PhantomConfig
    shape : (images, channels, rows, columns)
    signed : bool
    width, height : int
        Of a slot; ``width * height`` is at most ``config.chunk``.
    address : int
        Of the first slot in memory, bytes.
    compact : bool
        Slots that need several words of the bus begin anywhere and not at a word: for memory that is scarce and fast.
    """

    config: PhantomConfig
    shape: tuple[int, int, int, int]
    signed: bool
    width: int
    height: int = 1
    address: int = 0
    compact: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.width * self.height <= self.config.chunk:
            raise ValueError(f"a slot must have 1..{self.config.chunk} positions, not {self.width} x {self.height}")
        if self.height > 1 and self.width < self.shape[3]:
            raise ValueError(f"slots of {self.height} rows must span the {self.shape[3]} columns, not {self.width}")

    @classmethod
    def natural(cls, config: PhantomConfig, shape: tuple[int, int, int, int], signed: bool) -> Self:
        """The fewest slots: whole rows, several if they fit."""
        cuts = -(-shape[3] // config.chunk)
        width = -(-shape[3] // cuts)
        height = max(1, min(shape[2], config.chunk // width)) if cuts == 1 else 1
        return cls(config, shape, signed, width, height)

    @property
    def slots(self) -> int:
        """Slots of a line."""
        return -(-self.shape[3] // self.width)

    @property
    def lines(self) -> int:
        """Lines of slots of a channel."""
        return -(-self.shape[2] // self.height)

    @property
    def slot_pitch(self) -> int:
        """Bytes from a slot to the next: no slot lies in more words of the bus than it must, unless ``compact``."""
        used = slot_bytes(self.config.chunk, self.config.act_width, 1) - (
            self._value_bytes(self.config.chunk) - self._value_bytes(self.width * self.height))
        word = self.config.bus_width // 8
        unit = SLOT_UNIT if self.compact else word
        return max(SLOT_UNIT, 1 << (used - 1).bit_length()) if used <= word else -(-used // unit) * unit

    @property
    def slot_words(self) -> int:
        """Words of the bus that a slot is read or written in, if it begins at one."""
        return -(-self.slot_pitch * 8 // self.config.bus_width)

    def _value_bytes(self, positions: int) -> int:
        return -(-positions * self.config.act_width // 8)

    @property
    def line_pitch(self) -> int:
        """Bytes from a line to the next."""
        return self.slots * self.slot_pitch

    @property
    def image_pitch(self) -> int:
        """Bytes from an image of a channel to the next."""
        return self.lines * self.line_pitch

    @property
    def channel_pitch(self) -> int:
        """Bytes from a channel to the next."""
        return self.shape[0] * self.image_pitch

    @property
    def bytes(self) -> int:
        """Bytes of the tensor."""
        return self.shape[1] * self.channel_pitch

    @property
    def on_chip(self) -> bool:
        """It lies in the memory on the chip."""
        return self.address < self.config.on_chip_bytes

    def positions(self, line: int, slot: int) -> int:
        """Positions of a slot."""
        return (min(self.height, self.shape[2] - line * self.height)
                * min(self.width, self.shape[3] - slot * self.width))

    def at(self, address: int) -> TensorFormat:
        """The same at another address."""
        return replace(self, address=address)

    def part(self, first: int, channels: int) -> TensorFormat:
        """Some of its channels, from ``first`` on."""
        return replace(self, shape=(self.shape[0], channels, *self.shape[2:]),
                       address=self.address + first * self.channel_pitch)

    def encode(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """A tensor of this shape as bytes."""
        if values.shape != self.shape:
            raise ValueError(f"values must have shape {self.shape}, not {values.shape}")
        memory = np.zeros((self.shape[0] * self.shape[1], self.lines, self.slots, self.slot_pitch), np.uint8)
        flat = values.swapaxes(0, 1).reshape(-1, *self.shape[2:])
        for line, slot in np.ndindex(self.lines, self.slots):
            part = self._part(flat, line, slot).reshape(len(flat), -1)
            padded = np.zeros((len(flat), self.config.chunk), np.int64)
            padded[:, :part.shape[1]] = part
            packed = to_bytes(encode(padded, self.config.chunk), self.config.act_width, signed=self.signed)
            memory[:, line, slot, :] = packed[:, :self.slot_pitch] if packed.shape[1] >= self.slot_pitch else np.pad(
                packed, ((0, 0), (0, self.slot_pitch - packed.shape[1])))
        return memory.ravel()

    def decode(self, memory: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The tensor that bytes stand for, the inverse of :meth:`encode`.

        Raises
        ------
        ValueError
            If the bytes are no slots of the format.
        """
        slots = memory.reshape(self.shape[0] * self.shape[1], self.lines, self.slots, self.slot_pitch)
        result = np.zeros((len(slots), *self.shape[2:]), np.int64)
        size = slot_bytes(self.config.chunk, self.config.act_width)
        for line, slot in np.ndindex(self.lines, self.slots):
            raw = np.zeros((len(slots), size), np.uint8)
            used = min(size, self.slot_pitch)
            raw[:, :used] = slots[:, line, slot, :used]
            tensor = from_bytes(raw, (len(slots), self.config.chunk), self.config.chunk, self.config.act_width,
                                signed=self.signed)
            part = self._part(result, line, slot)
            part[...] = decode(tensor)[:, :self.positions(line, slot)].reshape(part.shape)
        images, channels, rows, columns = self.shape
        return np.ascontiguousarray(result.reshape(channels, images, rows, columns).swapaxes(0, 1))

    def _part(self, values: NDArray[Any], line: int, slot: int) -> NDArray[Any]:
        """The positions of a slot of all channels and images."""
        return values[:, line * self.height:(line + 1) * self.height, slot * self.width:(slot + 1) * self.width]
