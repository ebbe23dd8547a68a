"""Small combinational idioms shared by the blocks of the core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Mux, Value

__all__ = ["TABLE_BITS", "add_small", "any_of", "lookup", "more_than", "one_hot_select", "popcount", "select"]

TABLE_BITS = 6
"""Up to this many input bits a sum or comparison is worth a truth table; wider ones get a carry chain."""


def any_of(values: Sequence[Value]) -> Value:
    """Bitwise OR of values of one width."""
    return reduce(or_, values)


def lookup(inputs: Sequence[Value], function: Callable[..., int], width: int) -> Value:
    """A function of a few narrow unsigned inputs as a truth table, which synthesis packs into LUTs.

    ``function`` takes one integer for each input. Arithmetic written as ``+`` and ``<`` would become carry chains.
    """
    rows = []
    for index in range(1 << sum(len(value) for value in inputs)):
        arguments = []
        for value in inputs:
            arguments.append(index & ((1 << len(value)) - 1))
            index >>= len(value)
        rows.append(Const(function(*arguments) & ((1 << width) - 1), width))
    return Array(rows)[Cat(*inputs)]


def add_small(value: Value, amount: Value | int, width: int) -> Value:
    """``value + amount`` modulo ``2 ** width``, without a carry chain where the operands are narrow."""
    if isinstance(amount, int):
        if len(value) <= TABLE_BITS:
            return lookup([value], lambda v: v + amount, width)
    elif len(value) + len(amount) <= TABLE_BITS:
        return lookup([value, amount], lambda v, a: v + a, width)
    return (value + amount)[:width]


def more_than(value: Value, limit: int) -> Value:
    """``value > limit`` for a constant limit, without a carry chain where the value is narrow."""
    if len(value) <= TABLE_BITS:
        return lookup([value], lambda v: v > limit, 1)
    return value > limit


def one_hot_select(choices: Sequence[Value], values: Sequence[Value]) -> Value:
    """AND-OR multiplexer: the value whose choice bit is set, 0 if none is."""
    assert len(choices) == len(values)
    return any_of([Mux(choice, Value.cast(value), 0) for choice, value in zip(choices, values, strict=True)])


def select(index: Value, values: Sequence[Value]) -> Value:
    """Multiplexer ``values[index]``; an index beyond the list chooses anything.

    Four values are chosen in two LUT4 a bit: the first chooses between two of them or passes on the lower bit of the
    index, by which the second chooses between the other two. Synthesis does not find this by itself.
    """
    values = [Value.cast(value) for value in values]
    if len(values) == 1:
        return values[0]
    low, high, rest = index[:1], index[1:2], index[2:]
    if len(values) == 2:
        return Mux(low, values[1], values[0])
    chosen = []
    for group in (values[i:i + 4] for i in range(0, len(values), 4)):
        if len(group) <= 2:
            chosen.append(select(low, group))
            continue
        first = Mux(high, low.replicate(len(group[0])), Mux(low, group[1], group[0]))
        lower, upper = group[2], group[-1]
        chosen.append(Mux(high, Cat(Mux(bit, u, l) for bit, l, u in zip(first, lower, upper, strict=True)), first))
    return select(rest, chosen)


def popcount(value: Value, limit: int = 4) -> Value:
    """Number of set bits; up to ``limit`` bits as a truth table, wider ones as a tree of sums."""
    bits = len(value)
    if bits <= limit:
        return lookup([value], int.bit_count, bits.bit_length())
    low, high = popcount(value[:bits // 2], limit), popcount(value[bits // 2:], limit)
    return add_small(high, low, bits.bit_length())
