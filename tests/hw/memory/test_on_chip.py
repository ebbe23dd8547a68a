# amaranth: UnusedElaboratable=no
"""The memory on the chip before a model of external memory: data, responses and their order, and what goes on."""

import numpy as np
import pytest
from amaranth.hdl import Value
from phantom_hw import emit
from phantom_hw.memory.axi import Burst, FlatPorts, Response
from phantom_hw.memory.on_chip import OnChipMemory
from phantom_hw.memory.parameters import BusParameters
from port_bench import PortBench, assert_same

LIMIT = 40_000
WORDS = 128
"""In external memory, beside those on the chip."""


class External:
    """External memory: answers in order after a latency, takes data also before their address."""

    def __init__(self, bench, dut, words, latency, error):
        self.bench, self.latency, self.error, self.content = bench, latency, error, {}
        self.words, self.size = words, dut.read.r.payload.data.shape().width // 8
        self.reads, self.writes, self.beats, self.answers, self.asked, self.told = [], [], [], [], [], []
        read, write = dut.external_read, dut.external_write
        self.shapes = {name: port.payload.shape() for name, port in (("ar", read.ar), ("aw", write.aw),
                                                                    ("w", write.w))}
        bench.sink(read.ar, self.take_read)
        bench.sink(write.aw, self.take_write)
        bench.sink(write.w, self.take_data)
        self.offer(read.r, self.reads)
        self.offer(write.b, self.answers)

    def offer(self, port, waiting):
        """Offer what is in a list of (cycle, payload) from its cycle on."""
        rng = self.bench.rng.spawn(1)[0]

        async def answer(ctx):
            while True:
                while not waiting or waiting[0][0] > self.bench.cycle or rng.random() < self.bench.stall:
                    await ctx.tick()
                ctx.set(port.payload, waiting.pop(0)[1])
                ctx.set(port.valid, 1)
                ready = False
                while not ready:
                    _, _, ready = await ctx.tick().sample(port.ready)
                ctx.set(port.valid, 0)

        self.bench.background(answer)

    def take(self, name, payload):
        fields = self.shapes[name].from_bits(payload)
        first, beats = int(fields.addr) // self.size, int(fields.len) + 1
        assert first >= self.words and (int(fields.addr) + beats * self.size - 1) >> 12 == int(fields.addr) >> 12
        return first, beats

    def take_read(self, payload):
        first, beats = self.take("ar", payload)
        self.asked.append((first, beats))
        for i in range(beats):
            self.reads.append((self.bench.cycle + self.latency, {
                "data": self.content.get(first + i, 0), "resp": self.error(first + i), "last": i == beats - 1}))

    def take_write(self, payload):
        first, beats = self.take("aw", payload)
        self.told.append((first, beats))
        self.writes.append([first, beats])
        while self.beats and self.writes:
            self.store(self.beats.pop(0))

    def take_data(self, payload):
        self.beats.append(self.shapes["w"].from_bits(payload))
        if self.writes:
            self.store(self.beats.pop(0))

    def store(self, fields):
        burst = self.writes[0]
        self.content[burst[0]] = merged(self.content.get(burst[0], 0), int(fields.data), int(fields.strb), self.size)
        burst[0], burst[1] = burst[0] + 1, burst[1] - 1
        assert bool(fields.last) == (burst[1] == 0)
        if burst[1] == 0:
            self.writes.pop(0)
            self.answers.append((self.bench.cycle + self.latency, {"resp": self.error(burst[0] - 1)}))


def merged(old, new, strobes, size):
    """A word after a write of some of its bytes."""
    mask = sum(0xFF << 8 * i for i in range(size) if strobes >> i & 1)
    return old & ~mask | new & mask


def random_bursts(rng, parameters, words, count):
    """Bursts of (first word, beats) on both sides of the border between the two memories."""
    page, bursts = parameters.burst_words, []
    for _ in range(count):
        first = int(rng.integers(words)) if rng.random() < 0.6 else words + int(rng.integers(WORDS))
        if rng.random() < 0.3:
            first = int(rng.choice([0, words - 1, words]))
        bursts.append((first, int(rng.integers(1, page - first % page + 1))))
    return bursts


