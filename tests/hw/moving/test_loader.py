"""The loader of the moving buffers against the places that its commands describe."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from loader_bench import Fill, Load, LoaderBench, drawn_fill, drawn_load, places
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import component_verilog
from phantom_hw.memory.slots import SlotError
from phantom_hw.moving.loader import MovingLoader

SMALL = PhantomConfig(mesh_rows=2, moving_link=4, chunk=12, row_width=24, moving_words=256)
CONFIGURATIONS = {
    "tiny": PhantomConfig.preset("tiny"),
    "narrow": dataclasses.replace(SMALL, act_width=4),
    "wide": dataclasses.replace(SMALL, act_width=16, bus_width=128, chunk=24),
    "single": dataclasses.replace(SMALL, moving_link=1, bus_width=256, mesh_rows=1),
    "pairs": dataclasses.replace(SMALL, moving_link=2, act_width=4, bus_width=512, chunk=33, address_width=64),
    "paper": PhantomConfig.preset("paper"),
}
WIDE_BUS = PhantomConfig(bus_width=256)
"""A slot of 16 positions fits a word of the bus, so that the dense words are the bound."""


def drawn_commands(bench: LoaderBench, count: int) -> list[Load | Fill]:
    commands: list[Load | Fill] = []
    for _ in range(count):
        if bench.rng.random() < 0.25:
            commands.append(drawn_fill(bench.rng, bench.config))
        else:
            commands.append(drawn_load(bench.rng, bench.config))
            bench.store(commands[-1])
    return commands


def check(config: PhantomConfig, seed: int, count: int, stall: float, latency: int) -> None:
    bench = LoaderBench(config, seed, stall, latency)
    commands = drawn_commands(bench, count)
    bench.run(commands)
    bench.check(commands)
    assert bench.error == SlotError.NONE


@pytest.mark.parametrize(("stall", "latency"), [(0.0, 0), (0.0, 30), (0.4, 30)])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_positions_come_to_their_places(name, stall, latency):
    check(CONFIGURATIONS[name], 1 + latency, 6, stall, latency)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_positions_come_to_their_places_long(name, seed):
    check(CONFIGURATIONS[name], 100 + seed, 30, [0.0, 0.2, 0.6][seed % 3], [0, 5, 60][seed % 3])


# --- what is wrong ----------------------------------------------------------------------------------------

def with_bit(content: bytes, bit: int) -> bytes:
    return (int.from_bytes(content, "little") | 1 << bit).to_bytes(len(content), "little")


@pytest.mark.parametrize("kind", [SlotError.MASK, SlotError.ZERO, SlotError.SHORT, SlotError.LONG])
@pytest.mark.parametrize("name", ["tiny", "narrow", "wide"])
def test_a_malformed_slot_is_reported_and_harms_no_other(name, kind):
    config = CONFIGURATIONS[name]
    bench = LoaderBench(config, kind.value, 0.2, 10)
    mask = -(-config.chunk // 8)
    tampered = {
        SlotError.MASK: lambda content: with_bit(content, config.chunk - 1),
        SlotError.ZERO: lambda content: with_bit(bytes(len(content)), 0),
        SlotError.SHORT: lambda content: with_bit(content, 0)[:mask],
        SlotError.LONG: lambda content: content + bytes(2 * config.bus_width),
    }[kind]
    # a slot with a position that is not there, so that its mask can have a bit too many
    loads = [drawn_load(bench.rng, config, slots=1, last_positions=config.chunk - 1) for _ in range(3)]
    fills = [drawn_fill(bench.rng, config) for _ in range(2)]
    for load in loads:
        bench.store(load)
    commands: list[Load | Fill] = [loads[0], fills[0], loads[1], fills[1], loads[2]]
    bench.tampers[int(bench.rng.integers(len(loads[0].contents) + len(loads[1].contents)))] = tampered
    bench.run(commands)
    bench.check(commands, damaged=True)
    assert bench.error == kind


@pytest.mark.parametrize("seed", range(3))
def test_garbage_does_not_hang(seed):
    bench = LoaderBench(CONFIGURATIONS["tiny"], seed, 0.3, 10)
    commands = drawn_commands(bench, 8)
    requests = sum(len(command.contents) for command in commands if isinstance(command, Load))
    bench.tampers = {i: lambda content: bench.rng.bytes(int(bench.rng.integers(1, 60))) for i in range(requests)}
    bench.run(commands)
    assert sum(write["count"] for write in bench.writes) == sum(len(places(c, bench.config)) for c in commands)
    assert bench.error != SlotError.NONE


@pytest.mark.parametrize("seed", range(3))
def test_fields_that_do_not_fit_each_other_do_not_hang(seed):
    """Places that wrap around and fall on each other, and lines of slots that are longer than their rows."""
    config = CONFIGURATIONS["tiny"]
    bench, limits = LoaderBench(config, seed, 0.2, 10), config.moving_positions
    commands: list[Load | Fill] = []
    for _ in range(6):
        load = drawn_load(bench.rng, config, slots=int(bench.rng.integers(1, 3)))
        bench.store(load)
        for name in ("offset", "channel_step", "row_step", "phase_step"):
            load.fields[name] = int(bench.rng.integers(limits))
        if load.fields["slots"] > 1:
            load.fields["width"] = int(bench.rng.integers(1, config.chunk + 1))
        commands.append(load)
    bench.run(commands)
    written = {(place, rows) for command in commands for place, _ in places(command, config)
               for rows in [command.fields["rows"]]}
    assert {((write["place"] + i) % limits, write["rows"])
            for write in bench.writes for i in range(write["count"])} == written


def test_zeros_are_busy_until_their_data_have_come():
    """The mask alone says that all is zero; the bytes behind it come long after the writes."""
    bench = LoaderBench(CONFIGURATIONS["tiny"], 6, gap=20)
    load = simple(bench, zero=True)
    bench.run([load])
    bench.check([load])
    assert bench.times["write"][-1] < bench.times["data"][-1]


# --- time -------------------------------------------------------------------------------------------------

def simple(bench: LoaderBench, zero: bool = False, **fields: int) -> Load:
    """A load of one slot or of some, half of zeros or all."""
    chunk = bench.config.chunk
    f = {"channels": 1, "lines": 1, "slots": 1, "positions": chunk, "last_positions": chunk, "width": chunk,
         "stride": 1, "signed": 0, "rows": 1, "x": 0, "offset": 0, "channel_step": 256, "row_step": 32,
         "phase_step": 16, "slot_pitch": 32, "line_pitch": 64, "channel_pitch": 512, **fields}
    values = bench.rng.integers(1, 100, chunk) * (0 if zero else np.arange(chunk) % 2)
    load = Load(f, {(c, l, s): values for c in range(f["channels"]) for l in range(f["lines"])
                    for s in range(f["slots"])})
    bench.store(load)
    return load


@pytest.mark.parametrize(("fields", "writes"), [
    ({"channels": 5, "lines": 8}, 80), ({"lines": 8, "slots": 4, "line_pitch": 128}, 64),
    # a row that ends within a word takes a write more
    ({"channels": 5, "lines": 8, "width": 10}, 120), ({"channels": 2, "lines": 8, "stride": 2}, 64),
    ({"channels": 2, "lines": 8, "stride": 3}, 96), ({"lines": 8, "stride": 100}, 128)])
def test_a_write_a_cycle(fields, writes):
    bench = LoaderBench(WIDE_BUS, 1)
    bench.run([simple(bench, **fields)])
    times = bench.times["write"]
    assert len(times) == writes
    assert times[-1] - times[0] == writes - 1


def test_a_request_a_cycle():
    bench = LoaderBench(WIDE_BUS, 2, latency=40)
    bench.run([simple(bench, channels=5, lines=8)])
    times = bench.times["request"]
    ahead = MovingLoader.slots_ahead(WIDE_BUS)
    assert times[ahead - 1] - times[0] == ahead - 1
    assert times[0] - bench.times["command"][0] == 1


@pytest.mark.parametrize("latency", [0, 30, 60])
def test_small_loads_hide_the_latency_of_memory(latency):
    """Each command loads one slot: two writes."""
    bench, count = LoaderBench(WIDE_BUS, 3, latency=latency), 40
    commands = [simple(bench, offset=32 * i) for i in range(count)]
    bench.run(commands)
    bench.check(commands)
    took = bench.times["write"][-1] - bench.times["write"][0]
    print(f"latency {latency}: {took / count:.1f} cycles a command")
    # a latency is shared by as many slots as may be ahead; three cycles are those of a command itself
    assert took <= count * max(3, (latency + 10) / MovingLoader.slots_ahead(WIDE_BUS))


def test_latency_from_data_to_write():
    bench = LoaderBench(WIDE_BUS, 4)
    bench.run([simple(bench)])
    assert bench.times["write"][0] - bench.times["data"][0] == MovingLoader.LATENCY


def test_zeros_of_a_word_a_cycle():
    bench = LoaderBench(WIDE_BUS, 5)
    fill = Fill({"offset": 16370, "length": 43, "count": 9, "step": 50, "rows": 1})
    bench.run([fill])
    bench.check([fill])
    assert [write["count"] for write in bench.writes] == [8, 8, 8, 8, 8, 3] * 9
    assert bench.times["write"][-1] - bench.times["write"][0] == 6 * 9 - 1


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_verilog_passes_lint(lint, name):
    lint(component_verilog(MovingLoader(CONFIGURATIONS[name]), "loader"), "loader")
