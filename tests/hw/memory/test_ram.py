# amaranth: UnusedElaboratable=no
"""The RAM with byte enables, in Amaranth; its Verilog is that of every simulated accelerator with such a RAM."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from phantom_hw.memory.ram import RAM_MODULE, ByteRam, ram_verilog

CYCLES = 400


@pytest.mark.parametrize(("width", "words"), [(8, 4), (64, 6), (128, 32)])
def test_random_accesses(width, words):
    """Bytes that are written are read, others stay; data stay until the next read."""
    size, rng, dut = width // 8, np.random.default_rng(width), ByteRam(width, words)
    memory, expected = np.zeros((words, size), np.uint8), 0

    async def bench(ctx):
        nonlocal expected
        for _ in range(CYCLES):
            write, read = rng.integers(words, size=2)
            data, enable = rng.integers(0, 256, size, dtype=np.uint8), rng.random(size) < 0.5
            reads = rng.random() < 0.7 and not (write == read and enable.any())
            ctx.set(dut.write_address, int(write))
            ctx.set(dut.write_data, int.from_bytes(data.tobytes(), "little"))
            ctx.set(dut.write_enable, sum(1 << i for i in np.flatnonzero(enable).tolist()))
            ctx.set(dut.read_address, int(read))
            ctx.set(dut.read_enable, int(reads))
            if reads:
                expected = int.from_bytes(memory[read].tobytes(), "little")
            memory[write, enable] = data[enable]
            await ctx.tick()
            assert ctx.get(dut.read_data) == expected

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert memory.any()


@pytest.mark.parametrize(("width", "words"), [(64, 512), (512, 36864)])
def test_verilog_passes_lint(lint, width, words):
    lint(ram_verilog(width, words), RAM_MODULE)
