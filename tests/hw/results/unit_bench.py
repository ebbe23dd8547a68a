"""The unit with a memory of parameters, whoever gives it tiles and sums, and whoever takes its writes."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Value
from amaranth.sim import Simulator
from lane_bench import (
    Burst,
    Chunk,
    Parameters,
    Tile,
    expected,
    interleave,
    lanes,
    pattern_payloads,
    sum_bits,
    sum_payloads,
    tile_payload,
)
from phantom_hw.config import PhantomConfig
from phantom_hw.memory.align import dense_layout
from phantom_hw.results.unit import ResultUnit

LIMIT = 100_000
"""Cycles that a test may take."""


def parameter_bytes(table: Parameters, channels: list[int]) -> bytes:
    """The parameters of channels as the command set describes them, bits that do not count set at random."""
    words = [[int(table.bias[c]) & 0xFFFFFFFF, int(table.mult[c]) | int(table.shift[c]) << 24 | (c & 3) << 30,
              int(table.slot[c]), int(table.write[c]) | (c * 2654435761 & 0xFFFFFFFE)] for c in channels]
    return np.array(words, "<u4").tobytes()


class UnitBench:
    """Steps of a test, each a coroutine of the simulator; all streams stall at random.

    Parameters
    ----------
    config : PhantomConfig
    seed : int
        Of all stalls and contents; printed.
    stall : float
        Probability that a side pauses in a cycle, 0..1.
    """

    def __init__(self, config: PhantomConfig, seed: int, stall: float):
        print(f"seed {seed}")
        self.config, self.stall, self.rng = config, stall, np.random.default_rng(seed)
        self.dut = ResultUnit(config)
        self.lanes = [lane for _ in range(config.mesh_rows) for lane in lanes(config)]
        self.tables = [Parameters.random(config, self.rng) for _ in self.lanes]
        for table in self.tables:
            table.patterns = self.tables[0].patterns
        self.memory: dict[int, bytes] = {}
        self.reads: list[tuple[int, int]] = []
        self.writes: list[tuple[int, int]] = []
        self.words: list[int] = []
        self.expected: list[Chunk] = []

    # --- streams ----------------------------------------------------------------------------------------

    async def _offer(self, ctx, port, payload) -> None:
        while self.rng.random() < self.stall:
            await ctx.tick()
        if isinstance(payload, int):
            ctx.set(Value.cast(port.payload), payload)
        else:
            ctx.set(port.payload, payload)
        ctx.set(port.valid, 1)
        ready = False
        while not ready:
            _, _, ready = await ctx.tick().sample(port.ready)
        ctx.set(port.valid, 0)

    def _feed(self, simulator: Simulator, port, queue: list[int]) -> None:
        """Offer what is put into a queue."""
        async def feed(ctx):
            while True:
                if queue:
                    await self._offer(ctx, port, queue[0])
                    queue.pop(0)
                else:
                    await ctx.tick()
        simulator.add_testbench(feed, background=True)

    def _take(self, simulator: Simulator, port, names: tuple[str, ...], into: list) -> None:
        """Collect what comes; an offer must stand until it is taken."""
        async def take(ctx):
            waiting = None
            while True:
                ctx.set(port.ready, self.rng.random() >= self.stall)
                _, _, valid, ready, payload = await ctx.tick().sample(port.valid, port.ready, Value.cast(port.payload))
                assert waiting is None or (valid and payload == waiting), "an offer was withdrawn or changed"
                waiting = payload if valid and not ready else None
                if valid and ready:
                    view = port.payload.shape().from_bits(payload) if names else payload
                    into.append(tuple(int(view[name]) for name in names) if names else payload)
        simulator.add_testbench(take, background=True)

    def _answer(self, simulator: Simulator) -> None:
        """Give the data of the reads, with garbage behind the last byte."""
        size, layout = self.config.bus_width // 8, dense_layout(self.config.bus_width)

        async def answer(ctx):
            done = 0
            while True:
                if done == len(self.reads):
                    await ctx.tick()
                    continue
                address, length = self.reads[done]
                content = self.memory[address]
                assert length == len(content), "another number of bytes was asked for"
                for start in range(0, length, size):
                    piece = content[start:start + size]
                    word = int.from_bytes(piece + self.rng.bytes(size - len(piece)), "little")
                    await self._offer(ctx, self.dut.data, layout.const({
                        "data": word, "count": len(piece), "last": start + size >= length}).as_bits())
                done += 1
        simulator.add_testbench(answer, background=True)

    # --- steps ------------------------------------------------------------------------------------------

    async def load(self, ctx, rows: int, chosen: int, first: int, count: int, clamp: int, table: Parameters) -> None:
        """PARAMETERS, from the first channel of ``table`` on that is loaded."""
        config = self.config
        channels = [(first + i) % config.lane_channels for i in range(count)]
        address = 8 * int(self.rng.integers(1 << 28))
        self.memory[address] = parameter_bytes(table, channels)
        lo, hi = table.clamps[clamp]
        for index, own in enumerate(self.tables):
            row, lane = divmod(index, config.drain_lanes)
            if rows >> row & 1 and chosen >> lane & 1:
                for name in ("bias", "mult", "shift", "slot", "write"):
                    getattr(own, name)[channels] = getattr(table, name)[channels]
                own.clamps[clamp] = (lo, hi)
        await self._offer(ctx, self.dut.command, {
            "address": address, "count": count, "first": first, "rows": rows, "lanes": chosen, "clamp": clamp,
            "lo": lo, "hi": hi})
        assert ctx.get(self.dut.busy)

    async def patterns(self, ctx, numbers: range) -> None:
        """Set patterns in all lanes."""
        payloads = pattern_payloads(self.config, self.tables[0])
        for number in numbers:
            await self._offer(ctx, self.dut.patterns, payloads[number])

    def tiles(self, count: int, channels: range, clamps: list[int], patterns: range, pitch: int, start: int) -> None:
        """Send ``count`` tiles to each lane, of these channels, clamps and patterns; the i-th has the offset
        ``(start + i) * pitch``."""
        config, rng = self.config, self.rng
        for index, (first_core, cores) in enumerate(self.lanes):
            todo = []
            for i in range(count):
                tile = Tile(first_core + int(rng.integers(cores)), int(rng.integers(config.lane_channels)),
                            int(rng.choice(clamps)), int(rng.choice(patterns)), int(rng.random() < 0.8),
                            (start + i) * pitch)
                free = set(channels)  # each once, so that no slot is written twice
                for _ in range(200):
                    burst = Burst(int(rng.integers(config.pe_cols)), int(rng.integers(config.acc_depth)), self._sums())
                    channel = tile.channel(config, first_core, cores, burst)
                    if channel in free and len(tile.bursts) < 4:
                        free.remove(channel)
                        tile.bursts.append(burst)
                if tile.bursts:
                    todo.append(tile)
            assert todo
            order = interleave(todo, rng)
            self.expected += expected(config, first_core, cores, order, self.tables[index])
            self.sums[index] += sum_payloads(config, order)
            row = index // config.drain_lanes
            for tile in todo:
                self.announced[row * config.mesh_cols + tile.core].append(tile_payload(config, tile))

    def _sums(self) -> np.ndarray:
        """Of a burst; some are zero or nearly so."""
        width = sum_bits(self.config)
        sums = self.rng.integers(-(1 << width), 1 << width, int(self.rng.integers(1, self.config.chunk + 2)))
        return np.where(self.rng.random(len(sums)) < self.rng.choice([0.0, 0.5, 1.0]), sums >> 14, sums)

    async def rest(self, ctx) -> None:
        """Until all was taken and the unit is not busy any more; then all slots must be there."""
        taken = False
        while not (taken and not ctx.get(self.dut.busy)):
            taken = not (any(self.announced) or any(self.sums))
            await ctx.tick()
        assert len(self.writes) == len(self.expected)
        assert len(self.words) == sum(-(-8 * length // self.config.bus_width) for _, length in self.writes)

    def run(self, steps) -> None:
        """Simulate ``steps(ctx)``."""
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        self.sums: list[list[int]] = [[] for _ in self.dut.sums]
        self.announced: list[list[int]] = [[] for _ in self.dut.tiles]
        for port, queue in zip([*self.dut.sums, *self.dut.tiles], [*self.sums, *self.announced], strict=True):
            self._feed(simulator, port, queue)
        self._take(simulator, self.dut.request, ("address", "length"), self.reads)
        self._take(simulator, self.dut.write_request, ("address", "length"), self.writes)
        self._take(simulator, self.dut.write_data, (), self.words)
        self._answer(simulator)
        ended = []

        async def main(ctx):
            await steps(ctx)
            ended.append(True)

        async def watch(ctx):
            for _ in range(LIMIT):
                if ended:
                    return
                await ctx.tick()
            raise AssertionError(f"not at the end after {LIMIT} cycles")

        simulator.add_testbench(main, background=True)
        simulator.add_testbench(watch)
        simulator.run()
