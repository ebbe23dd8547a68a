"""What the vector unit works with: the single definition of its settings and its numbers."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data, enum
from amaranth.utils import bits_for

from phantom_hw.config import PhantomConfig
from phantom_hw.results.requantizer import MULT_BITS
from phantom_hw.soc.isa import VECTOR_OPERANDS

__all__ = ["Operation", "result_word_layout", "value_bits", "vector_layout"]

SUM_BITS = VECTOR_OPERANDS.bit_length() - 1
"""Bits that a sum has more than its operands."""


class Operation(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What becomes of rows: with NONE they go to the mesh. The order is that of the command VECTOR."""

    NONE = 0
    MAX = 1
    SUM = 2
    ADD = 3


def value_bits(config: PhantomConfig) -> int:
    """Bits of a value of a result: a sum of the most operands, or both operands of an addition side by side."""
    return max(min(config.act_width + 1 + SUM_BITS, config.acc_width), 2 * config.act_width)


def vector_layout(config: PhantomConfig) -> data.StructLayout:
    """How rows are combined: what the command ``VECTOR`` says."""
    return data.StructLayout({
        "operation": Operation, "signed_a": 1, "signed_b": 1, "fold": 1, "beats": bits_for(config.vector_beats),
        "operands": bits_for(VECTOR_OPERANDS), "positions": bits_for(config.chunk),
        "count": bits_for(config.lane_channels), "mult_a": MULT_BITS, "mult_b": MULT_BITS,
    })


def result_word_layout(config: PhantomConfig) -> data.ArrayLayout:
    """A beat of a result."""
    return data.ArrayLayout(signed(value_bits(config)), config.moving_link)
