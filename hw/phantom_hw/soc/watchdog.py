"""Watchdog: tells when nothing has moved for too long."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["WATCHDOG_BITS", "Watchdog"]

WATCHDOG_BITS = 32
"""Width of the limit."""


class Watchdog(wiring.Component):
    """Counts cycles without ``moved``.

    Members
    -------
    limit : In
        Cycles, 0 for no limit; a new value counts from the next ``moved`` on.
    moved : In
        Counting begins anew.
    expired : Out
        ``LATENCY`` cycles after ``limit`` cycles in a row without ``moved``, and until the next ``moved``.
    """

    LATENCY = 2

    def __init__(self):
        super().__init__({"limit": In(WATCHDOG_BITS), "moved": In(1), "expired": Out(1)})

    def elaborate(self, platform):
        m = Module()
        left = Signal(WATCHDOG_BITS)
        m.d.sync += [
            left.eq(Mux(self.moved, self.limit, Mux(left == 0, 0, left - 1))),
            self.expired.eq(~self.moved & (left == 0) & (self.limit != 0)),
        ]
        return m
