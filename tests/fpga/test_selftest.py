"""The self-test around a core whose answers are plain: it plays everything, and tells right from wrong."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from phantom_fpga import FpgaError, Operands, SelfTest, checksum, selftest
from phantom_fpga.selftest import BeatPlayer, check
from phantom_hw.core.layouts import layer_layout, moving_layout, result_layout, stationary_layout
from small_core import SMALL, small_test


class Adder(wiring.Component):
    """Stands in for the core: the sum of each pair of beats and of the layer word, at a halting pace.

    ``stuck`` leaves it busy for ever.
    """

    stuck = False

    def __init__(self, config):
        super().__init__({
            "layer": In(stream.Signature(layer_layout(config))),
            "moving": In(stream.Signature(moving_layout(config))),
            "stationary": In(stream.Signature(stationary_layout(config))),
            "result": Out(stream.Signature(result_layout(config))),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        layer = Signal.like(self.layer.payload.as_value())
        known = Signal()
        pace = Signal(5, init=1)
        go = Signal()
        m.d.sync += pace.eq((pace << 1) | (pace[4] ^ pace[1]))
        room = ~self.result.valid | self.result.ready
        m.d.comb += [
            self.layer.ready.eq(~known & (pace == 9)),
            go.eq(known & self.moving.valid & self.stationary.valid & pace[0] & room),
            self.moving.ready.eq(go),
            self.stationary.ready.eq(go),
            self.idle.eq(~self.result.valid & ~self.stuck),
        ]
        with m.If(self.layer.valid & self.layer.ready):
            m.d.sync += [layer.eq(self.layer.payload), known.eq(1)]
        with m.If(go):
            operands = self.moving.payload.as_value() + self.stationary.payload.as_value() + layer
            m.d.sync += [self.result.valid.eq(1), self.result.payload.eq(operands)]
        with m.Elif(self.result.ready):
            m.d.sync += self.result.valid.eq(0)
        return m


class StuckAdder(Adder):
    stuck = True


def operands_and_sum(count=40, seed=1):
    rng = random.Random(seed)
    layer = rng.getrandbits(layer_layout(SMALL).size)
    moving = tuple(rng.getrandbits(moving_layout(SMALL).size) for _ in range(count))
    stationary = tuple(rng.getrandbits(stationary_layout(SMALL).size) for _ in range(count))
    wide = (1 << result_layout(SMALL).size) - 1
    sums = [a + b + layer & wide for a, b in zip(moving, stationary, strict=True)]
    return Operands(layer, moving, stationary), checksum(sums, SMALL)


def run(dut, cycles):
    """Whether the test is done, whether it passed, and the checksum, at the end."""
    seen = []

    async def bench(ctx):
        for _ in range(cycles):
            await ctx.tick()
            assert not ctx.get(dut.passed) or ctx.get(dut.done)
            if ctx.get(dut.done):
                break
        seen.extend((ctx.get(dut.done), ctx.get(dut.passed), ctx.get(dut.checksum)))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize("wrong", [0, 1])
def test_compares_the_checksum(monkeypatch, wrong):
    monkeypatch.setattr(selftest, "PhantomCore", Adder)
    operands, golden = operands_and_sum()
    assert run(SelfTest(SMALL, operands, golden ^ wrong), 1000) == [1, 1 - wrong, golden]


def test_a_core_that_never_rests_is_never_done(monkeypatch):
    monkeypatch.setattr(selftest, "PhantomCore", StuckAdder)
    operands, golden = operands_and_sum()
    assert run(SelfTest(SMALL, operands, golden), 1000) == [0, 0, golden]


def test_an_operand_too_few_is_never_done(monkeypatch):
    monkeypatch.setattr(selftest, "PhantomCore", Adder)
    operands, _ = operands_and_sum()
    short = Operands(operands.layer, operands.moving, operands.stationary[:-1])
    assert run(SelfTest(SMALL, short, 0), 1000)[:2] == [0, 0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [1, 2, 33])
def test_player_offers_each_beat_once(count, seed):
    rng = random.Random(seed)
    shape = StructLayout({"a": 5, "b": 8})
    beats = [rng.getrandbits(13) for _ in range(count)]
    dut = BeatPlayer(shape, beats)
    taken = []

    async def bench(ctx):
        held = None
        for _ in range(20 * count + 20):
            ctx.set(dut.run, rng.random() < 0.8)
            ready = rng.random() < 0.6
            ctx.set(dut.output.ready, ready)
            valid, payload = ctx.get(dut.output.valid), ctx.get(dut.output.payload.as_value())
            assert held is None or (valid and payload == held), "an offered beat changed"
            held = payload if valid and not ready else None
            if valid and ready:
                taken.append(payload)
            await ctx.tick()
            assert ctx.get(dut.finished) == (len(taken) == count)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert taken == beats


def test_player_keeps_the_full_rate():
    beats = list(range(1, 20))
    dut = BeatPlayer(StructLayout({"a": 5}), beats)
    taken = []

    async def bench(ctx):
        ctx.set(dut.run, 1)
        ctx.set(dut.output.ready, 1)
        await ctx.tick()
        for _ in beats:
            assert ctx.get(dut.output.valid)
            taken.append(ctx.get(dut.output.payload.as_value()))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert taken == beats


@pytest.mark.parametrize(("change", "message"), [
    ({"layer": -1}, "layer beat 0 is -0x1, not a word of"),
    ({"moving": ()}, "the self-test has no moving beats"),
    ({"stationary": (0, 1 << 200)}, r"stationary beat 1 is 0x1\d*, not a word of"),
])
def test_rejects_operands_that_do_not_fit(change, message):
    operands, golden = small_test()
    values = {"layer": operands.layer, "moving": operands.moving, "stationary": operands.stationary, **change}
    with pytest.raises(FpgaError, match=message):
        check(SMALL, Operands(**values), golden)


@pytest.mark.parametrize("golden", [-1, 1 << 32])
def test_rejects_a_checksum_that_does_not_fit(golden):
    with pytest.raises(FpgaError, match=f"golden_checksum must be a word of 32 bits, not {golden}"):
        check(SMALL, small_test()[0], golden)
