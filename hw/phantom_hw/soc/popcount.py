"""How many bits of a wide word are set, in several cycles."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["PopCount"]

PIECE = 8
"""Numbers that are added in a cycle."""


class PopCount(wiring.Component):
    """Count the bits that are set: sums of eight at a time, a register behind each.

    Parameters
    ----------
    width : int

    Members
    -------
    bits : In
    count : Out

    Latency: ceil(log8(width)) cycles, at least 1. Throughput: 1 word a cycle.
    """

    def __init__(self, width: int):
        super().__init__({"bits": In(width), "count": Out(range(width + 1))})

    def elaborate(self, platform):
        m = Module()
        level: list[Value] = list(self.bits)
        while len(level) > 1 or level[0] is self.bits[0]:
            sums = []
            for start in range(0, len(level), PIECE):
                total = sum(level[start + 1:start + PIECE], level[start])
                register = Signal(len(total), name=f"sum_{len(level)}_{start // PIECE}")
                m.d.sync += register.eq(total)
                sums.append(register)
            level = sums
            if len(level) == 1:
                break
        m.d.comb += self.count.eq(level[0])
        return m
