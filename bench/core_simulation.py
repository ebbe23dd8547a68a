"""Build time and speed of the Verilated core of each preset.

    python bench/core_simulation.py [preset ...] [--runs N]

Builds from scratch in a temporary folder; the speed is the median of several runs of random streams at densities
of a pruned network.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from phantom_hw.config import PhantomConfig
from phantom_sim.core_simulator import CoreSimulator
from phantom_sim.random_streams import RandomStreams, StreamShape, random_streams


def work(config: PhantomConfig) -> RandomStreams:
    """About 100,000 cycles of rows that keep the PEs busy."""
    positions = min(28, config.row_width - config.threads + 1, config.acc_depth)
    shape = StreamShape(
        tiles=60, rows=400, positions=positions, outputs=min(config.acc_depth, 7 * positions),
        tap_base=tuple(range(config.threads)), row_density=0.5, item_density=0.4,
    )
    return random_streams(config, 1, shape)


def measure(config: PhantomConfig, runs: int) -> tuple[float, list[float], int]:
    """Seconds of the build, kHz of each run, cycles of a run."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        simulator = CoreSimulator(config, folder=Path(folder))
        build = time.perf_counter() - start
        streams = work(config)
        rates = []
        with simulator:
            for _ in range(runs):
                start = time.perf_counter()
                run = simulator.run(streams.layer, streams.moving, streams.stationary, streams.tiles, activity="total")
                rates.append(run.cycles / (time.perf_counter() - start) / 1e3)
    return build, rates, run.cycles


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=PhantomConfig.presets(), metavar="preset")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(f"{'preset':<12} {'PEs':>5} {'threads':>7} {'build s':>8} {'cycles':>9} {'kHz':>7} {'min..max':>12}")
    for name in options.presets:
        config = PhantomConfig.preset(name)
        build, rates, cycles = measure(config, options.runs)
        spread = f"{min(rates):.0f}..{max(rates):.0f}"
        print(f"{name:<12} {f'{config.pe_rows}x{config.pe_cols}':>5} {config.core_threads:>7} {build:>8.1f} "
              f"{cycles:>9} {statistics.median(rates):>7.0f} {spread:>12}", flush=True)


if __name__ == "__main__":
    main()
