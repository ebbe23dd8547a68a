"""Cycle model of the whole accelerator with its memory: the same commands in, the cycles of each of them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.accelerator.job import Job
from phantom_hw.config import PhantomConfig
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.memory.read_arbiter import ReadArbiter
from phantom_hw.memory.slot_packer import SlotShape
from phantom_hw.memory.sparse_writer import SparseEncoder
from phantom_hw.memory.write_manager import WriteManager
from phantom_hw.moving.gather import RowGather
from phantom_hw.moving.layouts import entry_bytes
from phantom_hw.moving.loader import MovingLoader
from phantom_hw.moving.masks import MaskFormer
from phantom_hw.moving.store import RowStore
from phantom_hw.results.layouts import PARAMETER_BYTES
from phantom_hw.soc.commands import CommandSet, Instruction
from phantom_hw.soc.isa import FENCE, UNITS

from phantom_sim.accelerator_model.bus import ALIGNER, SPLITTER
from phantom_sim.accelerator_model.decoder import DECODER, Fixed
from phantom_sim.accelerator_model.kernel import Mesh, State, run_segment
from phantom_sim.accelerator_model.loads import PARAMETERS, QUEUE, TABLE
from phantom_sim.accelerator_model.moving_loads import LOADER, QUEUES, LoaderSizes
from phantom_sim.accelerator_model.operands import COLUMN, SEQUENCER, STREAMER, StreamerSizes
from phantom_sim.accelerator_model.reads import READS
from phantom_sim.accelerator_model.results import ENCODER, LANE, WRITER, WriterSizes
from phantom_sim.accelerator_model.segments import Segment, Walker
from phantom_sim.accelerator_model.vector import REDUCER, SERIALIZER
from phantom_sim.accelerator_model.writes import WRITES
from phantom_sim.cycle_kernel import DRAIN, GROUP, PE, empty_nodes, sources_of
from phantom_sim.cycle_model import limits
from phantom_sim.memory_model import MemoryModel

__all__ = ["AcceleratorCycles", "LayerCycles", "accelerator_cycles"]

EVERYTHING = (1 << len(UNITS)) - 1
PREFETCH = 4
BANDWIDTH = 256
"""A memory's bandwidth is counted in parts of a beat: see `MemoryModel`."""

COUNTED = (
    ("loaders", ("commands", "asked", "next_request", "next_slot", "next_header", "next_placement", "next_origin")),
    ("tables", ("taken", "begun")), ("parameters", ("taken",)), ("columns", ("pushed", "popped")),
    ("sequencer", ("next", "commands", "rows", "vector")),
    ("streamers", ("pushed", "popped", "place", "tail", "end", "rows", "headings", "sent")),
)
"""What counts commands and what comes of them: it begins again with each segment."""


@dataclass(frozen=True)
class LayerCycles:
    """What a layer takes.

    Attributes
    ----------
    cycles, busy_threads, read_beats, write_beats : int
        As the performance counters count them, from the last command of the layer before to its own last one.
    """

    cycles: int
    busy_threads: int
    read_beats: int
    write_beats: int


@dataclass(frozen=True)
class AcceleratorCycles:
    """What a job takes.

    Attributes
    ----------
    cycles, busy_threads, read_beats, write_beats : int
        As the performance counters count them.
    layers : tuple of LayerCycles
    retired : int64[commands]
        The counter of cycles when each command has been carried out.
    """

    cycles: int
    busy_threads: int
    read_beats: int
    write_beats: int
    layers: tuple[LayerCycles, ...]
    retired: NDArray[np.int64]


def accelerator_cycles(
    job: Job, activations: Any, outputs: Sequence[NDArray[Any]], memory: MemoryModel, *, max_cycles: int = 1 << 40,
) -> AcceleratorCycles:
    """Predict when each command of a job has been carried out.

    Every unit is walked cycle by cycle as the hardware has it, with its levels, numbers and reservations and none of
    the values; the mesh is that of :mod:`~phantom_sim.cycle_kernel`. Delays come from the hardware classes' constants;
    nothing is fitted.

    Parameters
    ----------
    job : Job
    activations : array, or what the job's ``fill`` takes
        The input.
    outputs : sequence of integer arrays
        Of each layer, by the golden model: masks of results decide how long it takes to write them.
    memory : MemoryModel
        Its size is not looked at.
    max_cycles : int
        Of a segment of the job.

    Raises
    ------
    ValueError
        If the memory pauses at random, or the number of outputs is not that of the layers.
    RuntimeError
        If a segment takes longer than ``max_cycles``.
    """
    if memory.stall:
        raise ValueError(f"the memory must not pause at random, not with a probability of {memory.stall!r}")
    if len(outputs) != len(job.outputs):
        raise ValueError(f"there must be {len(job.outputs)} outputs, one for each layer, not {len(outputs)}")
    return _Run(job, activations, memory).run(outputs, max_cycles)


