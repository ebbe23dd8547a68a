"""Quantized graphs: every node against ONNX Runtime on the same integers, whole networks against float."""

from dataclasses import replace

import numpy as np
import phantom_golden as golden
import pytest
from onnx import TensorProto, helper
from onnx_models import model, node, run_float, runtime
from phantom_compiler import LayerError
from phantom_compiler.accelerator.network import INPUT, network_job
from phantom_compiler.accelerator.quantized_network import QuantizedNetwork
from phantom_compiler.accelerator.vector_layers import Window
from phantom_compiler.frontend import Addition, AveragePool, Convolution, FloatNetwork, FloatNode, MaxPool, read_model
from phantom_compiler.quantization import quantize_network, quantized_layers, quantized_nodes
from phantom_hw.config import PhantomConfig

TINY = PhantomConfig.preset("tiny")
FINE = replace(TINY, act_width=16, weight_width=16, acc_width=48)
SHAPE = (3, 12, 10)


def small_network(seed=0):
    """A residual network of NHWC images: ReLU6, depthwise layers, both poolings, a softmax on the host."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    nodes = [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t w1 b1", "c1", pads=[1, 1, 1, 1]), node("Clip", "c1 zero six", "r1"),
        node("Conv", "r1 w2", "c2", pads=[1, 1, 1, 1], group=8), node("BatchNormalization", "c2 s o m v", "n2"),
        node("Relu", "n2", "r2"),
        node("Conv", "r2 w3", "c3"), node("Conv", "r1 w4", "c4"),
        node("Add", "c3 c4", "a1"), node("Conv", "a1 w5", "c5"), node("Add", "a1 c5", "a2"), node("Relu", "a2", "r5"),
        node("MaxPool", "r5", "p", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("AveragePool", "p", "q", kernel_shape=[2, 2]), node("GlobalAveragePool", "q", "g"),
        node("Flatten", "g", "f"), node("Gemm", "f w6 b6", "z", transB=1), node("Softmax", "z", "y", axis=1)]
    constants = {
        "w1": normal(8, 3, 3, 3) * 4, "b1": normal(8), "zero": np.float32(0), "six": np.float32(0.8),
        "w2": normal(8, 1, 3, 3), "s": rng.uniform(0.5, 2, 8).astype(np.float32), "o": normal(8), "m": normal(8),
        "v": rng.uniform(0.5, 2, 8).astype(np.float32), "w3": normal(6, 8, 1, 1), "w4": normal(6, 8, 1, 1),
        "w5": normal(6, 6, 1, 1), "w6": normal(5, 6) * 3, "b6": normal(5)}
    return model(nodes, constants, ["n", 12, 10, 3], ["y", "z"])


@pytest.fixture(scope="module")
def network():
    return read_model(small_network(), "small")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).random((4, *SHAPE), np.float32)


def test_16_bits_are_close_to_float(network, images):
    quantized = quantize_network(network, images, FINE)
    given = images.transpose(0, 2, 3, 1)
    x = quantized.run_before(given)
    np.testing.assert_array_equal(x, quantized.quantize_input(images))
    values = quantized.golden(x)
    results = quantized.run_after([values[number] for number in quantized.outputs])
    for got, wanted in zip(results, runtime(small_network(), {"x": given}), strict=True):
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, atol=2e-3)


@pytest.mark.parametrize("seed", range(4))
def test_8_bits_keep_the_scores(seed, images):
    network = read_model(small_network(seed))
    quantized = quantize_network(network, images, TINY)
    scores = quantized.dequantize(quantized.golden(quantized.quantize_input(images))[-1])[:, :, 0, 0]
    wanted = run_float(network, images.transpose(0, 2, 3, 1))[1]
    print(f"seed {seed}: error {np.abs(scores - wanted).max() / np.abs(wanted).max():.3f}")
    assert np.abs(scores - wanted).max() < 0.08 * np.abs(wanted).max()


def qlinear(values, network, number, inputs):
    """A node's results by ONNX Runtime on the same integers, or None for an addition."""
    layer, entry = network.nodes[number].layer, values.node
    x, signed = inputs[0]
    # ONNX Runtime is exact on every CPU with two unsigned operands: signed ones are shifted
    zero, zero_out = (np.uint8(128 if one else 0) for one in (signed, entry.signed))
    given = {"x": (x + int(zero)).astype(np.uint8)}
    if isinstance(layer, Convolution):
        q, conv = values.layer.quantized, values.layer.quantized.layer
        attributes = {"strides": conv.stride, "pads": conv.padding, "group": conv.groups}
        given |= {"sx": q.input_scale, "zx": zero, "w": (conv.weights + 128).astype(np.uint8), "sw": q.weight_scales,
                  "zw": np.full(len(conv.weights), 128, np.uint8), "sy": q.output_scale, "zy": zero_out,
                  "b": q.bias.astype(np.int32)}
        name = "QLinearConv"
    else:
        zero_out, name = zero, "MaxPool"
        window = layer.window
        attributes = {"kernel_shape": window.kernel, "strides": window.stride, "pads": window.padding}
    given = {key: np.asarray(value) for key, value in given.items()}
    graph = helper.make_graph(
        [helper.make_node(name, list(given), ["y"], **attributes)], "layer",
        [helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(value.dtype), None)
         for key, value in given.items()], [helper.make_tensor_value_info("y", TensorProto.UINT8, None)])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    result = runtime(proto, given)[0].astype(np.int64) - int(zero_out)
    operation = entry.operation
    return np.clip(result, operation.lo, operation.hi) if isinstance(layer, Convolution) else result


