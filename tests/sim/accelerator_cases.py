"""Jobs for the whole accelerator with what they must give, and runs of them that look at every byte of the memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.image import MemoryImage
from phantom_compiler.accelerator.job import Job, layer_job
from phantom_compiler.accelerator.lower import lower_layer
from phantom_compiler.accelerator.network import INPUT, Node, golden_values, network_job
from phantom_compiler.accelerator.source import as_images, layer_input
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.vector_layers import Add, MaxPool2d, Window
from phantom_compiler.convolution import Conv2d
from phantom_compiler.layer import LayerError
from phantom_compiler.quantized import QuantizedLayer
from phantom_compiler.random_layers import KINDS, random_layer
from phantom_hw.config import PhantomConfig
from phantom_hw.soc.commands import CommandSet, Instruction
from phantom_hw.soc.status import Status
from phantom_sim.accelerator_exactness import golden_result, quantize_at_random
from phantom_sim.accelerator_simulator import AcceleratorSimulator, JobResult, MemoryModel, MemoryRange

TINY = PhantomConfig.preset("tiny")
CONFIGS = {
    "row": replace(TINY, stationary_words=16, lane_channels=16),
    "square": replace(TINY, mesh_rows=2, pe_cols=1, drain_lanes=2, bus_width=128, act_width=16, acc_width=40, chunk=9,
                      moving_words=128, lane_channels=32, address_width=40, outstanding=20, moving_loaders=2,
                      on_chip_words=512),
    "grid": replace(TINY, mesh_rows=2, mesh_cols=3, pe_rows=1, pe_cols=2, drain_lanes=2, bus_width=512, act_width=4,
                    weight_width=4, chunk=64, lane_channels=16, split_banks=True),
}
"""With buffers so small that many layers need them several times."""
AXI = replace(TINY, mesh_cols=1, bus_width=128, address_width=40)
"""For the foreign models, which are slow."""
CYCLES = (200, 2000)
TRIES = 30
GUARD = 0xA5
COMMAND_BYTES = 64


@dataclass(frozen=True, eq=False)
class Case:
    """A job, its input as it lies in memory, and the output of each layer."""

    job: Job
    activations: np.ndarray
    expected: Sequence[np.ndarray]

    @property
    def writable(self) -> list[tuple[int, int]]:
        """First byte and size of each output."""
        return [(form.address, form.bytes) for form in self.job.outputs]

    @property
    def window(self) -> tuple[int, int]:
        """First byte and size of what lies from the first output to the last one."""
        first = min(first for first, _ in self.writable)
        return first, max(first + size for first, size in self.writable) - first

    @property
    def end(self) -> int:
        """Behind the job's memory."""
        return self.job.image.base + self.job.image.size

    def segment(self, address: int) -> tuple[int, int]:
        """First byte and size of the constant data that hold an address."""
        [found] = [(first, len(data)) for first, data in self.job.image.segments
                   if first <= address < first + len(data)]
        return found

    def stream(self) -> bytes:
        """The commands."""
        [found] = [bytes(data) for first, data in self.job.image.segments if first == self.job.commands]
        return found

    def instructions(self) -> list[Instruction]:
        """The commands, decoded."""
        commands, text = CommandSet(self.job.config, address_width=self.job.config.address_width), self.stream()
        return [commands.decode(text[at:at + COMMAND_BYTES]) for at in range(0, len(text), COMMAND_BYTES)]


