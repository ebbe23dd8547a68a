"""Layers from memory to memory on the accelerator, against the golden model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.accelerator.job import Job
from phantom_compiler.accelerator.source import as_images
from phantom_compiler.layer import Layer
from phantom_compiler.quantized import QuantizedLayer
from phantom_golden.requantize import requantize
from phantom_hw.config import PhantomConfig
from phantom_hw.soc.status import Status

from phantom_sim.accelerator_simulator import AcceleratorSimulator, JobResult, MemoryModel, MemoryRange

__all__ = ["Comparison", "compare_job", "golden_result", "quantize_at_random"]

GUARD = 0xA5


@dataclass(frozen=True)
class Comparison:
    """How a job went.

    Attributes
    ----------
    result : JobResult
    differences : list of str
        Empty if all is as it must be.
    """

    result: JobResult
    differences: list[str]


def quantize_at_random(
    layer: Layer, activations: NDArray[Any], config: PhantomConfig, rng: np.random.Generator
) -> QuantizedLayer:
    """Give a layer a bias, multipliers and a clamp with which many results are neither zero nor at the clamp."""
    sums = layer.golden(activations)
    filters = len(layer.filters())
    width = config.act_width
    signed = bool(rng.integers(2))
    lo, hi = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    spread = max(1.0, float(np.abs(sums).max()))
    scale = (1 << width) / spread * rng.uniform(0.3, 2.0, filters)
    exponent = np.clip(np.floor(np.log2(scale)).astype(np.int64), -39, 22)
    mult = np.clip(np.round(scale / 2.0**exponent * (1 << 23)).astype(np.int64), 1 << 23, (1 << 24) - 1)
    shift = 23 - exponent
    most = min(int(spread / 4) + 1, (1 << min(31, config.acc_width - 2)) - 1)
    return QuantizedLayer(layer, rng.integers(-most, most, filters, endpoint=True), mult, shift, lo, hi)


def golden_result(quantized: QuantizedLayer, activations: NDArray[Any]) -> NDArray[np.int64]:
    """The layer's output by the golden model, (images, channels, rows, columns)."""
    sums = as_images(quantized.layer, quantized.layer.golden(activations))
    result: NDArray[np.int64] = requantize(sums, quantized.mult, quantized.shift, bias=quantized.bias,
                                           lo=quantized.lo, hi=quantized.hi, axis=1)
    return result


def compare_job(
    simulator: AcceleratorSimulator, job: Job, activations: NDArray[Any], expected: NDArray[np.int64], *,
    latency: int = 20, bandwidth: float = 1.0, stall: float = 0.0, seed: int = 0, **options: Any,
) -> Comparison:
    """Run a job and compare its last layer's output, element by element; look for bytes written elsewhere."""
    end = job.image.base + job.image.size
    model = MemoryModel(end + 4096, latency, bandwidth, stall=stall, seed=seed)
    writable = [MemoryRange(form.address, form.bytes) for form in job.outputs]
    memory = simulator.connect(model, writable)
    memory[:] = GUARD
    job.fill(memory, activations)
    before = memory.copy()
    result = simulator.run(job.commands, job.count, **options)
    differences = []
    if result.status != Status.OK:
        return Comparison(result, [f"status {result.status.name} {simulator.state()}"])
    try:
        got = job.result(memory)
        wrong = np.argwhere(got != expected)
        if len(wrong):
            first = tuple(int(i) for i in wrong[0])
            differences.append(f"{len(wrong)} of {got.size} values differ, the first at {first}: {got[first]}, "
                               f"not {expected[first]}")
    except ValueError as error:
        differences.append(f"the output is no tensor: {error}")
    for form in job.outputs:
        before[form.address:form.address + form.bytes] = memory[form.address:form.address + form.bytes]
    changed = np.flatnonzero(before != memory)
    if len(changed) or result.stray_bytes:
        where = int(changed[0]) if len(changed) else result.stray_address
        differences.append(f"written outside of the outputs, first at {where:#x}")
    if result.crossings:
        differences.append(f"{result.crossings} bursts cross 4 KiB")
    return Comparison(result, differences)
