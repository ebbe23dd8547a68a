"""The requantizer against the golden model: random sums, and products that lie exactly between two results."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from phantom_golden.requantize import requantize
from phantom_hw.config import PhantomConfig
from phantom_hw.results.requantizer import BIAS_BITS, MULT_BITS, SHIFT_BITS, Requantizer

COUNT = 1500


def cases(config, rng):
    """Values with their parameters; shifts around where the result is in range, ties, extremes."""
    high = (1 << config.acc_width - 1) - 1
    width = rng.integers(1, config.acc_width, COUNT)
    value = rng.integers(-(1 << width), 1 << width)
    value = np.where(rng.random(COUNT) < 0.1, rng.choice([-high - 1, high, 0], COUNT), value)
    bias = np.where(rng.random(COUNT) < 0.5, 0, rng.integers(-(1 << BIAS_BITS - 1), 1 << BIAS_BITS - 1, COUNT))
    mult = rng.integers(0, 1 << MULT_BITS, COUNT)
    # powers of two give products with few bits, so that halves are frequent
    mult = np.where(rng.random(COUNT) < 0.5, 1 << rng.integers(0, MULT_BITS, COUNT), mult)
    size = np.log2(np.abs(value + bias) * mult.astype(float) + 1)
    near = np.clip(size - config.act_width + rng.integers(-2, 4, COUNT), 0, 63).astype(int)
    shift = np.where(rng.random(COUNT) < 0.2, rng.integers(0, 1 << SHIFT_BITS, COUNT), near)
    return value, bias, mult, shift


@pytest.mark.parametrize(("act_width", "acc_width", "signed"), [
    (8, 32, True), (8, 32, False), (4, 16, True), (16, 32, False), (16, 38, True), (4, 24, False)])
def test_equals_golden(act_width, acc_width, signed):
    config = PhantomConfig(act_width=act_width, weight_width=act_width, acc_width=acc_width)
    rng = np.random.default_rng(act_width + acc_width)
    value, bias, mult, shift = cases(config, rng)
    lo, hi = (-(1 << act_width - 1), (1 << act_width - 1) - 1) if signed else (0, (1 << act_width) - 1)
    expected = requantize(value[None], mult, shift, bias=bias, lo=lo, hi=hi)[0]
    dut, got, stalls = Requantizer(config), [], rng.random(3 * COUNT) < 0.2

    async def bench(ctx):
        ctx.set(dut.lo, lo)
        ctx.set(dut.hi, hi)
        sent = 0
        for stall in stalls:
            last = min(sent, COUNT - 1)
            for port, values in ((dut.value, value), (dut.bias, bias), (dut.mult, mult), (dut.shift, shift)):
                ctx.set(port, int(values[last]))
            ctx.set(dut.advance, not stall)
            await ctx.tick()
            if not stall:
                sent += 1
                if sent >= Requantizer.LATENCY:
                    got.append(ctx.get(dut.result))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(got) >= COUNT
    assert len(set(expected.tolist())) > 10
    np.testing.assert_array_equal(got[:COUNT], expected)
