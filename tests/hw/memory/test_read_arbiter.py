# amaranth: UnusedElaboratable=no
"""The arbiter between clients and a model of the manager: everyone gets the bytes asked for, in order of priority."""

import numpy as np
import pytest
from amaranth.hdl import Value
from phantom_hw import emit
from phantom_hw.memory.parameters import BusParameters
from phantom_hw.memory.read_arbiter import ReadArbiter
from port_bench import PortBench, assert_same

MEMORY = 1 << 12


class Manager:
    """Takes requests, and gives the words of the bus that hold their bytes."""

    def __init__(self, bench, image, width, delay=0):
        self.size, self.image, self.words, self.asked = width // 8, image, [], []
        self.request, self.port = bench.dut.manager_request, bench.dut.manager_words
        rng = bench.rng.spawn(1)[0]
        bench.sink(self.request, self.take)

        async def answer(ctx):
            while True:
                while not self.words or bench.cycle < delay or rng.random() < bench.stall:
                    await ctx.tick()
                ctx.set(self.port.payload, self.words.pop(0))
                ctx.set(self.port.valid, 1)
                ready = False
                while not ready:
                    _, _, ready = await ctx.tick().sample(self.port.ready)
                ctx.set(self.port.valid, 0)

        bench.background(answer)

    def take(self, payload):
        fields = self.request.payload.shape().from_bits(payload)
        address, end = int(fields.address), int(fields.address + fields.length)
        self.asked.append((address, int(fields.length)))
        while address < end:
            offset = address % self.size
            count = min(self.size - offset, end - address)
            start = address - offset
            self.words.append({"data": int.from_bytes(self.image[start:start + self.size], "little"), "offset": offset,
                               "count": count, "last": address + count == end})
            address += count


def simulate(width, plan, seed, stall, delay=0, fair=0):
    """``plan``: for each client its requests. What each got, the order at the manager, and what was expected."""
    dut = ReadArbiter(BusParameters(data_width=width), len(plan), fair)
    bench = PortBench(dut, seed, stall)
    image = bytes(bench.rng.integers(0, 256, MEMORY, dtype=np.uint8))
    manager = Manager(bench, image, width, delay)
    layout = dut.requests[0].payload.shape()
    times = [bench.source(port, [Value.cast(layout.const({"address": a, "length": n})).value for a, n in requests])
             for port, requests in zip(dut.requests, plan, strict=True)]
    got = [bench.sink(port) for port in dut.data]
    size, expected = width // 8, []
    for requests in plan:
        expected.append([])
        for address, length in requests:
            text = image[address:address + length]
            expected[-1] += [(text[at:at + size], at + size >= length) for at in range(0, length, size)]
    finished = []

    def done(ctx):
        return all(len(one) >= len(other) for one, other in zip(got, expected, strict=True))

    bench.run(done, 20_000, lambda ctx: finished.append(ctx.get(dut.idle)))
    word = dut.data[0].payload.shape()
    views = [[word.from_bits(payload) for payload, _ in one] for one in got]
    pieces = [[(int(view.data).to_bytes(size, "little")[:view.count], bool(view.last)) for view in one]
              for one in views]
    assert finished == [1]
    return pieces, expected, manager.asked, times


def requests(rng, count, width):
    """Random (address, length)."""
    lengths = [int(rng.choice([1, width // 8, rng.integers(1, 100)])) for _ in range(count)]
    return [(int(rng.integers(MEMORY - 128)), length) for length in lengths]


@pytest.mark.parametrize("stall", [0.0, 0.3, 0.7])
@pytest.mark.parametrize(("width", "clients", "fair"), [(64, 1, 1), (64, 4, 0), (128, 5, 3), (512, 2, 2)])
def test_everyone_gets_its_bytes(width, clients, fair, stall):
    seed = width + clients
    rng = np.random.default_rng(seed + 1)
    plan = [requests(rng, int(rng.integers(10, 30)), width) for _ in range(clients)]
    pieces, expected, asked, _ = simulate(width, plan, seed, stall, fair=fair)
    for client, (got, wanted) in enumerate(zip(pieces, expected, strict=True)):
        assert_same(f"client {client}", got, wanted)
    assert sorted(asked) == sorted(request for one in plan for request in one)


def test_clients_take_turns():
    """Client 0 is through first; the other three share what is left, one request each at a time."""
    rng = np.random.default_rng(8)
    plan = [requests(rng, 3, 64), *(requests(rng, 9, 64) for _ in range(3))]
    pieces, expected, asked, _ = simulate(64, plan, 9, 0.0, delay=80, fair=3)
    assert pieces == expected
    assert asked == plan[0] + [request for together in zip(*plan[1:], strict=True) for request in together]


def test_lowest_number_first():
    """All ask at once: client 0 is through first, then 1, then 2; with 16 requests under way it waits for data."""
    rng = np.random.default_rng(3)
    plan = [requests(rng, 9, 64) for _ in range(3)]
    pieces, expected, asked, times = simulate(64, plan, 3, 0.0, delay=80)
    assert pieces == expected
    assert asked == plan[0] + plan[1] + plan[2]
    before = [cycle for one in times for cycle in one if cycle < 80]
    depth = ReadArbiter.depth(BusParameters(data_width=64))
    assert len(before) == depth
    assert max(before) - min(before) == depth - 1  # one a cycle


@pytest.mark.parametrize("clients", [0, 17, "2"])
def test_other_numbers_of_clients_are_rejected(clients):
    with pytest.raises(ValueError, match=r"clients must be an integer in 1\.\.16, not "):
        ReadArbiter(BusParameters(), clients)


@pytest.mark.parametrize("clients", [1, 3])
def test_lint(lint, clients):
    lint(emit.component_verilog(ReadArbiter(BusParameters(), clients), "arbiter"), "arbiter")
