"""Numbers of 64 bits as two of 32 bits: vectors of the former are larger than any register."""

from __future__ import annotations

from phantom_sim.lanes.expressions import COMPARISONS, Expression, Unsupported, Variable, constant, make

__all__ = ["Halves", "as_words"]

Pair = tuple[Expression, Expression]
ZERO, ALL = constant(0), constant((1 << 32) - 1)


def as_words(variable: Variable) -> Variable:
    """How a variable is kept: one of 64 bits as two words."""
    if variable.storage < 64:
        return variable
    return Variable(variable.name, 32, 32, variable.depth, 2, local=variable.local)


class Halves:
    """Rewrites expressions so that nothing in them has 64 bits."""

    def __init__(self) -> None:
        self._known: dict[Expression, Pair] = {}

    def narrow(self, node: Expression) -> Expression:
        """The low 32 bits."""
        if node.size == 64:
            return self.pair(node)[0]
        if node.op == "cast":
            return make("cast", (self.narrow(node.args[0]),), node.value)
        if node.op in COMPARISONS and any(arg.size == 64 for arg in node.args):
            return self._compare(node.op, self.pair(node.args[0]), self.pair(node.args[1]))
        if node.op in ("&&", "||", "!"):
            return make(node.op, [self.truth(arg) for arg in node.args])
        if node.op == "?":
            return make("?", (self.truth(node.args[0]), self.narrow(node.args[1]), self.narrow(node.args[2])))
        if node.op == "variable":
            return Expression("variable", tuple(map(self.narrow, node.args)), variable=node.variable, bits=node.bits,
                              signed=node.signed)
        if not node.args:
            return node
        return make(node.op, [self.narrow(arg) for arg in node.args], node.value)

    def truth(self, node: Expression) -> Expression:
        """Not zero where ``node`` is not."""
        return _or(*self.pair(node)) if node.size == 64 else self.narrow(node)

    def pair(self, node: Expression) -> Pair:
        """The low and the high 32 bits."""
        if node.size == 32:
            return self.narrow(node), ZERO
        if node not in self._known:
            low, high = self._pair(node)
            if node.bits <= 32:
                high = ZERO
            self._known[node] = low, high
        return self._known[node]

    def _pair(self, node: Expression) -> Pair:
        op, args = node.op, node.args
        if op == "constant":
            return constant(node.value % (1 << 32)), constant(node.value >> 32)
        if op == "variable":
            return self._variable(node)
        if op == "cast":
            return self.pair(args[0])
        if op == "?":
            condition = self.truth(args[0])
            (low, high), (other_low, other_high) = self.pair(args[1]), self.pair(args[2])
            return _choose(condition, low, other_low), _choose(condition, high, other_high)
        if op in ("&", "|", "^"):
            (low, high), (other_low, other_high) = self.pair(args[0]), self.pair(args[1])
            combine = {"&": _and, "|": _or, "^": _xor}[op]
            return combine(low, other_low), combine(high, other_high)
        if op == "~":
            low, high = self.pair(args[0])
            return make("~", (low,)), make("~", (high,))
        if op in ("<<", ">>"):
            return self._shift(op, self.pair(args[0]), self.narrow(args[1]))
        if op == "extend":
            return self._extend(self.pair(args[0]), node.value)
        if op == "multiply":
            left, right = (self._extend(self.pair(arg), node.value) for arg in args)
            return _product(left, right)
        pairs = [self.pair(arg) for arg in args]
        if op == "-":
            return _difference(*(pairs if len(pairs) == 2 else ((ZERO, ZERO), pairs[0])))
        if op == "+":
            return _sum(*pairs)
        if op == "*":
            return _product(*pairs)
        raise Unsupported(f"operator {op!r} with 64 bits")

    def _variable(self, node: Expression) -> Pair:
        variable = node.variable
        assert variable is not None
        if "__ConstPool__" in variable.name:
            raise Unsupported(f"{variable.name} has 64 bits")
        index = tuple(map(self.narrow, node.args))
        words = as_words(variable)
        return (Expression("variable", (*index, ZERO), variable=words),
                Expression("variable", (*index, constant(1)), variable=words, bits=max(variable.bits - 32, 0)))

    @staticmethod
    def _compare(op: str, left: Pair, right: Pair) -> Expression:
        if op in (">", "<="):
            op, left, right = {">": "<", "<=": ">="}[op], right, left
        if op == ">=":
            return make("!", (Halves._compare("<", left, right),))
        (low, high), (other_low, other_high) = left, right
        lows = make(op, (low, other_low))
        if high.op == other_high.op == "constant" and high.value == other_high.value:
            return lows
        if op in ("==", "!="):
            return make("&&" if op == "==" else "||", (lows, make(op, (high, other_high))))
        equal = make("&&", (make("==", (high, other_high)), lows))
        return make("||", (make("<", (high, other_high)), equal))

    @staticmethod
    def _shift(op: str, pair: Pair, by: Expression) -> Pair:
        """``pair`` is seen from the end where bits come in."""
        left = op == "<<"
        near, far = pair if left else pair[::-1]
        back = ">>" if left else "<<"
        if by.op == "constant":
            if by.value >= 64:
                near, far = ZERO, ZERO
            elif by.value >= 32:
                near, far = ZERO, _shifted(op, near, by.value - 32)
            elif by.value:
                near, far = (_shifted(op, near, by.value),
                             _or(_shifted(op, far, by.value), _shifted(back, near, 32 - by.value)))
        else:
            word = constant(32)
            small = make("<", (by, word))
            mixed = _or(make(op, (far, by)), _choose(by, make(back, (near, make("-", (word, by)))), ZERO))
            beyond = make(op, (near, make("-", (by, word))))
            near, far = _choose(small, make(op, (near, by)), ZERO), _choose(small, mixed, beyond)
        return (near, far) if left else (far, near)

    @staticmethod
    def _extend(pair: Pair, bits: int) -> Pair:
        low, high = pair
        if bits > 32:
            return low, make("extend", (high,), bits - 32) if bits < 64 else high
        low = make("extend", (low,), bits) if bits < 32 else low
        return low, make("-", (make(">>", (low, constant(31))),))