class _Run:
    """A job on its way."""

    def __init__(self, job: Job, activations: Any, memory: MemoryModel):
        self.job, self.config = job, job.config
        content = np.zeros(job.image.base + job.image.size + 4096, np.uint8)
        job.fill(content, activations)
        self.memory, self.results = content, content.copy()
        self.walker = Walker(self.config, self.memory, self.results)
        self.fixed = _fixed(job, memory)
        self.state = _state(self.config, memory)
        self.local = np.zeros(self.config.cores, np.bool_)
        self.retired = np.zeros(job.count, np.int64)

    def run(self, outputs: Sequence[NDArray[Any]], max_cycles: int) -> AcceleratorCycles:
        instructions = _instructions(self.job)
        starts = list(self.job.starts) or [0]
        counts: dict[int, tuple[int, ...]] = {}  # at the end of each segment
        busy = 0
        for first, last in _segments(instructions):
            layers = [number for number, start in enumerate(starts)
                      if start < last and [*starts[1:], last][number] > first]
            for number in layers:
                self._write(self.results, number, outputs[number])
            busy += self._segment(self.walker.run(instructions[first:last]), first, max_cycles)
            for number in layers:
                self._write(self.memory, number, outputs[number])
            counts[last - 1] = (int(self.state.decoder[0]["cycle"]), busy, int(self.state.reads[0]["beats"]),
                                int(self.state.writes[0]["beats"]))
        total = counts[len(instructions) - 1]
        borders = [(0, 0, 0, 0), *(counts[start] for start in starts[1:]), total]
        layers_of = tuple(LayerCycles(*(after - before for before, after in zip(*pair, strict=True)))
                          for pair in pairwise(borders))
        cycles, busy, reads, writes = total
        return AcceleratorCycles(cycles, busy, reads, writes, layers_of, self.retired)

    def _write(self, memory: NDArray[np.uint8], number: int, output: NDArray[Any]) -> None:
        """Put the output of a layer into memory."""
        form = self.job.outputs[number]
        memory[form.address:form.address + form.bytes] = form.encode(output)

    def _segment(self, segment: Segment, first: int, max_cycles: int) -> int:
        """Run a segment; its products."""
        config, state = self.config, self.state
        for units, names in COUNTED:
            for name in names:
                getattr(state, units)[name] = 0
        mesh = _mesh(config, segment, self.local)
        served = [config.lane_of(c) for c in range(config.mesh_cols)]
        lane_cores = np.array([(served.index(lane), served.index(lane) + served.count(lane) - 1)
                               for lane in range(config.drain_lanes)])
        late = run_segment(
            self.fixed, state, mesh, limits(config, *segment.layer, nodes=True), _loader_sizes(config),
            _streamer_sizes(config), _writer_sizes(config), lane_cores, segment.commands, first, segment.slots,
            segment.tables, segment.rows, *segment.replays, segment.chunks, segment.moving, segment.stationary,
            segment.cores, segment.vector, self.retired, max_cycles)
        if late:
            decoder = state.decoder[0]
            raise RuntimeError(f"command {decoder['index']} is not carried out within {max_cycles} cycles")
        self.local = mesh.drains["local"].copy()
        return int(mesh.pes["busy"].sum())


def _instructions(job: Job) -> list[Instruction]:
    commands = CommandSet(job.config, address_width=job.config.address_width)
    text, size = job.stream(), commands.command_bytes
    return [commands.decode(text[at:at + size]) for at in range(0, size * job.count, size)]


def _segments(instructions: Sequence[Instruction]) -> list[tuple[int, int]]:
    """The first command of each part, and that behind its last one, which waits for everything."""
    ends = [i + 1 for i, one in enumerate(instructions) if one.name == FENCE and one.values["units"] == EVERYTHING]
    return list(pairwise(sorted({0, *ends, len(instructions)})))


