"""Random networks: imported, quantized and lowered, against ONNX Runtime."""

from collections import Counter
from dataclasses import replace

import numpy as np
import phantom_golden as golden
import pytest
from onnx_models import float_model, run_float, runtime
from phantom_compiler.accelerator.network import INPUT, network_job
from phantom_compiler.accelerator.vector_layers import Add, Concat, Upsample2d
from phantom_compiler.frontend import read_model
from phantom_compiler.layer import LayerError
from phantom_compiler.quantization import quantize_network
from phantom_compiler.random_networks import CHANNELS, LAYERS, SIZE, random_float_network, random_network
from phantom_compiler.transposed import TransposedConv2d
from phantom_hw.config import PhantomConfig

TINY = PhantomConfig.preset("tiny")
FINE = replace(TINY, act_width=16, weight_width=16, acc_width=48)
NARROW = replace(TINY, act_width=4, weight_width=4, acc_width=20)


def float_case(seed):
    rng = np.random.default_rng(seed)
    network = random_float_network(rng, int(rng.integers(1, LAYERS + 1)))
    return network, rng.normal(size=network.shape).astype(np.float32)


@pytest.mark.parametrize("seed", range(15))
def test_import_of_random_graphs(seed):
    """With all layers as outputs, and with those alone that nothing reads, where clippings can be moved."""
    network, x = float_case(seed)
    for outputs in (None, network.outputs):
        proto = float_model(network, outputs)
        read = read_model(proto, shape=network.shape)
        for got, wanted in zip(run_float(read, x), runtime(proto, {"x": x}), strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-4)
        assert len(read.nodes) <= len(network.nodes)


@pytest.mark.parametrize("seed", range(15))
def test_16_bits_are_close_to_float(seed):
    network, x = float_case(seed)
    quantized = quantize_network(network, x, FINE)
    wanted = runtime(float_model(network), {"x": x})
    found = quantized.golden(quantized.quantize_input(x))
    for number, (values, real) in enumerate(zip(found, wanted, strict=True)):
        error = np.abs(quantized.dequantize(values, number) - real).max()
        print(f"seed {seed}, {quantized.nodes[number].name}: {error:.2g} of {np.abs(real).max():.2g}")
        assert error <= 1e-3 * max(np.abs(real).max(), 0.5)


@pytest.mark.parametrize(("config", "seeds"), [(TINY, range(12)), (FINE, range(6)), (NARROW, range(6))],
                         ids=["8 bits", "16 bits", "4 bits"])
def test_what_is_drawn_can_be_lowered(config, seeds):
    kinds: Counter = Counter()
    for seed in seeds:
        network, activations = random_network(np.random.default_rng(seed), config)
        again, same = random_network(np.random.default_rng(seed), config)
        np.testing.assert_array_equal(activations, same)
        assert [node.name for node in network.nodes] == [node.name for node in again.nodes]
        assert activations.shape == network.shape and max(network.shape[2:]) <= SIZE
        low, high = golden.integer_range(config.act_width, signed=network.signed)
        assert low <= activations.min() and activations.max() <= high
        job = network_job(network.nodes, network.shape, network.signed, config)
        for values, form, node in zip(network.golden(activations), job.outputs, network.nodes, strict=True):
            assert values.shape == form.shape and form.signed == node.signed
            assert values.shape[1] <= 2 * CHANNELS and max(values.shape[2:]) <= 3 * SIZE
            low, high = golden.integer_range(config.act_width, signed=node.signed)
            assert low <= values.min() and values.max() <= high
            kinds[type(getattr(node.operation, "layer", node.operation))] += 1
        read = Counter(number for node in network.nodes for number in set(node.inputs))
        kinds["branches"] += max(read.values()) > 1
        kinds["residual"] += any(isinstance(node.operation, Add) and INPUT not in node.inputs for node in network.nodes)
        kinds["nonzero"] += any(values.any() for values in network.golden(activations))
    print(kinds)
    assert {Concat, Upsample2d, TransposedConv2d} <= set(kinds) or len(seeds) < 10
    assert len(kinds) >= 5 and kinds["nonzero"] == len(seeds)


def test_networks_that_do_not_fit(monkeypatch):
    """Why is told; after many of them there is an error."""
    def refuse(nodes, *_):
        raise LayerError(f"layer {nodes[0].name!r}: too large")

    monkeypatch.setattr("phantom_compiler.random_networks.network_job", refuse)
    reasons: list[LayerError] = []
    with pytest.raises(LayerError, match=r"no random network fits configuration 'tiny': layer '.*': too large"):
        random_network(np.random.default_rng(1), TINY, reasons.append)
    assert len(reasons) == 30
