# amaranth: UnusedElaboratable=no
"""The stationary buffers against a decoder of packed packets: any loads and replays, with stalls on all sides."""

import numpy as np
import pytest
from amaranth.hdl import Value
from packed_reference import Decoder, Shape, Writer
from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from phantom_hw.stationary.column import StationaryColumn
from phantom_hw.stationary.unit import StationaryUnit
from port_bench import PortBench, assert_same

SMALL = {"tds": "in_order", "stationary_words": 64}
CONFIGURATIONS = {
    "tiny": PhantomConfig.preset("tiny"),
    "ulx3s": PhantomConfig.preset("ulx3s"),
    "paper": PhantomConfig.preset("paper"),
    "icebreaker": PhantomConfig.preset("icebreaker"),
    "nibbles": PhantomConfig(mesh_cols=2, act_width=4, weight_width=4, bus_width=128, **SMALL),
    "halves": PhantomConfig(mesh_cols=2, act_width=16, bus_width=256, mesh_rows=2, **SMALL),
    "long": PhantomConfig(mesh_cols=1, act_width=16, bus_width=64, pe_cols=4, pe_rows=5, **SMALL),
    "largest": PhantomConfig(mesh_cols=1, bus_width=512, pe_cols=8, pe_rows=8, threads=8, act_width=16, row_width=64,
                             acc_depth=4096, stationary_words=16),
    "uneven": PhantomConfig(mesh_rows=2, mesh_cols=3, bus_width=128, pe_cols=5, acc_depth=16, stationary_words=16),
    "banks": PhantomConfig(mesh_cols=2, bus_width=512, pe_cols=1, threads=1, pe_rows=1, stationary_words=32),
}
MEMORY = 1 << 15


def bits(layout, **fields):
    """A payload as an integer."""
    return Value.cast(layout.const(fields)).value


