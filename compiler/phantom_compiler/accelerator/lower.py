"""A layer from tensor to tensor: what the accelerator is told and given for it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig
from phantom_hw.results.layouts import PARAMETER_BYTES, SLOT_UNIT

from phantom_compiler.accelerator.bands import Bands, cut_into_bands
from phantom_compiler.accelerator.buffer import BufferLayout
from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.entries import base_entries, row_entries
from phantom_compiler.accelerator.image import MemoryImage
from phantom_compiler.accelerator.loads import BandLoader
from phantom_compiler.accelerator.packets import PackedPackets, needs_wide, pack_items, pack_layer
from phantom_compiler.accelerator.source import LayerInput, layer_input
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.beats import stationary_beats
from phantom_compiler.quantized import QuantizedLayer
from phantom_compiler.schedule import deal, make_schedule
from phantom_compiler.tiling import Array, Sharing, Tiling, tilings

__all__ = ["Lowered", "lower_layer"]

IntArray = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Density = float | NDArray[np.float64]

FULL, NOTHING = 0, 15
"""Patterns: all positions of a tile, none of them; between them those of the tiles at the edges."""


@dataclass(frozen=True)
class Lowered:
    """What became of a layer.

    Attributes
    ----------
    output : TensorFormat
        With its address.
    tiling : str
        How the layer is cut, for reports.
    """

    output: TensorFormat
    tiling: str


@dataclass(frozen=True, eq=False)
class _Set:
    """What one set of filters needs: row entries, the packets of each mesh column, the filters of each PE column."""

    filters: IntArray
    rows: Bytes
    packets: list[PackedPackets]

    @property
    def words(self) -> int:
        """Words that the packets of the longest column take."""
        return max(packets.words for packets in self.packets)


@dataclass(frozen=True, eq=False)
class _Plan:
    """A layer with all decisions taken."""

    config: PhantomConfig
    quantized: QuantizedLayer
    source: LayerInput
    input: TensorFormat
    output: TensorFormat
    tiling: Tiling
    bands: Bands
    sets: list[_Set]

    @property
    def streams(self) -> int:
        """Blocks that a mesh row works on at the same time."""
        return self.config.mesh_cols if self.tiling.sharing is Sharing.CORES else 1


def _wide(config: PhantomConfig) -> PhantomConfig:
    """The PE columns of a mesh row as those of one core, for the scheduler only."""
    wide = copy.copy(config)
    object.__setattr__(wide, "pe_cols", config.mesh_cols * config.pe_cols)
    return wide


def _fits(source: LayerInput, form: TensorFormat, tiling: Tiling) -> bool:
    """The moving buffer can hold the input so that rows of this geometry can be read."""
    geometry, stride = tiling.geometry, source.stride
    if tiling.sharing is Sharing.FILTERS:
        return False
    if len(geometry.planes) > 1 and geometry.segments > 1 and geometry.segment_shift % stride[1]:
        return False
    if geometry.height > 1:
        columns = -(-source.columns // stride[1])
        if columns > geometry.pitch or (stride[0] > 1 and form.height > 1):
            return False
    return True


def _make_sets(
    source: LayerInput, tiling: Tiling, layout: BufferLayout, config: PhantomConfig, density: Density
) -> list[_Set]:
    """All sets of filters, each as the whole mesh works on it."""
    wide, problem = _wide(config), source.problem
    items = np.ascontiguousarray(tiling.geometry.arrange(problem.stationary, config.threads))
    masks = items != 0
    span = tiling.geometry.positions
    wide_places = needs_wide(tiling.outputs, span)
    expected = None
    if isinstance(density, np.ndarray):  # what has no nonzero passes the window all the same, L_f entries a cycle
        expected = np.maximum(layout.of_channels(density, problem.groups), config.threads / config.lookahead)
    sets = []
    for filters in deal(masks.sum(axis=(1, 2)), problem.groups, tiling.sharing, tiling.depth, wide, True):
        schedule = make_schedule(filters, masks, problem.groups, tiling.sharing, wide, True, expected)
        keep = np.ones((1, len(schedule.row)), bool)
        beats, _, extra = stationary_beats(schedule, keep, items, tiling, wide)
        idle = np.array([not (schedule.pe_row == r).any() for r in range(config.pe_rows)])
        rows = row_entries(config, schedule, layout, problem.stationary.shape[1], extra[0], idle)
        packets = []
        for column in range(config.mesh_cols):
            lanes = slice(column * config.pe_cols, (column + 1) * config.pe_cols)
            of_core = {name: values[:, lanes] for name, values in beats["items"].items()}
            sent = of_core["valid"].any(axis=1)
            packets.append(pack_items(config, {
                "pe_row": beats["pe_row"][sent],
                "items": {name: values[sent] for name, values in of_core.items()}}, span, wide=wide_places))
        sets.append(_Set(filters, rows, packets))
    return sets


def _per_set(config: PhantomConfig, tiling: Tiling) -> int:
    """Places that the channels of a set take in a lane, the same for all lanes."""
    lanes = [config.lane_of(c) for c in range(config.mesh_cols)]
    return tiling.depth * max(lanes.count(lane) for lane in lanes) * config.pe_cols


def _plan(
    quantized: QuantizedLayer, form: TensorFormat, shape: tuple[int, ...], config: PhantomConfig, density: Density,
    out_signed: bool,
) -> _Plan:
    layer = quantized.layer
    layer.validate(config)
    source = layer_input(layer, shape)
    if form.shape != source.shape:
        raise layer.error(f"the input must have shape {source.shape}, not {form.shape}")
    searched = tilings(source.problem, config, Array.mesh(config), float(np.mean(density)))
    candidates = sorted(searched, key=lambda one: one.cycles)
    problems: set[str] = set()
    for tiling in candidates:
        if not _fits(source, form, tiling):
            continue
        if _per_set(config, tiling) > config.lane_channels:
            problems.add("lane_channels")
            continue
        streams = config.mesh_cols if tiling.sharing is Sharing.CORES else 1
        bands = cut_into_bands(config, source, form, tiling.geometry, streams)
        if bands is None:
            problems.add("moving_words")
            continue
        sets = _make_sets(source, tiling, bands.layout, config, density)
        if max(one.words for one in sets) > config.stationary_words:
            problems.add("stationary_words")
            continue
        bases = max(band.steps for band in bands.bands) * config.mesh_rows * streams
        if bases + max(len(one.rows) for one in sets) > config.program_words:
            problems.add("program_words")
            continue
        (rows, columns), images = source.problem.out_size, source.shape[0]
        output = TensorFormat(config, (images, len(source.problem.stationary), rows, columns), out_signed,
                              min(tiling.geometry.width, columns), tiling.geometry.height)
        return _Plan(config, quantized, source, form, output, tiling, bands, sets)
    why = f"; too small: {', '.join(sorted(problems))}" if problems else ""
    raise layer.error(f"does not fit the buffers of configuration {config.name!r}{why}")


def lower_layer(
    quantized: QuantizedLayer, form: TensorFormat, shape: tuple[int, ...], config: PhantomConfig,
    image: MemoryImage, stream: CommandStream, *, out_signed: bool, density: Density = 0.5,
) -> Lowered:
    """Add a layer to a job.

    Parameters
    ----------
    quantized : QuantizedLayer
    form : TensorFormat
        Of the input, with its address.
    shape : tuple of int
        Of the activations, as the reference operator takes them.
    config : PhantomConfig
    image : MemoryImage
        Gets the layer's constant data and room for its output.
    stream : CommandStream
        Gets its commands.
    out_signed : bool
        Whether the results use the signed range.
    density : float, or float array of shape (channels,)
        Share of nonzero activations expected, of all or of each channel (from a calibration); rows are dealt to PE rows
        by those of the channels.

    Returns
    -------
    Lowered

    Raises
    ------
    LayerError
        If the layer cannot be computed exactly or does not fit the configuration.
    """
    plan = _plan(quantized, form, shape, config, density, out_signed)
    output = plan.output.at(image.reserve(plan.output.bytes))
    _Emitter(plan, output, image, stream).run()
    tiling, geometry = plan.tiling, plan.tiling.geometry
    return Lowered(output, f"{tiling.sharing.value}, {geometry.height} x {geometry.width}, {tiling.depth} filters, "
                           f"{len(plan.sets)} sets, {len(plan.bands.bands)} bands")


class _Emitter:
    """Writes the commands of a plan."""

    def __init__(self, plan: _Plan, output: TensorFormat, image: MemoryImage, stream: CommandStream):
        self.plan, self.output, self.image, self.stream = plan, output, image, stream
        self.config = plan.config
        self.everyone = (1 << self.config.mesh_rows) - 1
        self.patterns: dict[tuple[int, int], int] = {}

    def run(self) -> None:
        plan, stream = self.plan, self.stream
        stream.fence()
        self._settings()
        self._first_packets()
        all_parameters = self._parameters()
        loader = BandLoader(self.config, plan.input, plan.bands, stream)
        work = [(band, number) for band in range(len(plan.bands.bands)) for number in range(len(plan.sets))]
        programs = [self._program(band, number) for band, number in work]
        halves = 2 * max(len(program) for program, _ in programs) <= self.config.program_words
        words = [one.words for one in plan.sets]
        resident = sum(words) <= self.config.stationary_words
        double = 2 * max(words) <= self.config.stationary_words
        self.addresses = [[self.image.add(p.content) for p in one.packets] for one in plan.sets]
        program_addresses = [self.image.add(program) for program, _ in programs]

        def loads(i: int) -> None:
            band, number = work[i]
            if i and not (halves and (resident or double) and (plan.bands.ahead or band == work[i - 1][0])):
                stream.fence("stream_moving", "stream_stationary")
            if number == 0:
                loader.load(band)
            offset = i % 2 * (self.config.program_words // 2) if halves else 0
            stream.add("LOAD_PROGRAM", address=program_addresses[i], count=len(programs[i][0]), offset=offset)
            if band == 0 or not resident:
                self._load_packets(number, self._packet_offset(number, i, resident, double))

        loads(0)
        for i, (band, number) in enumerate(work):
            stream.fence("load_program", "load_moving", "load_stationary", "stream_stationary")
            if i == 0:
                stream.fence("results")
            if not all_parameters:
                stream.fence("stream_moving", "results")
                self._load_parameters([number])
                stream.fence("results")
            shares = plan.bands.bands[band].shares
            offset = self._packet_offset(number, i, resident, double)
            start = i % 2 * (self.config.program_words // 2) if halves else 0
            bases, per_step, rows = programs[i][1], self._bases_per_step(), len(plan.sets[number].rows)
            for first, count, mesh_rows in self._runs(shares):
                self._stream_packets(number, offset, count, mesh_rows)
                stream.add("STREAM_MOVING", bases=start + first * per_step, base_count=per_step, start=start + bases,
                           count=rows, steps=count, rows=mesh_rows)
            if i + 1 < len(work):
                loads(i + 1)

    # --- what is the same for the whole layer ---------------------------------------------------------------

    def _settings(self) -> None:
        plan, config, geometry = self.plan, self.config, self.plan.tiling.geometry
        steps, lengths = plan.bands.layout.planes()
        unused = [0] * (config.threads - len(steps))
        groups = -(-geometry.positions // config.group)
        beats = max(-(-geometry.row_values // config.moving_link), -(-groups // config.mask_groups))
        self.stream.add("ROWS", planes=len(steps), beats=beats, plane_length=tuple(lengths + [1] * len(unused)),
                        tap_base=tuple(int(b) for b in geometry.tap_base(config.threads)),
                        plane_step=tuple(steps + unused))
        stretch, place = geometry.outputs()
        rows, columns = plan.source.problem.out_size
        for high in {geometry.height, rows - (rows - 1) // geometry.height * geometry.height}:
            for wide in {min(geometry.width, columns), columns - (columns - 1) // geometry.width * geometry.width}:
                there = (stretch >= 0) & (stretch < high) & (place < wide)
                self._pattern(len(self.patterns), sum(1 << int(i) for i in np.flatnonzero(there)))
                self.patterns[high, wide] = len(self.patterns)
        self._pattern(NOTHING, 0)

    def _pattern(self, index: int, bits: int) -> None:
        self.stream.add("PATTERN", index=index, bits=(bits & 0xFFFFFFFF, bits >> 32))

    def _first_packets(self) -> None:
        """The packet that sets up the cores, sent to all of them."""
        plan, config, geometry = self.plan, self.config, self.plan.tiling.geometry
        problem = plan.source.problem
        packet = pack_layer(config, {
            "groups": -(-geometry.positions // config.group), "outputs": plan.tiling.outputs,
            "span": geometry.positions, "moving_signed": int(problem.moving_signed),
            "stationary_signed": int(problem.stationary_signed), "tap_base": geometry.tap_base(config.threads),
        }, wide=needs_wide(plan.tiling.outputs, geometry.positions))
        columns = (1 << config.mesh_cols) - 1
        self.stream.add("LOAD_STATIONARY", address=self.image.add(packet.content), count=packet.words, offset=0,
                        columns=columns)
        self.stream.fence("load_stationary")
        self.stream.add("STREAM_STATIONARY", offset=0, count=1, repeats=1, columns=columns, rows=self.everyone)
        self.stream.fence("stream_stationary")

    # --- parameters -----------------------------------------------------------------------------------------

    @property
    def _all_parameters(self) -> bool:
        """All sets' parameters fit into the lanes."""
        return len(self.plan.sets) * _per_set(self.config, self.plan.tiling) <= self.config.lane_channels

    def _parameters(self) -> bool:
        if self._all_parameters:
            self._load_parameters(list(range(len(self.plan.sets))))
        return self._all_parameters

    def _load_parameters(self, numbers: list[int]) -> None:
        """Load the parameters of sets that follow each other."""
        for lane in range(self.config.drain_lanes):
            table = np.concatenate([self._lane_channels(self.plan.sets[number], lane) for number in numbers])
            self.stream.add("PARAMETERS", address=self.image.add(table), count=len(table), first=0,
                            rows=self.everyone, lanes=1 << lane, clamp=0, lo=self.plan.quantized.lo,
                            hi=self.plan.quantized.hi)

    def _lane_channels(self, one: _Set, lane: int) -> Bytes:
        """Parameters of a lane's channels for a set of filters: filter by filter, the PE columns side by side."""
        config, quantized = self.config, self.plan.quantized
        columns = [c * config.pe_cols + p for c in range(config.mesh_cols) if config.lane_of(c) == lane
                   for p in range(config.pe_cols)]
        number = one.filters[columns].T.ravel()
        there = number >= 0
        index = np.where(there, number, 0)
        slot = (self.output.address + index * self.output.channel_pitch) // SLOT_UNIT
        words = np.stack([quantized.bias[index], quantized.mult[index] | quantized.shift[index] << 24, slot, there], 1)
        words[~there] = 0
        table = np.zeros((_per_set(config, self.plan.tiling), words.shape[1]), "<u4")
        table[:len(words)] = words & 0xFFFFFFFF
        assert table.itemsize * table.shape[1] == PARAMETER_BYTES
        return np.ascontiguousarray(table).view(np.uint8).reshape(len(table), PARAMETER_BYTES)

    # --- the moving operand ---------------------------------------------------------------------------------

    def _bases_per_step(self) -> int:
        return self.config.mesh_rows * self.plan.streams

    def _program(self, number_of_band: int, number: int) -> tuple[Bytes, int]:
        """Base entries and row entries of a band and a set of filters; how many base entries."""
        plan, config = self.plan, self.config
        band, streams = plan.bands.bands[number_of_band], plan.streams
        fields: dict[str, list[Any]] = {name: [] for name in ("place", "rows", "cols", "pattern", "write", "offset")}
        for step in range(band.steps):
            for r, share in enumerate(band.shares):
                for s in range(streams):
                    block = int(share.blocks[step, s]) if step < len(share.blocks) else -1
                    place, pattern, offset = self._block(band.image, block)
                    origin = plan.bands.origin(config, number_of_band, r) if block >= 0 else 0
                    fields["place"].append((origin + place) % config.moving_positions)
                    fields["rows"].append(1 << r)
                    fields["cols"].append((1 << config.mesh_cols) - 1 if streams == 1 else 1 << s)
                    fields["pattern"].append(pattern)
                    fields["write"].append(int(block >= 0))
                    fields["offset"].append(offset)
        rows = plan.sets[number].rows
        count = len(fields["place"])
        first = number * _per_set(config, plan.tiling) if self._all_parameters else 0
        bases = base_entries(config, {
            "place": np.array(fields["place"]), "rows": np.array(fields["rows"]), "cols": np.array(fields["cols"]),
            "tile": {"first": np.full(count, first), "clamp": np.zeros(count, np.int64),
                     "pattern": np.array(fields["pattern"]), "write": np.array(fields["write"]),
                     "offset": np.array(fields["offset"])}})
        return np.concatenate([bases, rows]), count

    def _block(self, image: int, block: int) -> tuple[int, int, int]:
        """Place of a block in the buffer, pattern of its positions, offset of its slots."""
        plan, geometry, source = self.plan, self.plan.tiling.geometry, self.plan.source
        if block < 0:
            return 0, NOTHING, 0
        rows, columns = source.problem.out_size
        line, slot = divmod(block, -(-columns // geometry.width))
        top, left = line * geometry.height, slot * geometry.width
        place = plan.bands.layout.place(top * source.stride[0], left * source.stride[1] + source.cut)
        pattern = self.patterns[min(geometry.height, rows - top), min(geometry.width, columns - left)]
        offset = image * self.output.image_pitch + line * self.output.line_pitch + slot * self.output.slot_pitch
        return int(place), pattern, offset // SLOT_UNIT

    @staticmethod
    def _runs(shares: tuple[Any, ...]) -> list[tuple[int, int, int]]:
        """Steps that the same mesh rows take part in: the first, how many, which rows."""
        runs, first = [], 0
        for last in sorted({len(share.blocks) for share in shares if len(share.blocks)}):
            rows = sum(1 << r for r, share in enumerate(shares) if len(share.blocks) >= last)
            runs.append((first, last - first, rows))
            first = last
        return runs

    # --- the stationary operand -----------------------------------------------------------------------------

    def _packet_offset(self, number: int, i: int, resident: bool, double: bool) -> int:
        if resident:
            return sum(one.words for one in self.plan.sets[:number])
        return i % 2 * (self.config.stationary_words // 2) if double else 0

    def _load_packets(self, number: int, offset: int) -> None:
        for column, packets in enumerate(self.plan.sets[number].packets):
            self.stream.add("LOAD_STATIONARY", address=self.addresses[number][column], count=packets.words,
                            offset=offset, columns=1 << column)

    def _stream_packets(self, number: int, offset: int, repeats: int, mesh_rows: int) -> None:
        for column, packets in enumerate(self.plan.sets[number].packets):
            self.stream.add("STREAM_STATIONARY", offset=offset, count=packets.count, repeats=repeats,
                            columns=1 << column, rows=mesh_rows)
