"""The RTL of a core against sums, products and the cycle model, on random streams and random layers."""

import numpy as np
import pytest
from phantom_compiler import lower
from phantom_compiler.random_layers import KINDS, random_layer
from phantom_hw.config import PhantomConfig
from phantom_sim.core_simulator import CoreSimulator
from phantom_sim.exactness import Stalls, compare, from_program, random_config, random_stalls
from phantom_sim.random_streams import StreamShape, random_streams
from phantom_sim.results import decode_results
from sim_configs import SMALL


def streams_of(config, seed):
    """Random streams of a random size."""
    rng = np.random.default_rng([seed, 1])
    shape = StreamShape(tiles=int(rng.integers(1, 6)), rows=int(rng.integers(0, 30)), items=int(rng.choice([1, 3, 12])),
                        multicast=float(rng.choice([0.3, 0.9])))
    return random_streams(config, seed, shape), rng


def check_streams(simulator, seeds):
    """Without stalls and with, with a reset before and without."""
    for seed in seeds:
        streams, rng = streams_of(simulator.config, seed)
        stalls = random_stalls(rng, len(streams.moving), len(streams.stationary))
        for case, reset in ((Stalls(), seed % 2 == 0), (stalls, seed % 3 == 0)):
            differences, _ = compare(simulator, streams, case, reset=reset)
            assert not differences, f"{simulator.config}, seed {seed}: {differences}"


def sums_of(program, golden):
    """The sums of each tile from the layer's accumulators."""
    flat = np.append(golden.ravel(), 0)  # index -1: belongs to no output
    return flat[program.out_index]


def check_layer(simulator, kind, seed, cycles=(100, 1000)):
    """A random layer, lowered, without stalls and with."""
    config = simulator.config
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    layer, activations = random_layer(rng, config, kind, cycles=cycles)
    program = lower(layer, activations, config)
    golden = layer.golden(activations)
    streams = from_program(program, sums_of(program, golden))
    stalls = random_stalls(rng, len(streams.moving), len(streams.stationary))
    for case in (Stalls(), stalls):
        differences, run = compare(simulator, streams, case)
        assert not differences, f"{kind}, seed {seed}: {differences}"
        assembled = program.assemble(decode_results(config, run.results, program.outputs, program.span))
        np.testing.assert_array_equal(assembled, golden)


@pytest.mark.parametrize("name", SMALL)
def test_random_streams(simulator_of, name):
    check_streams(simulator_of(SMALL[name]), range(30))


@pytest.mark.parametrize("kind", KINDS)
def test_random_layers(tiny, kind):
    check_layer(tiny, kind, seed=1)


@pytest.mark.verify
@pytest.mark.parametrize("name", SMALL)
def test_many_random_streams(simulator_of, name):
    check_streams(simulator_of(SMALL[name]), range(1000, 1400))


@pytest.mark.verify
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [name for name in SMALL if name != "short_rows"])
def test_many_random_layers(simulator_of, name, kind):
    for seed in range(2, 6):
        check_layer(simulator_of(SMALL[name]), kind, seed, cycles=(200, 4000))


@pytest.mark.verify
@pytest.mark.parametrize("number", range(24))
def test_random_configurations(number):
    config = random_config(np.random.default_rng([2, number]))
    with CoreSimulator(config) as simulator:
        check_streams(simulator, range(40))


@pytest.mark.verify
@pytest.mark.parametrize("preset", PhantomConfig.presets())
def test_presets(simulator_of, preset):
    check_streams(simulator_of(PhantomConfig.preset(preset)), range(60))
