"""Networks with concatenations, upsampling and transposed convolutions on the Verilated accelerator."""

import sys
from pathlib import Path

import numpy as np
import pytest
from accelerator_cases import CONFIGS, Case, check, random_memory
from phantom_compiler.accelerator.network import INPUT, Node, golden_values, network_job
from phantom_compiler.accelerator.program import compile_program
from phantom_compiler.accelerator.program_file import read_program, write_program
from phantom_compiler.accelerator.vector_layers import Upsample2d
from phantom_compiler.layer import LayerError
from phantom_compiler.quantization import quantize_network
from phantom_sim.accelerator_simulator import AcceleratorSimulator
from phantom_sim.network_run import run_golden, run_rtl

sys.path.append(str(Path(__file__).parents[1] / "compiler"))
from networks_of_parts import NETWORKS


@pytest.fixture(scope="module")
def simulator():
    with AcceleratorSimulator(CONFIGS["row"]) as opened:
        yield opened


def check_network(simulator, name, seed, path, images=1):
    """From a file, with tensors that share memory; every layer's output is compared."""
    print(f"seed {seed}")
    config, network = simulator.config, NETWORKS[name](seed, images)
    real = np.random.default_rng(seed).normal(size=network.shape).astype(np.float32)
    quantized = quantize_network(network, real, config)
    write_program(compile_program(quantized, config, base=640), path)
    program, activations = read_program(path), quantized.quantize_input(real)
    rtl = run_rtl(program, activations, simulator=simulator)
    assert rtl.difference == "" and rtl.compared == len(network.nodes)
    assert np.array_equal(rtl.values[0], run_golden(program, activations).values[0])
    assert np.count_nonzero(rtl.values[0]) > 0.05 * rtl.values[0].size


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(simulator, tmp_path, name):
    check_network(simulator, name, 0, tmp_path / "x.phantom")


def check_upsampling(simulator, seed, count):
    """Of random sizes, formats of the output and memories; nothing outside of the output is written."""
    print(f"seed {seed}")
    config, rng, done = simulator.config, np.random.default_rng(seed), 0
    while done < count:
        shape = tuple(int(one) for one in (rng.integers(1, 3), *rng.integers(1, 14, 3)))
        signed, factor = bool(rng.integers(2)), (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
        half = 1 << config.act_width - 1
        x = rng.integers(-half, half, shape) if signed else rng.integers(0, 2 * half, shape)
        x[rng.random(shape) < rng.choice([0.0, 0.5, 0.9])] = 0
        nodes = [Node(Upsample2d("up", factor=factor), (INPUT,), signed)]
        try:
            job = network_job(nodes, shape, signed, config, 64 * int(rng.integers(100)))
        except LayerError:
            continue
        expected = golden_values(nodes, x)
        assert np.array_equal(expected[0], x.repeat(factor[0], axis=2).repeat(factor[1], axis=3))
        check(simulator, Case(job, x, expected), memory=random_memory(rng))
        done += 1


def test_upsampling(simulator):
    check_upsampling(simulator, 1, 8)


def test_upsampling_of_long_rows(simulator):
    """More positions than a load has phases."""
    x = np.random.default_rng(2).integers(0, 256, (1, 1, 2, 300))
    nodes = [Node(Upsample2d("up", factor=(2, 2)), (INPUT,), False)]
    check(simulator, Case(network_job(nodes, x.shape, False, simulator.config), x, golden_values(nodes, x)))


@pytest.mark.verify
@pytest.mark.parametrize("name", CONFIGS)
def test_many(tmp_path, name):
    with AcceleratorSimulator(CONFIGS[name]) as opened:
        for network in NETWORKS:
            for seed in range(1, 6):
                check_network(opened, network, seed, tmp_path / "x.phantom", images=1 + seed % 2)
        for seed in range(10, 16):
            check_upsampling(opened, seed, 10)
