# amaranth: UnusedElaboratable=no
"""The stationary buffers against lists of packets: any loads and replays, with stalls on all sides."""

import numpy as np
import pytest
from amaranth.hdl import Value
from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from phantom_hw.mesh.packets import local_stationary_layout
from phantom_hw.stationary.layouts import packet_bytes
from phantom_hw.stationary.unit import StationaryUnit
from port_bench import PortBench, assert_same

CONFIGURATIONS = {
    **{name: PhantomConfig.preset(name) for name in ("tiny", "ulx3s", "paper", "icebreaker")},
    "wide": PhantomConfig(mesh_cols=2, bus_width=512, pe_cols=8, threads=8, act_width=16, row_width=64,
                          stationary_words=64),
    "uneven": PhantomConfig(mesh_rows=2, mesh_cols=3, bus_width=128, pe_cols=5, stationary_words=16),
}
BASE = 0x1000


def bits(layout, **fields):
    """A payload as an integer."""
    return Value.cast(layout.const(fields)).value


class Run:
    """A unit with its memory; loads go first, then all replays."""

    def __init__(self, config, loads, replays, seed, stall):
        self.config, self.dut, self.replays = config, StationaryUnit(config), replays
        self.bench = bench = PortBench(self.dut, seed, stall)
        self.size, self.bits = packet_bytes(config), local_stationary_layout(config).size
        image = bench.rng.integers(0, 256, 1 << 16, dtype=np.uint8).tobytes()
        self.buffers = [[None] * config.stationary_words for _ in range(config.mesh_cols)]
        self.expected = [[] for _ in range(config.mesh_cols)]
        for address, count, offset, columns in loads:
            for i in range(count):
                packet = int.from_bytes(image[address + i * self.size:address + (i + 1) * self.size], "little")
                for column in (c for c in range(config.mesh_cols) if columns >> c & 1):
                    self.buffers[column][(offset + i) % config.stationary_words] = packet % (1 << self.bits)
        for offset, count, repeats, columns, rows in replays:
            for column in (c for c in range(config.mesh_cols) if columns >> c & 1):
                self.expected[column] += [
                    self.buffers[column][(offset + i) % config.stationary_words] << config.mesh_rows | rows
                    for i in range(count)] * repeats
        self.asked = bench.memory(
            self.dut.request, self.dut.data, lambda address, n: image[address:address + n], config.bus_width)
        load = self.dut.load_command.payload.shape()
        self.loaded = bench.source(self.dut.load_command, [
            bits(load, address=address, count=count, offset=offset, columns=columns)
            for address, count, offset, columns in loads])
        replay = self.dut.stream_command.payload.shape()
        self.started, self.idle, total = [], [False], len(loads)

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
        self.bench.run(lambda ctx: sum(map(len, self.got)) >= total, 20 * total + 20_000)
        for column, (got, expected) in enumerate(zip(self.got, self.expected, strict=True)):
            assert_same(f"column {column}", [payload for payload, _ in got], expected)
        return self


def orders(config, rng, loads, replays):
    """Loads that fill all buffers, more of them at random places, and replays of everything."""
    words, size = config.stationary_words, packet_bytes(config)
    everyone, rows = (1 << config.mesh_cols) - 1, 1 << config.mesh_rows
    limit = min(words, (1 << 16) // size)
    filled = [(0, limit, offset, everyone) for offset in range(0, words, limit)]
    random = [(8 * int(rng.integers(1024)), int(rng.integers(1, min(words, 64) + 1)), int(rng.integers(words)),
               int(rng.integers(1, everyone + 1))) for _ in range(loads)]
    sent = [(int(rng.choice([0, words - 1, rng.integers(words)])), int(rng.choice([1, 2, rng.integers(1, 17)])),
             int(rng.choice([1, 2, 5])), int(rng.integers(0, everyone + 1)), int(rng.integers(rows)))
            for _ in range(replays)]
    return filled + random, sent


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", ["tiny", "icebreaker", "uneven", "wide"])
def test_equals_lists(name, stall):
    config, seed = CONFIGURATIONS[name], 7
    loads, replays = orders(config, np.random.default_rng(seed), 6, 25)
    run = Run(config, loads, replays, seed, stall).run()
    assert run.asked == [(address, count * packet_bytes(config)) for address, count, _, _ in loads]


@pytest.mark.parametrize("name", ["ulx3s", "paper"])
def test_presets(name):
    config = CONFIGURATIONS[name]
    loads, replays = orders(config, np.random.default_rng(8), 2, 10)
    # the buffers are large: only their end and their beginning are loaded and sent
    words = config.stationary_words
    loads = [(0, 128, words - 32, (1 << config.mesh_cols) - 1),
             *((address, count, offset % 16, columns) for address, count, offset, columns in loads[-2:])]
    replays = [(words - 8 if offset else 0, *rest) for offset, *rest in replays]
    Run(config, loads, replays, 8, 0.3).run()


def test_rate():
    """A packet a cycle, also from replay to replay and from repetition to repetition, and in each column at once."""
    config = CONFIGURATIONS["uneven"]
    replays = [(0, 16, 2, 7, 1), (3, 1, 5, 7, 2), (0, 7, 1, 7, 3), (0, 1, 1, 7, 3), (5, 2, 3, 7, 1)]
    run = Run(config, [(0, 16, 0, 7)], replays, 9, 0.0).run()
    for got in run.got:
        assert got[-1][1] - got[0][1] == len(got) - 1
        assert got[0][1] - run.started[0] == StationaryUnit.LATENCY


def test_columns_are_independent():
    """A column that nobody takes from does not stop another one, as long as its queue has a place."""
    config = CONFIGURATIONS["uneven"]
    dut = StationaryUnit(config)
    bench = PortBench(dut, 10)
    layout = dut.stream_command.payload.shape()
    order = [0b011] * 4 + [0b010, 0b011, 0b011, 0b010]
    taken = bench.source(dut.stream_command, [
        bits(layout, offset=0, count=2, repeats=1, columns=columns, rows=1) for columns in order])
    bench.sink(dut.stationary[0], stall=1.0)
    other = bench.sink(dut.stationary[1])
    # column 0 holds one command and queues four: the last command for it never gets in
    bench.run(lambda ctx: bench.cycle > 60, 200, fed=False)
    assert len(taken) == 6
    assert len(other) == 12


@pytest.mark.parametrize("name", ["tiny", "ulx3s", "wide", "icebreaker"])
def test_lint(lint, name):
    lint(emit.component_verilog(StationaryUnit(CONFIGURATIONS[name]), "unit"), "unit")
