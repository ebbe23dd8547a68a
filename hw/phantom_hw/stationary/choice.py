"""Circuits that several stages share: how many bits are set, and one value of several."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Value

__all__ = ["count_bits", "select"]


def count_bits(bits: list[Value]) -> Value:
    """How many bits are set, added up as a balanced tree."""
    if len(bits) == 1:
        return bits[0]
    if len(bits) <= 3:
        return bits[0] + bits[1] if len(bits) == 2 else Cat(bits[0] ^ bits[1] ^ bits[2],
                                                            (bits[0] & bits[1]) | (bits[2] & (bits[0] | bits[1])))
    half = max(3, len(bits) // 2)
    return count_bits(bits[:half]) + count_bits(bits[half:])


def select(values: list[Value], index: Value) -> Value:
    """The value number ``index``; any one if there is no such."""
    for bit in index:
        pairs = list(zip(values[::2], values[1::2], strict=False))
        values = [Mux(bit, high, low) for low, high in pairs] + values[2 * len(pairs):]
    return values[0]
