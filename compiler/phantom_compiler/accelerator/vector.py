"""A layer of the vector unit from tensor to tensor: what the accelerator is told and given for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig
from phantom_hw.moving.layouts import entry_bytes, row_layout
from phantom_hw.results.layouts import SLOT_UNIT
from phantom_hw.vector.layouts import Operation

from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.entries import base_entries
from phantom_compiler.accelerator.image import MemoryImage
from phantom_compiler.accelerator.job import Job
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.vector_layers import Add, VectorLayer
from phantom_compiler.accelerator.vector_plan import Strip, VectorPlan, plan_vector
from phantom_compiler.packing import pack_bytes

__all__ = ["VectorJob", "emit_vector", "lower_vector", "vector_job"]

Bytes = NDArray[np.uint8]
PHASES = 255
"""Most phases of a row that a load knows."""


def lower_vector(
    layer: VectorLayer, inputs: tuple[TensorFormat, ...], config: PhantomConfig, image: MemoryImage,
    stream: CommandStream, *, out_signed: bool,
) -> TensorFormat:
    """Add a layer of the vector unit to a job.

    Parameters
    ----------
    layer : VectorLayer
    inputs : tuple of TensorFormat
        Where the inputs lie; those of an addition may have different slots.
    config : PhantomConfig
    image : MemoryImage
        Gets the constant data and the room for the output.
    stream : CommandStream
        Gets the commands; they begin behind all that was done before, and end with rows that go into the mesh.
    out_signed : bool
        How the output is read.

    Returns
    -------
    TensorFormat
        Of the output.

    Raises
    ------
    LayerError
        See :func:`~.vector_plan.plan_vector`.
    """
    plan = plan_vector(layer, inputs, config, out_signed)
    output = plan.output.at(image.reserve(plan.output.bytes))
    emit_vector(plan, output, image, stream)
    return output


def emit_vector(plan: VectorPlan, output: TensorFormat, image: MemoryImage, stream: CommandStream) -> None:
    """Write the commands and the constant data of a plan; all its inputs and ``output`` have their addresses."""
    _Emitter(plan, output, image, stream).run()


@dataclass(frozen=True)
class _Step:
    """What is loaded and streamed at a time."""

    group: int
    image: int
    strip: Strip


class _Emitter:
    """Emits the commands of a plan."""

    def __init__(self, plan: VectorPlan, output: TensorFormat, image: MemoryImage, stream: CommandStream):
        self.plan, self.output, self.image, self.stream = plan, output, image, stream
        self.config = plan.config
        self.everyone = (1 << self.config.mesh_rows) - 1
        served = [self.config.lane_of(c) for c in range(self.config.mesh_cols)]
        self.first_cores = sum(1 << served.index(lane) for lane in range(self.config.drain_lanes))
        self.patterns: dict[tuple[int, int], int] = {}

    def run(self) -> None:
        plan, stream = self.plan, self.stream
        stream.fence()
        self._settings()
        if plan.all_parameters:
            for group in range(plan.groups):
                self._parameters(group)
        steps = [_Step(group, image, strip) for group in range(plan.groups)
                 for image in range(plan.inputs[0].shape[0]) for strip in plan.strips]
        rows = self._row_entries()
        stream.add("LOAD_PROGRAM", address=self.image.add(rows), count=len(rows), offset=0)

        def loads(i: int) -> None:
            if i and not plan.ahead:
                stream.fence("stream_moving")
            self._load(steps[i], self._region(i))
            bases = self._base_entries(steps[i], self._region(i))
            stream.add("LOAD_PROGRAM", address=self.image.add(bases), count=len(bases), offset=self._bases(i))

        loads(0)
        for i, step in enumerate(steps):
            if not plan.all_parameters and (i == 0 or step.group != steps[i - 1].group):
                stream.fence("stream_moving", "results")
                self._parameters(step.group)
                stream.fence("results")
            stream.fence("load_program", "load_moving", *(["results"] if i == 0 else []))
            first, last = step.strip.lines
            stream.add("STREAM_MOVING", bases=self._bases(i), base_count=1, start=0, count=len(rows),
                       steps=(last - first) * self.output.slots, rows=self.everyone)
            if i + 1 < len(steps):
                loads(i + 1)
        stream.fence()
        self._vector(Operation.NONE)

    def _region(self, i: int) -> int:
        return i % 2 * (self.config.moving_positions // 2) if self.plan.ahead else 0

    def _bases(self, i: int) -> int:
        return self.plan.row_entries + (i % 2 * self.plan.base_entries if self.plan.ahead else 0)

    # --- settings -------------------------------------------------------------------------------------------

    def _vector(self, operation: Any) -> None:
        plan, forms = self.plan, self.plan.inputs
        mult_a, mult_b = (plan.layer.mult_a, plan.layer.mult_b) if isinstance(plan.layer, Add) else (0, 0)
        self.stream.add(
            "VECTOR", operation=operation.value, signed_a=int(forms[0].signed), signed_b=int(forms[-1].signed),
            fold=int(plan.fold), beats=1 if plan.fold else plan.beats, operands=plan.operands,
            positions=plan.positions, count=plan.count, mult_a=mult_a, mult_b=mult_b)

    def _settings(self) -> None:
        plan, threads = self.plan, self.config.threads
        self._vector(plan.layer.operation)
        planes, length, step = plan.planes
        self.stream.add(
            "ROWS", planes=planes, beats=plan.beats, plane_length=(length,) * threads, tap_base=(0,) * threads,
            plane_step=tuple(p * step if p < planes else 0 for p in range(threads)))
        _, _, rows, columns = self.output.shape
        width, height = self.output.width, self.output.height
        for high in {height, rows - (rows - 1) // height * height}:
            for wide in {width, columns - (columns - 1) // width * width}:
                there = (np.arange(height)[:, None] < high) & (np.arange(width) < wide)
                bits = sum(1 << int(i) for i in np.flatnonzero(there))
                number = self.patterns[high, wide] = len(self.patterns)
                self.stream.add("PATTERN", index=number, bits=(bits & 0xFFFFFFFF, bits >> 32))

    def _parameters(self, group: int) -> None:
        """Load what the lanes need for a group's channels."""
        plan, lanes = self.plan, self.config.drain_lanes
        mult, shift = plan.layer.scale(plan.inputs[0].shape[2:])
        lo, hi = plan.layer.clamp(self.config.act_width, self.output.signed)
        for mesh_row in range(self.config.mesh_rows):
            start, there = plan.owned(group, mesh_row)
            for lane in range(lanes):
                table = np.zeros((plan.lane_places, 4), "<u4")
                for number in range(plan.count):
                    channel = number * lanes + lane
                    if channel < there:
                        slot = self.output.address + (start + channel) * self.output.channel_pitch
                        table[plan.lane_place(lane, number)] = 0, mult | shift << 24, slot // SLOT_UNIT, 1
                self.stream.add(
                    "PARAMETERS", address=self.image.add(table.view(np.uint8)), count=len(table),
                    first=self._first(group), rows=1 << mesh_row, lanes=1 << lane, clamp=0, lo=lo, hi=hi)

    def _first(self, group: int) -> int:
        return group * self.plan.lane_places if self.plan.all_parameters else 0

    # --- the row program ------------------------------------------------------------------------------------

    def _row_entries(self) -> Bytes:
        plan, results = self.plan, self.plan.count * self.config.drain_lanes
        places, lasts = np.array(plan.parts).T
        channels = np.arange(results)
        place = np.minimum(channels, plan.channels - 1)[:, None] * plan.channel_step + places
        nothing = np.zeros(place.size, np.int64)
        return pack_bytes(row_layout(self.config), {
            "place": place.ravel(), "base": nothing, "zero": np.repeat((channels >= plan.channels).astype(np.int64),
                                                                      len(places)),
            "last": np.tile(lasts, results), "short": nothing, "pe_row": nothing,
            "cols": np.zeros((place.size, self.config.mesh_cols), np.uint64),
        }, entry_bytes(self.config))

    def _base_entries(self, step: _Step, region: int) -> Bytes:
        plan, output = self.plan, self.output
        _, _, rows, columns = output.shape
        place, pattern, offset = [], [], []
        for line in range(*step.strip.lines):
            top = line * output.height
            for slot in range(output.slots):
                left = slot * output.width
                place.append(region + plan.block(step.strip, top, left))
                pattern.append(self.patterns[min(output.height, rows - top), min(output.width, columns - left)])
                offset.append((step.image * output.image_pitch + line * output.line_pitch
                               + slot * output.slot_pitch) // SLOT_UNIT)
        count = len(place)
        fields: dict[str, Any] = {
            "place": np.array(place), "rows": np.full(count, self.everyone), "cols": np.full(count, self.first_cores),
            "tile": {"first": np.full(count, self._first(step.group)), "clamp": np.zeros(count, np.int64),
                     "pattern": np.array(pattern), "write": np.ones(count, np.int64), "offset": np.array(offset)}}
        return base_entries(self.config, fields)

    # --- loads ----------------------------------------------------------------------------------------------

    def _load(self, step: _Step, region: int) -> None:
        """Fill the buffers with a band of the inputs."""
        plan = self.plan
        if plan.fold:
            used = plan.rows * plan.columns
            if used < plan.channel_step:
                self.stream.add("FILL_MOVING", offset=region + used, length=plan.channel_step - used,
                                count=plan.channels, step=plan.channel_step % self.config.moving_positions,
                                rows=self.everyone)
        elif plan.padded and not plan.replicates:
            self.stream.add("FILL_MOVING", offset=region, length=plan.size, count=1, step=0, rows=self.everyone)
        for mesh_row in range(self.config.mesh_rows):
            owned = plan.owned(step.group, mesh_row)
            if owned[1]:
                for number in range(len(plan.inputs)):
                    self._load_input(step, number, owned, 1 << mesh_row, region + number * plan.input_step)

    def _load_input(self, step: _Step, number: int, channels: tuple[int, int], mesh_rows: int, place: int) -> None:
        """Load some channels of an input's band.

        Where the rows and columns at the edge are repeated, lines are loaded several times, farther from their place
        first: what is behind the edge stays of each. Where all columns are repeated, each time is a load.
        """
        plan, form = self.plan, self.plan.inputs[number]
        begin, end = step.strip.loads[number]
        whole = max(begin, min(end, form.shape[2] // form.height))  # lines without missing rows
        above, below = plan.repeated_rows(step.strip) if plan.replicates else (0, 0)
        loads = [(end - 1, end, shift) for shift in range(below, 0, -1)]
        loads += [(begin, begin + 1, -shift) for shift in range(above, 0, -1)]
        loads += [(line, last, 0) for line, last in ((begin, whole), (whole, end)) if line < last]
        left, right = plan.repeated_columns if plan.replicates else (0, 0)
        shifts = [*range(right, 0, -1), *range(-left, 1)]
        repeats = plan.layer.repeats[1]
        if repeats > 1:
            for first, last, _ in loads:
                for aside in range(repeats):
                    self._spread(step, form, channels, (first, last), aside, mesh_rows, place)
            return
        for first, last, down in loads:
            for aside in shifts:
                self._lines(step, form, channels, (first, last), (down, aside), mesh_rows, place)

    def _spread(
        self, step: _Step, form: TensorFormat, channels: tuple[int, int], lines: tuple[int, int], aside: int,
        mesh_rows: int, place: int,
    ) -> None:
        """Load lines with their positions as far apart as each is repeated: every position is a phase of its own."""
        plan, size, repeats = self.plan, self.config.moving_positions, self.plan.layer.repeats[1]
        row, at_once = lines[0] * form.height - step.strip.rows[0], PHASES // form.width
        for slot in range(0, form.slots, at_once):
            slots = min(at_once, form.slots - slot)
            self.stream.add(
                "LOAD_MOVING", address=form.address + step.image * form.image_pitch + channels[0] * form.channel_pitch
                + lines[0] * form.line_pitch + slot * form.slot_pitch, channel_pitch=form.channel_pitch,
                line_pitch=form.line_pitch, slot_pitch=form.slot_pitch, channels=channels[1],
                lines=lines[1] - lines[0], slots=slots, positions=form.positions(lines[0], slot),
                last_positions=form.positions(lines[0], slot + slots - 1), width=min(form.width, form.shape[3]),
                stride=PHASES, signed=int(form.signed), rows=mesh_rows, x=0,
                offset=place + row * plan.columns + slot * form.width * repeats + aside,
                channel_step=plan.channel_step % size, row_step=plan.columns % size, phase_step=repeats % size)

    def _lines(
        self, step: _Step, form: TensorFormat, channels: tuple[int, int], lines: tuple[int, int],
        shift: tuple[int, int], mesh_rows: int, place: int,
    ) -> None:
        plan, size = self.plan, self.config.moving_positions
        top, left, _, _ = plan.layer.window.padding
        row = top + lines[0] * form.height - step.strip.rows[0] + shift[0]
        self.stream.add(
            "LOAD_MOVING", address=form.address + step.image * form.image_pitch + channels[0] * form.channel_pitch
            + lines[0] * form.line_pitch, channel_pitch=form.channel_pitch, line_pitch=form.line_pitch,
            slot_pitch=form.slot_pitch, channels=channels[1], lines=lines[1] - lines[0], slots=form.slots,
            positions=form.positions(lines[0], 0), last_positions=form.positions(lines[0], form.slots - 1),
            width=min(form.width, form.shape[3]), stride=plan.stride, signed=int(form.signed), rows=mesh_rows,
            x=left + shift[1], offset=place + row * plan.columns, channel_step=plan.channel_step % size,
            row_step=plan.columns % size, phase_step=plan.phase_step % size)


@dataclass(frozen=True, eq=False)
class VectorJob(Job):
    """A job of one layer of the vector unit.

    Parameters
    ----------
    inputs : tuple of TensorFormat
        The first one is ``input``.
    """

    inputs: tuple[TensorFormat, ...] = ()

    def fill(self, memory: NDArray[np.uint8], activations: Any) -> None:
        """Put the constant data and all inputs (a sequence of arrays) into memory."""
        for form, values in zip(self.inputs, activations, strict=True):
            memory[form.address:form.address + form.bytes] = form.encode(values)
        super().fill(memory, activations[0])


def vector_job(
    layer: VectorLayer, forms: tuple[TensorFormat, ...], config: PhantomConfig, *, out_signed: bool,
    base: int | None = None,
) -> VectorJob:
    """A job of one layer.

    Parameters
    ----------
    layer : VectorLayer
    forms : tuple of TensorFormat
        Of the inputs; their addresses are not looked at.
    config : PhantomConfig
    out_signed : bool
    base : int, optional
        First address of the job's memory; by default the first one of external memory.

    Raises
    ------
    LayerError
        See :func:`lower_vector`.
    """
    image, stream = MemoryImage(config.on_chip_bytes if base is None else base), CommandStream(config)
    forms = tuple(form.at(image.reserve(form.bytes)) for form in forms)
    output = lower_vector(layer, forms, config, image, stream, out_signed=out_signed)
    address = image.add(stream.to_bytes())
    return VectorJob(config, image, address, len(stream.instructions) + 1, forms[0], [output], inputs=forms)
