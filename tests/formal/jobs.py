"""What there is to prove: proofs in their configurations, and the faults that they must notice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from phantom_hw.config import PhantomConfig

from .axi import Reading, Splitting
from .axi_write import Writing
from .control import Deciding
from .lifetime import Lifetime
from .mapping import Mapping
from .mutants import MUTANTS
from .nodes import Forking, Merging
from .on_chip import FrontReading, FrontWriting
from .path import SelectorPath
from .proof import Proof
from .queues import Queueing, Reserving, WordQueueing
from .selection import Selection
from .solve import Netlist, SolverError
from .tamper import Mutant

__all__ = ["MUTANT_DEPTH", "Job", "Result", "jobs", "not_guarded", "small_config"]

PROOFS: tuple[type[Proof], ...] = (Selection, Mapping, Lifetime, SelectorPath)
NODES: tuple[type[Proof], ...] = (Forking, Merging)
QUEUES: tuple[type[Proof], ...] = (Queueing, WordQueueing, Reserving)
CONTROL: tuple[type[Proof], ...] = (Deciding,)
BUS: tuple[type[Proof], ...] = (Splitting, Reading, Writing, FrontReading, FrontWriting)
LONG: tuple[type[Proof], ...] = (Reading, Writing, FrontReading, FrontWriting)
"""Not among the everyday proofs; the faults that they must notice are."""
MUTANT_DEPTH = 6
"""Cycles from reset within which a fault must show; more where the proof itself is bounded."""
TRACES = Path("build/formal")


@dataclass(frozen=True)
class Result:
    """What a run gave: the assertions that were under proof, and what went wrong."""

    properties: list[str]
    covers: list[str]
    problems: list[str]
    seconds: float

    @property
    def passed(self) -> bool:
        """The proof holds, or the fault was noticed."""
        return not self.problems


@dataclass(frozen=True, eq=False)
class Job:
    """One proof in one configuration; with ``mutant``, one assertion of it against a fault."""

    proof: type[Proof]
    config: PhantomConfig
    fast: bool
    mutant: Mutant | None = field(default=None)

    @property
    def name(self) -> str:
        """Unique, and short enough for a table."""
        fault = f"-{self.mutant.name}" if self.mutant else ""
        return f"{self.proof.__name__}-{self.config.name}{fault}".replace(" ", "_")

    def run(self) -> Result:
        """Ask the solver."""
        start = _cpu_seconds()
        properties, covers, problems = [], [], []
        try:
            if self.mutant:
                netlist = Netlist(self.mutant.build(self.proof, self.config))
                properties = [self.mutant.caught_by[self.proof]]
                problems = self._catch(netlist, properties[0])
            else:
                netlist = Netlist(self.proof(self.config))
                properties, covers = netlist.asserts, netlist.covers
                problems = self._prove(netlist)
        except SolverError as error:
            problems = [str(error)]
        return Result(properties, covers, problems, _cpu_seconds() - start)

    def _prove(self, netlist: Netlist) -> list[str]:
        problems = []
        for section, found in (("Properties", netlist.asserts), ("Assumptions", netlist.assumes)):
            documented = self.proof.documented(section, self.config)
            if sorted(found) != sorted(documented):
                problems.append(f"{section} documented: {sorted(documented)}, in the netlist: {sorted(found)}")
        if not netlist.covers:
            problems.append("no cover statement")
        TRACES.mkdir(parents=True, exist_ok=True)
        trace = TRACES / f"{self.name}.vcd"
        trace.unlink(missing_ok=True)
        answers = {"from reset": netlist.base(self.proof.DEPTH, trace=trace)}
        if answers["from reset"].holds and self.proof.METHOD == "induction":
            answers["in the induction step"] = netlist.step(self.proof.DEPTH, trace=trace)
        for where, answer in answers.items():
            if not answer.holds:
                problems.append(f"fails {where}: {', '.join(answer.failed)} (counterexample: {trace})")
        reached = netlist.reach(self.proof.COVER_DEPTH)
        if not reached.holds:
            problems.append(f"never happens within {self.proof.COVER_DEPTH} cycles: {', '.join(reached.failed)}")
        return problems

    def _catch(self, netlist: Netlist, guard: str) -> list[str]:
        if guard not in netlist.asserts:
            return [f"there is no assertion {guard}"]
        depth = {"combinational": 1, "induction": MUTANT_DEPTH, "bounded": self.proof.DEPTH}[self.proof.METHOD]
        if netlist.base(depth, only=guard).holds:
            return [f"{guard} does not notice the fault: {self.mutant.description}"]
        return []


def _cpu_seconds() -> float:
    """Of this process and the solvers that it ran."""
    return sum(os.times()[:4])


def _config(lookahead: int, group: int, tds: str, **fields: int | bool) -> PhantomConfig:
    """A configuration with the narrowest tags that there are: the blocks only copy them."""
    notes = [f", {key} {value}" if value is not True else f", {key}" for key, value in fields.items()]
    name = f"{lookahead}/{group} {tds}{''.join(notes)}".replace("_", " ")
    return PhantomConfig(name=name, lookahead=lookahead, group=group, tds=tds, item_slots=4, row_slots=2,
                         row_width=max(4, 2 * group), moving_link=1, **fields)


def small_config(tds: str) -> PhantomConfig:
    """The configuration of the everyday proofs."""
    return _config(6, 3, tds)


def _selector_of(preset: PhantomConfig) -> PhantomConfig:
    """A configuration with the selector path of a preset."""
    default = PhantomConfig()
    fields = {key: getattr(preset, key) for key in ("threads", "refill", "skip_empty")
              if getattr(preset, key) != getattr(default, key)}
    return _config(preset.lookahead, preset.group, preset.tds, **fields)


def _proofs() -> Iterator[Job]:
    wanted: dict[str, tuple[PhantomConfig, list[type[Proof]]]] = {}

    def want(config: PhantomConfig, proofs: tuple[type[Proof], ...] = PROOFS) -> None:
        listed = wanted.setdefault(config.name, (config, []))[1]
        listed += [proof for proof in proofs if proof not in listed]

    for lookahead, group in ((6, 3), (12, 4)):
        for tds in ("in_order", "out_of_order"):
            want(_config(lookahead, group, tds))
            want(_config(lookahead, group, tds, skip_empty=True), (Lifetime, SelectorPath))
    for preset in PhantomConfig.presets():
        want(_selector_of(PhantomConfig.preset(preset)))
    for tds in ("in_order", "out_of_order"):
        want(_config(6, 3, tds, threads=5), (Selection, Mapping))  # another circuit from five threads on
    want(_config(12, 4, "out_of_order", refill=1), (Lifetime, SelectorPath))
    want(small_config("out_of_order"), NODES)
    want(small_config("out_of_order"), QUEUES)
    want(small_config("out_of_order"), BUS)
    want(small_config("out_of_order"), CONTROL)
    for config, proofs in wanted.values():
        for proof in proofs:
            small = config in (small_config("in_order"), small_config("out_of_order"))
            yield Job(proof, config, fast=small and proof not in LONG)


def _faults() -> Iterator[Job]:
    """Each fault in the first small configuration in which it is one."""
    for mutant in MUTANTS:
        config = next(c for tds in ("out_of_order", "in_order") if mutant.applies(c := small_config(tds)))
        for proof in mutant.caught_by:
            yield Job(proof, config, fast=True, mutant=mutant)


def jobs(fast: bool = False) -> list[Job]:
    """All runs; with ``fast``, those for the everyday tests."""
    return [job for job in (*_proofs(), *_faults()) if job.fast or not fast]


def not_guarded() -> list[str]:
    """Assertions that could be removed without a fault getting through."""
    guarded = {(job.proof, job.mutant.caught_by[job.proof]) for job in jobs() if job.mutant}
    return sorted({f"{job.proof.__name__}.{name}" for job in jobs() if not job.mutant
                   for name in job.proof.documented("Properties", job.config) if (job.proof, name) not in guarded})
