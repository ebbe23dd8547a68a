"""The unit ``results``: sums of all mesh rows to slots in memory, with parameters from memory."""

from __future__ import annotations

import numpy as np
import pytest
from lane_bench import Parameters
from phantom_golden.slots import slot_bytes
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import component_verilog
from phantom_hw.results.layouts import SLOT_UNIT
from phantom_hw.results.unit import ResultUnit
from phantom_hw.soc.isa import PATTERNS
from unit_bench import UnitBench
from written_memory import GUARD, apply_writes, golden_slot

BASE = 1 << 16
"""Address of the first slot, in units."""
TILES = 4
"""Tiles of a lane in each of two parts of a test."""


def configuration(**fields) -> PhantomConfig:
    return PhantomConfig(**{"lane_channels": 32, **fields})


def check(config: PhantomConfig, seed: int, stall: float) -> None:
    """Load all lanes, run tiles while half of the channels, a clamp and patterns are loaded anew, run others."""
    bench = UnitBench(config, seed, stall)
    channels, half = config.lane_channels, config.lane_channels // 2
    pitch = -(-slot_bytes(config.chunk, config.act_width) // SLOT_UNIT)
    per_channel = 2 * TILES * pitch

    def drawn(lane: int) -> Parameters:
        table = Parameters.random(config, bench.rng)
        table.slot = BASE + (lane * channels + np.arange(channels)) * per_channel
        return table

    every_row, every_lane = (1 << config.mesh_rows) - 1, (1 << config.drain_lanes) - 1

    async def load(ctx, first, count, clamps):
        for index in range(len(bench.lanes)):
            row, lane = divmod(index, config.drain_lanes)
            table = drawn(index)
            for clamp in clamps:
                await bench.load(ctx, 1 << row, 1 << lane, first, count, clamp, table)

    async def steps(ctx):
        # what all lanes get at once is what they keep where nothing else is loaded
        shared = drawn(0)
        shared.write[:] = 0
        await bench.load(ctx, every_row, every_lane, channels // 3, channels, 0, shared)
        await load(ctx, channels - 5, channels - 4, (0, 1))
        await bench.patterns(ctx, range(PATTERNS))
        await bench.rest(ctx)
        assert len(bench.reads) == 1 + 2 * len(bench.lanes)
        bench.tiles(TILES, range(half), [0], range(PATTERNS // 2), pitch, 0)
        await load(ctx, half, half, (1,))
        bench.tables[0].patterns[PATTERNS // 2:] = Parameters.random(config, bench.rng).patterns[PATTERNS // 2:]
        await bench.patterns(ctx, range(PATTERNS // 2, PATTERNS))
        await bench.rest(ctx)
        bench.tiles(TILES, range(channels), [0, 1], range(PATTERNS), pitch, TILES)
        await bench.rest(ctx)
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(bench.dut.busy)

    bench.run(steps)
    size = len(bench.lanes) * channels * per_channel * SLOT_UNIT
    memory = apply_writes(bench.writes, bench.words, config.bus_width // 8, BASE * SLOT_UNIT, size)
    expected = np.full(size, GUARD, np.uint8)
    for chunk in bench.expected:
        start, stored = (chunk.slot - BASE) * SLOT_UNIT, golden_slot(config, chunk.values)
        expected[start:start + len(stored)] = np.frombuffer(stored, np.uint8)
    np.testing.assert_array_equal(memory, expected)
    assert len({value for chunk in bench.expected for value in chunk.values}) > 5


LIKE_PAPER = {"mesh_rows": 2, "mesh_cols": 3, "drain_lanes": 2, "chunk": 64, "bus_width": 512}


@pytest.mark.parametrize(("fields", "stall"), [
    ({"mesh_cols": 2, "pe_cols": 2, "pe_rows": 2}, 0.3), ({"mesh_rows": 2, "mesh_cols": 2}, 0.0),
    ({"mesh_rows": 2, "mesh_cols": 2, "act_width": 16, "bus_width": 128, "chunk": 13}, 0.4),
    ({"mesh_cols": 3, "drain_lanes": 2, "act_width": 4, "weight_width": 4, "bus_width": 256, "chunk": 20}, 0.5),
    ({"pe_cols": 1, "address_width": 40}, 0.2), (LIKE_PAPER, 0.2)])
def test_memory_holds_the_golden_slots(fields, stall):
    check(configuration(**fields), 10 * len(fields), stall)


@pytest.mark.parametrize("preset", ["tiny", "ulx3s"])
def test_presets(preset):
    check(PhantomConfig.preset(preset), 77, 0.2)


def test_busy_as_long_as_a_tile_waits_for_its_sums():
    config = configuration(mesh_rows=2, mesh_cols=2)
    bench = UnitBench(config, 8, 0.3)

    async def steps(ctx):
        table = Parameters.random(config, bench.rng)
        await bench.load(ctx, 3, 1, 0, config.lane_channels, 0, table)
        await bench.patterns(ctx, range(PATTERNS))
        await bench.rest(ctx)
        bench.tiles(2, range(config.lane_channels), [0], range(PATTERNS), 1, 0)
        sums = [list(queue) for queue in bench.sums]
        for queue in bench.sums:
            queue.clear()
        while any(bench.announced):
            await ctx.tick()
        for _ in range(50):
            assert ctx.get(bench.dut.busy)
            await ctx.tick()
        for queue, held in zip(bench.sums, sums, strict=True):
            queue.extend(held)
        await bench.rest(ctx)

    bench.run(steps)
    assert bench.expected


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(12))
def test_memory_holds_the_golden_slots_long(seed):
    rng = np.random.default_rng(seed)
    cols = int(rng.integers(1, 5))
    config = configuration(
        mesh_rows=int(rng.integers(1, 4)), mesh_cols=cols, drain_lanes=int(rng.integers(1, cols + 1)),
        pe_cols=int(rng.integers(1, 5)), act_width=int(rng.choice([4, 8, 16])), chunk=int(rng.integers(4, 65)),
        bus_width=int(rng.choice([64, 128, 256, 512])))
    check(config, seed, float(rng.choice([0.0, 0.3, 0.7])))


@pytest.mark.parametrize("fields", [{}, {"mesh_rows": 2, "mesh_cols": 3, "drain_lanes": 2, "bus_width": 256},
                                    {"pe_cols": 1, "bus_width": 128, "chunk": 5}])
def test_verilog_passes_lint(lint, fields):
    lint(component_verilog(ResultUnit(configuration(**fields)), "results"), "results")
