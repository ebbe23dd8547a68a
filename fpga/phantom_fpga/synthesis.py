"""Synthesis: RTLIL in, a netlist of the family's cells out, by native Yosys in a process of its own."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phantom_fpga.carry import absorb_into_carry
from phantom_fpga.errors import FpgaError
from phantom_fpga.process import Progress, run_tool
from phantom_fpga.usage import FAMILIES, Usage, count, parse_stat

__all__ = ["Synthesis", "require", "synthesize"]

_RUN_SCRIPT = "import sys; from pyosys import libyosys; libyosys.run_pass('script ' + sys.argv[1], libyosys.Design())"
_PASS = re.compile(r"(\d+(?:\.\d+)*)\. Executing (.+?)\.?$")


@dataclass(frozen=True)
class Synthesis:
    """A finished synthesis.

    Attributes
    ----------
    family : str
        FPGA family of the cells.
    top : str
        Top module.
    netlist : Path
        The netlist in Yosys's JSON format, as nextpnr reads it.
    verilog : Path or None
        The same netlist as Verilog, if it was asked for.
    usage : Usage
        What the netlist occupies.
    log : Path
        What Yosys said.
    units : Path or None
        What ``stat -json`` said while the units were apart, if there were any.
    """

    family: str
    top: str
    netlist: Path
    verilog: Path | None
    usage: Usage
    log: Path
    units: Path | None = None


def require(module: str) -> None:
    """Raise a clear error if an optional package is missing.

    Raises
    ------
    FpgaError
        The package cannot be imported.
    """
    if importlib.util.find_spec(module) is None:
        raise FpgaError(f"package {module} is missing: pip install 'phantom-accelerator[fpga]'")


def _shown_pass(line: str) -> str | None:
    match = _PASS.match(line)
    return f"{match[1]} {match[2]}" if match else None


def _yosys(
    folder: Path, name: str, script: Sequence[str], log: Path, timeout: float, progress: Progress | None,
) -> None:
    """Run a script of Yosys commands."""
    (folder / f"{name}.ys").write_text("\n".join(script) + "\n", encoding="utf-8")
    run_tool(
        [sys.executable, "-P", "-c", _RUN_SCRIPT, f"{name}.ys"],
        stage="synthesis", log=log, cwd=folder, timeout=timeout, interesting=_shown_pass, progress=progress,
    )


def synthesize(
    rtlil: str,
    family: str,
    top: str,
    work_dir: str | Path,
    *,
    probes: dict[str, str] | None = None,
    units: Sequence[str] = (),
    timeout: float = 1800.0,
    progress: Progress | None = None,
) -> Synthesis:
    """Map a design to the cells of an FPGA family.

    Parameters
    ----------
    rtlil : str
        The whole design as RTLIL text.
    family : str
        ``"ecp5"``, ``"ice40"`` (UP5K, multipliers in SB_MAC16) or ``"gowin"``.
    top : str
        Top module.
    work_dir : str or Path
        Existing folder for the files of the run (``TOP.il``, ``TOP.json``, ``TOP.synthesis.log`` ...).
    probes : dict of str to str, optional
        Write the netlist as Verilog too, with these nets of the flattened top as additional output
        ports: net name to port name. The JSON netlist does not have them.
    units : sequence of str, optional
        Modules that are mapped one by one, each once, and joined at the end.
    timeout : float
        Seconds after which the run is given up.
    progress : callable, optional
        Told what runs, see :data:`phantom_fpga.process.Progress`.

    Returns
    -------
    Synthesis

    Raises
    ------
    FpgaError
        Unknown family, Yosys not installed, or Yosys stopped.
    """
    if family not in FAMILIES:
        raise FpgaError(f"unknown FPGA family {family!r}; families: {', '.join(FAMILIES)}")
    require("pyosys")
    folder = Path(work_dir)
    (folder / f"{top}.il").write_text(rtlil, encoding="utf-8")
    kind = FAMILIES[family]
    log, netlist = folder / f"{top}.synthesis.log", folder / f"{top}.json"
    mapping = [
        f"read_rtlil {top}.il",
        *(f"setattr -mod -set keep_hierarchy 1 {unit}" for unit in units),
        *(command.format(top=top) for command in kind.synth),
    ]
    if kind.absorbs:
        _yosys(folder, top, [*mapping, f"write_json {top}.json"], log, timeout, progress)
        absorb_into_carry(netlist)
        mapping, log = [f"read_json {top}.json", "opt_clean -purge"], folder / f"{top}.netlist.log"
    script = [
        *mapping,
        *((f"tee -q -o {top}.units.stat stat -json", "setattr -mod -unset keep_hierarchy *", "flatten",
           "opt_clean -purge") if units else ()),
        f"write_json {top}.json",
        f"tee -q -o {top}.stat stat -json",
    ]
    if probes is not None:
        script.append(f"cd {top}")
        script += [f"rename -output {net} {port}" for net, port in probes.items()]
        script += ["cd", f"write_verilog -noattr {top}.netlist.v"]
    _yosys(folder, log.stem, script, log, timeout, progress)
    return Synthesis(
        family=family,
        top=top,
        netlist=netlist,
        verilog=folder / f"{top}.netlist.v" if probes is not None else None,
        usage=count(parse_stat((folder / f"{top}.stat").read_text(encoding="utf-8")), family),
        log=folder / f"{top}.synthesis.log",
        units=folder / f"{top}.units.stat" if units else None,
    )
