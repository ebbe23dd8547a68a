"""Programs on the golden model and on the Verilated accelerator, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.accelerator.facts import COMMAND_BYTES
from phantom_compiler.accelerator.host import classes, final_outputs
from phantom_compiler.accelerator.network import INPUT, Node
from phantom_compiler.accelerator.program import Program
from phantom_compiler.quantized import QuantizedLayer
from phantom_hw.soc.status import Status

from phantom_sim.accelerator_simulator import AcceleratorSimulator
from phantom_sim.job_result import JobResult
from phantom_sim.memory_model import MemoryModel, MemoryRange
from phantom_sim.run_result import LayerRun, RunResult, added

__all__ = ["RtlRun", "RunError", "RunSettings", "effectual_macs", "run_golden", "run_rtl"]

Values = Sequence[NDArray[np.int64]]
Progress = Callable[[int, int, int], None]
"""Told layers that are done, all layers, and cycles so far."""
END_COMMANDS = 2
"""The last commands of a job: wait for all units, end."""


class RunError(RuntimeError):
    """A run that did not end as it should: one line."""


@dataclass(frozen=True)
class RunSettings:
    """How a program runs on the Verilated accelerator.

    Parameters
    ----------
    latency : int
        Of external memory, see :class:`~phantom_sim.memory_model.MemoryModel`.
    bandwidth : float
        Of external memory, words of the bus a cycle in each direction.
    layers : (first, last), optional
        Run these only, both included; what they read is put into memory.
    compare : bool
        Compare the output of every layer with the golden model.
    watchdog : int
        Cycles without progress after which the job ends.
    wave : Path, optional
        File for a waveform (VCD).
    window : (first, end)
        Cycles of the waveform, counted from the start of the job.
    """

    latency: int = 100
    bandwidth: float = 1.0
    layers: tuple[int, int] | None = None
    compare: bool = True
    watchdog: int = 100_000
    wave: Path | None = None
    window: tuple[int, int] = (0, 10_000)


def effectual_macs(node: Node, activations: NDArray[Any]) -> int:
    """Products of two nonzeros that a layer has, counted with the golden model; 0 if it is no convolution."""
    if not isinstance(node.operation, QuantizedLayer):
        return 0
    layer = node.operation.layer
    masks = replace(layer, weights=(layer.weights != 0).astype(np.int8))
    return int(masks.golden((activations != 0).astype(np.int8)).sum())


def _finished(program: Program, backend: str, layers: Sequence[LayerRun], total: LayerRun,
              values: dict[int, NDArray[np.int64]], **more: Any) -> RunResult:
    """A result; the network's outputs are there if all layers ran."""
    if not all(number in values for number in program.outputs):
        return RunResult(program.name, backend, program.config, tuple(layers), total, tuple(values.values()), **more)
    ours = [values[number] for number in program.outputs]
    outputs = tuple(final_outputs(program, ours))
    return RunResult(program.name, backend, program.config, tuple(layers), total, tuple(ours), outputs,
                     tuple(classes(program, outputs)), **more)


def run_golden(program: Program, activations: NDArray[Any], progress: Progress | None = None) -> RunResult:
    """Run a program's layers on the golden model.

    Parameters
    ----------
    program : Program
    activations : integer array
        The network's input.
    progress : callable, optional
    """
    values: list[NDArray[Any]] = []
    layers = []
    for number, (node, facts) in enumerate(zip(program.nodes, program.layers, strict=True)):
        inputs = [activations if source == INPUT else values[source] for source in node.inputs]
        values.append(node.golden(*inputs))
        layers.append(LayerRun(facts.name, facts.kind, effectual_macs(node, inputs[0]), facts.dense_macs))
        if progress is not None:
            progress(number + 1, len(program.nodes), 0)
    return _finished(program, "golden", layers, added(layers, program.name), dict(enumerate(values)))


