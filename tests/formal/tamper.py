"""Seeded faults: a block of the design with some of its ports falsified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from phantom_hw.config import PhantomConfig

from .proof import Proof

__all__ = ["Mutant", "hidden", "seeded"]

Fault = Callable[[PhantomConfig, wiring.Component, wiring.Component], dict[str, Value]]


@dataclass(frozen=True)
class Mutant:
    """A fault and the assertions that must notice it.

    Parameters
    ----------
    name, description : str
        Of the fault.
    block : str
        Entry of ``Proof.BLOCKS`` that has it.
    fault : function
        From (config, the real block within, the ports of the faulty block) to the falsified ports: for an input
        what the real block gets, for an output what the outside sees. All else passes unchanged. The port of a stream
        is called as in ``sink.valid``.
    caught_by : dict
        For a proof the name of one assertion, which must notice the fault alone, without help from the others.
    where : dict
        Fields of the configurations in which the fault is one.
    inner : dict
        Fields that the real block within is configured with instead.
    """

    name: str
    description: str
    block: str
    fault: Fault
    caught_by: dict[type[Proof], str]
    where: dict
    inner: dict

    def build(self, proof: type[Proof], config: PhantomConfig) -> Proof:
        """The proof top with the faulty block in it."""
        real_class, mutant = proof.BLOCKS[self.block], self

        class Faulty(wiring.Component):
            def __init__(self, config: PhantomConfig):
                self._config = config
                self._real = real_class(replace(config, **mutant.inner))
                super().__init__(self._real.signature)

            def elaborate(self, platform):
                m = Module()
                m.submodules.real = real = self._real
                wrong = mutant.fault(self._config, real, self)
                ports = zip(self.signature.flatten(self), real.signature.flatten(real), strict=True)
                for (path, member, outer), (_, _, inner) in ports:
                    source, target = (outer, inner) if member.flow == wiring.In else (inner, outer)
                    value = wrong.pop(".".join(map(str, path)), source)
                    m.d.comb += Value.cast(target).eq(Value.cast(value))
                assert not wrong, f"{mutant.name} falsifies ports that are not there: {list(wrong)}"
                return m

        return proof(config, **{self.block: Faulty})

    def applies(self, config: PhantomConfig) -> bool:
        """The fault is one in this configuration."""
        return all(getattr(config, field) == value for field, value in self.where.items())


def seeded(mutants: list[Mutant], block: str, caught_by: dict[type[Proof], str],
           where: dict | None = None, inner: dict | None = None) -> Callable[[Fault], Fault]:
    """Decorator that adds a fault to the list ``mutants``; its docstring describes it."""
    def add(fault: Fault) -> Fault:
        description = " ".join((fault.__doc__ or "").split())
        mutants.append(Mutant(fault.__name__, description, block, fault, caught_by, where or {}, inner or {}))
        return fault
    return add


def hidden(real: wiring.Component, port: wiring.Component, name: str, unless: Value) -> dict[str, Value]:
    """A stream that the real block offers, ``name`` as in ``bus.ar``, is offered and taken only if ``unless`` holds."""
    inside, outside = real, port
    for part in name.split("."):
        inside, outside = getattr(inside, part), getattr(outside, part)
    return {f"{name}.valid": inside.valid & unless, f"{name}.ready": outside.ready & unless}
