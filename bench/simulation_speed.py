"""How fast the RTL simulates: the mesh alone, Verilated as a whole or as tiles that threads share.

    python bench/simulation_speed.py                           tiny, ulx3s and paper
    python bench/simulation_speed.py --presets paper --threads 1
    python bench/simulation_speed.py --presets ulx3s --tiled   tiles also where the whole mesh is the default
    python bench/simulation_speed.py --presets paper --lanes 0 one tile after another, without vectors

Each configuration is built anew in a folder of its own, so that the times of the build are those of a first use. The
layer is a convolution of 3 x 3 with 30 % of the weights and 40 % of the activations; speeds are medians of the runs.
The time of the processors tells more than the clock on the wall where others use the machine, too.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from phantom_compiler.convolution import Conv2d
from phantom_compiler.mesh_lowering import lower_to_mesh
from phantom_compiler.mesh_program import MeshProgram
from phantom_hw import PhantomConfig
from phantom_sim.mesh_simulator import FLAT_CORES, MeshSimulator, build_mesh, usable_processors
from phantom_sim.rtl import cached_mesh_verilog, cached_tile_verilog
from phantom_sim.tiles import lanes_for
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Build:
    """What it takes to get a simulation."""

    verilog: float
    library: float
    peak: float


def build(config: PhantomConfig, tiled: bool, lanes: int, folder: Path) -> Build:
    """Seconds for the Verilog, seconds for the library, and the largest process in GiB."""
    start = time.perf_counter()
    (cached_tile_verilog if tiled else cached_mesh_verilog)(config, folder)
    written = time.perf_counter()
    build_mesh(config, tiled=tiled, lanes=lanes, folder=folder)
    built = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1 << 20)
    return Build(written - start, built - written, peak)


def layer(config: PhantomConfig, channels: int) -> MeshProgram:
    """The layer, as large as the mesh needs it."""
    rng = np.random.default_rng(5)

    def sparse(shape: tuple[int, ...], density: float, low: int, high: int) -> np.ndarray:
        values = rng.integers(low, high, shape, endpoint=True)
        values[rng.random(shape) >= density] = 0
        return values

    half = 1 << config.weight_width - 2
    weights = sparse((8 * config.cores, channels, 3, 3), 0.3, -half, half)
    activations = sparse((1, channels, 16, 28), 0.4, 0, (1 << config.act_width) - 1)
    return lower_to_mesh(Conv2d(weights, act_signed=False, stride=(1, 1), padding=(1, 1, 1, 1), dilation=(1, 1),
                                groups=1), activations, config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", default="tiny,ulx3s,paper", help="names, with commas (default tiny,ulx3s,paper)")
    parser.add_argument("--threads", type=int, default=usable_processors(), help="of tiled simulations (default all)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each layer (default 5)")
    parser.add_argument("--channels", type=int, default=32, help="input channels of the layer (default 32)")
    parser.add_argument("--tiled", action="store_true", help="tiles also for small meshes")
    parser.add_argument("--lanes", type=int, help="tiles at once in vectors (default: as the simulators choose)")
    arguments = parser.parse_args()
    names = arguments.presets.split(",")
    if unknown := [name for name in names if name not in PhantomConfig.presets()]:
        parser.error(f"unknown preset {unknown[0]!r}; presets: {', '.join(PhantomConfig.presets())}")
    if arguments.threads < 1 or arguments.runs < 1 or arguments.channels < 1:
        parser.error("--threads, --runs and --channels must be at least 1")
    table = Table(title=f"Simulation of the mesh, {arguments.threads} threads")
    for name in ("configuration", "cores", "as", "Verilog s", "build s", "peak GiB", "cycles", "kHz",
                 "effectual MAC/s", "processor us a cycle"):
        table.add_column(name, justify="left" if name in ("configuration", "as") else "right")
    for name in names:
        config = PhantomConfig.preset(name)
        tiled = arguments.tiled or config.cores > FLAT_CORES
        lanes = lanes_for(config, arguments.threads) if arguments.lanes is None else arguments.lanes
        program = layer(config, arguments.channels)
        with tempfile.TemporaryDirectory() as place:
            built = build(config, tiled, lanes, Path(place))
            wall, processor, cycles = [], [], 0
            with MeshSimulator(config, folder=Path(place), tiled=tiled, threads=arguments.threads,
                               lanes=lanes) as simulator:
                for _ in range(arguments.runs):
                    start, used = time.perf_counter(), time.process_time()
                    cycles = simulator.run(program.moving, program.stationary, program.tiles).cycles
                    wall.append((time.perf_counter() - start) / cycles)
                    processor.append((time.process_time() - used) / cycles)
        speed = 1 / float(np.median(wall))
        kind = "a whole" if not tiled else f"tiles, {lanes} lanes" if lanes else "tiles"
        table.add_row(
            name, str(config.cores), kind, f"{built.verilog:.0f}", f"{built.library:.0f}",
            f"{built.peak:.1f}", f"{cycles:,}", f"{speed / 1e3:.1f}",
            f"{speed * program.effectual_macs / cycles:,.0f}", f"{1e6 * float(np.median(processor)):.1f}")
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
