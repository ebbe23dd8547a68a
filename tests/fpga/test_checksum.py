"""The checksum of result beats: the Python twin against its definition, the hardware against the twin."""

import random

import pytest
from amaranth.sim import Simulator
from phantom_fpga import FpgaError, checksum
from phantom_fpga.checksum import POLYNOMIAL, SEED, ResultChecksum
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import result_layout

NARROW = PhantomConfig(acc_width=16, chunk=4)
WIDE = PhantomConfig(acc_width=48, chunk=64)


def draw(config, count, seed):
    rng = random.Random(seed)
    return [rng.getrandbits(result_layout(config).size) for _ in range(count)]


def by_polynomials(beats, config):
    """The definition once more, over lists of coefficients."""
    layout = result_layout(config)
    state = [SEED >> i & 1 for i in range(32)]
    for beat in beats:
        fields = layout.from_bits(beat)

        def bits(name, valid, fields=fields):
            return [fields.as_bits() >> layout[name].offset + i & 1 & valid for i in range(layout[name].width)]

        word = [*bits("value", fields.nonzero), *bits("nonzero", 1), *bits("last", 1), *bits("tile_last", 1),
                *bits("mask", fields.last)]
        carry = state[-1]
        state = [bit ^ carry & POLYNOMIAL >> i & 1 for i, bit in enumerate([0, *state[:-1]])]
        for i, bit in enumerate(word):
            state[i % 32] ^= bit
    return sum(bit << i for i, bit in enumerate(state))


@pytest.mark.parametrize("config", [NARROW, WIDE, PhantomConfig()], ids=["narrow", "wide", "default"])
def test_twin_is_the_definition(config):
    beats = draw(config, 200, seed=1)
    assert checksum([], config) == SEED
    for count in (1, 2, 200):
        assert checksum(beats[:count], config) == by_polynomials(beats[:count], config)


def test_only_valid_fields_count():
    layout = result_layout(NARROW)
    value, mask = 0x1234 << layout["value"].offset, 0b1010 << layout["mask"].offset
    assert checksum([value | mask], NARROW) == checksum([0], NARROW)
    nonzero, last = 1 << layout["nonzero"].offset, 1 << layout["last"].offset
    assert checksum([value | nonzero], NARROW) != checksum([nonzero], NARROW)
    assert checksum([mask | last], NARROW) != checksum([last], NARROW)


def test_order_and_each_bit_count():
    beats = [beat | 1 << result_layout(NARROW)["nonzero"].offset for beat in draw(NARROW, 20, seed=2)]
    seen = {checksum(beats, NARROW), checksum(beats[::-1], NARROW), checksum(beats[:-1], NARROW)}
    for bit in range(result_layout(NARROW)["value"].width):
        seen.add(checksum([*beats[:7], beats[7] ^ 1 << bit, *beats[8:]], NARROW))
    assert len(seen) == 3 + 16


@pytest.mark.parametrize("beat", [-1, 1 << result_layout(NARROW).size])
def test_rejects_a_beat_that_is_too_wide(beat):
    with pytest.raises(FpgaError, match=r"result beat 1 is .* not a word of 23 bits"):
        checksum([0, beat], NARROW)


@pytest.mark.parametrize("config", [NARROW, WIDE], ids=["narrow", "wide"])
def test_hardware_is_the_twin(config):
    beats = draw(config, 100, seed=3)
    rng = random.Random(4)
    dut = ResultChecksum(config)
    seen = []

    async def bench(ctx):
        for beat in beats:
            while rng.random() < 0.3:
                ctx.set(dut.results.payload.as_value(), rng.getrandbits(result_layout(config).size))
                await ctx.tick()
            ctx.set(dut.results.payload.as_value(), beat)
            ctx.set(dut.results.valid, 1)
            await ctx.tick()
            ctx.set(dut.results.valid, 0)
            seen.append(ctx.get(dut.checksum))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [checksum(beats[: count + 1], config) for count in range(len(beats))]
