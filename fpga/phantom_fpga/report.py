"""The text report of a build: what is on the board, what it takes, and what its LEDs say."""

from __future__ import annotations

from pathlib import Path

from phantom_hw.config import PhantomConfig

from phantom_fpga.boards import Board
from phantom_fpga.devices import Device
from phantom_fpga.place import Placement
from phantom_fpga.synthesis import Synthesis

__all__ = ["build_report"]


def build_report(
    board: Board,
    config: PhantomConfig,
    synthesis: Synthesis,
    placement: Placement,
    golden_checksum: int,
    bitstream: Path,
) -> str:
    """The report of a build as text.

    Parameters
    ----------
    board : Board
        The board.
    config : PhantomConfig
        The core.
    synthesis : Synthesis
        Its netlist.
    placement : Placement
        Its placement.
    golden_checksum : int
        What the self-test must give.
    bitstream : Path
        The bitstream file.
    """
    use, path = synthesis.usage, placement.path
    lines = [
        f"Self-test of configuration {config.name} on {board.title} ({Device.named(board.device).name})",
        "",
        f"bitstream        {bitstream.name}, {bitstream.stat().st_size:,} bytes",
        f"golden checksum  {golden_checksum:08x}",
        f"clock            {placement.fmax_mhz:.1f} MHz reached, {board.clock_mhz:g} MHz needed",
        f"seed             {placement.seed}",
        f"hold warnings    {placement.hold_warnings}",
        "",
        "After synthesis",
        f"  LUT4           {use.lut:,} = {use.logic_lut:,} logic + {use.carry_lut:,} carry + {use.ram_lut:,} LUT-RAM",
        f"  carry cells    {use.carry:,}",
        f"  LUT-RAM cells  {use.lutram:,}",
        f"  flip-flops     {use.ff:,}",
        f"  multipliers    {use.multiplier:,}",
        f"  block RAMs     {use.ram:,}",
        "",
        "After placement (used of available)",
    ]
    used = {name: amounts for name, amounts in sorted(placement.utilization.items()) if amounts[0] and amounts[1]}
    width = max(map(len, used))
    lines += [f"  {name:{width}}  {use:,} of {there:,} ({use / there:.0%})" for name, (use, there) in used.items()]
    lines += [
        "",
        f"Critical path: {path.delay_ns:.1f} ns ({path.logic_ns:.1f} logic, {path.routing_ns:.1f} routing), "
        f"{path.levels} levels",
        f"  from {path.start}",
        f"  to   {path.end}",
        "",
        "LEDs",
        *(f"  {index}  {meaning}" for index, meaning in enumerate(board.led_meaning())),
    ]
    return "\n".join(lines) + "\n"