class RtlRun:
    """A run on the Verilated accelerator.

    Parameters
    ----------
    program : Program
    activations : integer array
        The network's input.
    settings : RunSettings
    """

    def __init__(self, program: Program, activations: NDArray[Any], settings: RunSettings):
        self.program, self.job, self.settings = program, program.job, settings
        self.activations = activations
        self.first, self.last = settings.layers or (0, len(program.nodes) - 1)
        if not 0 <= self.first <= self.last < len(program.nodes):
            raise RunError(f"layers must be a range in 0..{len(program.nodes) - 1}, not {self.first}-{self.last}")
        need = settings.compare or self.first > 0
        self.expected: Values = program.golden(activations) if need else []
        self.difference, self.compared = "", 0

    def run(self, simulator: AcceleratorSimulator, progress: Progress | None = None) -> RunResult:
        """Run it.

        Raises
        ------
        RunError
            If the job does not end well.
        """
        self.program.check(simulator.config)
        job, settings, total = self.job, self.settings, self.last - self.first + 1
        model = MemoryModel(self.program.memory_bytes, settings.latency, settings.bandwidth)
        memory = simulator.connect(model, [MemoryRange(first, size) for first, size in job.tensor_ranges])
        count, starts = self._fill(memory)
        done = 0

        def reached(mark: int) -> None:
            nonlocal done
            done = mark
            if mark > 0:
                self._compare(memory, self.first + mark - 1)

        if settings.wave is not None:
            simulator.record(settings.wave, *settings.window)
        try:
            result = simulator.run(
                job.commands, count, watchdog=settings.watchdog, marks=starts, reached=reached,
                progress=None if progress is None else lambda cycles: progress(done, total, cycles))
        finally:
            if settings.wave is not None:
                simulator.record_end()
        if result.status is not Status.OK:
            raise RunError(f"layer {self.program.layers[self.first + done].name!r}: the job ended with "
                           f"{result.status.name}" + (f"; {result.waiting}" if result.waiting else
                                                      f" at {result.failed_address:#x}; {simulator.state()}"))
        self._compare(memory, self.last)
        if result.stray_bytes:
            self.difference = self.difference or f"written outside of the tensors, first at {result.stray_address:#x}"
        return self._result(result, memory)

    def _fill(self, memory: NDArray[np.uint8]) -> tuple[int, list[int]]:
        """Put everything into memory; the number of commands, and the first one of each layer."""
        job, end = self.job, [*self.job.starts[1:], self.job.count - END_COMMANDS][self.last]
        first = job.starts[self.first]
        for address, data in job.image.segments:
            memory[address:address + len(data)] = data
        # what layers before these would have loaded for them comes first
        ahead = [part for part in job.ahead[self.first:self.last + 1] if part[1] <= first]
        parts, stream = [*ahead, (first, end), (job.count - END_COMMANDS, job.count)], job.stream()
        commands = b"".join(stream[begin * COMMAND_BYTES:stop * COMMAND_BYTES] for begin, stop in parts)
        first -= sum(stop - begin for begin, stop in ahead)
        memory[job.commands:job.commands + len(commands)] = np.frombuffer(commands, np.uint8)
        read = {number for node in self.program.nodes[self.first:self.last + 1] for number in node.inputs}
        for number in sorted(number for number in read if number < self.first):
            form = job.input if number == INPUT else job.outputs[number]
            values = self.activations if number == INPUT else self.expected[number]
            memory[form.address:form.address + form.bytes] = form.encode(values)
        return len(commands) // COMMAND_BYTES, [start - first for start in job.starts[self.first:self.last + 1]]

    def _compare(self, memory: NDArray[np.uint8], number: int) -> None:
        """Find the first element of a layer's output that is not what it must be."""
        if not self.settings.compare or self.difference:
            return
        name, expected = self.program.layers[number].name, self.expected[number]
        try:
            got = self.job.result(memory, number)
        except ValueError as error:
            self.difference = f"layer {name!r}: the output is no tensor: {error}"
            return
        wrong = np.argwhere(got != expected)
        if len(wrong):
            place = tuple(int(i) for i in wrong[0])
            self.difference = (f"layer {name!r}: {len(wrong)} of {got.size} values differ, the first at {place}: "
                               f"{got[place]}, not {expected[place]}")
        else:
            self.compared += 1

    def _result(self, result: JobResult, memory: NDArray[np.uint8]) -> RunResult:
        program = self.program
        nothing = dict.fromkeys(result.counters, 0)
        borders = [nothing, *result.marks[1:], result.counters]
        facts = program.layers[self.first:self.last + 1]
        layers = [LayerRun.counted(one.name, one.kind, one.dense_macs, program.config,
                                   {name: after[name] - before[name] for name in after})
                  for one, (before, after) in zip(facts, pairwise(borders), strict=True)]
        total = LayerRun.counted(program.name, "", sum(one.dense_macs for one in facts), program.config,
                                 result.counters)
        whole = (self.first, self.last) == (0, len(program.nodes) - 1)
        there = {self.last, *program.outputs} if whole else {self.last}
        values = {number: self.job.result(memory, number) for number in sorted(there)} if not self.difference else {}
        return _finished(
            program, "rtl", layers, total, values, compared=self.compared, difference=self.difference,
            memory={"latency": self.settings.latency, "bandwidth": self.settings.bandwidth,
                    "bytes_per_cycle": self.settings.bandwidth * program.config.bus_width / 8})


def run_rtl(
    program: Program, activations: NDArray[Any], settings: RunSettings | None = None, *,
    simulator: AcceleratorSimulator | None = None, threads: int | None = None, progress: Progress | None = None,
) -> RunResult:
    """Run a program on the Verilated accelerator.

    Parameters
    ----------
    program : Program
    activations : integer array
        The network's input.
    settings : RunSettings, optional
    simulator : AcceleratorSimulator, optional
        Of the program's configuration; one is opened by default.
    threads : int, optional
        Of the simulation of a large mesh.
    progress : callable, optional

    Raises
    ------
    RunError
        If the job does not end well. A value that differs is no error: see ``RunResult.difference``.
    """
    settings = settings or RunSettings()
    run = RtlRun(program, activations, settings)
    if simulator is not None:
        return run.run(simulator, progress)
    with AcceleratorSimulator(program.config, threads=threads, trace=settings.wave is not None) as opened:
        return run.run(opened, progress)
