# amaranth: UnusedElaboratable=no
"""The sequencer against a walk of the program in Python: every tile, every descriptor, and when settings may change."""

import numpy as np
import pytest
from amaranth.hdl import Value
from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from phantom_hw.moving.dispatch import EntryDispatcher
from phantom_hw.moving.layouts import (
    base_layout,
    descriptor_layout,
    entry_bytes,
    entry_layout,
    row_layout,
    rows_layout,
)
from phantom_hw.moving.sequencer import MovingSequencer
from phantom_hw.results.layouts import pattern_layout, tile_layout
from phantom_hw.vector.layouts import vector_layout
from port_bench import PortBench, assert_same

CONFIGURATIONS = {
    **{name: PhantomConfig.preset(name) for name in ("tiny", "ulx3s", "paper", "icebreaker")},
    "three": PhantomConfig(mesh_rows=3, mesh_cols=3, pe_rows=1, pe_cols=5, threads=1, group=3, chunk=64, bus_width=256,
                           program_words=16, row_width=8, moving_words=16),
}
BASE = 0x4000


def bits(layout, fields):
    """A payload as an integer."""
    return Value.cast(layout.const(fields)).value


def random_fields(rng, layout):
    """Random values of all fields of a layout, arrays and structures too."""
    value = int.from_bytes(rng.bytes(40), "little") % (1 << layout.size)
    return {name: value >> field.offset & ((1 << field.width) - 1) for name, field in layout}


def raw(layout, values):
    """The bits of a layout whose fields have these bits."""
    return sum(values[name] << field.offset for name, field in layout)


class Reference:
    """What every stream must give, from the meaning of the commands."""

    def __init__(self, config, program):
        self.config, self.program = config, program
        self.tiles = [[] for _ in range(config.cores)]
        self.descriptors = [[] for _ in range(config.mesh_rows)]
        self.starts: dict[tuple[int, int], tuple[int, int]] = {}

    def stream(self, order):
        """STREAM_MOVING."""
        size = self.config.program_words
        for step in range(order["steps"]):
            for i in range(order["base_count"]):
                entry = (order["bases"] + step * order["base_count"] + i) % size
                self._base(self.program[entry], order["rows"])
            for i in range(order["count"]):
                self._row(self.program[(order["start"] + i) % size], order["rows"])

    def _base(self, bits, rows):
        entry = {name: bits >> field.offset & ((1 << field.width) - 1) for name, field in base_layout(self.config)}
        pattern = tile_layout(self.config)["pattern"]
        for row in range(self.config.mesh_rows):
            for column in range(self.config.mesh_cols):
                if entry["rows"] & rows & 1 << row and entry["cols"] & 1 << column:
                    self.starts[row, column] = (
                        entry["place"], entry["tile"] >> pattern.offset & ((1 << pattern.width) - 1))
                    self.tiles[row * self.config.mesh_cols + column].append(entry["tile"])

    def _row(self, bits, rows):
        entry = {name: bits >> field.offset & ((1 << field.width) - 1) for name, field in row_layout(self.config)}
        for row in range(self.config.mesh_rows):
            if rows & 1 << row:
                place, pattern = self.starts[row, entry["base"]]
                descriptor = {name: entry[name] for name in ("zero", "last", "short", "pe_row", "cols")}
                descriptor |= {"place": (place + entry["place"]) % self.config.moving_positions, "pattern": pattern}
                self.descriptors[row].append(raw(descriptor_layout(self.config), descriptor))


def make_program(config, rng):
    """Base entries in the first half of the memory, row entries in the second; the first entry sets all bases."""
    half = config.program_words // 2
    program = []
    for i in range(config.program_words):
        if i < half:
            entry = random_fields(rng, base_layout(config))
            if i == 0:
                entry |= {"rows": (1 << config.mesh_rows) - 1, "cols": (1 << config.mesh_cols) - 1}
            program.append(raw(base_layout(config), entry))
        else:
            entry = random_fields(rng, row_layout(config)) | {"base": int(rng.integers(config.mesh_cols))}
            program.append(raw(row_layout(config), entry))
    return program


