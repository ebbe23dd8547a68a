"""Statements in C++ over vectors: what depends on a condition is done in the lanes where it holds."""

from __future__ import annotations

from collections.abc import Sequence

from phantom_sim.lanes.expressions import LANE_BITS, Expression, Unsupported, Variable, lane_bits
from phantom_sim.lanes.halves import Halves, as_words
from phantom_sim.lanes.parser import Assign, Call, If, Statement
from phantom_sim.lanes.vectors import Vectors

__all__ = ["function_text"]

_WORTH_A_BRANCH = 2
"""So many assignments under a condition are skipped by a branch if it holds in no lane."""


def function_text(name: str, variables: Sequence[Variable], statements: Sequence[Statement],
                  called: dict[str, str]) -> str:
    """A function over all lanes.

    Parameters
    ----------
    name : str
        Of the new function; its argument is the object of all lanes.
    variables : sequence of Variable
        Local ones.
    statements : sequence of Statement
        Of the scalar function.
    called : dict
        New names of the functions that it calls.

    Raises
    ------
    Unsupported
        If a call is within a condition, or an expression cannot be translated.
    """
    writer = _Writer(called)
    writer.block(statements, None, 1)
    declared = [f"    u{one.storage} {one.name}{f'[{one.words}]' if one.words else ''}{{}};"
                for one in map(as_words, variables)]
    return "\n".join([f"void {name}(Lanes& S) {{", *declared, *writer.lines, "}", ""])


class _Writer:
    """Lines of a function."""

    def __init__(self, called: dict[str, str]):
        self.lines: list[str] = []
        self._called = called
        self._vectors, self._halves = Vectors(), Halves()

    def block(self, statements: Sequence[Statement], mask: str | None, depth: int) -> None:
        """Statements, in the lanes of ``mask`` (the stem of its names) or in all of them."""
        for statement in statements:
            self._vectors.start()
            if isinstance(statement, Call):
                if mask:
                    raise Unsupported(f"{statement.name} is called under a condition")
                self._line(depth, f"{self._called[statement.name]}(S);")
            elif isinstance(statement, Assign):
                self._assign(statement, mask, depth)
            else:
                self._if(statement, mask, depth)

    def _line(self, depth: int, text: str) -> None:
        self.lines.append(" " * 4 * depth + text)

    def _assign(self, statement: Assign, mask: str | None, depth: int) -> None:
        targets: tuple[Expression, ...]
        values: tuple[Expression, ...]
        if statement.target.size == 64:
            targets, values = self._halves.pair(statement.target), self._halves.pair(statement.value)
        else:
            targets, values = (self._halves.narrow(statement.target),), (self._halves.narrow(statement.value),)
        texts = [self._vectors.value(value, _width(target)) for target, value in zip(targets, values, strict=True)]
        computed = []
        if len(texts) > 1:  # both before one is assigned
            names = [self._vectors.fresh() for _ in texts]
            computed = [f"const u32 {name} = {text};" for name, text in zip(names, texts, strict=True)]
            texts = names
        stores = [self._store(target, text, mask) for target, text in zip(targets, texts, strict=True)]
        lines = [*self._vectors.reads, *computed, *stores]
        self._line(depth, f"{{ {' '.join(lines)} }}" if len(lines) > 1 else lines[0])

    def _store(self, target: Expression, value: str, mask: str | None) -> str:
        """An assignment in the lanes of a mask."""
        variable = target.variable
        assert variable is not None
        place = self._vectors.place(target)
        if variable.depth:
            index = target.args[0]
            chosen = self._vectors.value(index, lane_bits(max(index.bits, 1)))
            word = f"<{target.args[1].value}>" if variable.words else ""
            return f"scatter{word}({place}, {chosen}, {value}, {f'{mask}_8' if mask else 's8{} - 1'});"
        return f"{place} = {f'{mask}_{variable.storage} ? {value} : {place}' if mask else value};"

    def _if(self, statement: If, mask: str | None, depth: int) -> None:
        condition = self._halves.truth(statement.condition)
        name = self._vectors.fresh()
        text, width = self._vectors.natural_mask(condition)
        for read in self._vectors.reads:
            self._line(depth, read)
        self._line(depth, f"const s{width} {name} = {text};")
        for arm, sign in ((statement.then, ""), (statement.other, "~")):
            if arm:
                self._arm(arm, f"{sign}{name}", mask, depth)

    def _arm(self, arm: Sequence[Statement], holds: str, mask: str | None, depth: int) -> None:
        name = self._vectors.fresh()
        masks = [f"const s{width} {name}_{width} = to<s{width}>({holds}){f' & {mask}_{width}' if mask else ''};"
                 for width in LANE_BITS]
        branch = _size(arm) >= _WORTH_A_BRANCH
        self._line(depth, "{ " + " ".join(masks))
        if branch:
            self._line(depth, f"if (any({name}_8)) {{")
        self.block(arm, name, depth + 1)
        self._line(depth, "} }" if branch else "}")


def _width(target: Expression) -> int:
    """Bits of the lanes of a target's vector."""
    assert target.variable is not None
    return target.variable.storage


def _size(statements: Sequence[Statement]) -> int:
    """How much is done; memories count for more."""
    size = 0
    for statement in statements:
        if isinstance(statement, If):
            size += 1 + _size(statement.then) + _size(statement.other)
        elif isinstance(statement, Assign) and statement.target.variable is not None:
            size += _WORTH_A_BRANCH if statement.target.variable.depth else 1
    return size
