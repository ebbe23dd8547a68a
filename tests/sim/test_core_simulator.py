"""What the core simulator promises: timing of its ends, resets, records, and one clear line for each mistake."""

import numpy as np
import pytest
from phantom_compiler.packing import payload_words
from phantom_hw.core.layouts import layer_layout
from phantom_sim.core_simulator import CoreSimulator, SimulationError
from phantom_sim.exactness import compare, random_stalls
from phantom_sim.random_streams import StreamShape, random_streams
from phantom_sim.results import encode_results
from sim_configs import SMALL

CONFIG = SMALL["tiny"]
LAYER_BITS, LAYER_WORDS = layer_layout(CONFIG).size, payload_words(layer_layout(CONFIG))


@pytest.fixture(scope="module")
def streams():
    return random_streams(CONFIG, 5, StreamShape(tiles=4, rows=20, row_density=0.5, item_density=0.5))


def run(simulator, streams, **options):
    return simulator.run(streams.layer, streams.moving, streams.stationary, streams.tiles, **options)


def same(first, second):
    """Two runs gave the same in the same cycles."""
    return first.cycles == second.cycles and all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("results", "result_cycles", "busy_threads", "activity"))


def test_results_and_records(tiny, streams):
    plain = run(tiny, streams)
    total = run(tiny, streams, activity="total")
    traced = run(tiny, streams, activity="trace")
    for result in (plain, total, traced):
        np.testing.assert_array_equal(result.results, encode_results(CONFIG, streams.sums, streams.span))
        assert result.completed and result.tiles == streams.tiles
        assert (result.moving_sent, result.stationary_sent) == (len(streams.moving), len(streams.stationary))
        assert result.result_cycles[-1] == result.cycles - 1
    assert plain.busy_threads is None and plain.activity is None and total.activity is None
    np.testing.assert_array_equal(total.busy_threads, streams.products)
    assert traced.activity.shape == (traced.cycles, CONFIG.pes)
    np.testing.assert_array_equal(traced.activity.sum(axis=0), streams.products)


def test_stalls_change_no_value(tiny, streams):
    expected = encode_results(CONFIG, streams.sums, streams.span)
    cycles = set()
    for seed in range(10):
        stalls = random_stalls(np.random.default_rng(seed), len(streams.moving), len(streams.stationary))
        result = run(tiny, streams, moving_gaps=stalls.moving_gaps, stationary_gaps=stalls.stationary_gaps,
                     result_ready=stalls.result_ready)
        np.testing.assert_array_equal(result.results, expected, err_msg=f"seed {seed}")
        cycles.add(result.cycles)
    assert len(cycles) > 5


def test_a_gap_before_the_first_beats_delays_everything(tiny, streams):
    plain = run(tiny, streams, activity="trace")
    moving, stationary = np.zeros(len(streams.moving), int), np.zeros(len(streams.stationary), int)
    moving[0] = stationary[0] = 123
    late = run(tiny, streams, moving_gaps=moving, stationary_gaps=stationary, activity="trace")
    assert late.cycles == plain.cycles + 123
    np.testing.assert_array_equal(late.result_cycles, plain.result_cycles + 123)
    np.testing.assert_array_equal(late.activity[123:], plain.activity)
    assert not late.activity[:123].any()


def test_ready_follows_its_pattern(tiny, streams):
    ready = np.zeros(7, bool)
    ready[3] = True
    result = run(tiny, streams, result_ready=ready)
    assert set(result.result_cycles % 7) == {3}


def test_runs_follow_each_other_without_reset(tiny, streams):
    first = run(tiny, streams, activity="trace")
    for seed in range(3):
        other = random_streams(CONFIG, seed)
        assert not compare(tiny, other, reset=False)[0], f"seed {seed}"
        assert same(run(tiny, streams, activity="trace", reset=False), first)


def test_reset_in_a_run_leaves_no_trace(tiny, streams):
    first = run(tiny, streams, activity="trace")
    rng = np.random.default_rng(3)
    for number, reset_at in enumerate([0, 1, first.cycles - 1, *rng.integers(2, first.cycles, 20).tolist()]):
        other = random_streams(CONFIG, 1000 + number, StreamShape(tiles=9, rows=40))
        ready = rng.random(11) < 0.5
        ready[0] = True
        broken = run(tiny, other, reset_at=reset_at, result_ready=ready)
        assert not broken.completed and broken.cycles == reset_at
        assert same(run(tiny, streams, activity="trace", reset=False), first), f"reset in cycle {reset_at}"


