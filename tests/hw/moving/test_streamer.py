"""The row streamer against a model in NumPy: random rows of random parts, and how fast they come."""

import gc
from dataclasses import replace

import numpy as np
import pytest
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import component_verilog
from phantom_hw.moving.streamer import RowStreamer
from stream_bench import StreamBench
from streamer_bench import Settings, StreamerTop, Work

CONFIGS = {
    "tiny": replace(PhantomConfig.preset("tiny"), moving_words=32),
    "ulx3s": replace(PhantomConfig.preset("ulx3s"), moving_words=64),
    "paper": replace(PhantomConfig.preset("paper"), moving_words=32),
    "icebreaker": replace(PhantomConfig.preset("icebreaker"), moving_words=256),
    "link 1": PhantomConfig(moving_link=1, row_width=5, chunk=4, threads=1, group=1, lookahead=4, moving_words=16,
                            pe_rows=1, pe_cols=1),
    "link 2": PhantomConfig(moving_link=2, row_width=14, chunk=13, threads=2, group=2, lookahead=6, act_width=4,
                            weight_width=4, moving_words=32, mesh_cols=3),
    "link 4": PhantomConfig(moving_link=4, row_width=4, threads=4, group=5, lookahead=20, act_width=16, weight_width=4,
                            moving_words=16),
    "link 16": PhantomConfig(moving_link=16, row_width=48, threads=2, group=1, lookahead=3, chunk=40, moving_words=16),
    "link 32": PhantomConfig(moving_link=32, row_width=256, threads=4, group=8, lookahead=16, chunk=64,
                             act_width=4, weight_width=4, moving_words=16),
    "masks": PhantomConfig(moving_link=8, row_width=16, threads=2, group=1, lookahead=2, chunk=16, moving_words=16),
    "long": PhantomConfig(moving_link=2, row_width=256, threads=3, group=4, lookahead=4, chunk=64, moving_words=64),
}


@pytest.fixture(autouse=True)
def collect():
    """The simulator's cycles of references are large; free them before they pile up."""
    yield
    gc.collect()


def run(work: Work, seed: int, stall: float) -> StreamBench:
    """Do the work and compare the packets."""
    dut = StreamerTop(work.config)
    bench = StreamBench(dut, seed, stall)
    bench.feed("jobs", work.jobs)
    got = bench.collect("moving", len(work.packets))

    async def idle(ctx):
        assert ctx.get(dut.idle)
        assert not ctx.get(dut.early)

    bench.run(1000 + 20 * (len(work.jobs) * (1 + work.config.row_width // work.config.moving_link)
                           + len(work.packets)), idle)
    assert len(got) == len(work.packets)
    assert got == work.packets
    return bench


def random_work(config: PhantomConfig, seed: int, layers: int, rows: int) -> Work:
    work = Work(config, np.random.default_rng(seed))
    for _ in range(layers):
        work.set(work.random_settings())
        work.random_patterns()
        work.fill(float(work.rng.choice([0.2, 0.6, 1.0])))
        work.random_rows(rows)
        if work.flat.size:  # a row is not left behind
            work.part(0, cols=[0] * config.mesh_cols)
    return work


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", CONFIGS)
def test_equals_numpy(name, stall):
    seed = 10 * list(CONFIGS).index(name) + round(stall)
    run(random_work(CONFIGS[name], seed, 3, 12), seed, stall)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(100, 104))
@pytest.mark.parametrize("name", CONFIGS)
def test_equals_numpy_at_length(name, seed):
    run(random_work(CONFIGS[name], seed, 8, 25), seed, seed % 4 / 5)


def steady(config: PhantomConfig, settings: Settings, parts: int, rows: int) -> float:
    """Cycles a row in the steady state, when descriptors are always there and the link is always ready."""
    work = Work(config, np.random.default_rng(1))
    work.set(settings)
    work.fill(0.5)
    for row in range(rows * parts):
        work.part(int(work.rng.integers(config.moving_positions)), last=row % parts == parts - 1,
                  cols=[1] * config.mesh_cols)
    bench = run(work, 1, 0.0)
    begun = bench.times["moving"][::settings.beats]
    assert len(begun) == rows
    return (begun[-1] - begun[9]) / (rows - 10)


