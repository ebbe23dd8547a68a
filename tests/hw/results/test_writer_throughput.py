"""Short slots on their whole way to the bus: encoders, writer, window, AXI manager."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from phantom_hw.config import PhantomConfig
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.memory.window import WriteWindow
from phantom_hw.memory.write_manager import WriteManager
from phantom_hw.results.layouts import SLOT_UNIT
from phantom_hw.results.writer import ResultWriter

SOURCES, SLOTS, VALUES, RESPONSE = 4, 60, 3, 5
"""Sources that give a slot of so many values in as many cycles, and cycles until a response."""


def test_a_slot_a_cycle():
    """A request is checked for some cycles before its data may go: the data of those behind it must not wait for it."""
    config = PhantomConfig(bus_width=64, chunk=16, outstanding=64)
    m, parameters = Module(), bus_parameters(config)
    m.submodules.writer = writer = ResultWriter(config, SOURCES)
    m.submodules.window = window = WriteWindow(parameters)
    m.submodules.manager = manager = WriteManager(parameters)
    wiring.connect(m, writer.request, window.source)
    wiring.connect(m, window.sink, manager.requests)
    wiring.connect(m, writer.data, manager.data)
    m.d.comb += window.last.eq((1 << 32) - 1)
    times: list[int] = []

    def source(number: int):
        async def feed(ctx):
            port = writer.chunks[number]
            for slot in range(SLOTS):
                for value in range(VALUES):
                    ctx.set(port.payload, {
                        "value": 1 + value, "nonzero": 1, "last": value == VALUES - 1, "mask": (1 << VALUES) - 1,
                        "slot": (SLOTS * number + slot) * 8 // SLOT_UNIT})
                    ctx.set(port.valid, 1)
                    await ctx.tick().until(port.ready)
            ctx.set(port.valid, 0)
        return feed

    async def bus(ctx):
        ctx.set(manager.bus.aw.ready, 1)
        ctx.set(manager.bus.w.ready, 1)
        cycle, responses = 0, []
        while len(times) < SOURCES * SLOTS:
            assert cycle < 10 * SOURCES * SLOTS, "the bus hangs"
            _, _, address, data = await ctx.tick().sample(manager.bus.aw.valid, manager.bus.w.valid)
            cycle += 1
            times.extend([cycle] * address)
            responses.extend([cycle + RESPONSE] * data)
            answers = bool(responses) and responses[0] <= cycle
            ctx.set(manager.bus.b.valid, answers)
            del responses[:answers]

    simulator = Simulator(m)
    simulator.add_clock(1e-9)
    for number in range(SOURCES):
        simulator.add_testbench(source(number), background=True)
    simulator.add_testbench(bus)
    simulator.run()
    steady = times[2 * SOURCES:-2 * SOURCES]
    assert steady[-1] - steady[0] <= len(steady) + 2
