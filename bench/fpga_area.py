"""Area and clock rate on ECP5 of the PE and the core of several configurations and of a whole accelerator.

    python bench/fpga_area.py [--seeds 1,2] [--blocks pe,core,accelerator] [NAME ...]

A core takes a quarter of an hour, the accelerator longer; the names are those of ``CONFIGURATIONS``, all by default.
The accelerator is only measured of ``ulx3s``, with the first seed: no larger one fits the device.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from phantom_fpga import area, render
from phantom_fpga.whole import whole_area
from phantom_hw.config import PhantomConfig
from rich.console import Console
from rich.status import Status

BASE = PhantomConfig.preset("ulx3s")
CONFIGURATIONS = {
    config.name: config
    for config in (
        BASE,
        replace(BASE, name="lookahead 18, group 6", lookahead=18, group=6),
        replace(BASE, name="lookahead 18, group 9", lookahead=18, group=9),
    )
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {'; '.join(CONFIGURATIONS)}")
    parser.add_argument("--seeds", default="1", help="seeds of the placement, the fastest counts")
    parser.add_argument("--blocks", default="pe,core,accelerator", help="of pe, core and accelerator")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in CONFIGURATIONS]
    if unknown:
        parser.error(f"unknown configuration {unknown[0]!r}; configurations: {'; '.join(CONFIGURATIONS)}")
    seeds, blocks = tuple(int(seed) for seed in arguments.seeds.split(",")), arguments.blocks.split(",")
    console, rows = Console(width=140), []
    for name in arguments.names or CONFIGURATIONS:
        with console.status(name) as status:
            def report(stage: str, text: str, name: str = name, status: Status = status) -> None:
                status.update(f"{name}, {stage}: {text}")
            rows += area(CONFIGURATIONS[name], [block for block in blocks if block != "accelerator"], seeds=seeds,
                         progress=report)
            if "accelerator" in blocks and CONFIGURATIONS[name] is BASE:
                rows.append(whole_area(BASE, placed=True, seed=seeds[0], progress=report).row)
    console.print(render(rows))
    for row in rows:
        path = row.path
        if path is None:
            continue
        print(f"\n{row.config}, {row.block}: {path.delay_ns:.1f} ns = {path.logic_ns:.1f} logic + "
              f"{path.routing_ns:.1f} routing, {path.levels} levels, from {path.start} to {path.end} through")
        for net in path.nets:
            print(f"  {net}")


if __name__ == "__main__":
    sys.exit(main())
