"""Slots of sparse tensors, read and written by the hardware, against the golden model's bytes."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.lib.data import StructLayout
from amaranth.sim import Simulator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phantom_golden.slots import slot_bytes, to_bytes
from phantom_golden.sparse import encode
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import component_verilog
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.slots import SlotError, slot_header_layout, values_layout
from phantom_hw.memory.sparse_reader import SparseDecoder
from phantom_hw.memory.sparse_writer import SparseEncoder, chunk_layout, slot_layout
from stream_bench import StreamBench

FAST = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
LONG = settings(FAST, max_examples=60)


def configuration(act_width: int, chunk: int) -> PhantomConfig:
    return PhantomConfig(act_width=act_width, weight_width=act_width, chunk=chunk)


@dataclass
class Case:
    """Widths and contents of a test, drawn by hypothesis; the contents follow from the seed."""

    act_width: int
    chunk: int
    bus_bytes: int
    lanes: int
    density: float
    stall: float
    seed: int

    @property
    def config(self) -> PhantomConfig:
        return configuration(self.act_width, self.chunk)


def cases(*lanes: int) -> st.SearchStrategy[Case]:
    """Cases with one of these numbers of lanes; many wide lanes take the simulator long to prepare."""
    return st.builds(
        Case, st.sampled_from([4, 8, 16]), st.integers(4, 64), st.sampled_from([8, 16, 32, 64]), st.sampled_from(lanes),
        st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), st.sampled_from([0.0, 0.3, 0.7]), st.integers(0, 1000),
    )


def drawn_values(rng: np.random.Generator, width: int, count: int, density: float) -> np.ndarray:
    """Signed values, zeros among them."""
    values = rng.integers(1, 1 << width - 1, count) * rng.choice([-1, 1], count)
    return np.where(rng.random(count) < density, values, 0)


@dataclass
class Slot:
    """A slot with what a decoder is told and what it must give."""

    positions: int
    chunk: int
    data: bytes  # as read: any number of bytes behind the last value
    values: np.ndarray


def drawn_slot(case: Case, rng: np.random.Generator) -> Slot:
    chunk = int(rng.integers(1, case.chunk + 1)) if rng.random() < 0.5 else case.chunk
    positions = int(rng.integers(1, chunk + 1)) if rng.random() < 0.5 else chunk
    values = drawn_values(rng, case.act_width, positions, case.density)
    stored = to_bytes(encode(values, chunk), case.act_width).tobytes()
    used = -(-chunk // 8) + -(-int((values != 0).sum()) * case.act_width // 8)
    whole = -(-len(stored) // case.bus_bytes) * case.bus_bytes
    assert len(stored) == slot_bytes(chunk, case.act_width)
    read = int(rng.integers(used, whole + 1))
    garbage = rng.bytes(whole)  # a reader ignores what lies behind the last value
    return Slot(positions, chunk, (stored[:used] + garbage)[:read], values)


def bus_words(slot: bytes, bus_bytes: int) -> list[int]:
    layout = dense_layout(8 * bus_bytes)
    pieces = [slot[i:i + bus_bytes] for i in range(0, len(slot), bus_bytes)]
    return [layout.const({"data": int.from_bytes(piece, "little"), "count": len(piece),
                          "last": i == len(pieces) - 1}).as_bits() for i, piece in enumerate(pieces)]


def dense_words(values: np.ndarray, width: int, lanes: int) -> list[dict]:
    pieces = [values[i:i + lanes].tolist() for i in range(0, len(values), lanes)]
    return [{"values": [v & (1 << width) - 1 for v in piece] + [0] * (lanes - len(piece)),
             "nonzero": sum((v != 0) << i for i, v in enumerate(piece)), "last": i == len(pieces) - 1}
            for i, piece in enumerate(pieces)]


def decode(case: Case, slots: list[Slot]) -> tuple[list[int], SlotError, StreamBench]:
    """What the decoder gives for slots, its error, and the bench with the times."""
    dut = SparseDecoder(case.config, case.bus_bytes, case.lanes)
    bench = StreamBench(dut, case.seed, case.stall)
    header = slot_header_layout(case.config)
    bench.feed("header", [header.const({"positions": s.positions, "chunk": s.chunk}).as_bits() for s in slots])
    words = [word for slot in slots for word in bus_words(slot.data, case.bus_bytes)]
    bench.feed("source", words)
    count = sum(-(-max(slot.positions, 1) // case.lanes) for slot in slots)
    got, errors = bench.collect("sink", count), []

    async def at_end(ctx):
        assert ctx.get(dut.idle)
        errors.append(ctx.get(dut.error))

    bench.run(200 + round(6 * (count + len(words) + len(slots)) / (1 - case.stall) ** 2), at_end)
    assert len(got) == count
    return got, errors[0], bench


def check_decoder(case: Case, count: int) -> None:
    rng = np.random.default_rng(case.seed)
    slots = [drawn_slot(case, rng) for _ in range(count)]
    got, error, _ = decode(case, slots)
    layout = values_layout(case.config, case.lanes)
    expected = [layout.const(word).as_bits() for slot in slots
                for word in dense_words(slot.values, case.act_width, case.lanes)]
    assert got == expected
    assert error == SlotError.NONE


@FAST
@given(cases(1, 2, 4, 8))
def test_decoder_gives_the_golden_values(case):
    check_decoder(case, 30)


@pytest.mark.verify
@LONG
@given(cases(1, 2, 4, 8, 16))
def test_decoder_gives_the_golden_values_long(case):
    check_decoder(case, 100)


@pytest.mark.parametrize("chunk", [1, 7, 8, 9, 17, 24, 33, 40, 57, 64])
def test_decoder_of_wide_values_behind_masks_of_any_size(chunk):
    """Values of 16 bits lie across the bytes behind a mask of an odd number of bytes."""
    case = Case(16, max(chunk, 4), 8, 4, 0.6, 0.2, chunk)
    check_decoder(case, 20)


def some_slots(case: Case, values: list[np.ndarray]) -> list[Slot]:
    """Slots of the whole chunk, read up to the last value."""
    slots = []
    for row in values:
        used = -(-case.chunk // 8) + -(-int((row != 0).sum()) * case.act_width // 8)
        stored = to_bytes(encode(row, case.chunk), case.act_width).tobytes()
        slots.append(Slot(len(row), case.chunk, stored[:used], row))
    return slots


@pytest.mark.parametrize(("act_width", "bus_bytes", "lanes", "chunk"), [
    (8, 32, 8, 16), (8, 16, 8, 16), (4, 16, 8, 16), (16, 64, 8, 16), (8, 16, 8, 8), (4, 64, 16, 64)])
@pytest.mark.parametrize("density", [0.3, 0.6])
def test_decoder_gives_a_word_a_cycle(act_width, bus_bytes, lanes, chunk, density):
    case = Case(act_width, chunk, bus_bytes, lanes, density, 0.0, 5)
    rng = np.random.default_rng(5)
    slots = some_slots(case, [drawn_values(rng, act_width, chunk, density) for _ in range(60)])
    got, error, bench = decode(case, slots)
    times = bench.times["sink"]
    # behind a slot's first word, the second one takes a cycle of its own if the first dense word needs it
    first = [-(-chunk // 8) * 8 // act_width + int((slot.values[:lanes] != 0).sum()) for slot in slots]
    extra = sum(value > 8 * bus_bytes // act_width for value in first)
    assert times[-1] - times[0] + 1 <= len(got) + extra
    assert error == SlotError.NONE


def test_decoder_takes_a_word_of_the_bus_a_cycle():
    """Without zeros the bus is the bound: 18 bytes for two dense words."""
    case = Case(8, 16, 8, 8, 1.0, 0.0, 6)
    rng = np.random.default_rng(6)
    slots = some_slots(case, [drawn_values(rng, 8, 16, 1.0) for _ in range(40)])
    _, _, bench = decode(case, slots)
    times = bench.times["sink"]
    assert times[-1] - times[0] <= 3 * len(slots)


def malformed(case: Case, rng: np.random.Generator, kind: SlotError) -> Slot:
    slot = drawn_slot(case, rng)
    chunk = 10
    values = drawn_values(rng, case.act_width, chunk, 1.0)
    data = bytearray(to_bytes(encode(values, chunk), case.act_width).tobytes())
    if kind == SlotError.HEADER:
        positions, chunk = [(0, 10), (10, 9), (13, 13), (15, 15), (0, 0)][rng.integers(5)]
        return Slot(positions, chunk, slot.data, values)
    if kind == SlotError.MASK:
        if rng.random() < 0.5:
            return Slot(int(rng.integers(1, 10)), 10, bytes(data), values)
        data[1] |= 1 << int(rng.integers(2, 8))
        return Slot(10, 10, bytes(data), values)
    if kind == SlotError.SHORT:
        return Slot(10, 10, bytes(data[:rng.integers(1, len(data))]), values)
    if kind == SlotError.LONG:
        words = -(-len(data) // case.bus_bytes)
        return Slot(10, 10, bytes(data) + rng.bytes(case.bus_bytes * int(rng.integers(words, words + 4))), values)
    place = int(rng.integers(10))
    stored = values.copy()
    stored[place] = 1
    packed = int.from_bytes(to_bytes(encode(stored, 10), case.act_width).tobytes()[2:], "little")
    packed &= ~(((1 << case.act_width) - 1) << place * case.act_width)
    return Slot(10, 10, bytes(data[:2]) + packed.to_bytes(len(data) - 2, "little"), values)


@pytest.mark.parametrize("kind", [kind for kind in SlotError if kind != SlotError.NONE])
@pytest.mark.parametrize(("act_width", "bus_bytes", "lanes"), [
    (8, 8, 4), (4, 16, 4), (16, 8, 2), (8, 8, 16), (16, 8, 8)])
def test_decoder_reports_malformed_slots_and_goes_on(kind, act_width, bus_bytes, lanes):
    case = Case(act_width, 12, bus_bytes, lanes, 0.5, 0.3, kind.value)
    rng = np.random.default_rng([kind.value, act_width, lanes])
    for _ in range(2):
        before, after = ([drawn_slot(case, rng) for _ in range(3)] for _ in range(2))
        bad = malformed(case, rng, kind)
        got, error, _ = decode(case, [*before, bad, *after])
        assert error == kind
        layout = values_layout(case.config, lanes)
        whole = [[layout.const(w).as_bits() for s in side for w in dense_words(s.values, act_width, lanes)]
                 for side in (before, after)]
        assert got[:len(whole[0])] == whole[0]
        assert got[-len(whole[1]):] == whole[1]


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_decoder_does_not_hang_on_garbage(stall):
    rng = np.random.default_rng(11)
    case = Case(8, 12, 8, 4, 0.5, stall, 11)
    slots = [Slot(int(rng.integers(16)), int(rng.integers(16)), rng.bytes(rng.integers(1, 60)), np.zeros(0))
             for _ in range(200)]
    _, error, _ = decode(case, slots)
    assert error != SlotError.NONE


def test_decoder_clear_forgets_half_a_slot():
    """Also the error of a slot before; what is sent then is decoded as after reset."""
    case = Case(8, 16, 8, 4, 1.0, 0.0, 14)
    rng = np.random.default_rng(14)
    slot, other = some_slots(case, [drawn_values(rng, 8, 16, 1.0), drawn_values(rng, 8, 16, 0.6)])
    dut, header = SparseDecoder(case.config, 8, 4), slot_header_layout(case.config)
    layout, got = values_layout(case.config, 4), []

    async def send(ctx, name: str, payloads: list[int]) -> None:
        port = getattr(dut, name)
        for payload in payloads:
            ctx.set(Value.cast(port.payload), payload)
            ctx.set(port.valid, 1)
            await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)

    async def bench(ctx):
        bad, good = (header.const({"positions": n, "chunk": 16}).as_bits() for n in (0, 16))
        ctx.set(dut.header.valid, 1)
        ctx.set(dut.header.payload, header.from_bits(bad))
        await send(ctx, "source", bus_words(slot.data, 8)[:2])
        await ctx.tick().repeat(3)
        assert ctx.get(dut.error) == SlotError.HEADER
        assert not ctx.get(dut.idle)
        ctx.set(dut.header.payload, header.from_bits(good))
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        assert ctx.get(dut.idle)
        ctx.set(dut.sink.ready, 1)
        await send(ctx, "source", bus_words(other.data, 8))

    async def take(ctx):
        async for _, _, valid, ready, word in ctx.tick().sample(dut.sink.valid, dut.sink.ready,
                                                                 Value.cast(dut.sink.payload)):
            got.extend([word] * (valid and ready))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.add_testbench(take, background=True)
    simulator.run_until(100e-6)
    assert got == [layout.const(word).as_bits() for word in dense_words(other.values, 8, 4)]


@pytest.mark.parametrize(("act_width", "chunk", "bus_bytes", "lanes"), [
    (8, 16, 8, 8), (16, 24, 8, 8), (4, 5, 64, 1), (16, 64, 8, 2)])
def test_verilog_passes_lint(lint, act_width, chunk, bus_bytes, lanes):
    config = configuration(act_width, chunk)
    lint(component_verilog(SparseDecoder(config, bus_bytes, lanes), "decoder"), "decoder")
    lint(component_verilog(SparseEncoder(config, bus_bytes, tagged(config)), "encoder"), "encoder")


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(("block", "arguments", "message"), [
    (SparseDecoder, {"bus_bytes": 12}, "bus_bytes must be one of 8, 16, 32, 64, not 12"),
    (SparseDecoder, {"bus_bytes": 8, "lanes": 3}, "lanes must be one of 1, 2, 4, 8, 16, 32, not 3"),
    (SparseEncoder, {"bus_bytes": 4}, "bus_bytes must be one of 8, 16, 32, 64, not 4")])
def test_rejects_parameters(block, arguments, message):
    with pytest.raises(ValueError, match=message):
        block(configuration(8, 16), **arguments)
    gc.collect()  # the block that was never finished, while its warning is ignored


# --- writing ----------------------------------------------------------------------------------------------

TAGGED = {"tag": 5}


@dataclass
class Chunk:
    """A chunk as a lane sends it: of N positions or fewer."""

    values: np.ndarray
    tag: int

    def beats(self, case: Case, layout) -> list[int]:
        beats, mask = [], sum(int(v != 0) << i for i, v in enumerate(self.values))
        for i, value in enumerate(self.values.tolist()):
            last = i == len(self.values) - 1
            if value or last:
                beats.append(layout.const({
                    "value": value & (1 << case.act_width) - 1, "nonzero": value != 0, "last": last,
                    "mask": mask if last else 0, "tag": self.tag if last else 31}).as_bits())
        return beats


def tagged(config: PhantomConfig) -> StructLayout:
    return StructLayout({**chunk_layout(config).members, **TAGGED})


def drawn_chunk(case: Case, rng: np.random.Generator) -> Chunk:
    size = case.chunk if rng.random() < 0.7 else int(rng.integers(1, case.chunk + 1))
    return Chunk(drawn_values(rng, case.act_width, size, case.density), int(rng.integers(32)))


def stored(case: Case, chunk: Chunk) -> bytes:
    """The golden slot up to its last value: N positions, whatever the chunk has."""
    values = np.zeros(case.chunk, np.int64)
    values[:len(chunk.values)] = chunk.values
    used = -(-case.chunk // 8) + -(-int((values != 0).sum()) * case.act_width // 8)
    return to_bytes(encode(values, case.chunk), case.act_width).tobytes()[:used]


def encoded(case: Case, chunks: list[Chunk], sink_stall: float | None = None) -> StreamBench:
    """Checks what the encoder makes of chunks; the bench with the times."""
    layout = tagged(case.config)
    dut = SparseEncoder(case.config, case.bus_bytes, layout)
    bench = StreamBench(dut, case.seed, case.stall)
    beats = [beat for chunk in chunks for beat in chunk.beats(case, layout)]
    slots = [stored(case, chunk) for chunk in chunks]
    bench.feed("source", beats)
    words = [word for slot in slots for word in bus_words(slot, case.bus_bytes)]
    got = bench.collect("sink", len(words), sink_stall)
    headers = bench.collect("slots", len(slots))

    async def at_end(ctx):
        assert ctx.get(dut.idle)
        assert not ctx.get(dut.error)

    bench.run(200 + round(4 * (len(beats) + len(words)) / (1 - max(case.stall, sink_stall or 0)) ** 2), at_end)
    assert got == words
    header = slot_layout(case.config, layout)
    assert headers == [header.const({"bytes": len(slot), "tag": chunk.tag}).as_bits()
                       for slot, chunk in zip(slots, chunks, strict=True)]
    return bench


def check_encoder(case: Case, count: int) -> None:
    rng = np.random.default_rng(case.seed)
    encoded(case, [drawn_chunk(case, rng) for _ in range(count)])


@FAST
@given(cases(1))
def test_encoder_writes_the_golden_slots(case):
    check_encoder(case, 30)


@pytest.mark.verify
@LONG
@given(cases(1))
def test_encoder_writes_the_golden_slots_long(case):
    check_encoder(case, 100)


@pytest.mark.parametrize("chunk", [4, 8, 9, 24, 40, 56, 57, 64])
@pytest.mark.parametrize("bus_bytes", [8, 16])
def test_encoder_of_wide_values_behind_masks_of_any_size(chunk, bus_bytes):
    for density in (0.0, 0.5, 1.0):
        check_encoder(Case(16, chunk, bus_bytes, 1, density, 0.2, chunk), 12)


@pytest.mark.parametrize(("act_width", "bus_bytes", "chunk"), [(8, 8, 16), (4, 8, 16), (16, 8, 24), (8, 64, 64)])
def test_encoder_takes_a_value_a_cycle(act_width, bus_bytes, chunk):
    case, rng = Case(act_width, chunk, bus_bytes, 1, 1.0, 0.0, 8), np.random.default_rng(8)
    chunks = [Chunk(drawn_values(rng, act_width, chunk, 1.0), 0) for _ in range(12)]
    times = encoded(case, chunks).times["source"]
    assert times[-1] - times[0] + 1 == len(times) == 12 * chunk


def test_encoder_takes_a_chunk_of_zeros_a_cycle():
    case = Case(8, 16, 8, 1, 0.0, 0.0, 9)
    times = encoded(case, [Chunk(np.zeros(16, np.int64), i) for i in range(30)]).times["source"]
    assert times[-1] - times[0] + 1 == 30


@pytest.mark.parametrize("chunk", [16, 60, 64])
def test_encoder_waits_when_its_queues_are_full(chunk):
    """Long slots fill the queue of words, short ones that of slots."""
    case, rng = Case(16, chunk, 8, 1, 1.0, 0.0, chunk), np.random.default_rng(chunk)
    for density in (1.0, 0.1):
        chunks = [Chunk(drawn_values(rng, 16, chunk, density), i) for i in range(16)]
        encoded(case, chunks, sink_stall=0.9)


@pytest.mark.parametrize(("act_width", "chunk"), [(8, 16), (16, 8)])
def test_encoder_latency(act_width, chunk):
    case = Case(act_width, chunk, 8, 1, 0.5, 0.0, 10)
    bench = encoded(case, [Chunk(np.arange(chunk), 3)])
    for name in ("sink", "slots"):
        assert bench.times[name][0] - bench.times["source"][-1] == SparseEncoder.LATENCY


def test_encoder_drops_what_a_chunk_cannot_have():
    """A chunk with too many values keeps the first N, and the next one is not harmed."""
    case, layout = Case(8, 5, 8, 1, 0.5, 0.3, 12), tagged(configuration(8, 5))
    dut = SparseEncoder(case.config, 8, layout)
    bench = StreamBench(dut, 12, 0.3)
    good = Chunk(np.array([0, 3, 0, 4, 0]), 1)
    beat = {"nonzero": 1, "last": 0, "mask": 0, "tag": 0}
    many = [{**beat, "value": i + 1} for i in range(200)] + [{**beat, "value": 9, "last": 1, "mask": 31}]
    bench.feed("source", [layout.const(b).as_bits() for b in many] + good.beats(case, layout))
    got = bench.collect("sink", 2)

    async def at_end(ctx):
        assert ctx.get(dut.error)
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        assert not ctx.get(dut.error)
        assert ctx.get(dut.idle)

    assert bench.collect("slots", 2) == []
    bench.run(1000, at_end)
    assert got == bus_words(bytes([31, 1, 2, 3, 4, 5]), 8) + bus_words(stored(case, good), 8)


def test_clear_forgets_half_a_chunk():
    case, layout = Case(8, 16, 8, 1, 0.5, 0.0, 13), tagged(configuration(8, 16))
    dut = SparseEncoder(case.config, 8, layout)
    chunk = Chunk(np.arange(16), 2)
    beats = chunk.beats(case, layout)

    async def bench(ctx):
        for half in (beats[:11], beats):
            for beat in half:
                ctx.set(Value.cast(dut.source.payload), beat)
                ctx.set(dut.source.valid, 1)
                await ctx.tick().until(dut.source.ready)
            ctx.set(dut.source.valid, 0)
            if half is not beats:
                assert not ctx.get(dut.idle)
                ctx.set(dut.clear, 1)
                await ctx.tick()
                ctx.set(dut.clear, 0)
                assert ctx.get(dut.idle)
        ctx.set(dut.sink.ready, 1)
        got = []
        for _ in range(10):
            _, _, valid, word = await ctx.tick().sample(dut.sink.valid, Value.cast(dut.sink.payload))
            got += [word] * valid
        assert got == bus_words(stored(case, chunk), 8)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
