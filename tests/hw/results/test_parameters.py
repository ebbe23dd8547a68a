"""The loader of the lanes' parameters: rate, and data that are not as they should be."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator
from phantom_hw.config import PhantomConfig
from phantom_hw.memory.align import dense_layout
from phantom_hw.results.layouts import PARAMETER_BYTES
from phantom_hw.results.parameters import ParameterLoader

CHANNELS = 32


def run(bus_width: int, count: int, sent: int):
    """Load ``count`` channels from place 30 on with ``sent`` bytes of data that begin at once and do not stall.

    Returns (cycle, index, slot) of each channel written, and the cycle in which the loader was done.
    """
    dut = ParameterLoader(PhantomConfig(lane_channels=CHANNELS, bus_width=bus_width))
    content = np.array([[0, 0, 1000 + i, 0] for i in range(count)], "<u4").tobytes()[:sent]
    size, written, done = bus_width // 8, [], []

    async def bench(ctx):
        ctx.set(dut.command.payload, {"address": 64, "count": count, "first": 30, "rows": 1, "lanes": 1})
        ctx.set(dut.command.valid, 1)
        ctx.set(dut.request.ready, 1)
        assert ctx.get(dut.command.ready)
        await ctx.tick()
        ctx.set(dut.command.valid, 0)
        assert ctx.get(dut.busy) and not ctx.get(dut.command.ready)
        assert (ctx.get(dut.request.valid), ctx.get(dut.request.payload.address)) == (1, 64)
        assert ctx.get(dut.request.payload.length) == count * PARAMETER_BYTES
        start = 0
        for cycle in range(4 * count + 20):
            piece = content[start:start + size]
            ctx.set(dut.data.valid, bool(piece))
            ctx.set(Value.cast(dut.data.payload), dense_layout(bus_width).const({
                "data": int.from_bytes(piece, "little"), "count": len(piece), "last": start + size >= sent}).as_bits())
            if ctx.get(dut.parameters.valid):
                written.append((cycle, ctx.get(dut.parameters.payload.index), ctx.get(dut.parameters.payload.slot)))
            if not ctx.get(dut.busy):
                assert ctx.get(dut.command.ready)
                done.append(cycle)
                return
            _, _, taken = await ctx.tick().sample(dut.data.valid & dut.data.ready)
            start += size if taken else 0

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(done) == 1, "the loader stays busy"
    return written, done[0]


@pytest.mark.parametrize(("bus_width", "every"), [(64, 2), (128, 1), (256, 1), (512, 1)])
@pytest.mark.parametrize("count", [1, 2, 7, CHANNELS])
def test_loads_a_channel_a_cycle(bus_width, every, count):
    written, done = run(bus_width, count, count * PARAMETER_BYTES)
    assert [place[1:] for place in written] == [((30 + i) % CHANNELS, 1000 + i) for i in range(count)]
    assert written[-1][0] - written[0][0] == every * (count - 1)
    assert done == written[-1][0] + 1


@pytest.mark.parametrize("bus_width", [64, 128, 256, 512])
@pytest.mark.parametrize("missing", [1, 8, 16, 40, 70])
def test_ends_with_the_data(bus_width, missing):
    """Data that end too early end the command; only channels that have come are written."""
    sent = 6 * PARAMETER_BYTES - missing
    written, _ = run(bus_width, 6, sent)
    assert [place[2] for place in written] == [1000 + i for i in range(sent // PARAMETER_BYTES)]
