"""Expressions of Verilator's C++, with what is known about their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["COMPARISONS", "LANE_BITS", "Expression", "Unsupported", "Variable", "constant", "lane_bits", "make"]

LANE_BITS = (8, 16, 32)
COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
_LOGIC = frozenset(("&&", "||"))
_ARITHMETIC = frozenset(("&", "|", "^", "+", "-", "*", "<<", ">>"))


class Unsupported(ValueError):
    """C++ of a form that is not translated."""


@dataclass(frozen=True)
class Variable:
    """A variable of the Verilated class, or a local one.

    Attributes
    ----------
    name : str
    storage : int
        Bits of the C++ type of one element: 8, 16, 32 or 64.
    bits : int
        Bits of an element that may be set.
    depth : int
        Elements of a memory; 0 if it is none.
    words : int
        Words of 32 bits of a wide variable, or of an element of such a memory; 0 if it is not wide.
    local : bool
        A local variable, not one of the class.
    """

    name: str
    storage: int
    bits: int
    depth: int = 0
    words: int = 0
    local: bool = False


class Expression:
    """A node of an expression.

    Attributes
    ----------
    op : str
        An operator of C, or ``constant``, ``variable``, ``cast``, ``extend`` (from ``value`` bits, with the sign),
        ``multiply`` (numbers of ``value`` bits with a sign) or ``high`` (the high 32 bits of a product).
    args : tuple of Expression
        Operands; those of a variable are the index of a memory's element, and then of a word.
    value : int
        Of a constant; bits of the type of a cast.
    variable : Variable or None
    size : int
        Bits of the type in C after the integer promotions, 32 or 64.
    bits : int
        The value is less than ``2 ** bits``, taken as unsigned.
    signed, negative : bool
        The type is int; the value may be negative then.
    """

    __slots__ = ("args", "bits", "negative", "op", "signed", "size", "value", "variable")

    def __init__(self, op: str, args: tuple[Expression, ...] = (), *, value: int = 0, variable: Variable | None = None,
                 size: int = 32, bits: int = 32, signed: bool = False, negative: bool = False):
        self.op, self.args, self.value, self.variable = op, args, value, variable
        self.size, self.bits, self.signed, self.negative = size, min(bits, size), signed, negative

    @property
    def boolean(self) -> bool:
        """The value is that of a comparison."""
        if self.op in COMPARISONS or self.op in _LOGIC or self.op == "!":
            return True
        return self.op == "cast" and self.args[0].boolean

    def key(self) -> tuple:
        """Equal for equal expressions."""
        return (self.op, self.value, self.variable, *(arg.key() for arg in self.args))


def lane_bits(bits: int) -> int:
    """The narrowest lane that holds so many bits."""
    return next(width for width in LANE_BITS if width >= bits)


def constant(value: int, size: int = 32, signed: bool = False) -> Expression:
    """A literal."""
    return Expression("constant", value=value, size=size, bits=value.bit_length(), signed=signed)


def make(op: str, args: Sequence[Expression], value: int = 0) -> Expression:
    """An operation, with the type that C gives it.

    Raises
    ------
    Unsupported
        If the operator is unknown, or a negative int would have to be widened, shifted or compared.
    """
    args = tuple(args)
    if op == "cast":
        return _cast(args[0], value)
    if op in ("extend", "multiply"):
        if any(arg.negative for arg in args):
            raise Unsupported(f"a negative operand of {op}")
        return Expression(op, args, value=value, size=args[0].size, bits=args[0].size)
    if op == "!" or op in _LOGIC:
        return Expression(op, args, bits=1, signed=True)
    if op in COMPARISONS:
        _same_sign(op, args, args if op in ("==", "!=") else ())
        if op not in ("==", "!=") and any(arg.negative for arg in args):
            raise Unsupported(f"a negative operand of {op}")
        return Expression(op, args, bits=1, signed=True)
    if op in ("~", "-") and len(args) == 1:
        arg = args[0]
        return Expression(op, args, size=arg.size, bits=arg.size, signed=arg.signed, negative=arg.signed)
    if op == "?":
        condition, *arms = args
        _same_sign(op, arms, arms)
        size = max(arm.size for arm in arms)
        signed = all(arm.signed for arm in arms)
        return Expression(op, (condition, *arms), size=size, bits=max(arm.bits for arm in arms), signed=signed,
                          negative=signed and any(arm.negative for arm in arms))
    if op in _ARITHMETIC and len(args) == 2:
        return _arithmetic(op, args[0], args[1])
    raise Unsupported(f"operator {op!r} with {len(args)} operands")


def _same_sign(op: str, args: Sequence[Expression], widened: Sequence[Expression]) -> None:
    """Raise if an operand would have to be extended with its sign."""
    if len({arg.size for arg in args}) > 1 and any(arg.negative for arg in (*args, *widened)):
        raise Unsupported(f"a negative operand of {op} is extended")


def _cast(arg: Expression, to: int) -> Expression:
    if arg.negative and to == 64:
        raise Unsupported("a negative number is extended")
    if arg.op == "constant":
        return constant(arg.value % (1 << to), max(to, 32), to < 32)
    return Expression("cast", (arg,), value=to, size=max(to, 32), bits=min(arg.bits, to), signed=to < 32)


def _arithmetic(op: str, left: Expression, right: Expression) -> Expression:
    shift = op in ("<<", ">>")
    if not shift:
        _same_sign(op, (left, right), ())
    size = left.size if shift else max(left.size, right.size)
    signed = left.signed and (shift or right.signed)
    if (op == ">>" and left.negative) or (shift and right.negative):
        raise Unsupported("a negative number is shifted")
    if left.op == right.op == "constant" and not signed:
        value = {"&": left.value & right.value, "|": left.value | right.value, "^": left.value ^ right.value,
                 "+": left.value + right.value, "-": left.value - right.value, "*": left.value * right.value,
                 "<<": left.value << right.value, ">>": left.value >> right.value}[op]
        return constant(value % (1 << size), size)
    known = right.value if right.op == "constant" else None
    bits = {
        "&": min(left.bits, right.bits), "|": max(left.bits, right.bits), "^": max(left.bits, right.bits),
        "+": max(left.bits, right.bits) + 1, "-": size, "*": left.bits + right.bits,
        "<<": size if known is None else left.bits + known, ">>": left.bits - (known or 0),
    }[op]
    negative = signed and {"&": left.negative and right.negative, "-": True, "<<": left.negative or bits > 31}.get(
        op, left.negative or right.negative)
    return Expression(op, (left, right), size=size, bits=max(0, size if negative else bits), signed=signed,
                      negative=negative)
