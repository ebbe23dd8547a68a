"""The steps between a dense word and its writes, each by itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import component_verilog
from phantom_hw.moving.cutter import RowCutter, piece_layout
from phantom_hw.moving.layouts import write_layout
from phantom_hw.moving.placement import PlacementOrigin, origin_layout, placement_layout
from phantom_hw.moving.queue import ShortQueue
from phantom_hw.moving.scatter import PhaseScatter
from stream_bench import StreamBench

CONFIG = PhantomConfig(mesh_rows=2, moving_words=256)


@pytest.mark.parametrize("lanes", [1, 8, 16])
def test_origin_is_the_quotient_and_the_phase(lanes):
    config = dataclasses.replace(CONFIG, moving_link=lanes, row_width=32)
    rng = np.random.default_rng(lanes)
    size, source, sink = config.moving_positions, placement_layout(config), origin_layout(config)
    given, expected = [], []
    for _ in range(60):
        stride, x = int(rng.choice([1, 2, 3, lanes, lanes + 1, 255, rng.integers(1, 256)])), int(rng.integers(1 << 16))
        x = x if rng.random() < 0.5 else x % 8
        common = {"fill": int(rng.integers(2)), "whole": int(rng.integers(2)), "signed": int(rng.integers(2)),
                  "rows": int(rng.integers(1, 4)), "stride": stride, "width": int(rng.integers(1, 2 * size)),
                  **{name: int(rng.integers(size)) for name in ("channel_step", "row_step", "phase_step")}}
        offset = int(rng.integers(size))
        given.append(source.const({**common, "x": x, "offset": offset}).as_bits())
        expected.append(sink.const({
            **common, "home": (offset + x // stride) % size, "lead": x % stride * common["phase_step"] % size,
            "until": stride - x % stride, "steps": min(stride, lanes) - 1, "far": stride > lanes}).as_bits())
    bench = StreamBench(PlacementOrigin(config), lanes, 0.2)
    bench.feed("source", given)
    got = bench.collect("sink", len(given))
    bench.run(60 * 45)
    assert got == expected


@pytest.mark.parametrize(("stride", "latency"), [(1, 2), (255, 26)])
def test_latency_of_the_origin(stride, latency):
    bench = StreamBench(PlacementOrigin(CONFIG), 1)
    bench.feed("source", [placement_layout(CONFIG).const({"stride": stride, "x": 254}).as_bits()])
    bench.collect("sink", 1)
    bench.run(100)
    assert bench.times["sink"][0] - bench.times["source"][0] == latency


def run_scatter(config: PhantomConfig, current: dict, pieces: list[dict], seed: int, stall: float) -> list:
    """The writes that a scatter makes of pieces."""
    print(f"seed {seed}")
    dut, rng = PhaseScatter(config), np.random.default_rng(seed)
    layout, got = write_layout(config), []

    async def feed(ctx):
        ctx.set(Value.cast(dut.current), origin_layout(config).const(current).as_bits())
        for piece in pieces:
            while rng.random() < stall:
                await ctx.tick()
            ctx.set(Value.cast(dut.piece.payload), piece_layout(config).const(piece).as_bits())
            ctx.set(dut.piece.valid, 1)
            await ctx.tick().until(dut.piece.ready)
            ctx.set(dut.piece.valid, 0)
        for _ in range(1000):
            if not ctx.get(dut.busy):
                return
            await ctx.tick()
        raise AssertionError("still busy after 1000 cycles")

    async def take(ctx):
        while True:
            ctx.set(dut.write.ready, rng.random() >= stall)
            _, _, valid, ready, bits = await ctx.tick().sample(
                dut.write.valid, dut.write.ready, Value.cast(dut.write.payload))
            if valid and ready:
                write = layout.from_bits(bits)
                got.append((write.place, [write.values[i] for i in range(write.count)]))
                assert write.rows == current["rows"]

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.add_testbench(take, background=True)
    simulator.run()
    return got


@pytest.mark.parametrize(("lanes", "stride"), [
    *((lanes, stride) for lanes in (1, 4) for stride in (1, 2, 3, 4, 5, 200)), (8, 1), (8, 3), (8, 7), (8, 9), (16, 5)])
def test_a_piece_is_written_phase_by_phase(lanes, stride):
    config = dataclasses.replace(CONFIG, moving_link=lanes, row_width=32, act_width=4)
    rng, size = np.random.default_rng([lanes, stride]), config.moving_positions
    phase, step = int(rng.integers(stride)), int(rng.integers(size))
    current = {"signed": 1, "rows": 2, "stride": stride, "phase_step": step, "lead": phase * step % size,
               "until": stride - phase, "steps": min(stride, lanes) - 1, "far": stride > lanes}
    pieces, expected = [], []
    for _ in range(8):
        home, x = int(rng.integers(size)), phase
        for i in range(int(rng.integers(1, 8))):
            count = lanes if rng.random() < 0.6 else int(rng.integers(1, lanes + 1))
            values = rng.integers(16, size=lanes).tolist()
            pieces.append({"values": values, "count": count, "first": i == 0, "home": home})
            wide = [(v ^ 8) - 8 & 255 for v in values]
            expected += [((home + (x + j) // stride + (x + j) % stride * step) % size, wide[j:count:stride])
                         for j in range(min(stride, count))]
            x += count
    assert run_scatter(config, current, pieces, lanes + stride, 0.3) == expected


def test_queue_gives_what_it_took():
    rng = np.random.default_rng(7)
    values = rng.integers(256, size=200).tolist()
    for stall in (0.0, 0.5):
        bench = StreamBench(ShortQueue(8), 7, stall)
        bench.feed("source", values)
        got = bench.collect("sink", len(values))
        bench.run(1500)
        assert got == values
        if not stall:
            assert bench.times["sink"][-1] - bench.times["sink"][0] == len(values) - 1
            assert bench.times["sink"][0] - bench.times["source"][0] == ShortQueue.LATENCY


@pytest.mark.parametrize("stall", [0.9, 0.99])
def test_queue_is_full_when_nobody_takes(stall):
    bench = StreamBench(ShortQueue(8), 8, 0.0)
    bench.feed("source", list(range(40)))
    got = bench.collect("sink", 40, stall)
    bench.run(20_000)
    assert got == list(range(40))


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("block", [PlacementOrigin, PhaseScatter, RowCutter])
def test_verilog_passes_lint(lint, block, lanes):
    config = dataclasses.replace(CONFIG, moving_link=lanes)
    lint(component_verilog(block(config), "block"), "block")