def _fixed(job: Job, memory: MemoryModel) -> Fixed:
    config, bus = job.config, bus_parameters(job.config)
    size, record = bus.word_bytes, entry_bytes(config)
    unit = gcd(size, record)
    return Fixed(
        size=size, burst_words=bus.burst_words, latency=memory.latency, rate=round(BANDWIDTH * memory.bandwidth),
        outstanding=bus.outstanding, buffer=bus.buffer, command_bytes=CommandSet(config).command_bytes,
        commands=job.commands, total=job.count, prefetch=PREFETCH, record_units=record // unit, unit=unit,
        parameter_ratio=max(1, PARAMETER_BYTES // size), parameter_bytes=PARAMETER_BYTES, chunk=config.chunk,
        clearing=config.acc_halves, on_chip=config.on_chip_words)


def _state(config: PhantomConfig, memory: MemoryModel) -> State:
    bus = bus_parameters(config)
    rows, cols, links = config.mesh_rows, config.mesh_cols, config.mesh_rows * config.drain_lanes
    order = bus.outstanding if config.on_chip_words else 0
    state = State(
        decoder=np.zeros(1, DECODER), reads=np.zeros(1, READS), writes=np.zeros(1, WRITES),
        splitters=np.zeros(2, SPLITTER), aligners=np.zeros(2, ALIGNER),
        owners=np.zeros(ReadArbiter.depth(bus), np.int64), flying=np.zeros((bus.outstanding, 4), np.int64),
        words=np.zeros((bus.buffer, 2), np.int64), read_memory=np.zeros((memory.queue, 2), np.int64),
        planned=np.zeros((WriteManager.PLANNED, 2), np.int64), sending=np.zeros(bus.outstanding, np.int64),
        write_memory=np.zeros(memory.queue, np.int64), answers=np.zeros(bus.outstanding, np.int64),
        read_order=np.zeros((order, 2), np.int64), write_order=np.zeros((order, 2), np.int64),
        tables=np.zeros(2, TABLE), queue=np.zeros(1, QUEUE), parameters=np.zeros(1, PARAMETERS),
        loaders=np.zeros(config.moving_loaders, LOADER), loader_queues=np.zeros(config.moving_loaders * QUEUES, QUEUE),
        sequencer=np.zeros(1, SEQUENCER), streamers=np.zeros(rows, STREAMER), columns=np.zeros(cols, COLUMN),
        reducers=np.zeros(rows, REDUCER), serializers=np.zeros((rows, config.drain_lanes), SERIALIZER),
        lanes=np.zeros(links, LANE), encoders=np.zeros(links, ENCODER), writer=np.zeros(1, WRITER))
    state.decoder["offered"] = -1
    state.reads["free"] = bus.buffer
    state.reads["tokens"] = state.writes["tokens"] = 2 * BANDWIDTH
    state.loaders["ended"] = 1
    shape = SlotShape(config, bus.word_bytes)
    state.encoders["place"], state.encoders["needed"] = shape.origin, not shape.alone
    return state


def _mesh(config: PhantomConfig, segment: Segment, local: NDArray[np.bool_]) -> Mesh:
    """A mesh in which nothing is; ``local`` is whose turn it is on the result links."""
    of_mesh = limits(config, *segment.layer, nodes=True)
    pes = np.zeros(config.cores * config.pes, PE)
    windows, drains = np.zeros(len(pes) * config.window_groups, GROUP), np.zeros(config.cores, DRAIN)
    drains["local"] = local
    return Mesh(empty_nodes(config.cores), empty_nodes(config.cores), sources_of(segment.moving),
                sources_of(segment.stationary), pes, windows, np.zeros(len(windows) * config.group, np.int64), drains,
                np.zeros((config.cores, of_mesh.result_latency + 1), np.int64),
                np.zeros((config.cores, of_mesh.slots), np.int64))


def _loader_sizes(config: PhantomConfig) -> LoaderSizes:
    width, bus = config.act_width, config.bus_width // 8
    word = max(bus, config.moving_link * width // 8)
    mask_bytes = -(-config.chunk // 8)
    return LoaderSizes(
        lanes=config.moving_link, ahead=MovingLoader.slots_ahead(config), ratio=word // bus, values=8 * word // width,
        first=8 * mask_bytes // width, odd=mask_bytes % 2 if width == 16 else 0,
        mask_lanes=np.uint64((1 << config.moving_link) - 1))


def _streamer_sizes(config: PhantomConfig) -> StreamerSizes:
    return StreamerSizes(
        link=config.moving_link, threads=config.threads, row_width=config.row_width, depth=RowStore.depth(config),
        chain=2 + len(RowGather.rotations(config)), masks=MaskFormer.stages(config))


def _writer_sizes(config: PhantomConfig) -> WriterSizes:
    shape = SlotShape(config, config.bus_width // 8)
    depth = max(SparseEncoder.WORDS, 1 << (2 * shape.words).bit_length())
    return WriterSizes(
        chunk=config.chunk, act_width=config.act_width, mask_bytes=shape.mask_bytes, odd=int(shape.odd),
        alone=int(shape.alone), values=shape.values, origin=shape.origin, depth=depth)
