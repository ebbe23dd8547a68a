"""How long generation takes and how much Verilog it gives, for the presets.

    python bench/elaboration.py [--top accelerator] [NAME ...]

Processor seconds, with those of Yosys, which writes the Verilog.
"""

from __future__ import annotations

import argparse
import os
import re
import sys

from phantom_hw.config import PhantomConfig
from phantom_hw.generate import TOPS, generated_files
from rich.console import Console
from rich.table import Table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="presets, by default all")
    parser.add_argument("--top", default="accelerator", choices=TOPS)
    arguments = parser.parse_args()
    table = Table(title=f"generation: {arguments.top}")
    table.add_column("preset")
    for heading in ("cores", "threads", "processor s", "Verilog MB", "modules", "largest module, MB"):
        table.add_column(heading, justify="right")
    console = Console(width=120)
    with console.status("") as status:
        for name in arguments.names or PhantomConfig.presets():
            status.update(name)
            config, before = PhantomConfig.preset(name), os.times()
            verilog = generated_files(config, arguments.top)[f"{TOPS[arguments.top].module}.v"]
            spent = sum(os.times()[:4]) - sum(before[:4])
            sizes = {found[1]: len(found[0]) for found in re.finditer(
                r"^module \\?(\S+?) ?\(.*?^endmodule", verilog, re.MULTILINE | re.DOTALL)}
            largest = max(sizes, key=lambda module: sizes[module])
            table.add_row(
                name, f"{config.cores}", f"{config.cores * config.core_threads}", f"{spent:.0f}",
                f"{len(verilog) / 1e6:.1f}", f"{len(sizes)}", f"{largest.split('.', 1)[-1]} {sizes[largest] / 1e6:.1f}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
