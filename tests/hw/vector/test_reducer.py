# amaranth: UnusedElaboratable=no
"""The row reducer against NumPy: all operations, one after another, with stalls on all sides."""

from dataclasses import dataclass

import numpy as np
import pytest
from amaranth.hdl import Value
from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from phantom_hw.mesh.packets import sum_packet
from phantom_hw.vector.layouts import Operation, vector_layout
from phantom_hw.vector.reducer import RowReducer
from phantom_hw.vector.serializer import ResultSerializer
from port_bench import PortBench, assert_same

CONFIGURATIONS = {
    **{name: PhantomConfig.preset(name) for name in ("tiny", "ulx3s", "icebreaker")},
    "lanes": PhantomConfig(mesh_cols=3, drain_lanes=3, pe_cols=2, moving_link=4, chunk=14, acc_depth=16),
    "uneven": PhantomConfig(mesh_cols=3, drain_lanes=2, act_width=4, weight_width=8, acc_width=16, chunk=33,
                            row_width=24),
    "wide": PhantomConfig(act_width=16, weight_width=4, acc_width=48, moving_link=8, row_width=32, chunk=64),
    "narrow": PhantomConfig(act_width=16, weight_width=4, acc_width=20, moving_link=2, row_width=4, chunk=5),
}


@dataclass
class Phase:
    """Tiles with the same settings."""

    config: PhantomConfig
    settings: dict
    values: np.ndarray
    """Operands: (results, operands, positions)."""
    beats: list[int]
    sums: list[list[dict]]
    """Of each lane."""

    @classmethod
    def random(cls, config: PhantomConfig, operation: Operation, tiles: int, rng: np.random.Generator, *,
               fold: bool = False, positions: int | None = None, operands: int | None = None,
               count: int | None = None) -> "Phase":
        """Any operands, also the extreme ones."""
        link, bits = config.moving_link, config.act_width
        most = min(config.chunk, config.vector_beats * link)
        positions = positions or int(rng.choice([1, most, rng.integers(1, most + 1)]))
        operands = 2 if operation is Operation.ADD else operands or int(rng.choice([1, 2, 3, 5]))
        count = count or int(rng.integers(1, 4))
        beats = -(-positions // link)
        room = max(0, min(24, config.acc_width - bits - 2))
        settings = {
            "operation": operation, "signed_a": int(rng.integers(2)), "signed_b": int(rng.integers(2)),
            "fold": int(fold), "beats": beats, "operands": operands, "positions": positions, "count": count,
            "mult_a": int(rng.choice([(1 << room) - 1, rng.integers(1 << room)])),
            "mult_b": int(rng.choice([(1 << room) - 1, rng.integers(1 << room)])),
        }
        results = tiles * count * config.drain_lanes
        raw = rng.integers(0, 1 << config.operand_width, (results, operands, beats * link))
        extreme = rng.choice([0, (1 << bits - 1) - 1, 1 << bits - 1, (1 << bits) - 1], raw.shape)
        raw = np.where(rng.random(raw.shape) < 0.3, extreme, raw)
        words = raw.reshape(-1, link)
        packed = [sum(int(v) << i * config.operand_width for i, v in enumerate(word)) for word in words]
        phase = cls(config, settings, raw[:, :, :positions], packed, [])
        phase.sums = phase._expected(tiles)
        return phase

    def _number(self, raw: np.ndarray, is_signed: int) -> np.ndarray:
        bits = self.config.act_width
        low = raw & (1 << bits) - 1
        return np.where(is_signed and low >> bits - 1, low - (1 << bits), low)

    def _combined(self) -> np.ndarray:
        signed = self.settings["signed_a"]
        first = np.vectorize(lambda v: self._number(v, signed))(self.values).astype(np.int64)
        match self.settings["operation"]:
            case Operation.MAX:
                return first.max(axis=1)
            case Operation.SUM:
                return first.sum(axis=1)
        signed = self.settings["signed_b"]
        second = np.vectorize(lambda v: self._number(v, signed))(self.values[:, 1]).astype(np.int64)
        return first[:, 0] * self.settings["mult_a"] + second * self.settings["mult_b"]

    def _expected(self, tiles: int) -> list[list[dict]]:
        config, count = self.config, self.settings["count"]
        combined = self._combined()
        if self.settings["fold"]:
            combined = combined.sum(axis=1, keepdims=True)
        lanes = [[] for _ in range(config.drain_lanes)]
        served = [config.lane_of(c) for c in range(config.mesh_cols)]
        for number, result in enumerate(combined):
            lane, k = number % config.drain_lanes, number // config.drain_lanes % count
            for i, value in enumerate(result):
                last = i == len(result) - 1
                lanes[lane].append({
                    "value": int(value), "core": served.index(lane), "column": k % config.pe_cols,
                    "chunk": k // config.pe_cols % config.acc_depth, "last": int(last),
                    "tile_last": int(last and k == count - 1)})
        return lanes


class Run:
    """A reducer that goes through phases."""

    def __init__(self, config: PhantomConfig, phases: list[Phase], seed: int, stall: float,
                 sink_stall: float | None = None):
        self.dut, self.phases, self.at = RowReducer(config), phases, -1
        self.bench = bench = PortBench(self.dut, seed, stall)
        starts = np.cumsum([0, *(len(phase.beats) for phase in phases)])
        self.fed = bench.source(self.dut.values, [beat for phase in phases for beat in phase.beats],
                                lambda i: i < starts[self.at + 1])
        self.got = [bench.sink(port, stall=sink_stall) for port in self.dut.sums]
        expected = [[one for phase in phases for one in phase.sums[lane]] for lane in range(config.drain_lanes)]
        sums, settings = sum_packet(config), vector_layout(config)

        async def direct(ctx):
            for number, phase in enumerate(phases):
                ctx.set(self.dut.settings, settings.const({"operation": Operation.NONE}))
                await ctx.tick()
                ctx.set(self.dut.settings, settings.const(phase.settings))
                self.at = number
                while len(self.fed) < starts[number + 1] or not ctx.get(self.dut.idle):
                    await ctx.tick()
            while True:
                await ctx.tick()

        bench.background(direct)
        total = [len(one) for one in expected]
        bench.run(lambda ctx: [len(one) for one in self.got] == total,
                  1000 + int(20 * (len(self.fed) + starts[-1] + sum(total)) / (1 - max(stall, sink_stall or 0))))
        for lane, want in enumerate(expected):
            assert_same(f"lane {lane}", [payload for payload, _ in self.got[lane]],
                        [Value.cast(sums.const(one)).value for one in want])


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_operations(name, stall):
    config = CONFIGURATIONS[name]
    seed = 100 * list(CONFIGURATIONS).index(name) + int(10 * stall)
    rng = np.random.default_rng(seed)
    kinds = [(operation, fold) for operation in (Operation.MAX, Operation.SUM, Operation.ADD) for fold in (False, True)
             if not (fold and operation is not Operation.SUM)]
    order = rng.permutation(2 * len(kinds))
    phases = [Phase.random(config, kinds[i % len(kinds)][0], 2, rng, fold=kinds[i % len(kinds)][1]) for i in order]
    Run(config, phases, seed, stall)


def test_many_operands():
    """As many operands as a global pooling has; the greatest sums."""
    config, rng = CONFIGURATIONS["ulx3s"], np.random.default_rng(1)
    phase = Phase.random(config, Operation.SUM, 1, rng, positions=3, operands=300, count=2)
    Run(config, [phase, Phase.random(config, Operation.SUM, 1, rng, fold=True, operands=196, count=1)], 1, 0.1)


def test_rate():
    """A beat a cycle if a result takes no fewer cycles to come than to be sent; a sum a cycle otherwise."""
    config, rng = CONFIGURATIONS["ulx3s"], np.random.default_rng(2)
    many = Run(config, [Phase.random(config, Operation.MAX, 2, rng, positions=16, operands=9, count=5)], 2, 0.0)
    assert np.diff(many.fed).max() == 1
    assert many.got[0][0][1] - many.fed[9 * 16 // config.moving_link - 1] == RowReducer.LATENCY
    few = Run(config, [Phase.random(config, Operation.ADD, 2, rng, positions=16, count=5)], 3, 0.0)
    assert np.diff([cycle for _, cycle in few.got[0]]).max() == 1


def test_lanes_share_the_results():
    """Two lanes send twice as many sums as one."""
    config, rng = CONFIGURATIONS["lanes"], np.random.default_rng(4)
    run = Run(config, [Phase.random(config, Operation.MAX, 1, rng, positions=12, operands=4, count=6)], 4, 0.0)
    assert np.diff(run.fed).max() == 1


def test_slow_lanes():
    Run(CONFIGURATIONS["lanes"], [
        Phase.random(CONFIGURATIONS["lanes"], Operation.ADD, 2, np.random.default_rng(5))], 5, 0.0, sink_stall=0.9)


@pytest.mark.parametrize("core", [-1, 2])
def test_rejects_a_core_that_is_not_there(core):
    with pytest.raises(ValueError, match=rf"core must be in 0\.\.1, not {core}"):
        ResultSerializer(CONFIGURATIONS["tiny"], core)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_verilog(name, lint):
    lint(emit.component_verilog(RowReducer(CONFIGURATIONS[name]), "phantom_row_reducer"), "phantom_row_reducer")
