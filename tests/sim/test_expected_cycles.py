"""What the compiler expects layers to take is near what the cycle model of the accelerator counts."""

import numpy as np
import pytest
from phantom_compiler.accelerator.network import INPUT, Node, golden_values, network_job
from phantom_compiler.accelerator.vector_layers import MaxPool2d, Window
from phantom_compiler.convolution import Conv2d
from phantom_hw.config import PhantomConfig
from phantom_sim.accelerator_cycles import accelerator_cycles
from phantom_sim.accelerator_exactness import quantize_at_random
from phantom_sim.memory_model import MemoryModel

LATENCY = {"paper": 100, "ulx3s": 8}
"""Cycles that the bursts which a configuration has under way can hide."""
SHAPES = {"paper": (1, 48, 56, 56), "ulx3s": (1, 48, 20, 20)}
LAYERS = {"wide": (96, 48, 3, 3, 1), "each": (96, 1, 3, 3, 96), "point": (64, 96, 1, 1, 1)}
"""Filters, channels of a filter, kernel, groups."""


@pytest.mark.parametrize("preset", SHAPES)
def test_expected_cycles(preset):
    config, shape, seed = PhantomConfig.preset(preset), SHAPES[preset], 12
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    activations = rng.integers(0, 256, shape) * (rng.random(shape) < 0.4)
    nodes, values, last, signed = [], activations, INPUT, False
    for name, (filters, channels, height, width, groups) in LAYERS.items():
        weights = rng.integers(-127, 128, (filters, channels, height, width))
        weights *= rng.random(weights.shape) < 0.35
        layer = Conv2d(weights, name=name, padding=(height // 2,) * 4, groups=groups,
                       act_signed=signed)
        quantized = quantize_at_random(layer, values, config, rng)
        signed = quantized.lo < 0
        nodes.append(Node(quantized, (last,), signed, float(np.count_nonzero(values) / values.size)))
        values, last = nodes[-1].golden(values), len(nodes) - 1
    nodes.append(Node(MaxPool2d("pool", window=Window(kernel=(2, 2), stride=(2, 2))), (last,), signed))
    job = network_job(nodes, shape, False, config)
    found = accelerator_cycles(job, activations, golden_values(nodes, activations),
                               MemoryModel(job.image.base + job.image.size, LATENCY[preset], 1.0))
    ratios = {node.name: cycles / layer.cycles
              for node, cycles, layer in zip(nodes, job.cycles, found.layers, strict=True)}
    print(ratios)
    assert all(0.6 < ratio < 1.5 for ratio in ratios.values())
    assert 0.8 < sum(job.cycles) / found.cycles < 1.25
