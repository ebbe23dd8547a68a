"""What all proof tops share: named assertions, covers and assumptions, and values that stay arbitrary."""

from __future__ import annotations

import re
from typing import ClassVar

from amaranth.hdl import Assert, Assume, Cat, Const, Cover, Module, Mux, Value
from amaranth.hdl._ast import AnyConst  # not re-exported by amaranth.hdl, but supported by its RTLIL backend
from amaranth.lib import wiring
from phantom_hw.config import PhantomConfig

__all__ = ["AnyConst", "Proof", "count_ones", "implies", "pick", "unary"]


def implies(condition: Value, consequence: Value) -> Value:
    """``condition`` false or ``consequence`` true."""
    return ~Value.cast(condition).any() | Value.cast(consequence).any()


def count_ones(value: Value) -> Value:
    """Population count as a plain sum, on purpose not the lookup tables of the hardware."""
    value = Value.cast(value)
    return sum((value[i] for i in range(len(value))), Const(0, 1))


def pick(choices: list[Value], index: Value) -> Value:
    """``choices[index]``, 0 if the index is beyond the list."""
    result = Const(0)
    for number, choice in enumerate(choices):
        result = Mux(index == number, choice, result)
    return result


def unary(value: Value) -> Value:
    """Ones only at the low end: a count in unary."""
    return (value & (value + 1)[:len(value)]) == 0


class Proof(wiring.Component):
    """A top module that surrounds blocks of the design with properties.

    Inputs of the component are free: the solver chooses them anew in every cycle. Properties are written only
    against the ports of the blocks, so that a block may be rebuilt inside. Each has a name; the "Properties"
    section of the class's docstring explains every one of them, and the runner compares that list with
    the assertions in the emitted netlist.

    Parameters
    ----------
    config : PhantomConfig
        The configuration under proof.
    blocks
        Replacements for entries of ``BLOCKS``: a mutant stands in for a block of the design.
    """

    METHOD: ClassVar[str] = "induction"
    """``"combinational"``: no state, so that one step from arbitrary inputs is everything;
    ``"induction"``: base case from reset and k-induction step, both ``DEPTH`` steps deep;
    ``"bounded"``: ``DEPTH`` steps from reset, which the class's docstring must justify."""
    DEPTH: ClassVar[int] = 2
    COVER_DEPTH: ClassVar[int] = 1
    """Steps within which every cover statement must be reached."""
    BLOCKS: ClassVar[dict[str, type]] = {}

    def __init__(self, config: PhantomConfig, **blocks: type):
        self._config = config
        self._blocks = {**self.BLOCKS, **blocks}
        super().__init__(self.inputs(config))

    @classmethod
    def inputs(cls, config: PhantomConfig) -> dict:
        """The free inputs, as members of a signature."""
        raise NotImplementedError

    @classmethod
    def documented(cls, section: str, config: PhantomConfig) -> list[str]:
        """Names that a section of the docstring lists, ``"Properties"`` or ``"Assumptions"``.

        A name followed by a condition in parentheses is there only where that field has that value, as in
        ``longest_run (tds=in_order)``.
        """
        text = re.search(rf"{section}\n\s+-+\n(.*?)(?:\n\s*\n\s+\w+\n\s+-+\n|\Z)", cls.__doc__ or "", re.S)
        names = []
        for name, field, value in re.findall(r"^    (\w+)(?: \((\w+)=(\w+)\))?$", text[1] if text else "", re.M):
            if not field or str(getattr(config, field)) == value:
                names.append(name)
        return names

    def build(self, m: Module, name: str):
        """Instantiate the block ``name`` (or the mutant in its place)."""
        block = self._blocks[name](self._config)
        m.submodules[name] = block
        return block

    @staticmethod
    def must(m: Module, **properties: Value | list) -> None:
        """Assert each named property; a list is one property: all of its members hold."""
        for name, condition in properties.items():
            conditions = condition if isinstance(condition, list) else [condition]
            m.d.comb += Assert(Cat(*(Value.cast(c).any() for c in conditions)).all(), name)

    @staticmethod
    def assume(m: Module, **protocol: Value) -> None:
        """Restrict the environment to what the ports' documentation promises."""
        for name, condition in protocol.items():
            m.d.comb += Assume(condition, name)

    @staticmethod
    def reach(m: Module, **situations: Value) -> None:
        """Cover: the situation must be possible, otherwise the proof says nothing about it."""
        for name, condition in situations.items():
            m.d.comb += Cover(condition, name)
