"""A row streamer that takes all it needs in one order, random work for it, and what must come out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out
from phantom_hw.config import PhantomConfig
from phantom_hw.mesh.packets import moving_packet
from phantom_hw.moving.layouts import descriptor_layout, rows_layout, write_layout
from phantom_hw.moving.streamer import RowStreamer
from phantom_hw.results.layouts import pattern_layout
from phantom_hw.soc.isa import PATTERNS

__all__ = ["Settings", "StreamerTop", "Work"]


class Kind(enum.Enum, shape=2):
    """What a job is for."""

    SETTINGS = 0
    PATTERN = 1
    WRITE = 2
    DESCRIPTOR = 3


def jobs_layout(config: PhantomConfig) -> data.StructLayout:
    """A job: settings wait until the streamer is idle, everything else comes in its turn."""
    return data.StructLayout({"kind": Kind, "body": data.UnionLayout({
        "settings": rows_layout(config), "pattern": pattern_layout(config), "write": write_layout(config),
        "descriptor": descriptor_layout(config)})})


class StreamerTop(wiring.Component):
    """A row streamer whose inputs are fed from one stream, so that their order is known.

    ``early`` tells that the streamer was once ``idle`` before all packets of all rows had left.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        self.streamer = RowStreamer(config)
        super().__init__({
            "jobs": In(stream.Signature(jobs_layout(config))),
            "moving": Out(stream.Signature(moving_packet(config))),
            "idle": Out(1),
            "early": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.streamer = dut = self.streamer
        settings, job, body = Signal(rows_layout(self._config)), self.jobs.payload, self.jobs.payload.body
        wiring.connect(m, dut.moving, wiring.flipped(self.moving))
        m.d.comb += [
            self.idle.eq(dut.idle), dut.settings.eq(settings), dut.write.payload.eq(body.write),
            dut.patterns.payload.eq(body.pattern), dut.descriptors.payload.eq(body.descriptor),
        ]
        inside, enters, leaves = Signal(16), Signal(), Signal()  # rows
        m.d.comb += [
            enters.eq(dut.descriptors.valid & dut.descriptors.ready & body.descriptor.last),
            leaves.eq(self.moving.valid & self.moving.ready & self.moving.payload.last),
        ]
        m.d.sync += [inside.eq(inside + enters - leaves), self.early.eq(self.early | (dut.idle & (inside != 0)))]
        with m.Switch(Value.cast(job.kind)):
            with m.Case(Kind.SETTINGS.value):
                m.d.comb += self.jobs.ready.eq(dut.idle)
                with m.If(self.jobs.valid & dut.idle):
                    m.d.sync += settings.eq(body.settings)
            for kind, port in ((Kind.PATTERN, dut.patterns), (Kind.WRITE, dut.write),
                               (Kind.DESCRIPTOR, dut.descriptors)):
                with m.Case(kind.value):
                    m.d.comb += [port.valid.eq(self.jobs.valid), self.jobs.ready.eq(port.ready)]
        return m


@dataclass
class Settings:
    """As the command ROWS gives them."""

    planes: int
    beats: int
    plane_length: list[int]
    tap_base: list[int]
    plane_step: list[int]


@dataclass
class Work:
    """Jobs for a streamer, with a model of what it holds and the packets that it must send."""

    config: PhantomConfig
    rng: np.random.Generator
    jobs: list[int] = field(default_factory=list)
    packets: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.memory = np.zeros(self.config.moving_positions, dtype=np.int64)
        self.patterns = np.zeros((PATTERNS, self.config.chunk), dtype=bool)
        self.flat = np.zeros(0, dtype=np.int64)  # of the row that was begun
        self.settings = Settings(1, 1, [], [], [])

    def _job(self, kind: Kind, name: str, body: dict) -> None:
        layout = jobs_layout(self.config)
        inner = layout["body"].shape[name].shape.const(body).as_bits()
        self.jobs.append(kind.value | inner << layout["body"].offset)

    def set(self, settings: Settings) -> None:
        self.settings = settings
        self._job(Kind.SETTINGS, "settings", vars(settings))

    def pattern(self, index: int, bits: np.ndarray) -> None:
        self.patterns[index] = bits
        self._job(Kind.PATTERN, "pattern", {"index": index, "bits": sum(int(b) << i for i, b in enumerate(bits))})

    def write(self, place: int, values: np.ndarray) -> None:
        """Values for the places from ``place`` on; behind them lies what must not be written."""
        self.memory[(place + np.arange(len(values))) % len(self.memory)] = values
        noise = self.rng.integers(0, 1 << self.config.operand_width, self.config.moving_link - len(values))
        self._job(Kind.WRITE, "write", {
            "rows": int(self.rng.integers(1 << self.config.mesh_rows)), "place": place, "count": len(values),
            "values": [*values.tolist(), *noise.tolist()]})

    def fill(self, density: float) -> None:
        """Write the whole buffer, in runs of any length, beginning anywhere."""
        size, place = len(self.memory), int(self.rng.integers(len(self.memory)))
        done = 0
        while done < size:
            count = min(int(self.rng.integers(0, self.config.moving_link + 1)), size - done)
            values = self.rng.integers(0, 1 << self.config.operand_width, count)
            self.write((place + done) % size, np.where(self.rng.random(count) < density, values, 0))
            done += count

    def places(self, place: int) -> np.ndarray:
        """The places of a part."""
        return np.concatenate([
            (place + self.settings.plane_step[p] + np.arange(self.settings.plane_length[p])) % len(self.memory)
            for p in range(self.settings.planes)])

    def part(self, place: int, *, zero: bool = False, last: bool = True, short: bool = False, pe_row: int = 0,
             cols: list[int], pattern: int = 0) -> None:
        """A descriptor, and with ``last`` the packets of its row."""
        self._job(Kind.DESCRIPTOR, "descriptor", {
            "place": place, "zero": zero, "last": last, "short": short, "pe_row": pe_row, "cols": cols,
            "pattern": pattern})
        if not short:
            found = self.memory[self.places(place)]
            self.flat = np.concatenate([self.flat, np.zeros_like(found) if zero else found])
        if last:
            self._row(short, pe_row, cols, self.patterns[pattern])
            self.flat = self.flat[:0]

    def _row(self, short: bool, pe_row: int, cols: list[int], pattern: np.ndarray) -> None:
        config, beats = self.config, 1 if short else self.settings.beats
        link, outputs = config.moving_link, config.mask_groups * config.group
        flat = np.zeros(config.row_width + beats * max(link, outputs), dtype=np.int64)
        if not short:
            kept = self.flat[:config.row_width]
            flat[:len(kept)] = kept
        allowed = np.zeros(beats * outputs, dtype=bool)
        allowed[:len(pattern)] = pattern[:len(allowed)]
        mask = np.stack([(flat[base:base + len(allowed)] != 0) & allowed if base + len(allowed) <= len(flat) else
                         (np.pad(flat[base:], (0, base + len(allowed) - len(flat))) != 0) & allowed
                         for base in self.settings.tap_base], axis=-1)
        mask = mask.reshape(beats, config.mask_groups, config.group, config.threads)
        for beat in range(beats):
            groups = [[sum(int(bit) << t for t, bit in enumerate(entry)) for entry in group] for group in mask[beat]]
            bits = sum(entry << (g * config.group + e) * config.threads
                       for g, group in enumerate(groups) for e, entry in enumerate(group))
            packet = moving_packet(config)
            values = flat[beat * link:(beat + 1) * link].tolist()
            rest = packet.const({"pe_row": pe_row, "cols": cols, "last": beat == beats - 1, "values": values})
            self.packets.append(rest.as_bits() | bits << packet["mask"].offset)

    # --- random work ----------------------------------------------------------------------------------

    def random_settings(self) -> Settings:
        """Planes of any lengths, with rows that are often full and sometimes overfull."""
        rng, config = self.rng, self.config
        planes, width = int(rng.integers(1, config.threads + 1)), config.row_width
        most = width if rng.random() < 0.2 else max(1, width // planes)
        return Settings(
            planes, int(rng.integers(1, config.max_beats + 1)) if rng.random() < 0.5 else config.max_beats,
            rng.integers(1, most + 1, config.threads).tolist(), rng.integers(0, width, config.threads).tolist(),
            rng.integers(0, config.moving_positions, config.threads).tolist())

    def random_rows(self, rows: int) -> None:
        """Rows of parts from anywhere in the buffer; meanwhile, writes to where none of them lies."""
        rng, config = self.rng, self.config
        todo = []
        for _ in range(rows):
            parts = int(rng.choice([1, 1, 1, 2, 3, 5]))
            for part in range(parts):
                todo.append((int(rng.integers(config.moving_positions)), bool(rng.random() < 0.15),
                             part == parts - 1, bool(rng.random() < 0.1)))
        read = {int(place) for place, *_ in todo for place in self.places(place)}
        for place, zero, last, short in todo:
            self.part(place, zero=zero, last=last, short=short, pe_row=int(rng.integers(config.pe_rows)),
                      cols=rng.integers(0, 1 << config.pe_cols, config.mesh_cols).tolist(),
                      pattern=int(rng.integers(PATTERNS)))
            start, count = int(rng.integers(config.moving_positions)), int(rng.integers(config.moving_link + 1))
            if not read & {(start + i) % config.moving_positions for i in range(count)}:
                self.write(start, rng.integers(0, 1 << config.operand_width, count))

    def random_patterns(self) -> None:
        for index in range(PATTERNS):
            self.pattern(index, self.rng.random(self.config.chunk) < self.rng.choice([0.5, 0.9, 1.0]))