def test_progress_is_reported(tiny):
    long = random_streams(CONFIG, 1, StreamShape(tiles=400, rows=40))
    seen = []
    result = run(tiny, long, progress=lambda cycles, tiles: seen.append((cycles, tiles)))
    assert seen[0][0] == 20_000 and seen[-1] == (result.cycles, 400)
    assert seen == sorted(seen)


def test_instances_are_independent(tiny, streams):
    with CoreSimulator(CONFIG) as other:
        first = run(tiny, streams)
        run(other, streams, reset_at=50)
        assert run(other, streams).cycles == first.cycles
    with pytest.raises(SimulationError, match="the simulator is closed"):
        run(other, streams)


def test_lost_items_name_the_stream_that_waits(tiny, streams):
    with pytest.raises(SimulationError, match=r"nothing moved for 300 cycles; stuck: moving beat \d+ of \d+; result"):
        tiny.run(streams.layer, streams.moving, streams.stationary[:1], streams.tiles, stall_limit=300)


def test_lost_rows_name_the_stream_that_waits(tiny, streams):
    with pytest.raises(SimulationError, match=r"stuck: stationary beat \d+ of \d+; .* 0 of 4 tiles"):
        tiny.run(streams.layer, streams.moving[:3], streams.stationary, streams.tiles, stall_limit=300)


def test_a_tile_too_many_is_noticed(tiny, streams):
    with pytest.raises(SimulationError, match=r"all beats were sent; .* 4 of 5 tiles done"):
        tiny.run(streams.layer, streams.moving, streams.stationary, streams.tiles + 1, stall_limit=300)


def test_a_beat_too_many_is_noticed(tiny, streams):
    moving = np.vstack([streams.moving, streams.moving])
    with pytest.raises(SimulationError, match=r"all 4 tiles ended in cycle \d+, left: moving beat \d+ of \d+"):
        tiny.run(streams.layer, moving, streams.stationary, streams.tiles)


def test_max_cycles(tiny, streams):
    with pytest.raises(SimulationError, match=r"^cycle 50: not finished after 50 cycles; stuck: moving beat"):
        run(tiny, streams, max_cycles=50)


@pytest.mark.parametrize(("change", "message"), [
    ({"moving": np.zeros((3, 1), int)}, r"moving must have shape \(beats, 3\), not \(3, 1\)"),
    ({"stationary": np.zeros(3, int)}, r"stationary must have shape \(beats, 3\), not \(3,\)"),
    ({"layer": np.zeros((2, LAYER_WORDS), int)}, "layer must be one payload, not 2"),
    ({"layer": np.full((1, LAYER_WORDS), 1 << 31)}, rf"layer has bits beyond its payload of {LAYER_BITS} bits"),
    ({"tiles": 0}, "tiles must be at least 1, not 0"),
    ({"activity": "all"}, "activity must be one of none, total, trace, not 'all'"),
    ({"moving_gaps": [1]}, r"moving_gaps must have shape \(\d+,\), not \(1,\)"),
    ({"result_ready": [False]}, "result_ready must be one-dimensional and not always 0"),
])
def test_mistakes_are_one_line(tiny, streams, change, message):
    arguments = {name: getattr(streams, name) for name in ("layer", "moving", "stationary", "tiles")}
    with pytest.raises(ValueError, match=f"^{message}$"):
        tiny.run(**{**arguments, **change})


@pytest.mark.verify
def test_coverage_and_trace_are_written(streams, tmp_path):
    with CoreSimulator(SMALL["sliding"], coverage=True, trace=tmp_path / "run.vcd") as simulator:
        assert not compare(simulator, random_streams(simulator.config, 1))[0]
        path = simulator.coverage_path
    assert "SystemC::Coverage" in path.read_text(errors="replace").splitlines()[0]
    path.unlink()
    assert (tmp_path / "run.vcd").read_text().startswith("$version")
