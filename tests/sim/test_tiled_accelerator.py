"""The accelerator with its mesh put together from Verilated tiles is the accelerator, cycle for cycle."""

from dataclasses import replace

import numpy as np
import pytest
from phantom_compiler.accelerator.job import layer_job
from phantom_compiler.accelerator.source import as_images
from phantom_compiler.random_layers import random_layer
from phantom_hw import PhantomConfig
from phantom_sim.accelerator_exactness import compare_job, golden_result, quantize_at_random
from phantom_sim.accelerator_simulator import AcceleratorSimulator

CONFIG = replace(PhantomConfig.preset("tiny"), mesh_rows=2)


@pytest.fixture(scope="module")
def simulators():
    """The whole accelerator; tiles in one thread; tiles in more threads than the machine may have; tiles in lanes."""
    opened = [AcceleratorSimulator(CONFIG, tiled=False), *(
        AcceleratorSimulator(CONFIG, tiled=True, threads=threads, lanes=lanes)
        for threads, lanes in ((1, 0), (3, 0), (1, 4), (2, 4)))]
    yield opened
    for simulator in opened:
        simulator.close()


@pytest.mark.parametrize("kind", ["conv3x3", "matmul"])
@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_same_job(simulators, kind, stall):
    seed = 21
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    layer, activations = random_layer(rng, CONFIG, kind, (200, 1500))
    quantized = quantize_at_random(layer, activations, CONFIG, rng)
    job = layer_job(quantized, activations, CONFIG)
    expected, activations = golden_result(quantized, activations), as_images(layer, activations)
    for simulator in simulators:
        simulator.reset()
    found = [compare_job(simulator, job, activations, expected, stall=stall, seed=seed) for simulator in simulators]
    whole, *tiled = found
    assert whole.differences == []
    for one in tiled:
        assert one.differences == [] and one.result == whole.result


def test_same_cycles_when_a_job_is_aborted(simulators):
    rng = np.random.default_rng(22)
    layer, activations = random_layer(rng, CONFIG, "conv3x3", (200, 1500))
    quantized = quantize_at_random(layer, activations, CONFIG, rng)
    job = layer_job(quantized, activations, CONFIG)
    expected, activations = golden_result(quantized, activations), as_images(layer, activations)
    for simulator in simulators:
        simulator.reset()
    stopped = [compare_job(simulator, job, activations, expected, abort_after=900).result for simulator in simulators]
    assert stopped[0].status.name == "ABORTED" and stopped[1:] == stopped[:1] * 4
    for simulator in simulators:  # and nothing of it is left in the mesh
        assert compare_job(simulator, job, activations, expected).differences == []
