"""The checksum over result beats: one definition for the hardware and for its Python twin.

Of each result beat the fields that mean something are laid side by side, in the order of
:data:`FIELDS`, lowest bit first: ``value`` (0 unless ``nonzero``), ``nonzero``, ``last``,
``tile_last``, ``mask`` (0 unless ``last``). The word is cut into pieces of 32 bits, which are added
modulo 2, and a 32-bit register takes the sum up: it is multiplied by x modulo the CRC-32
polynomial (a multiple-input signature register), then the sum is added. It starts with all ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import result_layout

from phantom_fpga.errors import FpgaError

__all__ = ["FIELDS", "POLYNOMIAL", "SEED", "WIDTH", "ResultChecksum", "checksum"]

WIDTH = 32
POLYNOMIAL = 0x04C11DB7
SEED = 0xFFFF_FFFF
FIELDS: tuple[tuple[str, str | None], ...] = (
    ("value", "nonzero"),
    ("nonzero", None),
    ("last", None),
    ("tile_last", None),
    ("mask", "last"),
)
"""Fields of a result beat in the order of the checksum, each with the flag that makes it valid."""


def checksum(beats: Iterable[int], config: PhantomConfig) -> int:
    """The checksum of result beats, as :class:`ResultChecksum` forms it.

    Parameters
    ----------
    beats : iterable of int
        Result beats in order, each packed as ``result_layout(config)``.
    config : PhantomConfig
        Gives the widths of the fields.

    Returns
    -------
    int
        The 32-bit checksum.

    Raises
    ------
    FpgaError
        A beat does not fit the layout.
    """
    layout = result_layout(config)
    state = SEED
    for index, beat in enumerate(beats):
        if not 0 <= beat < 1 << layout.size:
            raise FpgaError(f"result beat {index} is {beat:#x}, not a word of {layout.size} bits")

        def field(name: str, beat: int = beat) -> int:
            return beat >> layout[name].offset & (1 << layout[name].width) - 1

        word, position = 0, 0
        for name, flag in FIELDS:
            if flag is None or field(flag):
                word |= field(name) << position
            position += layout[name].width
        state = state << 1 ^ (POLYNOMIAL | 1 << WIDTH if state >> WIDTH - 1 else 0)
        while word:
            state ^= word & (1 << WIDTH) - 1
            word >>= WIDTH
    return state


class ResultChecksum(wiring.Component):
    """Forms the checksum of a result stream.

    Parameters
    ----------
    config : PhantomConfig
        Gives the layout of the beats.

    Members
    -------
    results : In(stream.Signature(result_layout(config), always_ready=True))
        The beats.
    checksum : Out(32)
        Checksum of the beats so far; one cycle after the transfer of a beat it counts.

    Throughput
    ----------
    One beat a cycle.
    """

    def __init__(self, config: PhantomConfig) -> None:
        super().__init__({
            "results": In(stream.Signature(result_layout(config), always_ready=True)),
            "checksum": Out(WIDTH, init=SEED),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = self.results.payload

        def field(name: str, flag: str | None) -> Value:
            value = Value.cast(beat[name])
            return value if flag is None else Mux(beat[flag], value, 0)[: len(value)]

        word = Cat(*(field(name, flag) for name, flag in FIELDS))
        pieces = [word[low : low + WIDTH] for low in range(0, len(word), WIDTH)]
        shifted = Cat(0, self.checksum[:-1]) ^ Mux(self.checksum[-1], POLYNOMIAL, 0)
        with m.If(self.results.valid):
            m.d.sync += self.checksum.eq(reduce(xor, pieces, shifted))
        return m
