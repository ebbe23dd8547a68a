"""The cocotb bench of a core: independent of the C++ harness, with the same values and cycles."""

from dataclasses import replace

import numpy as np
import pytest
from phantom_compiler import lower
from phantom_compiler.random_layers import KINDS, random_layer
from phantom_sim.cosim import CosimError, build_cosim, case_of, load_batch, run_core_bench, save_batch
from phantom_sim.exactness import from_program, random_stalls
from phantom_sim.random_streams import StreamShape, random_streams
from sim_configs import SMALL

CONFIG = SMALL["tiny"]


def layer_case(kind, seed, cycles):
    """A lowered random layer with random stalls."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    layer, activations = random_layer(rng, CONFIG, kind, cycles=cycles)
    program = lower(layer, activations, CONFIG)
    sums = np.append(layer.golden(activations).ravel(), 0)[program.out_index]
    streams = from_program(program, sums)
    return case_of(CONFIG, streams, random_stalls(rng, len(streams.moving), len(streams.stationary)))


def stream_case(seed):
    streams = random_streams(CONFIG, seed, StreamShape(tiles=2, rows=8))
    return case_of(CONFIG, streams, random_stalls(
        np.random.default_rng(seed), len(streams.moving), len(streams.stationary)))


@pytest.mark.xdist_group("cosim")
def test_streams_and_layers():
    cases = [stream_case(seed) for seed in range(3)]
    cases += [layer_case(kind, 1, (50, 200)) for kind in ("conv3x3_s2", "depthwise", "fully_connected")]
    assert run_core_bench(CONFIG, cases) == 2


@pytest.mark.xdist_group("cosim")
def test_differences_are_found():
    case = stream_case(4)
    late = case.result_cycles.copy()
    late[-1] += 1
    with pytest.raises(CosimError, match=r"case 0: \d+ cycles, the model has \d+.*: see .*run\.log$"):
        run_core_bench(CONFIG, [replace(case, result_cycles=late)])
    wrong = case.results.copy()
    wrong[0, 0] ^= 1
    with pytest.raises(CosimError, match=r"case 0: values differ.*: see .*run\.log$"):
        run_core_bench(CONFIG, [replace(case, results=wrong)])


def test_a_broken_design_names_the_log(tmp_path):
    with pytest.raises(CosimError, match=r"^cannot build top for cocotb .*: see .*build\.log$"):
        build_cosim("module top(; endmodule", "top", ["clk"], tmp_path)


def test_batches_round_trip(tmp_path):
    case = stream_case(1)
    save_batch(tmp_path / "batch.npz", CONFIG, [case, case])
    config, (first, second) = load_batch(tmp_path / "batch.npz")
    assert config == CONFIG
    for name in case.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(first, name), getattr(case, name))
        np.testing.assert_array_equal(getattr(second, name), getattr(case, name))


@pytest.mark.verify
@pytest.mark.xdist_group("cosim")
def test_every_kind_of_layer():
    assert run_core_bench(CONFIG, [layer_case(kind, 2, (200, 1500)) for kind in KINDS]) == 2