def simulate(width, pages, seed, stall, latency, count=40, outstanding=4):
    """Write bursts, then read some while others write; everything that came, and what was expected."""
    parameters = BusParameters(data_width=width, outstanding=outstanding, max_burst=8)
    size = width // 8
    words = pages * 4096 // size
    dut = OnChipMemory(parameters, words)
    bench = PortBench(dut, seed, stall)
    rng = bench.rng

    def error(word):
        """Some external words answer with an error."""
        return (Response.SLVERR if word % 11 == 0 else Response.DECERR if word % 13 == 0 else Response.OKAY).value

    external = External(bench, dut, words, latency, error)
    # the second writes touch no word that is read
    wanted = random_bursts(rng, parameters, words, count)
    read = {first + i for first, beats in wanted for i in range(beats)}
    before = random_bursts(rng, parameters, words, count)
    before += [(first, beats) for first, beats in wanted if rng.random() < 0.7]
    beside = [(first, beats) for first, beats in random_bursts(rng, parameters, words, 2 * count)
              if not read & set(range(first, first + beats))]
    writes, expected, data = before + beside, {}, []
    # whatever the memory has at the beginning: the first writes of a word are whole
    for number, (first, beats) in enumerate(writes):
        for i in range(beats):
            word, value = first + i, int.from_bytes(rng.bytes(size), "little")
            strobes = int(rng.integers(1 << min(size, 62))) if word in expected else (1 << size) - 1
            expected[word] = merged(expected.get(word, 0), value, strobes, size)
            data.append((number, {"data": value, "strb": strobes, "last": i == beats - 1}))
    wanted = [(first, beats) for first, beats in wanted if all(first + i in expected or first + i >= words
                                                              for i in range(beats))]

    def address(port, bursts):
        layout = port.payload.shape()
        return [Value.cast(layout.const({"addr": first * size, "len": beats - 1, "size": size.bit_length() - 1,
                                         "burst": Burst.INCR})).value for first, beats in bursts]

    layout = dut.write.w.payload.shape()
    answers = bench.sink(dut.write.b)
    got = bench.sink(dut.read.r)

    def room(begun, ended):
        """No more bursts are under way than may be."""
        return begun - ended < outstanding

    taken = bench.source(dut.write.aw, address(dut.write.aw, writes),
                         lambda number: room(number, len(answers)))
    bench.source(dut.write.w, [Value.cast(layout.const(one)).value for _, one in data],
                 lambda number: len(taken) >= data[number][0])
    ends = np.cumsum([beats for _, beats in wanted]).tolist()
    bench.source(dut.read.ar, address(dut.read.ar, wanted),
                 lambda number: len(answers) >= len(before) and room(number, sum(len(got) >= end for end in ends)))
    bench.run(lambda ctx: len(answers) >= len(writes) and len(got) >= sum(beats for _, beats in wanted), LIMIT)

    shape = dut.read.r.payload.shape()
    beats_got = [(int(view.data), int(view.resp.value), bool(view.last))
                 for view in (shape.from_bits(payload) for payload, _ in got)]
    beats_expected = [(expected.get(first + i, 0), error(first + i) if first >= words else 0, i == beats - 1)
                      for first, beats in wanted for i in range(beats)]
    responses = [int(dut.write.b.payload.shape().from_bits(payload).resp.value) for payload, _ in answers]
    return {
        "reads": (beats_got, beats_expected),
        "responses": (responses, [error(first + beats - 1) if first >= words else 0 for first, beats in writes]),
        "external reads": (external.asked, [one for one in wanted if one[0] >= words]),
        "external writes": (external.told, [one for one in writes if one[0] >= words]),
    }, got


@pytest.mark.parametrize(("width", "pages", "outstanding"), [(64, 1, 4), (128, 2, 1), (512, 3, 6)])
@pytest.mark.parametrize(("stall", "latency"), [(0.0, 0), (0.0, 9), (0.4, 3), (0.7, 20)])
def test_random_bursts(width, pages, outstanding, stall, latency):
    found, _ = simulate(width, pages, 1000 * width + latency, stall, latency, outstanding=outstanding)
    for name, (got, expected) in found.items():
        assert expected
        assert_same(name, got, expected)


def test_bursts_of_the_chip_follow_each_other():
    """A beat in each cycle, also from a burst to the next."""
    parameters = BusParameters(outstanding=4, max_burst=8)
    dut = OnChipMemory(parameters, 512)
    bench = PortBench(dut, 1)
    layout = dut.read.ar.payload.shape()
    asked = bench.source(dut.read.ar, [Value.cast(layout.const({"addr": 64 * i, "len": 7})).value for i in range(3)])
    got = bench.sink(dut.read.r)
    bench.run(lambda ctx: len(got) == 24, LIMIT)
    cycles = [cycle for _, cycle in got]
    assert cycles == list(range(cycles[0], cycles[0] + 24)) and cycles[0] - asked[0] == 2


def test_verilog_passes_lint(lint):
    ports = {"read": "s_axi", "write": "s_axi", "external_read": "m_axi", "external_write": "m_axi"}
    memory = OnChipMemory(BusParameters(data_width=128), 512)
    lint(emit.component_verilog(FlatPorts(memory, ports), "on_chip"), "on_chip")


@pytest.mark.parametrize("words", [0, -512, 100, 513, 512.0])
def test_refuses_sizes(words):
    with pytest.raises(ValueError, match=r"words must be a positive multiple of 512, not"):
        OnChipMemory(BusParameters(), words)
