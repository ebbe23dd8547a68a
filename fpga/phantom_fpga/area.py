"""Area and clock rate of the blocks of a core on an ECP5-85F."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from rich.table import Table

from phantom_fpga.boundary import register_ports
from phantom_fpga.devices import Device
from phantom_fpga.errors import FpgaError
from phantom_fpga.place import CriticalPath, Placement, place
from phantom_fpga.process import OutOfTime, Progress
from phantom_fpga.synthesis import synthesize
from phantom_fpga.usage import Usage

__all__ = ["BLOCKS", "AreaRow", "area", "measure", "render"]

DEVICE = "ecp5-85f"
TARGET_MHZ = 100.0
ROUTER1_SECONDS, ROUTER2_SECONDS = 1200.0, 3600.0
"""Where wires are scarce, the router that gives the higher clock rate may not end in a day."""
BLOCKS: dict[str, tuple[str, Callable[[PhantomConfig], str]]] = {
    "pe": ("phantom_pe", emit.pe_rtlil),
    "core": ("phantom_core", emit.core_rtlil),
}
"""Measurable blocks: top module and what gives its RTLIL."""


@dataclass(frozen=True)
class AreaRow:
    """Area and clock rate of one block.

    Attributes
    ----------
    block : str
        A key of :data:`BLOCKS`, or the accelerator.
    config : str
        Name of the configuration.
    usage : Usage
        Cells after synthesis.
    comb : int or None
        LUTs after packing (nextpnr's TRELLIS_COMB: logic, carry, LUT-RAM bits); None if not placed.
    fmax_mhz : float or None
        Clock rate after routing, ports registered; None if not placed.
    path : CriticalPath or None
        What bounds it.
    seed : int or None
        Seed of the placement.
    """

    block: str
    config: str
    usage: Usage
    comb: int | None
    fmax_mhz: float | None
    path: CriticalPath | None
    seed: int | None


def measure(
    rtlil: str, top: str, work_dir: str | Path, *, placed: bool, seeds: Sequence[int], progress: Progress | None
) -> tuple[Usage, Placement | None]:
    """Synthesize a block for ECP5 and, if asked to, place it out of context with registered ports.

    Parameters
    ----------
    rtlil, top : str
        The block and its top module.
    work_dir : str or Path
        Existing folder for the files.
    placed : bool
        Place and route, too.
    seeds : sequence of int
        Seeds to try; the fastest placement counts.
    progress : callable or None
        Told what runs.

    Returns
    -------
    usage : Usage
        Cells of the block alone.
    placement : Placement or None
        The fastest placement.
    """
    folder = Path(work_dir)
    result = synthesize(rtlil, "ecp5", top, folder, progress=progress)
    if not placed:
        return result.usage, None
    registered = folder / f"{top}.registered.json"
    register_ports(result.netlist, top, registered)
    runs = [
        _place(registered, folder, seed, progress)
        for seed in seeds
    ]
    return result.usage, max(runs, key=lambda run: run.fmax_mhz)


def _place(netlist: Path, folder: Path, seed: int, progress: Progress | None) -> Placement:
    """Place and route with the router that gives the higher clock rate; if it takes too long, with the other one."""
    def run(router: str, seconds: float) -> Placement:
        return place(Device.named(DEVICE), netlist, folder, target_mhz=TARGET_MHZ, seed=seed, router=router,
                     timeout=seconds, progress=progress)
    try:
        return run("router1", ROUTER1_SECONDS)
    except OutOfTime:
        return run("router2", ROUTER2_SECONDS)


def area(
    config: PhantomConfig,
    blocks: Sequence[str] = ("pe", "core"),
    *,
    place: bool = True,
    seeds: Sequence[int] = (1,),
    work_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> list[AreaRow]:
    """Measure blocks of a configuration on an ECP5-85F (speed grade 6, CABGA381).

    Parameters
    ----------
    config : PhantomConfig
        What to build.
    blocks : sequence of str
        Keys of :data:`BLOCKS`.
    place : bool
        Place and route as well, for the clock rate.
    seeds : sequence of int
        Seeds of the placement to try; the fastest counts.
    work_dir : str or Path, optional
        Keep the files of the runs here, a folder a block; by default they are dropped.
    progress : callable, optional
        Told what runs, see :data:`phantom_fpga.process.Progress`.

    Returns
    -------
    list of AreaRow
        In the order of ``blocks``.

    Raises
    ------
    FpgaError
        Unknown block, no seed, a tool is missing or stopped, or the block is larger than the device.
    """
    for block in blocks:
        if block not in BLOCKS:
            raise FpgaError(f"unknown block {block!r}; blocks: {', '.join(BLOCKS)}")
    if place and not seeds:
        raise FpgaError("placing needs at least one seed")
    rows = []
    with tempfile.TemporaryDirectory(prefix="phantom-area-") as scratch:
        for block in blocks:
            top, rtlil = BLOCKS[block]
            folder = Path(work_dir or scratch) / block
            folder.mkdir(parents=True, exist_ok=True)
            report = None if progress is None else _labelled(progress, block)
            usage, placement = measure(rtlil(config), top, folder, placed=place, seeds=seeds, progress=report)
            rows.append(AreaRow(
                block=block,
                config=config.name,
                usage=usage,
                comb=placement.utilization["TRELLIS_COMB"][0] if placement else None,
                fmax_mhz=placement.fmax_mhz if placement else None,
                path=placement.path if placement else None,
                seed=placement.seed if placement else None,
            ))
    return rows


def _labelled(progress: Progress, block: str) -> Progress:
    return lambda stage, text: progress(f"{block}: {stage}", text)


def render(rows: Sequence[AreaRow]) -> Table:
    """The rows as a table; its caption says how the LUTs are counted."""
    table = Table(
        title="ECP5-85F, speed grade 6, CABGA381",
        caption=(
            "LUT4 = logic + carry (2 for each CCU2C) + LUT-RAM (6 for each DPR16X4, write port included); "
            "COMB is nextpnr's count after packing, without the write ports; Fmax after routing, ports registered."
        ),
    )
    table.add_column("block")
    for heading in ("LUT4", "logic", "carry", "LUT-RAM", "COMB", "FF", "MULT18", "DP16KD", "Fmax MHz", "levels"):
        table.add_column(heading, justify="right")
    for row in rows:
        use = row.usage
        table.add_row(
            f"{row.config} {row.block}",
            *(f"{value:,}" for value in (use.lut, use.logic_lut, use.carry_lut, use.ram_lut)),
            "-" if row.comb is None else f"{row.comb:,}",
            *(f"{value:,}" for value in (use.ff, use.multiplier, use.ram)),
            "-" if row.fmax_mhz is None else f"{row.fmax_mhz:.1f}",
            "-" if row.path is None else f"{row.path.levels}",
        )
    return table
