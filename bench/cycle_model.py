"""Speed of the core cycle model: entries through the windows per second of processor time, median of several runs.

    python bench/cycle_model.py
"""

from __future__ import annotations

import statistics
import time

from phantom_hw import PhantomConfig
from phantom_sim.cycle_model import core_cycles, prepare
from phantom_sim.random_streams import StreamShape, random_streams
from rich.console import Console
from rich.table import Table

RUNS = 5


def main() -> None:
    table = Table(title=f"Core cycle model, median of {RUNS} runs")
    for name in ("configuration", "densities", "core cycles", "entries (million)", "seconds", "million entries/s",
                 "million PE cycles/s"):
        table.add_column(name, justify="left" if name == "configuration" else "right")
    for name in ("ulx3s", "paper", "tiny"):
        config = PhantomConfig.preset(name)
        for row_density, item_density in ((0.3, 0.1), (0.45, 0.27), (0.53, 0.58), (1.0, 1.0)):
            shape = StreamShape(tiles=4, rows=3000, positions=24 if name != "tiny" else 18, row_density=row_density,
                                item_density=item_density, items=12, tap_base=tuple(range(config.threads)))
            made = random_streams(config, 1, shape)
            streams = prepare(config, made.layer, made.moving, made.stationary)
            core_cycles(config, streams, made.tiles)  # compiles
            seconds = []
            for _ in range(RUNS):
                start = time.process_time()
                model = core_cycles(config, streams, made.tiles)
                seconds.append(time.process_time() - start)
            median = statistics.median(seconds)
            table.add_row(name, f"{item_density:.2f} x {row_density:.2f}", f"{model.cycles:,}",
                          f"{model.entries / 1e6:.2f}", f"{median:.3f}", f"{model.entries / median / 1e6:.0f}",
                          f"{model.cycles * config.pes / median / 1e6:.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
