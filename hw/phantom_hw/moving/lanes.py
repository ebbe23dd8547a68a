"""Values that lie in a word from any lane on: which lanes they take, and how they get there."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from phantom_hw.core.logic import select

__all__ = ["above", "below", "rotate", "taken"]


def above(offset: Value, lanes: int) -> Value:
    """Bit j: lane j is ``offset`` or above it."""
    if lanes == 1:
        return Const(1, 1)
    return Cat(offset <= lane for lane in range(lanes))


def below(total: Value, lanes: int) -> Value:
    """Bit j: lane j is below ``total``."""
    return Cat(total > lane for lane in range(lanes))


def taken(m: Module, offset: Value, count: Value, lanes: int, name: str) -> tuple[Value, Value, Value]:
    """The lanes that ``count`` values take from lane ``offset`` on; those from lane 0 on are of the next word.

    Returns where the first word goes on (bit j: lane j is not of the next word), which lanes are taken, and the sum of
    offset and count.
    """
    total = Signal(range(2 * lanes + 1), name=f"{name}_total")
    m.d.comb += total.eq(offset + count if lanes > 1 else count)
    spills, rest = Signal(name=f"{name}_spills"), total - lanes
    m.d.comb += spills.eq(total > lanes)
    first = above(offset, lanes)
    reached = below(Mux(spills, rest, total), lanes)
    return first, Mux(spills, first | reached, first & reached), total


def rotate(values: Sequence[Value], amount: Value, steps: Sequence[int]) -> list[Value]:
    """Move values up by those bits ``steps`` of ``amount``, two at most, and from the top lane on to lane 0."""
    lanes = len(values)
    if not steps:
        return list(values)
    if len(steps) == 1:
        distance = 1 << steps[0]
        return [Mux(amount[steps[0]], values[(lane - distance) % lanes], values[lane]) for lane in range(lanes)]
    low, high = (1 << step for step in steps)
    index = Cat(amount[step] for step in steps)
    return [select(index, [values[(lane - distance) % lanes] for distance in (0, low, high, low + high)])
            for lane in range(lanes)]
