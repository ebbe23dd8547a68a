"""Small combinational idioms shared by the blocks of the core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Mux, Value

__all__ = ["TABLE_BITS", "add_small", "any_of", "lookup", "more_than", "one_hot_select", "popcount"]

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


def popcount(value: Value, limit: int = 4) -> Value:
    """Number of set bits; up to ``limit`` bits as a truth table, wider ones as a sum."""
    bits = len(value)
    if bits <= limit:
        return lookup([value], int.bit_count, bits.bit_length())
    return sum((value[i] for i in range(bits)), Const(0))[:bits.bit_length()]
