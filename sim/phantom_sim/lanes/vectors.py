"""Expressions in C++ over vectors: an operation on each lane, in the narrowest type that keeps its value."""

from __future__ import annotations

from phantom_sim.lanes.expressions import COMPARISONS, LANE_BITS, Expression, Unsupported, lane_bits

__all__ = ["Vectors"]

_LOW = frozenset(("&", "|", "^", "+", "-", "*", "~", "extend", "<<"))
"""Operators whose low bits depend on the low bits of the operands only."""


class Vectors:
    """Writes expressions.

    What is read from memories goes to local constants, once each: :attr:`reads` has their declarations since
    :meth:`start`.

    Types are ``u8`` ... ``u32`` for values and ``s8`` ... ``s32`` for masks, whose lanes are all ones or zeros. Nothing
    may have 64 bits (:mod:`.halves`).
    """

    def __init__(self) -> None:
        self.reads: list[str] = []
        self._known: dict[tuple, str] = {}
        self._number = 0

    def start(self) -> None:
        """Begin a statement: memories may have changed."""
        self.reads = []
        self._known = {}

    def fresh(self) -> str:
        """A name for a local constant."""
        self._number += 1
        return f"t{self._number}"

    def value(self, node: Expression, width: int) -> str:
        """A vector of lanes of ``width`` bits: the value modulo ``2 ** width``."""
        if node.op == "constant":
            return f"splat<u{width}>({_literal(node.value, width)})"
        natural = min(width, lane_bits(max(node.bits, 1)))
        if natural < width:
            return f"to<u{width}>({self.value(node, natural)})"
        if node.boolean:
            return f"bits({self.mask(node, width)})"
        if node.op == "variable":
            return self._variable(node, width)
        if node.op == "cast":
            return self._cast(node, width)
        if node.op == "?":
            condition, then, other = node.args
            return (f"({self.mask(condition, width)} ? {self.value(then, width)} : {self.value(other, width)})")
        if node.op == ">>":
            return self._right(node, width)
        if node.op == "multiply":
            factors = (f"extend<{node.value}>({self.value(arg, node.size)})" for arg in node.args)
            return _narrow(f"({' * '.join(factors)})", node.size, width)
        if node.op == "high":
            return _narrow(f"high({self.value(node.args[0], 32)}, {self.value(node.args[1], 32)})", 32, width)
        if node.op not in _LOW:
            raise Unsupported(f"operator {node.op!r}")
        return self._low(node, width)

    def _low(self, node: Expression, width: int) -> str:
        """An operation whose low bits depend on those of its operands only."""
        args = node.args
        if node.op == "<<":
            return self._left(node, width)
        if node.op == "extend":
            inner = self.value(args[0], width)
            return f"extend<{node.value}>({inner})" if node.value < width else inner
        if len(args) == 1:
            return f"({node.op}{self.value(args[0], width)})"
        if node.op == "&" and width == 8:
            for known, other in (args, args[::-1]):
                raw = self._raw(other, known.value) if known.op == "constant" and other.op == ">>" else None
                if raw:
                    return f"({raw} & {_literal(known.value, 8)})"
        left = self.value(args[0], width) if args[1].op == "constant" else self._operand(args[0], width)
        return f"({left} {node.op} {self._operand(args[1], width)})"

    def _operand(self, node: Expression, width: int) -> str:
        """An operand of an operation whose other operand is a vector."""
        return _literal(node.value, width) if node.op == "constant" else self.value(node, width)

    def _variable(self, node: Expression, width: int) -> str:
        variable = node.variable
        assert variable is not None
        place = self.place(node)
        if variable.depth:
            key = node.key()
            if key not in self._known:
                name = self._known[key] = self.fresh()
                self.reads.append(f"const u{variable.storage} {name} = {self._read(node)};")
            place = self._known[key]
        return _narrow(place, variable.storage, width)

    def _read(self, node: Expression) -> str:
        """The element of a memory or of a table."""
        variable, index = node.variable, node.args[0]
        assert variable is not None
        if index.op == "constant" and not variable.name.count("__ConstPool__"):
            word = f"[{node.args[1].value}U]" if variable.words else ""
            return f"{self.place(node)}[{index.value % variable.depth}U]{word}"
        width = lane_bits(max(index.bits, 1))
        chosen = self.value(index, width)
        if 1 << index.bits > variable.depth and not variable.depth >> width:
            chosen = f"inside<{variable.depth}>({chosen})"
        if variable.words:
            return f"gather<{node.args[1].value}>({self.place(node)}, {chosen})"
        if "__ConstPool__" in variable.name:
            return f"lookup({variable.name}.m_storage, {chosen})"
        return f"gather({self.place(node)}, {chosen})"

    @staticmethod
    def place(node: Expression) -> str:
        """The C++ name of a variable, or of a word of it; without the index of a memory."""
        variable = node.variable
        assert variable is not None
        name = variable.name if variable.local else f"S.{variable.name}"
        return f"{name}[{node.args[-1].value}U]" if variable.words and not variable.depth else name

    def _cast(self, node: Expression, width: int) -> str:
        inner = node.args[0]
        if width <= node.value:
            return self.value(inner, width)
        return f"to<u{width}>({self.value(inner, node.value)})"

    def _left(self, node: Expression, width: int) -> str:
        arg, by = node.args
        if by.op != "constant":
            return _narrow(f"({self.value(arg, node.size)} << {self.value(by, node.size)})", node.size, width)
        if by.value >= width:
            return f"u{width}{{}}"
        if width > 8:
            return f"({self.value(arg, width)} << {by.value})"
        if arg.bits + by.value <= 8:
            return f"left({self.value(arg, 8)}, {by.value})"
        return f"(left({self.value(arg, 8)}, {by.value}) & {_literal(0xFF << by.value, 8)})"

    def _right(self, node: Expression, width: int) -> str:
        arg, by = node.args
        if by.op != "constant":
            return _narrow(f"({self.value(arg, node.size)} >> {self.value(by, node.size)})", node.size, width)
        if by.value >= arg.bits:
            return f"u{width}{{}}"
        wide = lane_bits(min(arg.bits, by.value + width))
        if wide > 8:
            return _narrow(f"({self.value(arg, wide)} >> {by.value})", wide, width)
        return f"(right({self.value(arg, 8)}, {by.value}) & {_literal(0xFF >> by.value, 8)})"

    def _raw(self, node: Expression, wanted: int) -> str | None:
        """A shift to the right within lanes of 8 bits whose bits ``wanted`` are right; the others are anything."""
        arg, by = node.args
        if by.op != "constant" or arg.bits > 8 or wanted > 0xFF >> by.value:
            return None
        return f"right({self.value(arg, 8)}, {by.value})"

    # --- masks -------------------------------------------------------------------------------------------------

    def natural_mask(self, node: Expression) -> tuple[str, int]:
        """Where the value is not zero, and the width of lanes in which that is found."""
        texts = {width: self.mask(node, width) for width in LANE_BITS}
        width = next((width for width, text in texts.items() if not text.startswith(f"to<s{width}>(")), 8)
        return texts[width], width

    def mask(self, node: Expression, width: int) -> str:
        """A mask of lanes of ``width`` bits: where the value is not zero."""
        if node.op in COMPARISONS:
            natural = lane_bits(max(1, *(arg.bits for arg in node.args)))
            sides = [self._operand(arg, natural) for arg in node.args]
            if all(arg.op == "constant" for arg in node.args):
                sides[0] = self.value(node.args[0], natural)
            return _mask(f"({sides[0]} {node.op} {sides[1]})", natural, width)
        if node.op in ("&&", "||"):
            return f"({self.mask(node.args[0], width)} {node.op[0]} {self.mask(node.args[1], width)})"
        if node.op == "!":
            return f"(~{self.mask(node.args[0], width)})"
        if node.op == "cast" and (node.args[0].bits <= node.value):
            return self.mask(node.args[0], width)
        if node.op in ("&", "|", "^") and any(arg.boolean for arg in node.args) and all(
                arg.bits <= 1 for arg in node.args):
            return f"({self.mask(node.args[0], width)} {node.op} {self.mask(node.args[1], width)})"
        if node.op == "&":
            for known, other in (node.args, node.args[::-1]):
                if known.op == "constant" and (tested := self._test(known.value, other, width)):
                    return tested
        natural = lane_bits(max(node.bits, 1))
        return _mask(f"({self.value(node, natural)} != {_literal(0, natural)})", natural, width)

    def _test(self, known: int, other: Expression, width: int) -> str | None:
        """Where ``known & other`` is not zero, if there is a short form."""
        while other.op == "cast" and known < 1 << other.value:
            other = other.args[0]
        if known == 1 and other.bits <= 1:
            return self.mask(other, width)
        if known == 1 and other.op == "~" and other.args[0].bits <= 1:
            return f"(~{self.mask(other.args[0], width)})"
        if other.op == ">>" and other.args[1].op == "constant":
            arg, by = other.args
            tested = known << by.value & ((1 << arg.bits) - 1)
            natural = lane_bits(max(tested.bit_length(), 1))
            return _mask(f"(({self.value(arg, natural)} & {_literal(tested, natural)}) != {_literal(0, natural)})",
                         natural, width)
        return None


def _literal(value: int, width: int) -> str:
    value %= 1 << width
    return f"uint{width}_t({value}U)"


def _narrow(text: str, given: int, width: int) -> str:
    """A value in lanes of another width."""
    return text if given == width else f"to<u{width}>({text})"


def _mask(text: str, given: int, width: int) -> str:
    """A mask in lanes of another width."""
    return text if given == width else f"to<s{width}>({text})"
