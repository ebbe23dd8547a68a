"""Slices of layers: chosen, lowered and run on RTL against the golden model."""

from dataclasses import replace

import numpy as np
import pytest
from phantom_compiler import Conv2d, FullyConnected, Selection
from phantom_compiler.frontend import Convolution, FloatNetwork, FloatNode
from phantom_compiler.quantization import quantized_layers
from phantom_compiler.reference import interpret
from phantom_hw.config import PhantomConfig
from phantom_sim.core_simulator import CoreSimulator

from phantom.demo_network import fully_connected_values
from phantom.demo_run import choose_slice, prepare_layer, run_layer

TINY = PhantomConfig.preset("tiny")


def values_of(layer, shape=(1, 6, 20, 17), seed=0, density=0.5):
    rng = np.random.default_rng(seed)
    x = (rng.random(shape) * (rng.random(shape) < 0.6)).astype(np.float32)
    network = FloatNetwork("one", (FloatNode(layer, (-1,)),), shape, (0,))
    return next(quantized_layers(network, x, TINY, densities=[density]))


def convolution(filters=12, channels=6, kernel=3, seed=1, **options):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(filters, channels, kernel, kernel)).astype(np.float32)
    return Convolution("conv", weights, rng.normal(size=filters).astype(np.float32), low=0.0, **options)


CONV = values_of(convolution(padding=(1, 1, 1, 1)))
STRIDED = values_of(convolution(stride=(2, 2), padding=(1, 0, 1, 2)))
POINTWISE = values_of(convolution(kernel=1))
DENSE = fully_connected_values(values_of(Convolution(
    "dense", np.random.default_rng(2).normal(size=(40, 10, 3, 3)).astype(np.float32), np.zeros(40, np.float32)),
    shape=(2, 10, 3, 3)))


@pytest.mark.parametrize("values", [CONV, STRIDED, POINTWISE, DENSE], ids=["conv", "strided", "pointwise", "dense"])
@pytest.mark.parametrize("cycles", [1, 300, 1500, 10**9])
def test_a_slice_has_the_size_asked_for_and_gives_the_golden_sums(values, cycles):
    prepared = prepare_layer(1, values, TINY, cycles)
    program, layer = prepared.program, values.quantized.layer
    results, products = interpret(TINY, *prepared.words, program.tiles)
    np.testing.assert_array_equal(
        program.assemble(results), layer.selected(values.accumulators, prepared.select))
    assert products == program.effectual_macs
    if cycles == 10**9:
        assert prepared.select == Selection()
    else:
        assert prepared.model_cycles < max(1.7 * cycles, 2000)


@pytest.mark.parametrize(("cycles", "rows", "filters"), [(10**9, 20, 12), (3000, (2, 14), 12), (100, 1, (2, 8))])
def test_slices_come_from_the_middle(cycles, rows, filters):
    layer = CONV.quantized.layer
    select = choose_slice(layer, CONV.activations, TINY, cycles)
    for chosen, wanted, size in ((select.rows, rows, 20), (select.channels, filters, 12)):
        start, stop = chosen or (0, size)
        assert abs(start - (size - stop)) <= 1
        if isinstance(wanted, tuple):
            assert wanted[0] <= stop - start <= wanted[1]
        else:
            assert stop - start == wanted


def test_grouped_convolutions_keep_whole_groups():
    values = values_of(convolution(channels=1, groups=6))
    assert choose_slice(values.quantized.layer, values.activations, TINY, 1).channels is None


@pytest.fixture(scope="module")
def simulator():
    with CoreSimulator(TINY) as core:
        yield core


@pytest.mark.xdist_group("tiny")
@pytest.mark.parametrize("values", [CONV, POINTWISE, DENSE], ids=["conv", "pointwise", "dense"])
def test_the_rtl_gives_the_golden_sums_in_the_models_cycles(simulator, values):
    steps = []
    result = run_layer(simulator, prepare_layer(3, values, TINY, 2000), lambda *now: steps.append(now))
    assert result.difference == "" and result.bit_exact and result.model_exact
    assert result.cycles == result.model_cycles == steps[-1][0]
    assert result.thread_utilization == result.effectual_macs / (TINY.core_threads * result.cycles) < 1
    assert result.dense_speedup == pytest.approx(
        result.thread_utilization * result.dense_macs / result.effectual_macs)
    bins = np.minimum(result.bin_cycles, result.cycles - np.arange(len(result.occupancy)) * result.bin_cycles)
    assert (result.occupancy * bins).sum() * TINY.core_threads == pytest.approx(result.effectual_macs)
    assert result.kind == ("convolution" if isinstance(values.quantized.layer, Conv2d) else "fully connected")


def test_densities_are_those_of_the_slice(simulator):
    activations = np.zeros_like(CONV.activations)
    activations[:, :, 8:12] = 1  # what the rows 9 and 10 read
    weights = CONV.quantized.layer.weights.copy()
    weights[4:8] = 1
    layer = replace(CONV.quantized.layer, weights=weights)
    values = replace(CONV, quantized=replace(CONV.quantized, layer=layer), activations=activations,
                     accumulators=layer.golden(activations))
    prepared = prepare_layer(1, values, TINY, 100)
    assert prepared.select.rows in ((9, 10), (10, 11))
    result = run_layer(simulator, prepared)
    assert result.activation_density == 1
    first, last = prepared.select.channels
    assert result.weight_density == pytest.approx(np.mean(weights[first:last] != 0))
    assert result.slice == f"row {prepared.select.rows[0]} of 20, filters {first}-{last - 1} of 12"


@pytest.mark.xdist_group("tiny")
def test_a_wrong_sum_is_named_by_its_place_in_the_layer(simulator):
    prepared = prepare_layer(1, CONV, TINY, 100)
    row, channel = prepared.select.rows[0], prepared.select.channels[0] + 1
    wrong = CONV.accumulators.copy()
    wrong[0, channel, row, 5] += 1
    result = run_layer(simulator, replace(prepared, values=replace(CONV, accumulators=wrong)))
    right = int(CONV.accumulators[0, channel, row, 5])
    assert not result.bit_exact
    assert result.difference.startswith(
        f"element [0, {channel}, {row}, 5] is {right}, the golden model says {right + 1} (1 of ")


@pytest.mark.xdist_group("tiny")
def test_a_wrong_cycle_is_named(simulator):
    prepared = prepare_layer(1, DENSE, TINY, 1000)
    result = run_layer(simulator, replace(prepared, model_cycles=prepared.model_cycles + 1))
    assert result.bit_exact and not result.model_exact
    assert result.difference == (f"the RTL took {prepared.model_cycles} cycles, the cycle model says "
                                 f"{prepared.model_cycles + 1}")
    occupancy = prepared.model_occupancy.copy()
    occupancy[7, 1] += 1
    result = run_layer(simulator, replace(prepared, model_occupancy=occupancy))
    assert result.difference == "the busy threads in cycle 7 are not the cycle model's"
    program = replace(prepared.program, effectual_macs=prepared.program.effectual_macs + 1)
    assert "are effectual" in run_layer(simulator, replace(prepared, program=program)).difference


def test_fully_connected_slices_are_neurons():
    assert isinstance(DENSE.quantized.layer, FullyConnected)
    select = choose_slice(DENSE.quantized.layer, DENSE.activations, TINY, 100)
    assert select.rows is None and select.channels is not None
