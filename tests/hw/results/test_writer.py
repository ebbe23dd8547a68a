"""Slots written to a memory of bytes against the golden model's slots."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from phantom_golden.slots import slot_bytes, to_bytes
from phantom_golden.sparse import encode
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import component_verilog
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.results.layouts import SLOT_UNIT, chunk_layout
from phantom_hw.results.writer import ResultWriter
from stream_bench import StreamBench
from written_memory import GUARD, apply_writes, golden_slot

BASE = 1 << 20
"""Address of the first slot of the tests, in units."""


def configuration(act_width: int = 8, chunk: int = 16, bus_width: int = 64) -> PhantomConfig:
    return PhantomConfig(act_width=act_width, weight_width=act_width, chunk=chunk, bus_width=bus_width)


def drawn_chunk(config: PhantomConfig, rng: np.random.Generator) -> list[int]:
    """Values of up to N positions, of any density."""
    half = 1 << config.act_width - 1
    values = rng.integers(-half, half, int(rng.choice([config.chunk, rng.integers(1, config.chunk + 1)])))
    return np.where(rng.random(len(values)) < rng.choice([0.0, 0.1, 0.5, 1.0]), values, 0).tolist()


def chunk_beats(config: PhantomConfig, values: list[int], slot: int, rng: np.random.Generator) -> list[int]:
    """The beats of a chunk: the mask comes with a last beat that has the last value or none."""
    layout, top = chunk_layout(config), (1 << config.act_width) - 1
    beats = [{"value": value & top, "nonzero": 1} for value in values if value]
    if not beats or rng.random() < 0.5:
        beats.append({"value": int(rng.integers(top + 1)), "nonzero": 0})
    beats[-1].update(last=1, slot=slot, mask=sum((value != 0) << i for i, value in enumerate(values)))
    return [layout.const(beat).as_bits() for beat in beats]


def run(config: PhantomConfig, sources: int, chunks: list[list[tuple[int, list[int]]]], seed: int, stall: float,
        slow: float | None = None):
    """Write the chunks of each source; returns the bench, the requests and the words.

    ``slow`` is how often the memory stalls, if not as often as the sources.
    """
    rng = np.random.default_rng(seed)
    dut = ResultWriter(config, sources)
    for i, port in enumerate(dut.chunks):
        setattr(dut, f"chunks_{i}", port)
    bench, beats, words, slots = StreamBench(dut, seed, stall), 0, 0, 0
    for i, todo in enumerate(chunks):
        payloads = [beat for slot, values in todo for beat in chunk_beats(config, values, slot, rng)]
        bench.feed(f"chunks_{i}", payloads)
        beats, slots = beats + len(payloads), slots + len(todo)
        words += sum(-(-len(golden_slot(config, values)) // (config.bus_width // 8)) for _, values in todo)
    slow = stall if slow is None else slow
    requests, data = bench.collect("request", slots, slow), bench.collect("data", words, slow)

    async def then(ctx):
        assert ctx.get(dut.idle)

    bench.run(100 + round(3 * (beats + words) / (1 - max(stall, slow)) ** 2), then)
    return bench, [request_layout(bus_parameters(config)).from_bits(request) for request in requests], data


def check(config: PhantomConfig, sources: int, count: int, seed: int, stall: float) -> None:
    rng = np.random.default_rng(seed)
    pitch = -(-slot_bytes(config.chunk, config.act_width) // SLOT_UNIT)
    places = rng.permutation(2 * sources * count)[:sources * count].reshape(sources, count)
    chunks = [[(BASE + pitch * int(place), drawn_chunk(config, rng)) for place in row] for row in places]
    _, requests, data = run(config, sources, chunks, seed, stall)
    memory = apply_writes([(request.address, request.length) for request in requests], data, config.bus_width // 8,
                          BASE * SLOT_UNIT, 2 * sources * count * pitch * SLOT_UNIT)
    expected = np.full(len(memory), GUARD, np.uint8)
    for slot, values in (item for row in chunks for item in row):
        start, stored = (slot - BASE) * SLOT_UNIT, golden_slot(config, values)
        expected[start:start + len(stored)] = np.frombuffer(stored, np.uint8)
    np.testing.assert_array_equal(memory, expected)


@pytest.mark.parametrize(("act_width", "chunk", "bus_width", "sources", "stall"), [
    (8, 16, 64, 2, 0.3), (8, 16, 64, 1, 0.0), (4, 64, 128, 3, 0.5), (16, 64, 512, 4, 0.2), (16, 5, 64, 2, 0.6),
    (4, 13, 256, 5, 0.0), (8, 64, 64, 4, 0.0)])
def test_memory_holds_the_golden_slots(act_width, chunk, bus_width, sources, stall):
    check(configuration(act_width, chunk, bus_width), sources, 20, act_width + chunk + sources, stall)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(20))
def test_memory_holds_the_golden_slots_long(seed):
    rng = np.random.default_rng(seed)
    config = configuration(int(rng.choice([4, 8, 16])), int(rng.integers(4, 65)), int(rng.choice([64, 128, 256])))
    check(config, int(rng.integers(1, 6)), 60, seed, float(rng.choice([0.0, 0.3, 0.7])))


@pytest.mark.parametrize("sources", [1, 3])
def test_writes_a_word_a_cycle(sources):
    """Slots of a word each, of one or two beats: as fast as they come, or a slot a cycle."""
    config, count = configuration(chunk=8), 30
    chunks = [[(BASE + 100 * i + k, [1 + k] + [0] * 7) for k in range(count)] for i in range(sources)]
    bench, requests, data = run(config, sources, chunks, 1, 0.0)
    fastest = max([sources * count, *(len(bench.times[f"chunks_{i}"]) for i in range(sources))])
    for name in ("request", "data"):
        times = bench.times[name]
        assert len(times) == sources * count and times[-1] - times[0] <= fastest + 2
    assert len(requests) == len(data)


def test_long_slots_leave_no_gap():
    config = configuration(act_width=16, chunk=64)
    rng = np.random.default_rng(2)
    chunks = [[(BASE + 32 * k + 1000 * i, rng.integers(1, 1000, 64).tolist()) for k in range(6)] for i in range(2)]
    bench, _, data = run(config, 2, chunks, 2, 0.0)
    times = bench.times["data"]
    assert len(data) == 12 * 17
    # two sources bring 16 bits a cycle each: the words of two slots take 34 of 64 cycles
    assert times[-1] - times[0] <= 6 * 64
    slots = [times[i:i + 17] for i in range(0, len(times), 17)]
    assert all(slot[-1] - slot[0] == 16 for slot in slots)


def test_sources_take_turns():
    """With a slow memory all sources have slots: none is served twice before the others."""
    config, sources, count = configuration(chunk=8), 4, 20
    chunks = [[(BASE + 100 * i + k, [1] * 8) for k in range(count)] for i in range(sources)]
    _, requests, _ = run(config, sources, chunks, 3, 0.0, slow=0.8)
    order = [(request.address // SLOT_UNIT - BASE) // 100 for request in requests]
    steady = order[2 * sources:-2 * sources]
    assert all(len(set(steady[i:i + sources])) == sources for i in range(len(steady) - sources + 1))


def test_latency():
    config = configuration(chunk=8)
    for source in range(3):
        chunks = [[(BASE, [1, 0, 2])] if i == source else [] for i in range(3)]
        bench, _, _ = run(config, 3, chunks, 4, 0.0)
        assert 0 < bench.times["data"][0] - bench.times[f"chunks_{source}"][-1] <= ResultWriter.LATENCY


def test_addresses_wrap_around():
    """A slot beyond the address space lies modulo its size, as the units are wider than the addresses."""
    config = configuration(chunk=8)
    _, requests, _ = run(config, 1, [[((1 << 32) - 1, [1]), (1 << 29, [1])]], 5, 0.0)
    assert [request.address for request in requests] == [(1 << 32) - 8, 0]


def test_slot_equals_the_encoded_tensor():
    """What the tests take for a slot, for a chunk that is full."""
    config = configuration(chunk=16)
    values = [0, 5, -3, 0] * 4
    whole = to_bytes(encode(np.array(values), 16), 8).tobytes()
    assert whole.startswith(golden_slot(config, values)) and not any(whole[len(golden_slot(config, values)):])


@pytest.mark.parametrize(("arguments", "sources"), [((8, 16, 64), 2), ((16, 64, 512), 3), ((4, 5, 128), 1)])
def test_verilog_passes_lint(lint, arguments, sources):
    lint(component_verilog(ResultWriter(configuration(*arguments), sources), "writer"), "writer")


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_rejects():
    with pytest.raises(ValueError, match="sources must be at least 1, not 0"):
        ResultWriter(configuration(), 0)
    gc.collect()  # the block that was never finished, while its warning is ignored
