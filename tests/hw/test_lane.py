"""The post-processing lane against the golden requantization."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import numpy as np
import pytest
from phantom_golden.requantize import requantize
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import component_verilog
from phantom_hw.mesh.lane import PostProcessingLane
from phantom_hw.mesh.layouts import activation_layout, limits_layout, parameter_layout, sum_layout
from stream_bench import StreamBench

CHANNELS = 64


@dataclass
class Burst:
    """The sums of one filter of one tile."""

    core: int
    column: int
    filter: int
    set: int
    sums: np.ndarray
    tile_last: bool

    def index(self, config: PhantomConfig, cores: int) -> int:
        return (self.filter * cores + self.core) * config.pe_cols + self.column


@dataclass
class Parameters:
    """Of both sets."""

    bias: np.ndarray
    mult: np.ndarray
    shift: np.ndarray
    limits: list[tuple[int, int]]


def parameters(config: PhantomConfig, rng: np.random.Generator) -> Parameters:
    """Biases as large as the sums, any multiplier, shifts that bring sums into the range. One set is signed."""
    bits = config.act_width
    limits = [(-(1 << bits - 1), (1 << bits - 1) - 1), (0, (1 << bits) - 1)]
    if rng.random() < 0.3:
        bits, limits = 4, [(-3, 5), (0, 6)]
    shift = np.clip(config.acc_width + 16 - bits + rng.integers(-3, 5, (2, CHANNELS)), 0, 63)
    most = 1 << min(config.acc_width - 6, 31)
    return Parameters(rng.integers(-most, most, (2, CHANNELS)), rng.integers(1, 1 << 24, (2, CHANNELS)), shift, limits)


def bursts(config: PhantomConfig, cores: int, count: int, rng: np.random.Generator) -> list[Burst]:
    """Bursts of all cores in any order, each set several times, of all lengths around a chunk's."""
    filters = CHANNELS // (cores * config.pe_cols)
    result = []
    for _ in range(count):
        length = int(rng.choice([1, 2, config.chunk - 1, config.chunk, config.chunk + 1, 2 * config.chunk,
                                 rng.integers(1, 3 * config.chunk)]))
        width = config.acc_width - 6
        sums = rng.integers(-(1 << width), 1 << width, length)
        small = rng.random(length) < rng.choice([0.0, 0.5, 1.0])  # zero, or nearly so, as activations
        sums = np.where(small, sums >> 14, sums)
        result.append(Burst(int(rng.integers(cores)), int(rng.integers(config.pe_cols)), int(rng.integers(filters)),
                            int(rng.integers(2)), sums, bool(rng.random() < 0.2)))
    return result


def expected(config: PhantomConfig, cores: int, todo: list[Burst], table: Parameters) -> list[int]:
    """The beats of the golden model's activations."""
    layout, beats = activation_layout(config, cores), []
    for burst in todo:
        place, (lo, hi) = (burst.set, burst.index(config, cores)), table.limits[burst.set]
        values = requantize(burst.sums, int(table.mult[place]), int(table.shift[place]), bias=int(table.bias[place]),
                            lo=lo, hi=hi)
        for start in range(0, len(values), config.chunk):
            chunk = values[start:start + config.chunk].tolist()
            ends = start + config.chunk >= len(values)
            for i, value in enumerate(chunk):
                last = i == len(chunk) - 1
                if value or last:
                    beats.append(layout.const({
                        "value": value & (1 << config.act_width) - 1, "nonzero": value != 0, "core": burst.core,
                        "column": burst.column, "filter": burst.filter, "set": burst.set, "last": last,
                        "burst_last": last and ends, "tile_last": last and ends and burst.tile_last,
                        "mask": sum((v != 0) << j for j, v in enumerate(chunk)) if last else 0,
                    }).as_bits())
    return beats


def sum_packets(config: PhantomConfig, cores: int, todo: list[Burst]) -> list[int]:
    layout = sum_layout(config, cores)
    return [layout.const({
        "value": int(value), "core": burst.core, "column": burst.column, "filter": burst.filter, "set": burst.set,
        "last": i == len(burst.sums) - 1, "tile_last": i == len(burst.sums) - 1 and burst.tile_last,
    }).as_bits() for burst in todo for i, value in enumerate(burst.sums)]


