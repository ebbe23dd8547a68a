"""Place and route: a netlist in, a placed design, its clock rate and its critical path out, by nextpnr."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from phantom_fpga.devices import Device
from phantom_fpga.errors import FpgaError
from phantom_fpga.process import CALL, Progress, ToolError, run_tool
from phantom_fpga.synthesis import require

__all__ = ["CriticalPath", "Placement", "parse_report", "parse_utilization", "place"]

_UTILIZATION = re.compile(r"Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%$")
_SHOWN = re.compile(r"Info: +(.*(?:at iteration|wirelen|Placed|[Rr]outing|Packing|packing|Program|Preparing).*)")
_HOLD = re.compile(r"Info: (\d+) Hold/min time violations")
_ROUTED = re.compile(r"Info: +(\d+) \|")


@dataclass(frozen=True)
class CriticalPath:
    """The slowest path between two registers.

    Attributes
    ----------
    start, end : str
        Cell and pin where the path begins and ends.
    logic_ns, routing_ns : float
        Delay in cells (clock-to-output and setup included) and in wires.
    levels : int
        Cells that the path runs through between the two registers.
    nets : tuple of str
        The nets on the way, in order.
    """

    start: str
    end: str
    logic_ns: float
    routing_ns: float
    levels: int
    nets: tuple[str, ...]

    @property
    def delay_ns(self) -> float:
        """Delay of the whole path."""
        return self.logic_ns + self.routing_ns


@dataclass(frozen=True)
class Placement:
    """A placed and routed design.

    Attributes
    ----------
    fmax_mhz : float
        Highest clock rate after routing, of the slowest clock.
    utilization : dict of str to tuple of int
        For each resource of the device how many are used and how many there are.
    path : CriticalPath
        The path that bounds the clock rate.
    output : Path or None
        The placed design for the packer; none out of context.
    log : Path
        What nextpnr said.
    seed : int
        Seed of the placement.
    hold_warnings : int
        Paths that nextpnr warns of as too short for their hold time (only its Gowin timing model does).
    """

    fmax_mhz: float
    utilization: dict[str, tuple[int, int]]
    path: CriticalPath
    output: Path | None
    log: Path
    seed: int
    hold_warnings: int = 0


def parse_utilization(text: str) -> dict[str, tuple[int, int]]:
    """Used and available resources from a log of nextpnr, also from one that ended early."""
    matches = (_UTILIZATION.match(line) for line in text.splitlines())
    return {match[1]: (int(match[2]), int(match[3])) for match in matches if match}


def _critical_path(steps: list[dict]) -> CriticalPath:
    first, last = steps[0]["from"], steps[-1]["to"]
    routing = [step for step in steps if step["type"] == "routing"]
    return CriticalPath(
        start=f"{first['cell']}.{first['port']}",
        end=f"{last['cell']}.{last['port']}",
        logic_ns=sum(step["delay"] for step in steps if step["type"] != "routing"),
        routing_ns=sum(step["delay"] for step in routing),
        levels=sum(1 for step in steps if step["type"] == "logic"),
        nets=tuple(step["net"] for step in routing),
    )


def parse_report(text: str) -> tuple[float, CriticalPath, dict[str, tuple[int, int]]]:
    """Clock rate, critical path and utilization from the JSON report of nextpnr.

    Raises
    ------
    FpgaError
        The report has no clock or is not such a report.
    """
    try:
        report = json.loads(text)
        rates = {clock: float(entry["achieved"]) for clock, entry in report["fmax"].items()}
        used = {name: (entry["used"], entry["available"]) for name, entry in report["utilization"].items()}
        inner = [
            path for path in report["critical_paths"]
            if path["from"] == path["to"] and path["from"] != "<async>" and path["path"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FpgaError("the timing report is not in the form that nextpnr writes") from None
    if not rates or not inner:
        raise FpgaError("the timing report has no path between registers: the design has no clock")
    slowest = min(rates, key=lambda clock: rates[clock])
    paths = [_critical_path(path["path"]) for path in inner if slowest in path["from"]]
    return rates[slowest], max(paths, key=lambda path: path.delay_ns), used


def _shown(line: str) -> str | None:
    routed = _ROUTED.match(line)
    if routed:
        return f"routing, {int(routed[1]):,} arcs looked at"
    match = _SHOWN.match(line)
    return match[1].strip() if match else None


def place(
    device: Device,
    netlist: str | Path,
    work_dir: str | Path,
    *,
    target_mhz: float,
    constraints: str | None = None,
    seed: int = 1,
    router: str | None = None,
    timeout: float = 3600.0,
    progress: Progress | None = None,
) -> Placement:
    """Place and route a netlist.

    Parameters
    ----------
    device : Device
        Where to.
    netlist : str or Path
        JSON netlist of :func:`phantom_fpga.synthesis.synthesize`, in ``work_dir``.
    work_dir : str or Path
        Existing folder for the files of the run.
    target_mhz : float
        Clock rate to aim at; missing it is not an error here.
    constraints : str, optional
        Text of the pin constraints. Without it the design is a block out of context (ECP5 only):
        no pins, no global networks.
    seed : int
        Seed of the placement.
    router : str, optional
        Another router than the device's, see :class:`phantom_fpga.devices.Device`.
    timeout : float
        Seconds after which the run is given up.
    progress : callable, optional
        Told what runs, see :data:`phantom_fpga.process.Progress`.

    Returns
    -------
    Placement

    Raises
    ------
    FpgaError
        Tool not installed, design larger than the device, no routing found, or out of time.
    """
    require(device.package)
    folder, netlist = Path(work_dir).resolve(), Path(netlist).resolve()
    if netlist.parent != folder:
        raise FpgaError(f"the netlist must lie in the working folder {str(folder)!r}, not in {str(netlist.parent)!r}")
    log, report = folder / f"{netlist.stem}.place.log", folder / f"{netlist.stem}.timing.json"
    argv = [sys.executable, "-P", "-c", CALL, device.package, device.entry, *device.options]
    argv += ["--json", netlist.name, "--report", report.name, "--seed", str(seed)]
    argv += ["--freq", f"{target_mhz:g}", "--timing-allow-fail"]
    if router or device.router:
        argv += ["--router", str(router or device.router)]
    output = None
    if constraints is not None:
        file = folder / f"{netlist.stem}.{device.constraints_suffix}"
        file.write_text(constraints, encoding="utf-8")
        output = folder / f"{netlist.stem}.{device.output_suffix}"
        argv += [part.format(file.name) for part in device.constraints] + [device.output, output.name]
    elif device.family == "ecp5":
        argv += ["--out-of-context"]
    else:
        raise FpgaError(f"{device.name}: only ECP5 can be placed without pin constraints")
    try:
        run_tool(
            argv, stage="place and route", log=log, cwd=folder, timeout=timeout, interesting=_shown, progress=progress,
        )
    except ToolError:
        used = parse_utilization(log.read_text(encoding="utf-8", errors="replace"))
        exceeded = [f"{use} of {there} {name}" for name, (use, there) in used.items() if use > there > 0]
        if exceeded:
            raise ToolError(f"the design does not fit {device.name}: {', '.join(exceeded)}", log) from None
        raise
    fmax, path, used = parse_report(report.read_text(encoding="utf-8"))
    hold = _HOLD.search(log.read_text(encoding="utf-8", errors="replace"))
    return Placement(
        fmax_mhz=fmax, utilization=used, path=path, output=output, log=log, seed=seed,
        hold_warnings=int(hold[1]) if hold else 0,
    )
