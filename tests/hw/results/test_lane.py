"""The post-processing lane against the golden requantization."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from lane_bench import (
    Burst,
    Chunk,
    Parameters,
    Tile,
    clamp_payloads,
    expected,
    interleave,
    lanes,
    parameter_payloads,
    pattern_payloads,
    random_tiles,
    sum_payloads,
    tile_payload,
)
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import component_verilog
from phantom_hw.results.lane import PostProcessingLane
from phantom_hw.results.layouts import chunk_layout
from stream_bench import StreamBench


def configuration(act_width: int = 8, **fields) -> PhantomConfig:
    return PhantomConfig(**{"act_width": act_width, "weight_width": act_width, "lane_channels": 64, "mesh_cols": 2,
                            **fields})


def beats(config: PhantomConfig, chunks: list[Chunk]) -> list[dict[str, int]]:
    """The beats of chunks; what a beat does not say is left out."""
    result = []
    for chunk in chunks:
        values = [{"nonzero": 1, "value": value & (1 << config.act_width) - 1} for value in chunk.values if value]
        # the last beat has the value of the burst's last position, if there is one
        final = values.pop() if chunk.whole and chunk.values[-1] else {"nonzero": 0}
        result += [{**value, "last": 0} for value in values]
        result.append({**final, "last": 1, "mask": chunk.mask, "slot": chunk.slot})
    return result


def said(config: PhantomConfig, payload: int) -> dict[str, int]:
    """A beat as :func:`beats` gives it."""
    beat = chunk_layout(config).from_bits(payload)
    names = ["nonzero", *(["value"] if beat.nonzero else []), "last", *(["mask", "slot"] if beat.last else [])]
    return {name: int(beat[name]) for name in names}


class LaneBench(StreamBench):
    """A lane that is given its parameters before the first sum, and what it gives."""

    def __init__(self, config: PhantomConfig, lane: tuple[int, int], table: Parameters, seed: int, stall: float):
        dut = PostProcessingLane(config, *lane)
        for i, port in enumerate(dut.tiles):
            setattr(dut, f"tiles_{i}", port)
        super().__init__(dut, seed, stall)
        self._config, self._lane, self._table = config, lane, table
        rng = np.random.default_rng(seed)
        writes = parameter_payloads(config, table)
        self.feed("parameters", [writes[i] for i in rng.permutation(len(writes))])
        self.feed("clamps", clamp_payloads(config, table))
        self.feed("patterns", pattern_payloads(config, table))
        self.after("sums", "parameters", "clamps", "patterns")

    def send(self, order: list[tuple[Tile, Burst, bool]]) -> list[Chunk]:
        """Send bursts and check what comes; returns the chunks."""
        config, (first_core, cores) = self._config, self._lane
        packets, chunks = sum_payloads(config, order), expected(config, first_core, cores, order, self._table)
        self.feed("sums", packets)
        for i in range(cores):
            tiles = [tile_payload(config, tile) for tile, _, ends in order if ends and tile.core == first_core + i]
            self.feed(f"tiles_{i}", tiles)
        wanted = beats(config, chunks)
        got = self.collect("chunks", len(wanted))

        async def at_end(ctx):
            waited = 0
            while len(self.times["sums"]) < len(packets) or not ctx.get(self.dut.idle):  # bursts that are not written
                await ctx.tick()
                waited += 1
                assert waited < 10000, "the lane never becomes idle"

        writes = config.lane_channels + len(self._table.patterns)
        self.run(400 + round(2 * (writes + len(packets)) / (1 - self._stall) ** 2), then=at_end)
        assert [said(config, payload) for payload in got] == wanted
        return chunks


def check(config: PhantomConfig, lane: tuple[int, int], count: int, seed: int, stall: float) -> None:
    rng = np.random.default_rng(seed)
    order = interleave(random_tiles(config, *lane, count, rng), rng)
    chunks = LaneBench(config, lane, Parameters.random(config, rng), seed, stall).send(order)
    assert len({value for chunk in chunks for value in chunk.values}) > 5, "the sums must give many activations"
    assert 0 < len(chunks) < len(order)


@pytest.mark.parametrize(("act_width", "acc_width", "chunk", "mesh_cols", "lane", "pe_cols", "stall"), [
    (8, 32, 16, 2, (0, 2), 3, 0.3), (8, 32, 16, 1, (0, 1), 1, 0.0), (4, 24, 5, 7, (2, 3), 3, 0.5),
    (16, 32, 64, 7, (5, 2), 2, 0.2), (4, 16, 4, 4, (0, 4), 2, 0.0), (16, 38, 17, 8, (1, 7), 3, 0.6),
    (8, 48, 33, 5, (4, 1), 3, 0.3)])
def test_equals_golden(act_width, acc_width, chunk, mesh_cols, lane, pe_cols, stall):
    config = configuration(act_width, acc_width=acc_width, chunk=chunk, mesh_cols=mesh_cols, pe_cols=pe_cols)
    check(config, lane, 24, 7 * act_width + chunk, stall)


@pytest.mark.parametrize("preset", ["tiny", "ulx3s", "paper"])
def test_every_lane_of_a_preset_equals_golden(preset):
    config = PhantomConfig.preset(preset)
    for index, lane in enumerate(sorted(set(lanes(config)))[:2]):
        check(config, lane, 12, 100 + index, 0.2)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(20))
def test_equals_golden_long(seed):
    rng = np.random.default_rng(seed)
    act_width, cols = int(rng.choice([4, 8, 16])), int(rng.integers(1, 9))
    first = int(rng.integers(cols))
    config = configuration(
        act_width, acc_width=int(rng.integers(max(16, 2 * act_width), 39)), mesh_cols=cols,
        chunk=int(rng.integers(4, 65)), pe_cols=int(rng.integers(1, 8)), lane_channels=int(rng.choice([16, 128])))
    lane = (first, int(rng.integers(1, cols - first + 1)))
    check(config, lane, 80, seed, float(rng.choice([0.0, 0.3, 0.7])))


def plain(config: PhantomConfig, rng: np.random.Generator) -> Parameters:
    """Sums stay what they are and all is written."""
    table = Parameters.random(config, rng)
    table.bias[:], table.mult[:], table.shift[:], table.write[:] = 0, 1, 0, 1
    table.clamps[:] = [(0, 100)] * 2
    return table


def test_takes_a_sum_a_cycle():
    """Even if none of them becomes zero, and with a new tile for each burst."""
    config = configuration()
    table = plain(config, np.random.default_rng(3))
    tiles = [Tile(i % 2, 5 * i, i % 2, 0, 1, i, [Burst(1, 0, np.full(1 + i % 5, 1 + i))]) for i in range(80)]
    bench = LaneBench(config, (0, 2), table, 3, 0.0)
    bench.send([(tile, tile.bursts[0], True) for tile in tiles])
    times = bench.times["chunks"]
    assert len(times) == 240 and times[-1] - times[0] == 239


def test_latency():
    config = configuration()
    bench = LaneBench(config, (0, 2), plain(config, np.random.default_rng(4)), 4, 0.0)
    tile = Tile(1, 20, 1, 0, 1, 0, [Burst(1, 3, np.array([77]))])
    bench.send([(tile, tile.bursts[0], True)])
    assert bench.times["chunks"][0] - bench.times["sums"][0] == PostProcessingLane.LATENCY


def test_a_sum_waits_for_its_tile():
    """The tile comes when the sums have been on offer for a while; none is taken before."""
    config = configuration()
    bench = LaneBench(config, (0, 2), plain(config, np.random.default_rng(5)), 5, 0.0)
    tile = Tile(1, 3, 1, 0, 1, 9, [Burst(2, 1, np.arange(1, 9))])
    bench.after("sums", "patterns")
    bench.after("tiles_1", "parameters", "clamps", "patterns")
    bench.send([(tile, tile.bursts[0], True)])
    assert bench.times["patterns"][-1] + 20 < bench.times["tiles_1"][0] < bench.times["sums"][0]


def test_a_position_that_is_not_there_ends_the_chunk():
    """The chunk of a burst whose last positions, or all of them, are not there."""
    config = configuration(chunk=8)
    table = plain(config, np.random.default_rng(6))
    table.patterns[2:4] = [0b00101101, 0]
    tiles = [Tile(0, 0, 0, pattern, 1, 0, [Burst(0, 0, sums)]) for pattern, sums in (
        (2, np.arange(1, 9)), (3, np.arange(1, 9)), (2, np.arange(1, 31)), (2, np.zeros(8, int)), (0, np.arange(8)))]
    chunks = LaneBench(config, (0, 2), table, 6, 0.2).send([(tile, tile.bursts[0], True) for tile in tiles])
    assert [chunk.mask for chunk in chunks] == [0b1111, 0, 0b1111, 0, 0b11111110]


@pytest.mark.parametrize(("fields", "lane"), [
    ({}, (0, 2)), ({"act_width": 16, "chunk": 64, "mesh_cols": 8, "pe_cols": 8}, (0, 8)),
    ({"act_width": 4, "chunk": 5, "mesh_cols": 1, "pe_cols": 1}, (0, 1)),
    ({"mesh_cols": 7, "chunk": 33, "pe_cols": 1}, (3, 3))])
def test_verilog_passes_lint(lint, fields, lane):
    lint(component_verilog(PostProcessingLane(configuration(**fields), *lane), "lane"), "lane")


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(("arguments", "message"), [
    ((-1, 1), r"first_core must be in 0\.\.3, not -1"), ((4, 1), r"first_core must be in 0\.\.3, not 4"),
    ((1, 0), r"cores must be in 1\.\.3, not 0"), ((1, 4), r"cores must be in 1\.\.3, not 4")])
def test_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        PostProcessingLane(configuration(mesh_cols=4), *arguments)
    gc.collect()  # the block that was never finished, while its warning is ignored