def random_form(rng: np.random.Generator, config: PhantomConfig, shape: tuple[int, ...], signed: bool) -> TensorFormat:
    """A format of an input: the natural one, slots of one row, narrow ones, or fewer rows than there is room for."""
    columns = shape[3]
    choice = rng.integers(4)
    if choice == 1:
        return TensorFormat(config, shape, signed, min(columns, config.chunk))
    if choice == 2:
        return TensorFormat(config, shape, signed, int(rng.integers(1, min(columns, config.chunk) + 1)))
    if choice == 3 and columns <= config.chunk:
        return TensorFormat(config, shape, signed, columns, int(rng.integers(1, config.chunk // columns + 1)))
    return TensorFormat.natural(config, shape, signed)


def random_base(rng: np.random.Generator, config: PhantomConfig) -> int:
    """First address of a job that lies in the external memory as a whole."""
    return config.on_chip_bytes + 64 * int(rng.integers(5000))


@lru_cache(maxsize=100)
def random_case(config: PhantomConfig, kind: str, seed: int, base: int | None = None) -> Case:
    """A random layer of a kind that fits the configuration; from address ``base`` on, or at a random place."""
    for attempt in range(TRIES):
        rng = np.random.default_rng([seed, KINDS.index(kind), attempt])
        layer, activations = random_layer(rng, config, kind, CYCLES)
        quantized = quantize_at_random(layer, activations, config, rng)
        form = random_form(rng, config, layer_input(layer, activations.shape).shape, layer.act_signed)
        place = random_base(rng, config)
        try:
            job = layer_job(quantized, activations, config, base=place if base is None else base, form=form)
        except LayerError:
            continue
        return Case(job, as_images(layer, activations), [golden_result(quantized, activations)])
    raise AssertionError(f"no layer of kind {kind} fits after {TRIES} tries")


def two_layers(config: PhantomConfig, seed: int) -> Case:
    """A job of two layers, the second of which reads what the first one writes."""
    for attempt in range(TRIES):
        rng = np.random.default_rng([seed, attempt])
        layer, activations = random_layer(rng, config, str(rng.choice(["conv3x3", "pointwise", "conv5x5", "ragged"])),
                                          CYCLES)
        first = quantize_at_random(layer, activations, config, rng)
        between = golden_result(first, activations)
        size = int(rng.choice([1, 3]))
        half = 1 << config.weight_width - 1
        weights = rng.integers(-half, half, (int(rng.integers(1, 9)), between.shape[1], size, size))
        weights[rng.random(weights.shape) < 0.6] = 0
        follower = Conv2d(weights, act_signed=first.lo < 0, padding=(size // 2,) * 4,
                          stride=(1, int(rng.integers(1, 3))))
        second = quantize_at_random(follower, between, config, rng)
        image, stream = MemoryImage(random_base(rng, config)), CommandStream(config)
        form = TensorFormat.natural(config, layer_input(layer, activations.shape).shape, layer.act_signed)
        form = form.at(image.reserve(form.bytes))
        try:
            one = lower_layer(first, form, activations.shape, config, image, stream, out_signed=first.lo < 0)
            two = lower_layer(second, one.output, between.shape, config, image, stream, out_signed=second.lo < 0)
        except LayerError:
            continue
        address = image.add(stream.to_bytes())
        job = Job(config, image, address, len(stream.instructions) + 1, form, [one.output, two.output])
        return Case(job, as_images(layer, activations), [between, golden_result(second, between)])
    raise AssertionError(f"no pair of layers fits after {TRIES} tries")


def zeros_case(config: PhantomConfig, nonzero: int) -> Case:
    """A layer with whole sets of filters without any weight, whose results come of the bias alone."""
    rng = np.random.default_rng(nonzero)
    weights = np.zeros((15, 3, 3, 3), np.int64)
    weights[:nonzero, 1, 1] = rng.integers(1, 1 << config.weight_width - 1, (nonzero, 3))
    activations = rng.integers(0, 1 << config.act_width, (1, 3, 5, 9))
    half, width = 1 << config.act_width - 1, 15
    quantized = QuantizedLayer(Conv2d(weights, act_signed=False), rng.integers(-half, half, width),
                               np.full(width, 1 << 23), np.full(width, 23), -half, half - 1)
    job = layer_job(quantized, activations, config)
    return Case(job, activations, [golden_result(quantized, activations)])


@lru_cache(maxsize=20)
def network_case(config: PhantomConfig, seed: int) -> Case:
    """A job of a convolution, max pooling of its output, and an addition of the two pooled ones."""
    for attempt in range(TRIES):
        rng = np.random.default_rng([seed, attempt])
        kernel, half = int(rng.choice([1, 3])), 1 << config.weight_width - 1
        channels, filters = rng.integers(1, 7, 2)
        weights = rng.integers(-half, half, (filters, channels, kernel, kernel))
        weights[rng.random(weights.shape) < 0.5] = 0
        activations = rng.integers(0, 1 << config.act_width, (1, channels, *rng.integers(3, 15, 2)))
        activations[rng.random(activations.shape) < 0.5] = 0
        first = quantize_at_random(Conv2d(weights, act_signed=False, padding=(kernel // 2,) * 4), activations, config,
                                   rng)
        lo, hi = (-(1 << config.act_width - 1), (1 << config.act_width - 1) - 1)
        add = Add(mult_a=int(rng.integers(1, 1 << 12)), mult_b=int(rng.integers(1, 1 << 12)), shift=12, lo=lo, hi=hi)
        pool = MaxPool2d(window=Window((2, 2), (1, int(rng.integers(1, 3)))))
        nodes = [Node(first, (INPUT,), first.lo < 0), Node(pool, (0,), first.lo < 0),
                 Node(add.fitted(config), (1, 1), True)]
        try:
            job = network_job(nodes, activations.shape, False, config, random_base(rng, config))
        except LayerError:
            continue
        return Case(job, activations, golden_values(nodes, activations))
    raise AssertionError(f"no network fits after {TRIES} tries")


# --- runs -------------------------------------------------------------------------------------------------

def random_memory(rng: np.random.Generator) -> dict[str, Any]:
    """How a memory behaves."""
    return {"latency": int(rng.choice([1, 20, 100])), "bandwidth": float(rng.choice([0.2, 1.0])),
            "queue": int(rng.choice([1, 4, 16])), "stall": float(rng.choice([0.0, 0.3, 0.6])),
            "seed": int(rng.integers(1 << 31))}


def attach(
    simulator: AcceleratorSimulator, case: Case, *, faults: Sequence[MemoryRange] = (),
    memory: dict[str, Any] | None = None, writable: Sequence[tuple[int, int]] | None = None,
) -> np.ndarray:
    """Give the accelerator a memory with a job in it; by default the outputs are writable."""
    ranges = [MemoryRange(first, size) for first, size in writable or case.writable]
    content = simulator.connect(MemoryModel(case.end + 4096, **(memory or {})), [*faults, *ranges])
    content[:] = GUARD
    case.job.fill(content, case.activations)
    return content


def attempt(
    simulator: AcceleratorSimulator, case: Case, *, faults: Sequence[MemoryRange] = (),
    memory: dict[str, Any] | None = None, writable: Sequence[tuple[int, int]] | None = None,
    change: Callable[[np.ndarray], None] | None = None, address: int | None = None, count: int | None = None,
    **options: Any,
) -> tuple[JobResult, np.ndarray]:
    """Run a job, however it ends: only what is writable is written, and the interrupt tells of the end."""
    content = attach(simulator, case, faults=faults, memory=memory, writable=writable)
    if change is not None:
        change(content)
    before = content.copy()
    result = simulator.run(case.job.commands if address is None else address,
                           case.job.count if count is None else count, **options)
    assert simulator.read("interrupt_status") == (1 if result.status is Status.OK else 2)
    assert result.status is not Status.RUNNING
    assert result.stray_bytes == 0, f"{result.stray_bytes} bytes astray, first {result.stray_address:#x}; {result}"
    assert result.crossings == 0
    for first, size in writable or case.writable:
        before[first:first + size] = content[first:first + size]
    assert np.array_equal(before, content)
    return result, content


def check(simulator: AcceleratorSimulator, case: Case, **options: Any) -> JobResult:
    """Run a job that must give what it must give."""
    result, content = attempt(simulator, case, **options)
    assert result.status is Status.OK, f"{result.status.name}, {simulator.state()}"
    for number, expected in enumerate(case.expected):
        got = case.job.result(content, number)
        assert got.shape == expected.shape
        wrong = np.argwhere(got != expected)
        assert not len(wrong), f"layer {number}: {len(wrong)} of {got.size} values differ, first {tuple(wrong[0])}"
    return result