@pytest.mark.parametrize(("name", "lengths", "parts", "beats"), [
    ("ulx3s", [10, 9, 9], 1, 4), ("ulx3s", [8], 1, 1), ("ulx3s", [3], 1, 1), ("ulx3s", [5, 1, 8], 1, 1),
    ("ulx3s", [32], 1, 4), ("ulx3s", [9], 3, 4), ("ulx3s", [7], 1, 3), ("ulx3s", [32], 2, 1),
    ("paper", [58], 1, 4), ("paper", [16], 1, 1), ("paper", [14, 14, 14], 1, 3), ("tiny", [24], 1, 3),
    ("icebreaker", [24], 1, 24), ("icebreaker", [1], 1, 1), ("icebreaker", [2, 2, 3], 1, 1),
    ("link 32", [256], 1, 8), ("link 32", [32, 2], 1, 2), ("long", [256], 1, 128), ("long", [2], 1, 1),
])
def test_a_row_takes_its_reads_or_its_beats(name, lengths, parts, beats):
    config = CONFIGS[name]
    assert beats <= config.max_beats
    pad = [1] * (config.threads - len(lengths))
    settings = Settings(len(lengths), beats, lengths + pad, [0] * config.threads,
                        [17 * p for p in range(config.threads)])
    reads = parts * sum(-(-length // config.moving_link) for length in lengths)
    assert steady(config, settings, parts, 20 if name == "long" and beats > 1 else 60) == max(reads, beats)


@pytest.mark.parametrize("name", ["ulx3s", "paper", "link 4", "long", "link 32"])
def test_latency(name):
    """The first packet comes so many cycles after the part."""
    config = CONFIGS[name]
    work = Work(config, np.random.default_rng(1))
    work.set(Settings(1, 1, [1] * config.threads, [0] * config.threads, [0] * config.threads))
    work.part(0, cols=[1] * config.mesh_cols)
    times = run(work, 1, 0.0).times
    assert times["moving"][0] - times["jobs"][-1] == RowStreamer.latency(config)


def test_rows_of_both_kinds_take_turns():
    """Rows of many reads and one packet between rows of one read and many packets: the larger sum counts."""
    config = CONFIGS["ulx3s"]
    work = Work(config, np.random.default_rng(1))
    work.set(Settings(1, 4, [config.moving_link, 1, 1], [0, 0, 0], [0, 0, 0]))  # a part is one read
    work.fill(0.5)
    rows = 40
    for _ in range(rows):
        work.part(int(work.rng.integers(config.moving_positions)), cols=[1, 0])
        for part in range(4):
            work.part(int(work.rng.integers(config.moving_positions)), last=part == 3, cols=[0, 1])
    times = run(work, 1, 0.0).times["moving"]
    assert times[-1] - times[8] == len(times) - 9  # both kinds have 4 packets, which follow each other


def test_an_overfull_row_ends_with_its_last_word():
    """Packets behind it have no values, whatever the read that went beyond the row brought."""
    config = CONFIGS["masks"]
    work = Work(config, np.random.default_rng(1))
    work.set(Settings(2, config.max_beats, [12, 8], [0, 1], [0, 12]))
    work.fill(1.0)
    for _ in range(20):
        work.part(int(work.rng.integers(config.moving_positions)), cols=[1])
    run(work, 1, 0.0)


def test_a_short_row_takes_a_cycle():
    """Its planes are not walked through."""
    config = CONFIGS["ulx3s"]
    work = Work(config, np.random.default_rng(1))
    work.set(Settings(3, 4, [10, 10, 10], [0, 1, 2], [0, 0, 0]))
    for _ in range(30):
        work.part(0, short=True, cols=[1, 1])
    times = run(work, 1, 0.0).times["moving"]
    assert times[-1] - times[0] == len(times) - 1


def test_bad_settings_do_not_hang():
    """No planes, no beats, planes without values: rows come out all the same."""
    config = CONFIGS["tiny"]
    work = Work(config, np.random.default_rng(1))
    work.set(Settings(3, 2, [0, 0, 0], [0, 0, 0], [0, 0, 0]))
    for _ in range(5):
        work.part(3, cols=[1, 1])
    settings = Settings(0, 0, [1, 1, 1], [0, 0, 0], [0, 0, 0])
    work.set(settings)
    work.settings = replace(settings, planes=1, beats=1)
    for _ in range(5):
        work.part(3, cols=[1, 1])
    run(work, 1, 0.2)


@pytest.mark.parametrize("name", ["ulx3s", "link 1", "link 32", "long"])
def test_verilog_passes_lint(name, lint):
    lint(component_verilog(RowStreamer(CONFIGS[name]), "phantom_row_streamer"), "phantom_row_streamer")
