"""Programs on the golden model and on the Verilated accelerator, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from phantom_sim.recorded import RecordError
from phantom_sim.run_result import LayerRun, RunResult, added
from phantom_sim.waveform import waveform

__all__ = ["Given", "RtlRun", "RunError", "RunSettings", "effectual_macs", "run_golden", "run_rtl"]

Given = NDArray[Any] | Mapping[int, NDArray[Any]]
"""The network's input, or recorded tensors by the numbers of the layers that gave them, ``INPUT`` for the input."""
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
        Run these only, both included; what they read is put into memory: recorded tensors, or else those of the golden
        model.
    record : bool
        Keep the outputs of all layers that run, see ``RunResult.tensors``.
    compare : bool
        Compare the output of every layer with the golden model.
    watchdog : int
        Cycles without progress after which the job ends.
    wave : Path, optional
        File for a waveform: FST if its name ends with ``.fst``, else VCD.
    window : (first, end)
        Cycles of the waveform, counted from the start of the job.
    """

    latency: int = 100
    bandwidth: float = 1.0
    layers: tuple[int, int] | None = None
    record: bool = False
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


class _Reference:
    """The golden model's tensors, computed when they are asked for.

    Parameters
    ----------
    program : Program
    given : Given
    layers : (first, last), optional
        What is run.

    Raises
    ------
    RunError
        If there are no such layers.
    RecordError
        If neither what they read nor the network's input is known.
    """

    def __init__(self, program: Program, given: Given, layers: tuple[int, int] | None):
        self.nodes = program.nodes
        self.tensors: dict[int, NDArray[Any]] = dict(given) if isinstance(given, Mapping) else {INPUT: given}
        self.first, self.last = layers or (0, len(self.nodes) - 1)
        if not 0 <= self.first <= self.last < len(self.nodes):
            raise RunError(f"layers must be a range in 0..{len(self.nodes) - 1}, not {self.first}-{self.last}")
        ranged = self.nodes[self.first:self.last + 1]
        self.sources = sorted({number for node in ranged for number in node.inputs if number < self.first})
        missing = [number for number in self.sources if number not in self.tensors]
        if missing and INPUT not in self.tensors:
            name = "the input" if missing[0] == INPUT else f"the output of layer {self.nodes[missing[0]].name!r}"
            raise RecordError(f"{name} is not among the recorded tensors, and is needed from layer "
                              f"{self.nodes[self.first].name!r} on")
        self.begin = 0 if missing else self.first
        # what was recorded of the layers that run is not their input
        self.tensors = {number: values for number, values in self.tensors.items() if number < self.begin}

    def compute(self, end: int, done: Callable[[int], None] = lambda number: None) -> None:
        """Compute the outputs of the layers before ``end``."""
        for number in range(self.begin, end):
            node = self.nodes[number]
            self.tensors[number] = node.golden(*(self.tensors[source] for source in node.inputs))
            done(number)


def run_golden(
    program: Program, given: Given, progress: Progress | None = None, layers: tuple[int, int] | None = None,
    record: bool = False,
) -> RunResult:
    """Run a program's layers on the golden model.

    Parameters
    ----------
    program : Program
    given : Given
    progress : callable, optional
    layers : (first, last), optional
        Run these only, both included.
    record : bool
        Keep the outputs of all layers that run, see ``RunResult.tensors``.

    Raises
    ------
    RunError, RecordError
        If there are no such layers, or what they read is not known.
    """
    reference, found = _Reference(program, given, layers), []
    first, last = reference.first, reference.last

    def done(number: int) -> None:
        if number < first:
            return
        node, facts = program.nodes[number], program.layers[number]
        found.append(LayerRun(facts.name, facts.kind, effectual_macs(node, reference.tensors[node.inputs[0]]),
                              facts.dense_macs))
        if progress is not None:
            progress(number + 1 - first, last + 1 - first, 0)

    reference.compute(last + 1, done)
    whole = (first, last) == (0, len(program.nodes) - 1)
    there = {last, *program.outputs} if whole else {last}
    return _finished(program, "golden", found, added(found, program.name),
                     {number: reference.tensors[number] for number in sorted(there)},
                     tensors=_recorded(reference, reference.tensors) if record else {})


def _recorded(reference: _Reference, outputs: Mapping[int, NDArray[Any]]) -> dict[int, NDArray[Any]]:
    """What layers read and gave that ran."""
    return {number: reference.tensors[number] for number in reference.sources} | {
        number: values for number, values in outputs.items() if reference.first <= number <= reference.last}


class RtlRun:
    """A run on the Verilated accelerator.

    Parameters
    ----------
    program : Program
    given : Given
    settings : RunSettings

    Raises
    ------
    RunError, RecordError
        If there are no such layers, or what they read is not known.
    """

    def __init__(self, program: Program, given: Given, settings: RunSettings):
        self.program, self.job, self.settings = program, program.job, settings
        self.reference = _Reference(program, given, settings.layers)
        self.first, self.last = self.reference.first, self.reference.last
        self.reference.compute(self.last + 1 if settings.compare else self.first)
        self.difference, self.compared = "", 0
        self.recorded: dict[int, NDArray[np.int64]] = {}

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
                self._look_at(memory, self.first + mark - 1)

        with waveform(simulator, settings.wave, settings.window):
            result = simulator.run(
                job.commands, count, watchdog=settings.watchdog, marks=starts, reached=reached,
                progress=None if progress is None else lambda cycles: progress(done, total, cycles))
        if result.status is not Status.OK:
            raise RunError(f"layer {self.program.layers[self.first + done].name!r}: the job ended with "
                           f"{result.status.name}" + (f"; {result.waiting}" if result.waiting else
                                                      f" at {result.failed_address:#x}; {simulator.state()}"))
        self._look_at(memory, self.last)
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
        for number in self.reference.sources:
            form = job.input if number == INPUT else job.outputs[number]
            memory[form.address:form.address + form.bytes] = form.encode(self.reference.tensors[number])
        return len(commands) // COMMAND_BYTES, [start - first for start in job.starts[self.first:self.last + 1]]

    def _look_at(self, memory: NDArray[np.uint8], number: int) -> None:
        """Record a layer's output, and find its first element that is not what it must be."""
        compare = self.settings.compare and not self.difference
        if not (compare or self.settings.record):
            return
        name = self.program.layers[number].name
        try:
            got = self.job.result(memory, number)
        except ValueError as error:
            self.difference = self.difference or f"layer {name!r}: the output is no tensor: {error}"
            return
        if self.settings.record:
            self.recorded[number] = got
        if not compare:
            return
        expected = self.reference.tensors[number]
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
        recorded = _recorded(self.reference, self.recorded) if self.settings.record else {}
        return _finished(
            program, "rtl", layers, total, values, compared=self.compared, difference=self.difference, tensors=recorded,
            memory={"latency": self.settings.latency, "bandwidth": self.settings.bandwidth,
                    "bytes_per_cycle": self.settings.bandwidth * program.config.bus_width / 8})


def run_rtl(
    program: Program, given: Given, settings: RunSettings | None = None, *,
    simulator: AcceleratorSimulator | None = None, threads: int | None = None, progress: Progress | None = None,
) -> RunResult:
    """Run a program on the Verilated accelerator.

    Parameters
    ----------
    program : Program
    given : Given
    settings : RunSettings, optional
    simulator : AcceleratorSimulator, optional
        Of the program's configuration; one is opened by default.
    threads : int, optional
        Of the simulation of a large mesh.
    progress : callable, optional

    Raises
    ------
    RunError, RecordError
        If there are no such layers, what they read is not known, or the job does not end well. A value that differs is
        no error: see ``RunResult.difference``.
    """
    settings = settings or RunSettings()
    run = RtlRun(program, given, settings)
    if simulator is not None:
        return run.run(simulator, progress)
    with AcceleratorSimulator(program.config, threads=threads, trace=settings.wave is not None) as opened:
        return run.run(opened, progress)