class Run:
    """A unit with its memory; loads go first, then all replays."""

    def __init__(self, config, image, loads, replays, seed, stall):
        self.config, self.dut, self.replays = config, StationaryUnit(config), replays
        self.bench = bench = PortBench(self.dut, seed, stall)
        size, bus = 16 * config.stationary_words, config.bus_width // 8
        buffers = [[None] * size for _ in range(config.mesh_cols)]
        for address, count, offset, columns in loads:
            for column in (c for c in range(config.mesh_cols) if columns >> c & 1):
                start = 16 * offset // bus * bus
                for i in range(16 * count):
                    buffers[column][(start + i) % size] = image[address + i]
                for i in range(16 * count, -(-16 * count // bus) * bus):
                    buffers[column][(start + i) % size] = None  # unknown from here on
        self.expected, self.seen = [[] for _ in range(config.mesh_cols)], set()
        decoders = [Decoder(Shape.of(config)) for _ in range(config.mesh_cols)]
        for offset, count, repeats, columns, rows in replays:
            for column in (c for c in range(config.mesh_cols) if columns >> c & 1):
                for _ in range(repeats):
                    at = 16 * offset
                    for _ in range(count):
                        packet, at = decoders[column].packet(lambda i, c=column: buffers[c][i % size], at)
                        self.expected[column].append(packet << config.mesh_rows | rows)
        for decoder in decoders:
            self.seen |= decoder.seen
        self.asked = bench.memory(
            self.dut.request, self.dut.data, lambda address, n: image[address:address + n], config.bus_width)
        load = self.dut.load_command.payload.shape()
        self.loaded = bench.source(self.dut.load_command, [
            bits(load, address=address, count=count, offset=offset, columns=columns)
            for address, count, offset, columns in loads])
        replay = self.dut.stream_command.payload.shape()
        self.idle, total = [False], len(loads)

        def look(ctx):  # replays begin when all is loaded
            self.idle[0] = len(self.loaded) == total and not ctx.get(self.dut.load_busy)

        bench.each_cycle(look)
        self.started = bench.source(self.dut.stream_command, [
            bits(replay, offset=offset, count=count, repeats=repeats, columns=columns, rows=rows)
            for offset, count, repeats, columns, rows in replays], lambda number: self.idle[0])
        self.got = [bench.sink(port) for port in self.dut.stationary]
        bench.each_cycle(self._busy)

    def _busy(self, ctx):
        due = [0] * self.config.mesh_cols
        for _, count, repeats, columns, _ in self.replays[:len(self.started)]:
            for column in range(self.config.mesh_cols):
                due[column] += count * repeats * (columns >> column & 1)
        sent = [len(got) for got in self.got]
        assert ctx.get(self.dut.stream_busy) == (sent != due), "busy"

    def run(self):
        total = sum(map(len, self.expected))
        self.bench.run(lambda ctx: sum(map(len, self.got)) >= total, 30 * total + 20_000)
        for column, (got, expected) in enumerate(zip(self.got, self.expected, strict=True)):
            assert_same(f"column {column}", [payload for payload, _ in got], expected)
        return self


def stream(config, rng, packets):
    """Packets of all kinds; the places are wide, narrow, wide, ..."""
    writer, parts = Writer(Shape.of(config), rng), []
    for i in range(packets):
        if i in (0, 4) or rng.random() < 0.1:
            parts.append(writer.layer(not writer.wide))
        else:
            parts.append(writer.items(float(rng.choice([0, 0.3, 0.7, 1]))))
    return parts


def fill(config, rng):
    """A buffer full of packets, and how many of them are whole."""
    parts = stream(config, rng, 8 * config.stationary_words)
    ends = np.cumsum([len(part) for part in parts])
    whole = int(np.searchsorted(ends, 16 * config.stationary_words, side="right"))
    text = b"".join(parts)[:16 * config.stationary_words]
    return text + bytes(16 * config.stationary_words - len(text)), whole


def everyone(config):
    return (1 << config.mesh_cols) - 1


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", ["tiny", "icebreaker", "nibbles", "halves", "long", "uneven", "banks"])
def test_equals_decoder(name, stall):
    config, seed = CONFIGURATIONS[name], 7
    rng = np.random.default_rng(seed)
    text, whole = fill(config, rng)
    assert whole > 10
    image = bytes(24) + text
    rows = 1 << config.mesh_rows
    replays = [(0, whole, 1, everyone(config), 1), (0, 1, 1, everyone(config), rows - 1),
               *((0, int(rng.integers(1, min(whole, 60))), int(rng.choice([1, 2, 5])),
                  int(rng.integers(0, everyone(config) + 1)), int(rng.integers(rows))) for _ in range(8))]
    run = Run(config, image, [(24, config.stationary_words, 0, everyone(config))], replays, seed, stall).run()
    assert run.seen >= {("layer", False), ("layer", True), ("items", False), ("items", True)}
    assert run.asked == [(24, 16 * config.stationary_words)]


@pytest.mark.parametrize("name", ["tiny", "nibbles", "halves", "uneven", "banks",
                                  pytest.param("largest", marks=pytest.mark.verify)])
def test_garbage(name):
    """Bytes that are no packets give packets, and just as many; loads and replays may be anywhere."""
    config, seed = CONFIGURATIONS[name], 8
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, MEMORY, dtype=np.uint8).tobytes()
    words, once = config.stationary_words, max(1, config.bus_width // 128)
    loads = [(8, words, 0, everyone(config))]
    for _ in range(5):  # whole words of the bus, so that everything is known
        count = once * int(rng.integers(1, words // once + 1))
        loads.append((8 * int(rng.integers(1024)), count, int(rng.integers(words)),
                      int(rng.integers(1, everyone(config) + 1))))
    replays = [(int(rng.integers(words)), int(rng.integers(1, 120)), int(rng.choice([1, 3])),
                int(rng.integers(0, everyone(config) + 1)), 1) for _ in range(12)]
    run = Run(config, image, loads, replays, seed, 0.2).run()
    assert ("reserved", False) in run.seen or 2 * config.pe_rows == (1 << Shape.of(config).code) - 1
    assert run.asked == [(address, 16 * count) for address, count, _, _ in loads]


@pytest.mark.parametrize("name", ["ulx3s", "paper"])
def test_presets(name):
    """The buffers are large: only their end and their beginning are loaded and sent, in parts."""
    config, seed = CONFIGURATIONS[name], 9
    rng = np.random.default_rng(seed)
    parts = stream(config, rng, 70)
    text = b"".join(parts)
    words, once = config.stationary_words, max(1, config.bus_width // 128)
    count, offset = -(-len(text) // 16), words - 4 * once
    first = 4 * once
    image = text + bytes(64)
    loads = [(0, first, offset, everyone(config)), (16 * first, count - first, 0, everyone(config))]
    replays = [(offset, len(parts), 2, everyone(config), 3), (offset, 5, 3, 1, 1)]
    Run(config, image, loads, replays, seed, 0.3).run()


@pytest.mark.parametrize("name", ["uneven", "nibbles", "long"])
def test_rate(name):
    """A packet a cycle, whatever its size; each repetition and each replay costs a few cycles."""
    config, rng = CONFIGURATIONS[name], np.random.default_rng(10)
    text, whole = fill(config, rng)
    replays = [(0, whole, 2, everyone(config), 1), (0, 3, 1, everyone(config), 1)]
    run = Run(config, text, [(0, config.stationary_words, 0, everyone(config))], replays, 10, 0.0).run()
    for got in run.got:
        assert got[0][1] - run.started[0] == StationaryUnit.LATENCY
        assert got[-1][1] - got[0][1] == len(got) - 1 + 2 * StationaryColumn.GAP


@pytest.mark.parametrize("name", ["banks", "nibbles", "tiny"])
def test_load_rate(name):
    """A word of the bus a cycle, from command to command."""
    config = CONFIGURATIONS[name]
    dut = StationaryUnit(config)
    bench = PortBench(dut, 11)
    asked = bench.memory(dut.request, dut.data, lambda address, n: bytes(n), config.bus_width)
    layout = dut.load_command.payload.shape()
    once = max(1, config.bus_width // 128)
    taken = bench.source(dut.load_command, [bits(layout, address=0, count=4 * once, offset=0, columns=1)] * 8)
    busy = [0]

    def look(ctx):
        busy[0] += ctx.get(dut.load_busy)

    bench.each_cycle(look)
    bench.run(lambda ctx: not ctx.get(dut.load_busy), 400)
    assert len(taken) == len(asked) == 8
    assert busy[0] <= 8 * 4 * once * 128 // config.bus_width + 8


def test_columns_are_independent():
    """A column that nobody takes from does not stop another one, as long as its queue has a place."""
    config = CONFIGURATIONS["uneven"]
    dut = StationaryUnit(config)
    bench = PortBench(dut, 10)
    layout = dut.stream_command.payload.shape()
    order = [0b011] * 4 + [0b010, 0b011, 0b011, 0b010]
    taken = bench.source(dut.stream_command, [
        bits(layout, offset=0, count=8, repeats=1, columns=columns, rows=1) for columns in order])
    bench.sink(dut.stationary[0], stall=1.0)
    other = bench.sink(dut.stationary[1])
    # column 0 holds one command and queues four: the last command for it never gets in
    bench.run(lambda ctx: bench.cycle > 160, 300, fed=False)
    assert len(taken) == 6
    assert len(other) == 48


@pytest.mark.parametrize("name", ["tiny", "ulx3s", "long", "icebreaker", "halves", "banks",
                                  pytest.param("largest", marks=pytest.mark.verify)])
def test_lint(lint, name):
    lint(emit.component_verilog(StationaryUnit(CONFIGURATIONS[name]), "unit"), "unit")
