"""Random streams against the compiler's interpreter of beats, and results against their encoding."""

import numpy as np
import pytest
from phantom_compiler.packing import pack, unpack
from phantom_compiler.reference import interpret
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import result_layout
from phantom_sim.exactness import random_config
from phantom_sim.random_streams import StreamShape, random_streams
from phantom_sim.results import ResultError, decode_results, encode_results
from sim_configs import SMALL


@pytest.mark.parametrize("seed", range(25))
def test_streams_obey_the_rules_and_mean_their_sums(seed):
    config = random_config(np.random.default_rng(seed))
    streams = random_streams(config, seed)
    sums, products = interpret(config, streams.layer, streams.moving, streams.stationary, streams.tiles)
    np.testing.assert_array_equal(sums, streams.sums)
    assert products == streams.products.sum()


def test_streams_are_reproducible():
    first, second = (random_streams(SMALL["tiny"], 7) for _ in range(2))
    np.testing.assert_array_equal(first.moving, second.moving)
    np.testing.assert_array_equal(first.stationary, second.stationary)


@pytest.mark.parametrize(("shape", "message"), [
    (StreamShape(positions=25), r"positions must be in 1\.\.24, not 25"),
    (StreamShape(positions=20, tap_base=(0, 4, 5)), r"positions must be in 1\.\.19, not 20"),
    (StreamShape(outputs=65), r"outputs must be in \d+\.\.64, not 65"),
])
def test_impossible_shapes(shape, message):
    with pytest.raises(ValueError, match=message):
        random_streams(SMALL["tiny"], 1, shape)


@pytest.mark.parametrize("seed", range(20))
def test_results_round_trip(seed):
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    half = 1 << config.acc_width - 1
    shape = (int(rng.integers(1, 5)), config.pe_cols, int(rng.integers(1, config.acc_depth + 1)))
    sums = rng.integers(-half, half, shape) * (rng.random(shape) < rng.choice([0, 0.3, 1]))
    span = int(rng.integers(1, config.chunk + 1))
    words = encode_results(config, sums, span)
    np.testing.assert_array_equal(decode_results(config, words, shape[2], span), sums)


def test_encoding_by_hand():
    config = PhantomConfig(pe_cols=2, chunk=4, acc_depth=16)
    sums = np.array([[[7, 0, -1, 0, 5], [0, 0, 0, 0, 0]]])
    beats = unpack(result_layout(config), encode_results(config, sums, 4))
    assert beats["value"].tolist() == [7, (1 << 32) - 1, 0, 0, 5, 0]
    assert beats["nonzero"].tolist() == [1, 1, 0, 0, 1, 0]
    assert beats["last"].tolist() == [0, 0, 1, 1, 1, 1]
    assert beats["tile_last"].tolist() == [0, 0, 0, 0, 0, 1]
    assert beats["mask"].tolist() == [0, 0, 0b0101, 0, 0b1, 0]


@pytest.mark.parametrize(("change", "message"), [
    ({"last": [0, 0]}, "result beat 1: the stream ends within a chunk"),
    ({"tile_last": [0, 0]}, "tile_last is wrong"),
    ({"tile_last": [1, 1]}, "tile_last is wrong"),
    ({"mask": [0, 0b0001]}, "chunk 0: mask and number of values differ"),
    ({"mask": [0, 0b1001]}, "a mask has bits beyond its chunk"),
])
def test_contradictions_are_found(change, message):
    config = PhantomConfig(pe_cols=1, chunk=4, acc_depth=16)
    fields = {"value": [3, 4], "nonzero": [1, 1], "last": [0, 1], "tile_last": [0, 1], "mask": [0, 0b0011]}
    words = pack(result_layout(config), {name: np.array(value) for name, value in {**fields, **change}.items()})
    with pytest.raises(ResultError, match=message):
        decode_results(config, words, 3, 4)
