# amaranth: UnusedElaboratable=no
"""The loader of tables against slices of a byte string, for records narrower and wider than the bus."""

import numpy as np
import pytest
from amaranth.hdl import Value
from phantom_hw.memory.parameters import BusParameters
from phantom_hw.memory.records import RecordUnpacker
from phantom_hw.memory.table_loader import TableLoader
from port_bench import PortBench, assert_same

PLACES, TAG, MEMORY = 32, 3, 1 << 14


def commands(rng, count, record_bytes):
    """Random (address, count, offset, tag)."""
    return [(8 * int(rng.integers((MEMORY - PLACES * record_bytes) // 8)),
             int(rng.choice([1, 2, PLACES, rng.integers(1, PLACES + 1)])), int(rng.integers(PLACES)),
             int(rng.integers(1 << TAG))) for _ in range(count)]


def simulate(width, record_bytes, orders, seed, stall):
    """The requests, the writes (place, tag, record) and their cycles; and the memory."""
    dut = TableLoader(BusParameters(data_width=width), record_bytes, PLACES, TAG)
    bench = PortBench(dut, seed, stall)
    image = bytes(bench.rng.integers(0, 256, MEMORY, dtype=np.uint8))
    layout = dut.command.payload.shape()
    bits = [Value.cast(layout.const(dict(zip(("address", "count", "offset", "tag"), order, strict=True)))).value
            for order in orders]
    taken = bench.source(dut.command, bits)
    asked = bench.memory(dut.request, dut.data, lambda address, length: image[address:address + length], width)
    writes, times, total, written = [], [], sum(order[1] for order in orders), [0]

    def look(ctx):
        due = sum(order[1] for order in orders[:len(taken)])  # of the commands taken in cycles before this one
        assert ctx.get(dut.busy) == (written[0] < due), "busy"
        if ctx.get(dut.write.valid):
            word = ctx.get(dut.write.payload)
            writes.append((word.place, word.tag, word.record))
            times.append(bench.cycle)
            written[0] += 1

    bench.each_cycle(look)
    bench.run(lambda ctx: written[0] >= total, 60 * total * (1 + record_bytes * 8 // width) + 1000)
    return asked, writes, times, image


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize(("width", "record_bytes"), [
    (64, 8), (64, 16), (64, 24), (128, 8), (128, 24), (256, 8), (256, 40), (512, 8), (512, 16), (512, 24), (512, 152)])
def test_equals_byte_strings(width, record_bytes, stall):
    seed = width * record_bytes
    orders = commands(np.random.default_rng(seed + 1), 12, record_bytes)
    asked, writes, _, image = simulate(width, record_bytes, orders, seed, stall)
    assert asked == [(address, count * record_bytes) for address, count, _, _ in orders]
    expected = [
        ((offset + i) % PLACES, tag, int.from_bytes(
            image[address + i * record_bytes:address + (i + 1) * record_bytes], "little"))
        for address, count, offset, tag in orders for i in range(count)]
    assert_same("writes", writes, expected)


@pytest.mark.parametrize(("width", "record_bytes"), [(64, 8), (64, 24), (128, 8), (256, 24), (512, 8), (512, 152)])
def test_rate(width, record_bytes):
    """A record or a word a cycle, whichever is slower, also from command to command."""
    orders = [(0, PLACES, 0, 1)] * 4
    _, writes, times, _ = simulate(width, record_bytes, orders, 5, 0.0)
    assert len(writes) == 4 * PLACES
    words = -(-PLACES * record_bytes * 8 // width)
    assert times[-1] - times[0] <= 4 * max(words, PLACES) + 4 * -(-record_bytes * 8 // width)


@pytest.mark.parametrize(("arguments", "said"), [
    ((96, 8), "data_width must be one of 64, 128, 256, 512, not 96"),
    ((64, 12), "record_bytes must be a multiple of 8 from 8 on, not 12"),
    ((64, 0), "record_bytes must be a multiple of 8 from 8 on, not 0")])
def test_unpacker_rejects(arguments, said):
    with pytest.raises(ValueError, match=said):
        RecordUnpacker(*arguments)


@pytest.mark.parametrize(("arguments", "said"), [
    ((8, 24, 1), "places must be a power of two from 2 on, not 24"), ((8, 32, 0), "tag must be an integer from 1 on")])
def test_loader_rejects(arguments, said):
    with pytest.raises(ValueError, match=said):
        TableLoader(BusParameters(), *arguments)
