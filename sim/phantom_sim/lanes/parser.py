"""A parser for the statements that Verilator writes into the functions of a design."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from phantom_sim.lanes.expressions import Expression, Unsupported, Variable, constant, make

__all__ = ["Assign", "Call", "If", "Statement", "parse_body", "parse_type"]


@dataclass(frozen=True)
class Assign:
    """``target = value;`` where the target is an expression of a variable."""

    target: Expression
    value: Expression


@dataclass(frozen=True)
class If:
    """``if (condition) {then} else {other}``."""

    condition: Expression
    then: tuple[Statement, ...]
    other: tuple[Statement, ...]


@dataclass(frozen=True)
class Call:
    """A call of another function of the class."""

    name: str


Statement = Assign | If | Call

_TOKEN = re.compile(r"""
    (?P<number>0x[0-9a-fA-F]+U?L*|\d+U?L*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<operator><<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^~!<>=?:;,.()\[\]{}])
  | (?P<other>\S)
""", re.VERBOSE)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_PREAMBLE = re.compile(r"^ *(?:VL_DEBUG_IF\(|\w+__Syms\* const|auto& vlSelfRef|\(void\)vlSelf).*\n", re.MULTILINE)
_DECLARATION = re.compile(r"^ *((?:[CSIQ]Data|VlWide<\d+>)/\*\d+:0\*/) (\w+);\n", re.MULTILINE)
_TYPE = re.compile(r"(?:([CSIQ])Data|VlWide<(\d+)>)/\*(\d+):0\*/")
_STORAGE = {"C": 8, "S": 16, "I": 32, "Q": 64}
_CASTS = {"CData": 8, "SData": 16, "IData": 32, "QData": 64}
_LEVELS = (("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", "<=", ">", ">="), ("<<", ">>"), ("+", "-"),
           ("*", "/", "%"))
_BINARY = {op: level for level, ops in enumerate(_LEVELS) for op in ops}


def parse_type(text: str) -> tuple[int, int, int]:
    """Storage, bits and words of a type such as ``CData/*4:0*/``."""
    found = _TYPE.fullmatch(text)
    if found is None:
        raise Unsupported(f"type {text!r}")
    kind, words, top = found.groups()
    return (_STORAGE[kind], int(top) + 1, 0) if kind else (32, 32, int(words))


def parse_body(
    text: str, lookup: Callable[[str], Variable], members: str = ""
) -> tuple[list[Variable], list[Statement]]:
    """Local variables and statements of a function's body.

    Parameters
    ----------
    text : str
        What is between the function's braces.
    lookup : callable
        The variable of the class, or the table of constants, that has a name.
    members : str
        If not empty, local variables shall become members of the class whose names begin with this.

    Raises
    ------
    Unsupported
        If there is something else than Verilator writes for synthesizable logic.
    """
    declared = {}

    def declare(found: re.Match[str]) -> str:
        storage, bits, words = parse_type(found[1])
        declared[found[2]] = Variable(members + found[2], storage, bits, 0, words, local=not members)
        return ""

    text = _DECLARATION.sub(declare, _PREAMBLE.sub("", text))
    parser = _Parser(_COMMENT.sub("", text), declared, lookup)
    return list(declared.values()), parser.statements()


class _Parser:
    """Recursive descent over the tokens of a body."""

    def __init__(self, text: str, declared: dict[str, Variable], lookup: Callable[[str], Variable]):
        self._tokens = [found[0] for found in _TOKEN.finditer(text)]
        self._tokens.append("")
        self._at = 0
        self._declared, self._lookup = declared, lookup

    def _take(self, *expected: str) -> str:
        token = self._tokens[self._at]
        if expected and token not in expected:
            context = " ".join(self._tokens[max(0, self._at - 8):self._at + 3])
            raise Unsupported(f"{' or '.join(expected)} expected, not {token!r}, in {context!r}")
        self._at += 1
        return token

    def _accept(self, token: str) -> bool:
        if self._tokens[self._at] != token:
            return False
        self._at += 1
        return True

    def statements(self) -> list[Statement]:
        """All statements up to the end of the block or of the text."""
        result: list[Statement] = []
        while self._tokens[self._at] not in ("", "}"):
            result.append(self._statement())
        return result

    def _block(self) -> tuple[Statement, ...]:
        self._take("{")
        inner = tuple(self.statements())
        self._take("}")
        return inner

    def _statement(self) -> Statement:
        if self._accept("if"):
            self._take("(")
            condition = self._expression()
            self._take(")")
            then = self._block()
            other: tuple[Statement, ...] = ()
            if self._accept("else"):
                other = (self._statement(),) if self._tokens[self._at] == "if" else self._block()
            return If(condition, then, other)
        if self._tokens[self._at + 1:self._at + 5] == ["(", "vlSelf", ")", ";"]:
            name = self._take()
            self._at += 4
            return Call(name)
        target = self._variable(self._take())
        self._take("=")
        value = self._expression()
        self._take(";")
        if value.negative and target.size == 64:
            raise Unsupported("a negative number is extended")
        return Assign(target, value)

    def _expression(self) -> Expression:
        condition = self._binary(0)
        if not self._accept("?"):
            return condition
        then = self._expression()
        self._take(":")
        return make("?", (condition, then, self._expression()))

    def _binary(self, level: int) -> Expression:
        left = self._unary()
        while (mine := _BINARY.get(op := self._tokens[self._at], -1)) >= level:
            self._at += 1
            left = make(op, (left, self._binary(mine + 1)))
        return left

    def _unary(self) -> Expression:
        token = self._take()
        if token in ("~", "-", "!"):
            return make(token, (self._unary(),))
        if token == "(":
            if self._tokens[self._at + 1] == ")" and (cast := _CASTS.get(self._tokens[self._at])):
                self._at += 2
                return make("cast", (self._unary(),), cast)
            inner = self._expression()
            self._take(")")
            return inner
        if token[0].isdigit():
            digits = token.rstrip("UL")
            return constant(int(digits, 0), 64 if "LL" in token else 32, signed="U" not in token)
        if token.startswith("VL_"):
            return self._function(token)
        return self._variable(token)

    def _function(self, name: str) -> Expression:
        args = []
        self._take("(")
        while not self._accept(")"):
            args.append(self._expression())
            if self._tokens[self._at] != ")":
                self._take(",")
        if name in ("VL_EXTENDS_II", "VL_EXTENDS_QI", "VL_EXTENDS_QQ") and args[1].op == "constant":
            size = 64 if name[11] == "Q" else 32
            return make("extend", (make("cast", (args[2],), size),), args[1].value)
        if name in ("VL_MULS_III", "VL_MULS_QQQ") and args[0].op == "constant":
            size = 64 if name[8] == "Q" else 32
            return make("multiply", tuple(make("cast", (arg,), size) for arg in args[1:]), args[0].value)
        raise Unsupported(f"function {name}")

    def _variable(self, name: str) -> Expression:
        if name == "vlSelfRef":
            self._take(".")
            name = self._take()
            variable = self._lookup(name)
        else:
            variable = self._declared.get(name) or self._lookup(name)
        indices = []
        while self._accept("["):
            indices.append(self._expression())
            self._take("]")
        if len(indices) != bool(variable.depth) + bool(variable.words):
            raise Unsupported(f"{name} with {len(indices)} indices")
        if variable.words and indices[-1].op != "constant":
            raise Unsupported(f"a variable word of {name}")
        return Expression("variable", tuple(indices), variable=variable, size=max(32, variable.storage),
                          bits=variable.bits, signed=variable.storage < 32)
