"""Whole networks on the cycle model of the accelerator, which gives the cycles of the RTL, layer by layer.

    python bench/network_cycles.py                             EfficientNet-Lite0 and VGG16 on paper
    python bench/network_cycles.py --networks vgg16 --latency 200 --bandwidth 0.5
    python bench/network_cycles.py --config phantom/demo.toml --networks efficientnet-lite0

VGG16 is pruned to the densities of Han et al. 2015. ``of the bus`` is how much of the time a word of the bus was read.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from phantom_compiler.accelerator.program import compile_program
from phantom_compiler.balance import Balance
from phantom_compiler.quantized import QuantizedLayer
from phantom_hw import PhantomConfig
from phantom_sim.accelerator_cycles import accelerator_cycles
from phantom_sim.memory_model import MemoryModel
from rich.console import Console
from rich.table import Table

from phantom.demo import NETWORKS
from phantom.program_compile import BALANCES

COLUMNS = ("layer", "tiling", "cycles", "utilization", "of the bus", "read kB", "written kB")


def table_of(name: str, photo: str, config: PhantomConfig, latency: int, bandwidth: float, balance: Balance
             ) -> tuple[Table, str]:
    """The layers of a network, and a summary."""
    start = time.perf_counter()
    given = NETWORKS[name](photo, config)
    quantized = time.perf_counter()
    program = compile_program(given.network, config, balance=balance)
    compiled = time.perf_counter()
    values = program.golden(given.activations)
    begin = time.perf_counter()
    found = accelerator_cycles(program.job, given.activations, values,
                               MemoryModel(program.memory_bytes, latency, bandwidth))
    seconds = time.perf_counter() - begin
    threads = config.cores * config.core_threads
    table = Table(title=f"{name} on {config.name}: {threads} threads, memory of {latency} cycles latency, "
                        f"{bandwidth * config.bus_width / 8:g} bytes a cycle each way")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in COLUMNS[:2] else "right")
    convolutions = np.zeros(2)
    parts = zip(found.layers, program.layers, program.job.tilings, program.nodes, strict=True)
    for layer, facts, tiling, node in parts:
        if isinstance(node.operation, QuantizedLayer) and facts.shape[2:] != (1, 1):
            convolutions += layer.cycles, layer.busy_threads
        moved = [f"{beats * config.bus_width / 8e3:,.1f}" for beats in (layer.read_beats, layer.write_beats)]
        table.add_row(facts.name, tiling, f"{layer.cycles:,}", f"{layer.busy_threads / (layer.cycles * threads):.1%}",
                      f"{layer.read_beats / layer.cycles:.2f}", *moved)
    moved = [f"{beats * config.bus_width / 8e6:.1f} MB" for beats in (found.read_beats, found.write_beats)]
    dense = sum(facts.dense_macs for facts in program.layers)
    busy, of_maps = found.busy_threads / (found.cycles * threads), convolutions[1] / (convolutions[0] * threads)
    compulsory = sum(facts.compulsory_bytes for facts in program.layers) / 1e6
    return table, (
        f"{name}: {found.cycles:,} cycles, {busy:.1%} of the threads busy, in the convolutions of maps {of_maps:.1%}; "
        f"{found.busy_threads:,} of {dense:,} MACs effectual, {dense / (found.cycles * threads):.2f} x as fast as "
        f"without skipping; read {moved[0]}, written {moved[1]}, compulsory {compulsory:.1f} MB; quantized in "
        f"{quantized - start:.0f} s, compiled in {compiled - quantized:.0f} s, modelled at "
        f"{found.cycles / seconds / 1e3:.1f} kHz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="paper", choices=PhantomConfig.presets())
    parser.add_argument("--config", type=Path, help="a file instead of a preset")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="names, with commas (default all)")
    parser.add_argument("--photo", default="coffee", help="a photo of scikit-image (default coffee)")
    parser.add_argument("--latency", type=int, default=100, help="of external memory, cycles (default 100)")
    parser.add_argument("--bandwidth", type=float, default=1.0,
                        help="of external memory, words of the bus a cycle (default 1)")
    parser.add_argument("--balance", default="both", choices=BALANCES, help="levels of load balancing (default both)")
    arguments = parser.parse_args()
    config = (PhantomConfig.from_toml(arguments.config) if arguments.config
              else PhantomConfig.preset(arguments.preset))
    wanted = arguments.networks.split(",")
    if unknown := [name for name in wanted if name not in NETWORKS]:
        parser.error(f"unknown network {unknown[0]!r}; networks: {', '.join(NETWORKS)}")
    console = Console(width=160)
    for name in wanted:
        table, summary = table_of(name, arguments.photo, config, arguments.latency, arguments.bandwidth,
                                  BALANCES[arguments.balance])
        console.print(table)
        console.print(summary)


if __name__ == "__main__":
    main()
