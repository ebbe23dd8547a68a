"""Concatenation by addressing: what lies where, what is copied, and the scales that make it possible."""

import numpy as np
import pytest
from networks_of_parts import NETWORKS, inception
from onnx_models import float_model, runtime
from phantom_compiler.accelerator.network import INPUT, Node, network_job
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.vector_layers import Concat, MaxPool2d, Upsample2d, Window
from phantom_compiler.accelerator.vector_plan import plan_vector
from phantom_compiler.layer import LayerError
from phantom_compiler.quantization import quantize_network
from phantom_hw.config import PhantomConfig

TINY = PhantomConfig.preset("tiny")


def quantized(name, images=1):
    network = NETWORKS[name](images=images)
    x = np.random.default_rng(1).normal(size=network.shape).astype(np.float32)
    return network, x, quantize_network(network, x, TINY)


def concats(network):
    return [number for number, node in enumerate(network.nodes) if isinstance(node.operation, Concat)]


@pytest.mark.parametrize("name", NETWORKS)
def test_one_scale_and_close_to_float(name):
    network, x, found = quantized(name)
    for number in concats(found):
        for source in found.nodes[number].inputs:
            scale = found.input_scale if source == INPUT else found.output_scales[source]
            assert scale == found.output_scales[number]
            assert (found.signed if source == INPUT else found.nodes[source].signed) == found.nodes[number].signed
    values = found.golden(found.quantize_input(x))
    for number, real in enumerate(runtime(float_model(network), {"x": x})):
        error = np.abs(found.dequantize(values[number], number) - real).max()
        print(f"{found.nodes[number].name}: {error:.3g} of {np.abs(real).max():.3g}")
        assert error <= 0.1 * max(np.abs(real).max(), 0.1)


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize(("name", "copied"), [("inception", [0]), ("dense_block", [0, 0, 0]), ("decoder", [0]),
                                              ("twice", [2, 0, 0])])
def test_parts_lie_in_their_places(name, copied, images):
    """All inputs of a concatenation are parts of it, but for those of which it says that they are copied."""
    _, _, network = quantized(name, images)
    for reuse in (False, True):
        job = network_job(network.nodes, network.shape, network.signed, TINY, 640, reuse=reuse)
        assert [job.tilings[number] for number in concats(network)] == [
            f"{count} of {len(network.nodes[number].inputs)} inputs copied" if count else "in place"
            for count, number in zip(copied, concats(network), strict=True)]
        for number, count in zip(concats(network), copied, strict=True):
            whole, first, apart = job.outputs[number], 0, 0
            for source in network.nodes[number].inputs:
                form = job.input if source == INPUT else job.outputs[source]
                part = whole.part(first, form.shape[1])
                apart += form != part
                first += form.shape[1]
            assert first == whole.shape[1] and apart == count
        memory = sum(form.bytes for form in (job.input, *job.outputs))
        assert 0 < job.tensor_bytes < memory


def test_part_of_a_tensor():
    rng = np.random.default_rng(2)
    whole = TensorFormat(TINY, (3, 7, 5, 6), True, 6, 2, 320)
    values = rng.integers(-128, 128, whole.shape)
    memory = np.zeros(1 << 16, np.uint8)
    memory[320:320 + whole.bytes] = whole.encode(values)
    part = whole.part(2, 4)
    np.testing.assert_array_equal(part.decode(memory[part.address:part.address + part.bytes]), values[:, 2:6])
    np.testing.assert_array_equal(whole.decode(memory[320:320 + whole.bytes]), values)


def test_tensors_live_as_long_as_their_parts():
    """What is needed at the same time and is no part of the other never shares a byte."""
    for name in NETWORKS:
        _, _, network = quantized(name)
        job = network_job(network.nodes, network.shape, network.signed, TINY, reuse=True)
        last = [max([place for place, node in enumerate(network.nodes) if number in node.inputs],
                    default=len(network.nodes)) for number in range(len(network.nodes))]
        parts = set()
        for number in concats(network):
            parts |= {frozenset((number, source)) for source in network.nodes[number].inputs}
        for i, one in enumerate(job.outputs):
            for j, other in enumerate(job.outputs[:i]):
                if i > last[j] or frozenset((i, j)) in parts:
                    continue
                apart = one.address + one.bytes <= other.address or other.address + other.bytes <= one.address
                inside = name in ("dense_block", "twice") and isinstance(network.nodes[i].operation, Concat)
                assert apart or inside, (name, i, j)


def test_refuses_inputs_that_do_not_fit():
    pool = MaxPool2d("pool", Window((2, 2)))
    nodes = [Node(pool, (INPUT,), False), Node(Concat("both"), (0, INPUT), False)]
    with pytest.raises(LayerError, match=r"layer 'both': all inputs must have the same images, rows and columns, not "):
        network_job(nodes, (1, 2, 6, 6), False, TINY)
    with pytest.raises(LayerError, match="layer 'both': all inputs must be signed as the output is"):
        network_job([Node(Concat("both"), (INPUT, INPUT), True)], (1, 2, 6, 6), False, TINY)


@pytest.mark.parametrize("factor", [(0, 2), (2,), (2, 1.5)])
def test_refuses_factors(factor):
    with pytest.raises(LayerError, match="layer 'up': factor must be 2 integers of at least 1, not "):
        Upsample2d("up", factor=factor)


def test_slots_that_are_asked_for():
    form = TensorFormat.natural(TINY, (1, 3, 6, 7), False)
    plan = plan_vector(MaxPool2d(), (form,), TINY, False, (3, 1))
    assert (plan.output.width, plan.output.height) == (3, 1)
    with pytest.raises(LayerError, match="its slots must have at most 16 positions, not 7 x 3"):
        plan_vector(MaxPool2d(), (form,), TINY, False, (7, 3))
    up = Upsample2d("up", factor=(2, 1))
    assert plan_vector(up, (form,), TINY, False, (7, 2)).output.height == 2
    narrow = TensorFormat.natural(TINY, (1, 3, 6, 3), False)
    with pytest.raises(LayerError, match=r"layer 'up': does not fit the memories of configuration 'tiny'$"):
        plan_vector(up, (narrow,), TINY, False, (3, 3))


def test_layers_that_cannot_write_the_slots_are_copied(monkeypatch):
    """As if one of three convolutions could not."""
    from phantom_compiler.accelerator import network as module

    def plan(quantized, form, shape, config, density, signed, slots, *more):
        if slots is not None and quantized.layer.weights.shape[0] == 7:
            raise LayerError("does not fit")
        return original(quantized, form, shape, config, density, signed, slots, *more)

    original = module.plan_layer
    monkeypatch.setattr(module, "plan_layer", plan)
    x = np.random.default_rng(1).random(inception().shape, np.float32)
    network = quantize_network(inception(), x, TINY)
    job = network_job(network.nodes, network.shape, network.signed, TINY, reuse=True)
    assert [job.tilings[number] for number in concats(network)] == ["1 of 3 inputs copied"]