def make_orders(config, rng, count):
    """Random commands, the first of which sets all bases; as (number in the unit's list, operands)."""
    half = config.program_words // 2
    everyone = (1 << config.mesh_rows) - 1
    orders = [(2, {"bases": 0, "base_count": 1, "start": half, "count": 1, "steps": 1, "rows": everyone})]
    for _ in range(count):
        kind = int(rng.choice([0, 1, 2, 2, 2, 3]))
        if kind == 0:
            orders.append((0, {"index": int(rng.integers(16)), "bits": [int(rng.integers(1 << 32)) for _ in range(2)]}))
        elif kind == 1:
            orders.append((1, random_settings(config, rng)))
        elif kind == 3:
            orders.append((3, random_fields(rng, vector_layout(config))))
        else:
            steps = int(rng.integers(1, 5))
            base_count = int(rng.integers(1, max(2, min(4, half // steps))))
            orders.append((2, {
                "bases": int(rng.integers(half - steps * base_count + 1)), "base_count": base_count,
                "start": half + int(rng.integers(half - 7)), "count": int(rng.choice([1, 2, 7])), "steps": steps,
                "rows": int(rng.integers(everyone + 1))}))
    return orders


def random_settings(config, rng):
    """Operands of ROWS."""
    def several(low, high):
        return [int(rng.integers(low, high + 1)) for _ in range(config.threads)]

    return {"planes": int(rng.integers(1, config.threads + 1)), "beats": int(rng.integers(1, config.max_beats + 1)),
            "plane_length": several(1, config.row_width), "tap_base": several(0, config.row_width - 1),
            "plane_step": several(0, config.moving_positions - 1)}


class Run:
    """A sequencer with its memory, row streamers that work for some cycles on each descriptor, and lanes."""

    def __init__(self, config, program, orders, seed, stall, work=4, row_stalls=None):
        self.config, self.dut, self.orders = config, MovingSequencer(config), orders
        self.bench = PortBench(self.dut, seed, stall)
        self._expect(program)
        self._load(program)
        dut, bench, rng = self.dut, self.bench, self.bench.rng.spawn(1)[0]
        layout, names = dut.stream_command.payload.shape(), ("pattern", "rows", "stream_moving", "vector")
        self.taken = bench.source(
            dut.stream_command, [bits(layout, {"command": kind, "operands": {names[kind]: order}})
                                 for kind, order in orders], lambda number: self.ready)
        self.patterns = bench.sink(dut.patterns)
        self.tiles = [bench.sink(port) for port in dut.tiles]
        # a row streamer looks idle as long as it may after it took a descriptor, then works for some cycles
        self.delays, self.working = [0] * config.mesh_rows, [0] * config.mesh_rows

        def start(row):
            def take(payload):
                self.delays[row] = EntryDispatcher.MARGIN
                self.working[row] = int(rng.integers(1, work + 1))
            return take

        self.descriptors = [bench.sink(port, start(row), (row_stalls or {}).get(row))
                            for row, port in enumerate(dut.descriptors)]
        self.settings, self.vectors, self.changes, self.offered = [0], [0], [], False
        bench.each_cycle(self._look)

    def _expect(self, program):
        """Walk the program; what has been given after each command, and where patterns and settings change."""
        reference = self.reference = Reference(self.config, program)
        self.expected_settings, self.expected_patterns, self.expected_changes, self.due = [0], [], [], [self._total()]
        self.expected_vectors = [0]
        for kind, order in self.orders:
            if kind == 2:
                reference.stream(order)
            else:
                self.expected_changes.append((kind, tuple(map(len, reference.descriptors))))
            if kind == 1:
                layout = rows_layout(self.config)
                self.expected_settings.append(bits(layout, order))
            if kind == 3:
                self.expected_vectors.append(raw(vector_layout(self.config), order))
            if kind == 0:
                self.expected_patterns.append(bits(pattern_layout(self.config), {
                    "index": order["index"],
                    "bits": (order["bits"][0] | order["bits"][1] << 32) % (1 << self.config.chunk)}))
            self.due.append(self._total())

    def _total(self):
        return sum(map(len, self.reference.tiles)) + sum(map(len, self.reference.descriptors))

    def _load(self, program):
        """Load the program in three pieces, the last of which goes around the end."""
        size, entries = entry_bytes(self.config), self.config.program_words
        image = 2 * b"".join(entry.to_bytes(size, "little") for entry in program)
        cuts = [(5, entries // 2), (entries // 2 + 5, 3), (entries // 2 + 8, entries - entries // 2 - 3)]
        layout, self.ready = self.dut.load_command.payload.shape(), False
        self.bench.memory(self.dut.request, self.dut.data,
                          lambda address, length: image[address - BASE:address - BASE + length], self.config.bus_width)
        loaded = self.bench.source(self.dut.load_command, [
            bits(layout, {"address": BASE + offset * size, "count": count, "offset": offset})
            for offset, count in cuts])

        def wait(ctx):
            self.ready = len(loaded) == len(cuts) and not ctx.get(self.dut.load_busy)

        self.bench.each_cycle(wait)

    def _look(self, ctx):
        idle = [delay > 0 or work == 0 for delay, work in zip(self.delays, self.working, strict=True)]
        ctx.set(self.dut.streamers_idle, sum(bit << row for row, bit in enumerate(idle)))
        working = any(self.working)
        self.working = [max(0, work - (delay == 0)) for work, delay in zip(self.working, self.delays, strict=True)]
        self.delays = [max(0, delay - 1) for delay in self.delays]
        given = sum(map(len, self.tiles)) + sum(map(len, self.descriptors))
        if not ctx.get(self.dut.stream_busy):
            assert not working and given == self.due[len(self.taken)], "not busy, but not done"
            assert len(self.patterns) == sum(kind == 0 for kind, _ in self.orders[:len(self.taken)])
        value, offers = ctx.get(self.dut.settings.as_value()), ctx.get(self.dut.patterns.valid)
        vector = ctx.get(self.dut.vector.as_value())
        changes = [1] * (value != self.settings[-1]) + [0] * (offers and not self.offered)
        changes += [3] * (vector != self.vectors[-1])
        self.settings += [value] * (1 in changes)
        self.vectors += [vector] * (3 in changes)
        for kind in changes:
            assert not working, "changed while rows are made"
            self.changes.append((kind, tuple(map(len, self.descriptors))))
        self.offered = offers and not ctx.get(self.dut.patterns.ready)

    def run(self, limit=20_000):
        """Simulate, and compare everything."""
        self.bench.run(lambda ctx: not ctx.get(self.dut.stream_busy), limit)
        assert [payload for payload, _ in self.patterns] == self.expected_patterns
        for name in ("tiles", "descriptors"):
            for number, (got, expected) in enumerate(
                    zip(getattr(self, name), getattr(self.reference, name), strict=True)):
                assert_same(f"{name} {number}", [payload for payload, _ in got], expected)
        assert self.settings == self.expected_settings
        assert self.vectors == self.expected_vectors
        assert self.changes == self.expected_changes
        return self


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", ["tiny", "ulx3s", "three", "icebreaker", "paper"])
def test_equals_reference(name, stall):
    config, seed = CONFIGURATIONS[name], 11
    if config.program_words > 256:  # the same with a smaller memory, which loads faster
        config = PhantomConfig.from_dict({**config.to_dict(), "program_words": 64})
    rng = np.random.default_rng(seed)
    orders = make_orders(config, rng, 30)
    assert {kind for kind, _ in orders} == {0, 1, 2, 3}
    Run(config, make_program(config, rng), orders, seed, stall).run()


def small(name, **values):
    """A configuration with a program of 16 entries."""
    return PhantomConfig.from_dict({**CONFIGURATIONS[name].to_dict(), "program_words": 16, **values})


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_program_wraps_around(stall):
    """Whatever lies in the program and wherever a command points: nothing but the program's own entries is given."""
    config, rng = small("ulx3s"), np.random.default_rng(12)
    size = entry_layout(config).size
    program = [int.from_bytes(rng.bytes(8), "little") % (1 << size) for _ in range(16)]
    program[0] = raw(base_layout(config), random_fields(rng, base_layout(config)) | {"rows": 3, "cols": 3})
    orders = [(2, {"bases": 0, "base_count": 1, "start": 3, "count": 1, "steps": 1, "rows": 3})]
    orders += [(2, {"bases": int(rng.integers(16)), "base_count": int(rng.integers(1, 17)),
                    "start": int(rng.integers(16)), "count": int(rng.integers(1, 17)),
                    "steps": int(rng.integers(1, 5)), "rows": int(rng.integers(4))}) for _ in range(12)]
    Run(config, program, orders, 12, stall).run()


def test_rate():
    """An entry a cycle, also from step to step; a command follows when all of the one before is done."""
    config, rng = small("ulx3s"), np.random.default_rng(13)
    program = make_program(config, rng)
    full = raw(base_layout(config), random_fields(rng, base_layout(config)) | {"rows": 3, "cols": 3})
    program[:8] = [full] * 8
    orders = [(2, {"bases": 0, "base_count": 2, "start": 8, "count": 5, "steps": 3, "rows": 3})] * 3
    run = Run(config, program, orders, 13, 0.0).run()
    for got in run.descriptors:
        cycles = [cycle for _, cycle in got]
        assert len(cycles) == 45
        for first, last in ((0, 14), (15, 29), (30, 44)):
            assert cycles[last] - cycles[first] == 3 * 7 - 3
        assert all(taken > done for taken, done in zip(run.taken[1:], (cycles[14], cycles[29]), strict=True))
    first = run.tiles[0][0][1]
    assert first - run.taken[0] == MovingSequencer.LATENCY
    assert run.descriptors[0][0][1] - first == 2 + EntryDispatcher.LATENCY


def one_step(rows, count):
    """A command with one base entry, the first of the program, and so many row entries."""
    return 2, {"bases": 0, "base_count": 1, "start": 8, "count": count, "steps": 1, "rows": rows}


def test_slow_row_streamers():
    """Queues that are full: nothing is lost and nothing is doubled."""
    config, rng = small("three"), np.random.default_rng(14)
    orders = [one_step(7, 8)] * 6 + [one_step(int(rng.integers(8)), 8) for _ in range(6)]
    Run(config, make_program(config, rng), orders, 14, 0.0, row_stalls={0: 0.8, 1: 0.7, 2: 0.9}).run()


def test_a_full_queue_stops_only_its_own_row():
    """A row streamer that takes nothing holds up nobody until there is a descriptor more for it than its queue has."""
    config, rng = small("ulx3s"), np.random.default_rng(15)
    program = make_program(config, rng)
    orders = [one_step(3, EntryDispatcher.DEPTH + 4)]
    run = Run(config, program, orders, 15, 0.0, row_stalls={0: 1.0})
    run.bench.run(lambda ctx: run.bench.cycle > 200, 400, fed=False)
    assert not run.descriptors[0]
    assert_same("row 1", [payload for payload, _ in run.descriptors[1]],
                run.reference.descriptors[1][:EntryDispatcher.DEPTH])


@pytest.mark.parametrize("name", ["tiny", "ulx3s", "three", "icebreaker"])
def test_lint(lint, name):
    lint(emit.component_verilog(MovingSequencer(CONFIGURATIONS[name]), "sequencer"), "sequencer")