def _and(left: Expression, right: Expression) -> Expression:
    for one, other in ((left, right), (right, left)):
        if one.op == "constant" and one.value == 0:
            return ZERO
        if one.op == "constant" and one.value == ALL.value:
            return other
    return make("&", (left, right))


def _or(left: Expression, right: Expression) -> Expression:
    for one, other in ((left, right), (right, left)):
        if one.op == "constant" and one.value == 0:
            return other
    return make("|", (left, right))


def _xor(left: Expression, right: Expression) -> Expression:
    for one, other in ((left, right), (right, left)):
        if one.op == "constant" and one.value == 0:
            return other
    return make("^", (left, right))


def _choose(condition: Expression, then: Expression, other: Expression) -> Expression:
    if then.op == other.op == "constant" and then.value == other.value:
        return then
    return make("?", (condition, then, other))


def _shifted(op: str, node: Expression, by: int) -> Expression:
    if not by:
        return node
    if node.op == "constant":
        return constant((node.value << by) % (1 << 32) if op == "<<" else node.value >> by)
    return ZERO if op == ">>" and by >= node.bits else make(op, (node, constant(by)))


def _sum(left: Pair, right: Pair) -> Pair:
    low = make("+", (left[0], right[0]))
    carry = make("cast", (make("<", (low, left[0])),), 32)
    return low, make("+", (make("+", (left[1], right[1])), carry))


def _difference(left: Pair, right: Pair) -> Pair:
    borrow = make("cast", (make("<", (left[0], right[0])),), 32)
    return make("-", (left[0], right[0])), make("-", (make("-", (left[1], right[1])), borrow))


def _product(left: Pair, right: Pair) -> Pair:
    high = Expression("high", (left[0], right[0]))
    for one, other in ((left[0], right[1]), (left[1], right[0])):
        if ZERO not in (one, other):
            high = make("+", (high, make("*", (one, other))))
    return make("*", (left[0], right[0])), high
