"""Thread utilization of one PE on long streams, for the windows and densities of ARCHITECTURE's table.

    python bench/pe_utilization.py            cycle model (which equals the RTL in every cycle)
    python bench/pe_utilization.py --rtl      the Verilated RTL; checks the sums as well

Columns: the ideal window (no items, rows or links) and the PE, in order / out of order, in percent of T threads.
"""

from __future__ import annotations

import argparse

import numpy as np
from phantom_hw import PhantomConfig
from phantom_sim.cycle_model import core_cycles, prepare
from phantom_sim.density_streams import DensityStreams, density_streams, ideal_cycles
from rich.console import Console
from rich.table import Table

WINDOWS = [(9, 1), (8, 4), (9, 3), (12, 4), (16, 4), (16, 8), (18, 9), (18, 18), (27, 9), (27, 27)]
DENSITIES = [(0.58, 0.53), (0.27, 0.45), (0.23, 0.36), (0.10, 0.30)]


def pe_config(lookahead: int, group: int, mode: str) -> PhantomConfig:
    """A core of one PE."""
    return PhantomConfig(pe_rows=1, pe_cols=1, lookahead=lookahead, group=group, tds=mode, row_width=40, acc_depth=64,
                         acc_width=48, row_slots=4, item_slots=16)


def busy(occupancy: np.ndarray, threads: int) -> float:
    """Utilization between the first and the last product."""
    active = np.flatnonzero(occupancy)
    return float(occupancy.sum() / (threads * (active[-1] - active[0] + 1)))


def measure(config: PhantomConfig, streams: DensityStreams, rtl: bool) -> float:
    """Utilization of the PE; with ``rtl`` on the RTL, whose sums are compared."""
    if not rtl:
        model = core_cycles(config, prepare(config, streams.layer, streams.moving, streams.stationary), 1,
                            streams.sums != 0)
        return busy(model.occupancy[:, 0], config.threads)
    from phantom_sim.core_simulator import CoreSimulator
    from phantom_sim.results import decode_results

    with CoreSimulator(config) as core:
        run = core.run(streams.layer, streams.moving, streams.stationary, 1, activity="trace")
    sums = decode_results(config, run.results, len(streams.sums), config.chunk)[0, 0]
    if not np.array_equal(sums, streams.sums):
        raise SystemExit(f"the sums of the RTL differ from the golden ones for {config}")
    return busy(run.activity[:, 0], config.threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rtl", action="store_true", help="run the Verilated RTL")
    parser.add_argument("--positions", type=int, default=0,
                        help="output positions of a row, W (default: the multiple of G next to 28; a last group "
                             "that is not full costs utilization, as --positions 28 shows)")
    parser.add_argument("--rows", type=int, default=300, help="rows, each with 10 items (default 300)")
    arguments = parser.parse_args()
    table = Table(title=f"Thread utilization of one PE (%), T = 3, rows of "
                        f"{arguments.positions or 'about 28, whole groups'}, "
                        f"{'RTL' if arguments.rtl else 'cycle model'}: ideal in order / out of order | PE the same")
    table.add_column("weights, activations (density)")
    for lookahead, group in WINDOWS:
        table.add_column(f"{lookahead}, G {group}", justify="right", no_wrap=True)
    worst, wrong = 0.0, 0
    for weight, activation in DENSITIES:
        cells = []
        for lookahead, group in WINDOWS:
            ideal, real = [], []
            for mode in ("in_order", "out_of_order"):
                config = pe_config(lookahead, group, mode)
                positions = arguments.positions or max(1, round(28 / group)) * group
                streams = density_streams(config, weight, activation, positions=positions, rows=arguments.rows,
                                          items=10, seed=1)
                cycles = ideal_cycles(streams.counts, lookahead, group, 3, mode == "in_order")
                ideal.append(100 * streams.counts.sum() / 3 / cycles)
                real.append(100 * measure(config, streams, arguments.rtl))
            worst = max(worst, *(i - r for i, r in zip(ideal, real, strict=True)))
            wrong += real[1] < real[0]
            cells.append(f"{ideal[0]:.0f} {ideal[1]:.0f} | {real[0]:.0f} {real[1]:.0f}")
        table.add_row(f"{weight:.2f}, {activation:.2f}", *cells)
    console = Console(width=200)
    console.print(table)
    console.print(f"largest shortfall against the ideal window: {worst:.1f} points; "
                  f"cases where out_of_order is below in_order: {wrong}")


if __name__ == "__main__":
    main()
