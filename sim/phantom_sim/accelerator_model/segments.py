"""From the commands of a segment, in which buffers are filled and used, to what decides its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.packing import payload_words, unpack
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout
from phantom_hw.moving.layouts import base_layout, entry_bytes, row_layout
from phantom_hw.results.layouts import PARAMETER_BYTES, SLOT_UNIT
from phantom_hw.soc.commands import Instruction
from phantom_hw.soc.isa import PATTERNS, UNITS
from phantom_hw.stationary.layouts import WORD_BYTES, code_bits, header_bytes, items_header, layer_header

from phantom_sim.accelerator_model import walk
from phantom_sim.accelerator_model.links import joined, moving_links, starts, stationary_links
from phantom_sim.accelerator_model.moving_loads import FILLS, Slots
from phantom_sim.accelerator_model.operands import Rows
from phantom_sim.accelerator_model.results import Chunks
from phantom_sim.cycle_kernel import Beats, Cores

__all__ = ["Segment", "Walker"]

Ints = NDArray[np.int64]
PLACEMENT = ("address", "channel_pitch", "line_pitch", "slot_pitch", "channels", "lines", "slots", "positions",
             "last_positions", "width", "stride", "x", "offset", "channel_step", "row_step", "phase_step")
DIVISION = 16
"""Cycles of a division by a stride."""
NAMES = [unit.name for unit in UNITS]
ORDERS = {"STREAM_MOVING": 1, "PATTERN": 0, "ROWS": -1, "VECTOR": -2}


@dataclass(frozen=True, eq=False)
class Segment:
    """What decides the time of a segment: commands between two of which nothing is under way.

    Attributes
    ----------
    commands : int64[commands, 3]
        The unit (that of ``UNITS``, then FENCE and END), the units that a FENCE waits for, the loaders that take part
        or the columns.
    slots : Slots
    tables : tuple of int64[commands, 2], and of int64[commands]
        Address and bytes of the reads of parameters, program and packets; entries of those of the program.
    rows : Rows
    replays : int64[replays, 2], int64[columns + 1]
        Packets and repetitions of each column's replays.
    chunks : Chunks
    moving, stationary : Beats
    cores : Cores
    vector : int64[VECTOR, 6]
        Operation, then the settings of the reducer.
    layer : groups, outputs, span
    """

    commands: Ints
    slots: Slots
    tables: tuple[Ints, Ints, Ints, Ints]
    rows: Rows
    replays: tuple[Ints, Ints]
    chunks: Chunks
    moving: Beats
    stationary: Beats
    cores: Cores
    vector: Ints
    layer: tuple[int, int, int]


class Walker:
    """Carries out commands in their order; buffers and settings stay from segment to segment.

    Parameters
    ----------
    config : PhantomConfig
    memory, results : uint8 arrays
        Memory as it is read; memory with the results of the commands that come.
    """

    def __init__(self, config: PhantomConfig, memory: NDArray[np.uint8], results: NDArray[np.uint8]):
        self.config, self.memory, self.results = config, memory, results
        rows, cols = config.mesh_rows, config.mesh_cols
        self._buffer = np.zeros((rows, config.moving_positions), np.bool_)
        self._program = np.zeros((config.program_words, entry_bytes(config)), np.uint8)
        self._packets = np.zeros((cols, config.stationary_words * WORD_BYTES), np.uint8)
        self._wide = [False] * cols
        self._slots = np.zeros((rows, config.drain_lanes, config.lane_channels), np.int64)
        self._written = np.zeros(self._slots.shape, np.bool_)
        self._patterns = np.zeros(PATTERNS, np.uint64)
        self._starts = np.zeros((config.cores, 2), np.int64)
        self._setting = np.zeros(2 + 2 * config.threads, np.int64)
        self._vector = np.zeros(6, np.int64)
        self._layer = {"groups": 1, "outputs": 1, "span": 1}
        self._mask_bytes = -(-config.chunk // 8)
        first = [config.lane_of(c) for c in range(cols)]
        self._first = [first.index(lane) for lane in first]
        self._served = [first.count(lane) for lane in first]
        self._decoded: tuple[Any, ...] | None = None
        self._tap_base = np.zeros(config.threads, np.int64)
        self._carry_out: dict[str, Callable[[dict[str, Any]], None]] = {
            "PARAMETERS": self._parameters, "LOAD_PROGRAM": self._load_program, "LOAD_MOVING": self._load_moving,
            "FILL_MOVING": self._fill_moving, "PATTERN": self._set_pattern, "ROWS": self._set_rows,
            "VECTOR": self._set_vector, "STREAM_MOVING": self._stream_moving,
            "LOAD_STATIONARY": self._load_stationary, "STREAM_STATIONARY": self._stream_stationary,
        }

    def run(self, instructions: Sequence[Instruction]) -> Segment:
        """Carry out the commands of a segment."""
        config = self.config
        self._commands: list[tuple[int, int, int]] = []
        self._loads: list[list[tuple[Any, ...]]] = [[] for _ in range(config.moving_loaders)]
        self._tables: dict[str, list[tuple[int, int, int]]] = {"PARAMETERS": [], "LOAD_PROGRAM": [],
                                                               "LOAD_STATIONARY": []}
        self._orders: list[int] = []
        self._rows: list[Ints] = []
        self._vectors: list[Ints] = [self._vector]
        self._streams: list[tuple[Any, ...]] = []
        self._into_mesh: list[tuple[Any, ...]] = []
        self._replays: list[list[tuple[Any, ...]]] = [[] for _ in range(config.mesh_cols)]
        self._tiles: list[list[tuple[Any, Any]]] = [[] for _ in range(config.cores)]
        self._entries: list[Ints] = []
        settings = [self._setting[:2 + config.threads].copy()]
        for one in instructions:
            values: dict[str, Any] = dict(one.values)
            unit = next((unit for unit, names in _UNITS.items() if one.name in names), None)
            if unit is None:
                self._commands.append((len(NAMES) + (one.name == "END"), values.get("units", 0), 0))
                continue
            takes = 0
            if unit == "load_moving":
                takes = sum(1 << i for i in range(config.moving_loaders) if values["rows"] & self._own(i)) or 1
            elif unit == "stream_stationary":
                takes = values["columns"]
            self._commands.append((NAMES.index(unit), 0, takes))
            self._carry_out[one.name](values)
            if one.name == "ROWS":
                settings.append(self._setting[:2 + config.threads].copy())
        return self._segment(settings)

    def _own(self, loader: int) -> int:
        return sum(1 << r for r in range(self.config.mesh_rows) if self.config.loader_of(r) == loader)

    # --- loads ------------------------------------------------------------------------------------------

    def _read(self, name: str, address: int, size: int, count: int) -> NDArray[np.uint8]:
        self._tables[name].append((address, size, count))
        return self.memory[address:address + size]

    def _parameters(self, values: dict[str, Any]) -> None:
        words = self._read("PARAMETERS", values["address"], values["count"] * PARAMETER_BYTES, values["count"])
        table = words.view("<u4").reshape(-1, 4)
        places = (values["first"] + np.arange(len(table))) % self.config.lane_channels
        for r in range(self.config.mesh_rows):
            for lane in range(self.config.drain_lanes):
                if values["rows"] >> r & 1 and values["lanes"] >> lane & 1:
                    self._slots[r, lane, places], self._written[r, lane, places] = table[:, 2], table[:, 3] & 1

    def _load_program(self, values: dict[str, Any]) -> None:
        size = self._program.shape[1]
        content = self._read("LOAD_PROGRAM", values["address"], values["count"] * size, values["count"])
        places = (values["offset"] + np.arange(values["count"])) % len(self._program)
        self._program[places] = content.reshape(-1, size)
        self._decoded = None

    def _load_stationary(self, values: dict[str, Any]) -> None:
        content = self._read("LOAD_STATIONARY", values["address"], values["count"] * WORD_BYTES, 0)
        places = (values["offset"] * WORD_BYTES + np.arange(len(content))) % self._packets.shape[1]
        for column in range(self.config.mesh_cols):
            if values["columns"] >> column & 1:
                self._packets[column, places] = content

    def _load_moving(self, values: dict[str, Any]) -> None:
        config, count = self.config, values["channels"] * values["lines"] * values["slots"]
        requests, ends = np.zeros((count, 2), np.int64), np.zeros((count, 2), np.int64)
        masks, positions = np.zeros(count, np.uint64), np.zeros(count, np.int64)
        walk.load(self.memory, self._buffer, values["rows"], np.array([values[name] for name in PLACEMENT]),
                  np.array([self._mask_bytes, config.act_width, config.moving_link]), requests, masks, positions, ends)
        stride, whole = values["stride"], int(values["slots"] != 1)
        wait = 1 + (DIVISION if stride != 1 else 0) + int(values["x"] % stride).bit_length()
        order = np.array([0, whole, values["width"], min(stride, config.moving_link) - 1, wait])
        self._give(values["rows"], (requests, masks, positions, ends, order))

    def _fill_moving(self, values: dict[str, Any]) -> None:
        walk.fill(self._buffer, values["rows"], values["offset"], values["length"], values["count"], values["step"])
        ends = np.zeros((values["count"], 2), np.int64)
        ends[:, 0], ends[:, 1] = self.config.moving_link, FILLS
        ends[-1, 1] |= 3
        nothing = np.zeros(0, np.int64)
        order = np.array([1, 0, values["length"], 0, 1])
        self._give(values["rows"], (np.zeros((0, 2), np.int64), nothing.astype(np.uint64), nothing, ends, order))

    def _give(self, rows: int, what: tuple[Any, ...]) -> None:
        for loader, loads in enumerate(self._loads):
            if rows & self._own(loader) or (rows == 0 and loader == 0):
                loads.append(what)

    # --- settings ---------------------------------------------------------------------------------------

    def _set_pattern(self, values: dict[str, Any]) -> None:
        self._orders.append(0)
        self._patterns = self._patterns.copy()
        self._patterns[values["index"]] = values["bits"][0] | values["bits"][1] << 32

    def _set_rows(self, values: dict[str, Any]) -> None:
        self._orders.append(ORDERS["ROWS"])
        self._setting = np.array([values["planes"], values["beats"], *values["plane_length"], *values["plane_step"]])
        self._tap_base = np.array(values["tap_base"])

    def _set_vector(self, values: dict[str, Any]) -> None:
        self._orders.append(ORDERS["VECTOR"])
        self._vector = np.array([values[name] for name in (
            "operation", "beats", "operands", "positions", "count", "fold")])
        self._vectors.append(self._vector)

    # --- streams ----------------------------------------------------------------------------------------

    def _entry_fields(self) -> tuple[Any, ...]:
        """The row program, read as base entries and as row entries."""
        if self._decoded is None:
            def fields(layout: Any) -> dict[str, Any]:
                size = 4 * payload_words(layout)
                plain = np.zeros((len(self._program), size), np.uint8)
                plain[:, :min(size, self._program.shape[1])] = self._program[:, :size]
                words = plain.view("<u4").astype(np.uint32)
                if layout.size % 32:
                    words[:, -1] &= np.uint32((1 << layout.size % 32) - 1)
                return unpack(layout, words)

            base, row = fields(base_layout(self.config)), fields(row_layout(self.config))
            self._decoded = (
                np.stack([base[name] for name in ("place", "rows", "cols")], 1),
                np.stack([base["tile"][name] for name in ("first", "pattern", "write", "offset")], 1),
                np.stack([row[name] for name in ("place", "base", "zero", "last", "short", "pe_row")], 1),
                np.ascontiguousarray(row["cols"]).astype(np.int64))
        return self._decoded

    def _stream_moving(self, values: dict[str, Any]) -> None:
        config = self.config
        rows, cols = config.mesh_rows, config.mesh_cols
        base, base_tiles, row, row_cols = self._entry_fields()
        steps, count, base_count = values["steps"], values["count"], values["base_count"]
        by_vector = bool(self._vector[0])
        width = 0 if by_vector else self._layer["groups"] * config.group
        parts, tiles = steps * count, steps * base_count
        entries = np.zeros((steps * (base_count + count), 2), np.int64)
        descriptors, headings = np.zeros((rows, parts), np.int64), np.zeros((rows, parts, 2), np.int64)
        heading_cols = np.zeros((rows, parts, cols), np.int64)
        masks = np.zeros((rows, parts, width), np.uint8)
        found, counts = np.zeros((config.cores, tiles, 4), np.int64), np.zeros((2, rows + config.cores), np.int64)
        walk.stream(np.array([values[name] for name in ("bases", "base_count", "start", "count", "steps", "rows")]),
                    base, base_tiles, row, row_cols, self._buffer, self._starts, self._patterns, self._setting,
                    self._tap_base, config.chunk, cols, config.row_width, entries, descriptors, headings, heading_cols,
                    masks, found, counts)
        self._orders.append(len(entries))
        self._entries.append(entries)
        found_rows = tuple(
            (descriptors[r, :counts[0, r]], headings[r, :counts[0, rows + r]], heading_cols[r, :counts[0, rows + r]],
             masks[r, :counts[0, rows + r]], int(self._setting[1])) for r in range(rows))
        self._streams.append(found_rows)
        if not by_vector:
            self._into_mesh.append(found_rows)
        for core in range(config.cores):
            if counts[1, core]:
                self._chunk(core, found[core, :counts[1, core]].copy())

    def _chunk(self, core: int, tiles: Ints) -> None:
        """The chunks of a core's tiles."""
        config, column = self.config, core % self.config.mesh_cols
        lane, first = config.lane_of(column), self._first[column]
        if self._vector[0]:
            positions, count, folds = (int(value) for value in self._vector[3:])
            chunks = np.repeat(np.arange(-(-count // config.pe_cols)), config.pe_cols)[:count]
            columns = np.arange(count) % config.pe_cols
            lengths = np.full(count, 1 if folds else positions)
        else:
            outputs, span = self._layer["outputs"], self._layer["span"]
            number = -(-outputs // span)
            chunks, columns = np.repeat(np.arange(number), config.pe_cols), np.tile(np.arange(config.pe_cols), number)
            lengths = np.minimum(span, outputs - chunks * span)
        channels = (chunks * self._served[column] + column - first) * config.pe_cols + columns
        count = len(tiles) * len(channels)
        masks, written = np.zeros(count, np.uint64), np.zeros(count, np.bool_)
        addresses = np.zeros(count, np.int64)
        row = core // config.mesh_cols
        walk.chunk_masks(self.results, tiles, self._slots[row, lane], self._written[row, lane], channels, lengths,
                         self._patterns, self._mask_bytes, SLOT_UNIT, masks, written, addresses)
        self._tiles[core].append((masks, (written, addresses)))

    def _stream_stationary(self, values: dict[str, Any]) -> None:
        config = self.config
        narrow, wide = (header_bytes(items_header(config, wide=wide)) for wide in (False, True))
        shape = np.array([code_bits(config), config.pe_rows, config.pe_cols, config.threads, config.operand_width,
                          narrow, wide, header_bytes(layer_header(config))])
        for column in range(config.mesh_cols):
            if not values["columns"] >> column & 1:
                continue
            count, content = values["count"], self._packets[column]
            kinds = np.zeros((count, 2), np.int64)
            masks, ends = (np.zeros((count, config.pe_cols), np.uint8) for _ in range(2))
            offset = values["offset"] * WORD_BYTES
            self._wide[column] = bool(walk.stationary_packets(content, offset, shape, self._wide[column], kinds, masks,
                                                              ends))
            if kinds[:, 1].any():
                self._new_layer(content, offset, count)
            self._replays[column].append((kinds, masks, ends, values["rows"], values["repeats"]))

    def _new_layer(self, content: NDArray[np.uint8], offset: int, count: int) -> None:
        if count != 1:
            raise ValueError(f"the packet of a layer must be sent alone, not with {count - 1} others")
        layout = layer_header(self.config)
        size = 4 * payload_words(layout)
        words = np.take(content, offset + np.arange(size), mode="wrap").view("<u4").astype(np.uint32)[None]
        if layout.size % 32:
            words[:, -1] &= np.uint32((1 << layout.size % 32) - 1)
        fields = unpack(layout, words)["layer"]
        assert layer_layout(self.config).members.keys() == fields.keys()
        self._layer = {name: int(fields[name][0]) for name in ("groups", "outputs", "span")}

    # --- all together -----------------------------------------------------------------------------------

    def _segment(self, settings: list[Ints]) -> Segment:
        layer = self._layer
        parameters, program, packets = (np.array([one[:2] for one in self._tables[name]], np.int64).reshape(-1, 2)
                                        for name in ("PARAMETERS", "LOAD_PROGRAM", "LOAD_STATIONARY"))
        counts = np.array([one[2] for one in self._tables["LOAD_PROGRAM"]], np.int64)
        replays = [np.array([(len(kinds), repeats) for kinds, _, _, _, repeats in column], np.int64).reshape(-1, 2)
                   for column in self._replays]
        moving, (row_list, masks), row_places = moving_links(self.config, self._into_mesh)
        stationary, (item_places, item_masks, item_flags) = stationary_links(self.config, self._replays)
        descriptors = [joined([one[r][0] for one in self._streams], np.int64) for r in range(self.config.mesh_rows)]
        return Segment(
            np.array(self._commands, np.int64).reshape(-1, 3), self._all_slots(),
            (parameters, program, packets, counts),
            Rows(np.array(self._orders, np.int64), joined(self._entries, np.int64, (2,)),
                 joined(descriptors, np.int64), starts(descriptors), np.array(settings)),
            (joined(replays, np.int64, (2,)), starts(replays)), self._chunks(), moving, stationary,
            Cores(row_places, row_list, masks, item_places, item_masks, item_flags), np.array(self._vectors),
            (layer["groups"], layer["outputs"], layer["span"]))

    def _all_slots(self) -> Slots:
        parts: list[list[Any]] = [[] for _ in range(5)]
        for loads in self._loads:
            for i, (kind, shape) in enumerate(((np.int64, (2,)), (np.uint64, ()), (np.int64, ()), (np.int64, (2,)))):
                parts[i].append(joined([one[i] for one in loads], kind, shape))
            parts[4].append(np.array([one[4] for one in loads], np.int64).reshape(-1, 5))
        requests, masks, positions, ends, orders = parts
        return Slots(np.concatenate(requests), np.concatenate(masks), np.concatenate(positions), starts(requests),
                     np.concatenate(ends), starts(ends), np.concatenate(orders), starts(orders))

    def _chunks(self) -> Chunks:
        masks = [joined([one[0] for one in core], np.uint64) for core in self._tiles]
        others = [[one[1] for one in core] for core in self._tiles]
        return Chunks(starts(masks), np.concatenate(masks),
                      np.concatenate([joined([one[0] for one in core], np.bool_) for core in others]),
                      np.concatenate([joined([one[1] for one in core], np.int64) for core in others]))


_UNITS = {
    "load_program": ("LOAD_PROGRAM",), "load_moving": ("LOAD_MOVING", "FILL_MOVING"),
    "stream_moving": ("PATTERN", "ROWS", "STREAM_MOVING", "VECTOR"), "load_stationary": ("LOAD_STATIONARY",),
    "stream_stationary": ("STREAM_STATIONARY",), "results": ("PARAMETERS",),
}