@pytest.mark.parametrize("densities", [(), (0.5, 0.3, 0.2, 0.4)])
def test_every_layer_gives_what_onnx_runtime_gives(network, images, densities):
    steps = list(quantized_nodes(network, images, TINY, densities=densities, names=("first",)))
    quantized = quantize_network(network, images, TINY, densities=densities, names=("first",))
    x = quantized.quantize_input(images)
    assert steps[0].node.name == "first" and steps[1].node.name == "conv_c2"
    different = outputs = weighted = 0
    for number, (values, entry) in enumerate(zip(steps, network.nodes, strict=True)):
        inputs = [(x, False) if read == INPUT else (steps[read].results, steps[read].node.signed)
                  for read in entry.inputs]
        np.testing.assert_array_equal(values.results, values.node.golden(*(data for data, _ in inputs)))
        if isinstance(entry.layer, Convolution):
            weights = values.layer.quantized.layer.weights
            if weighted < len(densities):
                assert np.count_nonzero(weights) <= round(densities[weighted] * weights.size)
            error = np.abs(values.results - qlinear(values, network, number, inputs))
            assert error.max() <= 1
            different += np.count_nonzero(error)
            outputs += error.size
        elif not isinstance(entry.layer, (Convolution, AveragePool, Addition)):
            np.testing.assert_array_equal(values.results, qlinear(values, network, number, inputs))
        weighted += isinstance(entry.layer, Convolution)
        lo, hi = golden.integer_range(8, signed=values.node.signed)
        assert lo <= values.results.min() and values.results.max() <= hi
        reached = max(-values.results.min(), values.results.max())
        if number in network.outputs:  # a margin for other images
            assert 0.6 * hi < reached < 0.7 * hi
        elif not isinstance(entry.layer, MaxPool):  # min-max: all of the range is used
            assert reached >= hi - 1
    assert outputs > 5000 and different <= 1e-3 * outputs


def test_poolings_and_additions_are_rounded_once(images):
    """Against float64 on the values of their inputs."""
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=(4, 3, 3, 3)).astype(np.float32) for _ in range(2)]
    layers = [Convolution("a", weights[0], np.zeros(4, np.float32), low=0),
              Convolution("b", weights[1], np.zeros(4, np.float32)),
              Addition("sum", low=-1.0, high=1.5), AveragePool("mean", Window((2, 3), (2, 1)))]
    network = FloatNetwork("test", tuple(map(FloatNode, layers, [(INPUT,), (INPUT,), (0, 1), (2,)])), (1, *SHAPE),
                           (3,))
    first, second, total, mean = quantized_nodes(network, images, TINY)
    real = first.results * float(first.scale) + second.results * float(second.scale)
    assert not first.node.signed and second.node.signed and total.node.signed
    assert np.abs(total.results * float(total.scale) - np.clip(real, -1, 1.5)).max() <= 0.501 * total.scale
    assert total.scale == np.float32(1.5 / 127)
    sums = golden.sum_pool2d(total.results, (2, 3), stride=(2, 1)) / 6 * float(total.scale)
    assert np.abs(mean.results * float(mean.scale) - sums).max() <= 0.501 * mean.scale
    quantized = quantize_network(network, images, TINY)
    values = quantized.golden(quantized.quantize_input(images))
    for got, wanted in zip(values, (first, second, total, mean), strict=True):
        np.testing.assert_array_equal(got, wanted.results)


def test_clipped_results_use_their_bound(network, images):
    first = next(quantized_nodes(network, images, TINY))
    assert first.scale == np.float32(np.float32(0.8) / 255) and first.node.operation.hi == 255
    assert first.results.max() == 255


def test_the_job_of_a_network(network, images):
    quantized = quantize_network(network, images, TINY, labels=("a", "b"))
    assert quantized.name == "small" and quantized.labels == ("a", "b") and not quantized.signed
    assert quantized.outputs == (len(quantized.nodes) - 1,)
    assert quantized.host_nodes == (["transpose_t (Transpose)"], ["softmax_y (Softmax)"])
    job = network_job(quantized.nodes, quantized.shape, quantized.signed, TINY)
    assert job.outputs[-1].shape == (1, 5, 1, 1)


def test_layers_with_weights_alone(network, images):
    layers = list(quantized_layers(network, images, TINY))
    assert [values.quantized.layer.name for values in layers] == [
        "conv_c1", "conv_c2", "conv_c3", "conv_c4", "conv_c5", "gemm_z"]
    for values in layers:
        np.testing.assert_array_equal(values.results, values.quantized.requantize(values.accumulators))


def test_what_does_not_fit():
    layer = Convolution("c", np.ones((2, 3, 3, 3), np.float32), np.zeros(2, np.float32))
    network = FloatNetwork("test", (FloatNode(layer, (INPUT,)),), (1, 3, 4, 4), (0,))
    with pytest.raises(LayerError, match=r"layer 'c': activations must have 3 channels, not shape \(1, 4, 5, 5\)"):
        quantize_network(network, np.ones((1, 4, 5, 5), np.float32), TINY)
    with pytest.raises(LayerError, match="layer 'c': dilated kernel must be at most"):
        quantize_network(network, np.ones((1, 3, 2, 2), np.float32), TINY)
    pool = replace(network, nodes=(FloatNode(AveragePool("p", Window((3, 3), padding=(1, 1, 1, 1))), (INPUT,)),))
    with pytest.raises(LayerError, match="layer 'p': each window must have as many activations"):
        quantize_network(pool, np.ones((1, 3, 4, 4), np.float32), TINY)


def test_networks_that_are_wrong(network, images):
    quantized = quantize_network(network, images, TINY)
    with pytest.raises(ValueError, match="a scale for each of 11, not 1"):
        QuantizedNetwork("x", quantized.nodes, quantized.shape, False, 1.0, (1.0,))
    with pytest.raises(ValueError, match=r"outputs must be in 0..10, not \(11,\)"):
        replace(quantized, outputs=(11,))
