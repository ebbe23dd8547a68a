"""Cycle model of the whole accelerator beside its RTL: cycles of random layers of all kinds, and of a small network.

    python bench/accelerator_cycles.py                             preset ulx3s
    python bench/accelerator_cycles.py --preset tiny --cycles 2000
    python bench/accelerator_cycles.py --latency 200 --bandwidth 0.5
    python bench/accelerator_cycles.py --model-only                without the RTL

``kHz`` is how many cycles of the accelerator are predicted or simulated in a second; the model's time includes what its
commands load, form and send.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.accelerator.job import Job, layer_job
from phantom_compiler.accelerator.network import golden_values, network_job
from phantom_compiler.accelerator.random_network import random_activations, residual_network
from phantom_compiler.accelerator.source import as_images
from phantom_compiler.layer import LayerError
from phantom_compiler.random_layers import KINDS, random_layer
from phantom_hw import PhantomConfig
from phantom_sim.accelerator_cycles import AcceleratorCycles, accelerator_cycles
from phantom_sim.accelerator_exactness import golden_result, quantize_at_random
from phantom_sim.accelerator_simulator import AcceleratorSimulator, JobResult, MemoryModel, MemoryRange
from rich.console import Console
from rich.table import Table

TRIES = 20
SHAPE = (1, 8, 26, 24)
"""Of the network's input."""


@dataclass(frozen=True, eq=False)
class Case:
    """A job with its input and outputs."""

    name: str
    job: Job
    activations: NDArray[np.integer]
    outputs: list[NDArray[np.int64]]


def random_cases(config: PhantomConfig, kinds: list[str], cycles: int, seed: int) -> Iterator[Case]:
    """A random layer of each kind that fits the configuration."""
    for kind in kinds:
        for attempt in range(TRIES):
            rng = np.random.default_rng([seed, KINDS.index(kind), attempt])
            layer, activations = random_layer(rng, config, kind, (cycles // 2, 2 * cycles))
            quantized = quantize_at_random(layer, activations, config, rng)
            try:
                job = layer_job(quantized, activations, config)
            except LayerError:
                continue
            yield Case(kind, job, as_images(layer, activations), [golden_result(quantized, activations)])
            break


def network_case(config: PhantomConfig, seed: int) -> Case:
    """Convolutions, pooling, an addition, a classifier."""
    rng = np.random.default_rng(seed)
    nodes = residual_network(SHAPE, config, rng, filters=16, classes=10)
    activations = random_activations(SHAPE, config, rng)
    job = network_job(nodes, SHAPE, False, config)
    return Case("|".join(node.name for node in nodes), job, activations, golden_values(nodes, activations))


def simulate(simulator: AcceleratorSimulator, case: Case, memory: MemoryModel) -> tuple[JobResult, float]:
    """Run a job on the RTL; its kHz."""
    job = case.job
    content = simulator.connect(MemoryModel(job.image.base + job.image.size + 4096, memory.latency, memory.bandwidth),
                                [MemoryRange(form.address, form.bytes) for form in job.outputs])
    job.fill(content, case.activations)
    start = time.perf_counter()
    result = simulator.run(job.commands, job.count, marks=list(job.starts))
    return result, result.cycles / (time.perf_counter() - start) / 1e3


def predict(case: Case, memory: MemoryModel) -> tuple[AcceleratorCycles, float]:
    """Run a job on the model; its kHz."""
    start = time.perf_counter()
    model = accelerator_cycles(case.job, case.activations, case.outputs, memory)
    return model, model.cycles / (time.perf_counter() - start) / 1e3


def rows_of(case: Case, model: AcceleratorCycles, result: JobResult | None, speeds: list[str]) -> list[list[str]]:
    """A row for each layer, and for a network one for all."""
    names, layers = case.name.split("|"), [layer.cycles for layer in model.layers]
    measured: list[int | None] = [None] * len(layers)
    if result is not None:
        borders = [0, *(mark["cycles"] for mark in result.marks[1:]), result.counters["cycles"]]
        measured = [int(border) for border in np.diff(borders)]
    if len(names) > 1:
        names, layers = [*names, "network"], [*layers, model.cycles]
        measured.append(None if result is None else result.counters["cycles"])
    rows = []
    for name, cycles, found in zip(names, layers, measured, strict=True):
        other = ["", ""] if found is None else [f"{found:,}", f"{100 * (cycles / found - 1):.2f}"]
        rows.append([name, f"{cycles:,}", *other, *(speeds if name == names[-1] else ["", ""])])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="ulx3s", choices=PhantomConfig.presets())
    parser.add_argument("--kinds", default=",".join(KINDS), help="kinds of layers, with commas (default all)")
    parser.add_argument("--cycles", type=int, default=20_000, help="that a layer is meant to take (default 20000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--latency", type=int, default=100, help="of external memory, cycles (default 100)")
    parser.add_argument("--bandwidth", type=float, default=1.0,
                        help="of external memory, words of the bus a cycle (default 1)")
    parser.add_argument("--model-only", action="store_true", help="do not simulate the RTL")
    arguments = parser.parse_args()
    kinds = arguments.kinds.split(",")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        parser.error(f"unknown kind {unknown[0]!r}; kinds: {', '.join(KINDS)}")
    config = PhantomConfig.preset(arguments.preset)
    memory = MemoryModel(0, arguments.latency, arguments.bandwidth)
    table = Table(title=f"{config.name}: memory of {memory.latency} cycles latency, {memory.bandwidth:g} words a cycle")
    for name in ("layer", "predicted", "RTL", "difference, %", "model kHz", "RTL kHz"):
        table.add_column(name, justify="left" if name == "layer" else "right")
    with ExitStack() as stack:
        simulator = None if arguments.model_only else stack.enter_context(AcceleratorSimulator(config))
        cases = [*random_cases(config, kinds, arguments.cycles, arguments.seed), network_case(config, arguments.seed)]
        predict(cases[0], memory)  # compiles
        missing = [kind for kind in kinds if kind not in [case.name for case in cases]]
        table.caption = f"does not fit the configuration: {', '.join(missing)}" if missing else None
        for case in cases:
            model, speed = predict(case, memory)
            result, other = (None, 0.0) if simulator is None else simulate(simulator, case, memory)
            for row in rows_of(case, model, result, [f"{speed:.0f}", f"{other:.0f}" if result else ""]):
                table.add_row(*row)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