def written(config: PhantomConfig, table: Parameters, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """What fills both sets, in any order."""
    layout = parameter_layout(CHANNELS)
    writes = [layout.const({"set": s, "index": i, "bias": int(table.bias[s, i]), "mult": int(table.mult[s, i]),
                            "shift": int(table.shift[s, i])}).as_bits() for s in range(2) for i in range(CHANNELS)]
    limits = [limits_layout(config).const({"set": s, "lo": lo, "hi": hi}).as_bits()
              for s, (lo, hi) in enumerate(table.limits)]
    return [writes[i] for i in rng.permutation(len(writes))], limits


class LaneBench(StreamBench):
    """A lane that is given its parameters before the first sum."""

    def __init__(self, config: PhantomConfig, cores: int, table: Parameters, seed: int, stall: float):
        super().__init__(PostProcessingLane(config, cores, CHANNELS), seed, stall)
        writes, limits = written(config, table, np.random.default_rng(seed))
        self.feed("parameters", writes)
        self.feed("limits", limits)
        self.after("sums", "parameters", "limits")


def run(config: PhantomConfig, cores: int, count: int, seed: int, stall: float) -> LaneBench:
    rng = np.random.default_rng(seed)
    table, todo = parameters(config, rng), bursts(config, cores, count, rng)
    bench = LaneBench(config, cores, table, seed, stall)
    packets, beats = sum_packets(config, cores, todo), expected(config, cores, todo, table)
    bench.feed("sums", packets)
    got = bench.collect("activations", len(beats))
    bench.run(400 + round(2 * (2 * CHANNELS + len(packets)) / (1 - stall) ** 2), then=at_end(bench.dut))
    assert got == beats
    values = np.array(beats) & (1 << config.act_width) - 1
    assert len(set(values.tolist())) > 5, "the sums must give many different activations"
    return bench


def at_end(dut):
    async def then(ctx):
        assert ctx.get(dut.idle)
        assert not ctx.get(dut.error)

    return then


@pytest.mark.parametrize(("act_width", "acc_width", "chunk", "cores", "pe_cols", "stall"), [
    (8, 32, 16, 2, 3, 0.3), (8, 32, 16, 1, 1, 0.0), (4, 24, 5, 3, 3, 0.5), (16, 32, 64, 2, 2, 0.2),
    (4, 16, 4, 4, 2, 0.0), (16, 38, 17, 7, 3, 0.6), (8, 32, 33, 5, 3, 0.3)])
def test_equals_golden(act_width, acc_width, chunk, cores, pe_cols, stall):
    config = PhantomConfig(act_width=act_width, weight_width=act_width, acc_width=acc_width, chunk=chunk,
                           pe_cols=pe_cols)
    run(config, cores, 60, 7 * act_width + chunk, stall)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(20))
def test_equals_golden_long(seed):
    rng = np.random.default_rng(seed)
    act_width = int(rng.choice([4, 8, 16]))
    config = PhantomConfig(
        act_width=act_width, weight_width=act_width, acc_width=int(rng.integers(max(16, 2 * act_width), 39)),
        chunk=int(rng.integers(4, 65)), pe_cols=int(rng.integers(1, 8)))
    run(config, int(rng.integers(1, 9)), 200, seed, float(rng.choice([0.0, 0.3, 0.7])))


def test_takes_a_sum_a_cycle():
    """Even if none of them becomes zero."""
    config, rng = PhantomConfig(), np.random.default_rng(3)
    table = parameters(config, rng)
    table.bias[:], table.mult[:], table.shift[:] = 0, 1, 0
    todo = [Burst(0, 0, 1, 0, np.full(40, 1 + i), False) for i in range(10)]
    bench = LaneBench(config, 2, table, 3, 0.0)
    bench.feed("sums", sum_packets(config, 2, todo))
    got = bench.collect("activations", 400)
    bench.run(1000)
    assert got == expected(config, 2, todo, table)
    times = bench.times["activations"]
    assert times[-1] - times[0] == 399


def test_latency():
    config, rng = PhantomConfig(), np.random.default_rng(4)
    table = parameters(config, rng)
    bench = LaneBench(config, 2, table, 4, 0.0)
    bench.feed("sums", sum_packets(config, 2, [Burst(1, 2, 3, 1, np.array([12345]), True)]))
    bench.collect("activations", 1)
    bench.run(500)
    assert bench.times["activations"][0] - bench.times["sums"][0] == PostProcessingLane.LATENCY


def test_reports_a_channel_that_is_not_there():
    """The sum passes all the same; ``clear`` forgets the error."""
    config, rng = PhantomConfig(), np.random.default_rng(5)
    table = parameters(config, rng)
    table.bias[:], table.mult[:], table.shift[:] = 1, 1, 0
    for filters, wrong in ((CHANNELS // 6 - 1, False), (CHANNELS // 6 + 1, True)):
        bench = LaneBench(config, 2, table, 5, 0.2)
        bench.feed("sums", sum_packets(config, 2, [Burst(1, 1, filters, 0, np.arange(3), False)]))
        bench.collect("activations", 3)  # whichever parameters they meet, none becomes zero

        async def then(ctx, dut=bench.dut, wrong=wrong):
            assert ctx.get(dut.error) == wrong
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            assert not ctx.get(dut.error)

        bench.run(1000, then)


@pytest.mark.parametrize(("act_width", "chunk", "cores", "pe_cols"), [(8, 16, 2, 3), (16, 64, 8, 8), (4, 5, 1, 1)])
def test_verilog_passes_lint(lint, act_width, chunk, cores, pe_cols):
    config = PhantomConfig(act_width=act_width, weight_width=act_width, chunk=chunk, pe_cols=pe_cols)
    lint(component_verilog(PostProcessingLane(config, cores), "lane"), "lane")


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(("arguments", "message"), [
    ((0,), "cores must be in 1..8, not 0"), ((9,), "cores must be in 1..8, not 9"),
    ((2, 100), "channels must be a power of two in 16..4096, not 100"),
    ((2, 8192), "channels must be a power of two in 16..4096, not 8192")])
def test_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        PostProcessingLane(PhantomConfig(), *arguments)
    gc.collect()  # the block that was never finished, while its warning is ignored
