# amaranth: UnusedElaboratable=no
"""The aligner against a byte string: any offsets, counts and starts, with stalls on both sides; and its throughput."""

import random

import pytest
from amaranth.sim import Simulator
from phantom_hw.config import ConfigError
from phantom_hw.memory.align import ByteAligner

LIMIT = 20_000
"""Cycles after which a run counts as hung."""


def cut(rng, size, length, offset, ragged):
    """Words (offset, count) that hold ``length`` bytes; all but the first begin at 0, unless ragged."""
    words = []
    while length:
        count = min(length, rng.randint(1, size - offset) if ragged else size - offset)
        words.append((offset, count))
        length -= count
        offset = rng.randrange(size) if ragged else 0
    return words


def words_of(rng, size, lengths, *, ragged=False, starts=False, offsets=True):
    """The source's beats (data, offset, count, last, start), and the words that must come out."""
    source, expected = [], []
    for length in lengths:
        start = rng.randrange(size) if starts else 0
        text = bytes(rng.randrange(256) for _ in range(length))
        cuts = cut(rng, size, length, rng.randrange(size) if offsets else 0, ragged)
        done = 0
        for number, (offset, count) in enumerate(cuts):
            word = bytearray(rng.randrange(256) for _ in range(size))
            word[offset:offset + count] = text[done:done + count]
            done += count
            source.append((int.from_bytes(word, "little"), offset, count, number == len(cuts) - 1, start))
        whole = bytes(start) + text
        for at in range(0, len(whole), size):
            piece = whole[at:at + size]
            expected.append((piece[start if at == 0 else 0:], len(piece), at + size >= len(whole)))
    return source, expected


def run(size, source, expected, rng, stalls):
    """Send the beats; the words that came, without the bytes below the start, and the cycles it took."""
    dut = ByteAligner(8 * size)
    got, cycles, busy = [], [0], []

    async def send(ctx):
        for data, offset, count, last, start in source:
            while rng.random() < stalls:
                await ctx.tick()
            ctx.set(dut.source.payload, {"data": data, "offset": offset, "count": count, "last": last})
            ctx.set(dut.start, start)
            ctx.set(dut.source.valid, 1)
            await ctx.tick().until(dut.source.ready)
            ctx.set(dut.source.valid, 0)
            ctx.set(dut.start, rng.randrange(size))

    async def receive(ctx):
        held = None
        while len(got) < len(expected):
            ready = rng.random() >= stalls
            ctx.set(dut.sink.ready, ready)
            _, _, valid, payload = await ctx.tick().sample(dut.sink.valid, dut.sink.payload)
            cycles[0] += 1
            if cycles[0] > LIMIT:
                raise TimeoutError(f"{len(got)} of {len(expected)} words after {LIMIT} cycles")
            assert not held or valid, "an offer was withdrawn"
            if valid:
                piece, count, _ = expected[len(got)]
                skip = count - len(piece)  # bytes below the start
                word = (payload.data.to_bytes(size, "little")[skip:payload.count], payload.count, bool(payload.last))
                assert not held or held == word, "an offer changed"
                held = None if ready else word
                if ready:
                    got.append(word)
        ctx.set(dut.sink.ready, 1)
        for _ in range(10):
            _, _, valid = await ctx.tick().sample(dut.sink.valid)
            assert not valid, "a word too many"
        busy.append(ctx.get(dut.busy))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(send)
    simulator.add_testbench(receive)
    simulator.run()
    assert busy == [0]
    return got, cycles[0]


@pytest.mark.parametrize("stalls", [0.0, 0.4])
@pytest.mark.parametrize("size", [8, 64])
@pytest.mark.parametrize("options", [{}, {"ragged": True}, {"starts": True, "offsets": False},
                                     {"starts": True, "ragged": True}], ids=["read", "ragged", "write", "all"])
def test_equals_byte_strings(size, options, stalls):
    seed = f"{size} {sorted(options)} {stalls}"
    print(f"seed {seed!r}")
    rng = random.Random(seed)
    lengths = [rng.choice([1, size - 1, size, size + 1, 2 * size, rng.randint(1, 6 * size)])
               for _ in range(60 if size == 8 else 30)]
    source, expected = words_of(rng, size, lengths, **options)
    got, _ = run(size, source, expected, rng, stalls)
    assert got == expected


def test_reads_at_full_rate():
    """A word a cycle for requests of any length and alignment: nothing is lost between two of them."""
    rng = random.Random(1)
    source, expected = words_of(rng, 8, [rng.randint(1, 40) for _ in range(100)])
    got, cycles = run(8, source, expected, rng, 0.0)
    assert got == expected
    assert cycles <= len(source) + ByteAligner.LATENCY + 1


def test_cancel_forgets():
    """After a cancellation in any cycle, the next request comes out as if it were the first."""
    rng = random.Random(2)
    for at in range(1, 12):
        dut, got = ByteAligner(64), []
        source, _ = words_of(rng, 8, [29, 40])
        after, expected = words_of(rng, 8, [21, 3])

        async def bench(ctx, dut=dut, source=source, after=after, expected=expected, got=got, at=at):
            async def offer(word, until):
                data, offset, count, last, _ = word
                ctx.set(dut.source.payload, {"data": data, "offset": offset, "count": count, "last": last})
                ctx.set(dut.source.valid, 1)
                for _ in range(until):
                    _, _, taken, valid, leaving = await ctx.tick().sample(
                        dut.source.ready, dut.sink.valid, dut.sink.payload)
                    if after_cancel and valid:
                        got.append((leaving.data.to_bytes(8, "little")[:leaving.count], leaving.count,
                                    bool(leaving.last)))
                    if taken:
                        break
                ctx.set(dut.source.valid, 0)

            after_cancel = False
            for number, word in enumerate(source[:at]):
                ctx.set(dut.sink.ready, number % 2)
                await offer(word, 3)
            ctx.set(dut.cancel, 1)
            _, _, valid = await ctx.tick().sample(dut.sink.valid)
            assert not valid
            ctx.set(dut.cancel, 0)
            assert not ctx.get(dut.busy)
            ctx.set(dut.sink.ready, 1)
            after_cancel = True
            for word in after:
                await offer(word, 3)
            for _ in range(6):
                _, _, valid, leaving = await ctx.tick().sample(dut.sink.valid, dut.sink.payload)
                if valid:
                    got.append((leaving.data.to_bytes(8, "little")[:leaving.count], leaving.count,
                                bool(leaving.last)))

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()
        assert got == expected, at


@pytest.mark.parametrize("width", [32, 96, 1024, "64"])
def test_other_widths_are_rejected(width):
    with pytest.raises(ConfigError, match=r"data_width must be one of 64, 128, 256, 512, not "):
        ByteAligner(width)
