"""Networks from ONNX files, and their quantized chains, against ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import phantom_golden as golden
import pytest
from networks import one_node, small_network
from onnx import TensorProto, helper
from phantom_compiler import Conv2d, LayerError
from phantom_compiler.network import quantized_layers
from phantom_compiler.onnx_import import Convolution, Dense, Flatten, FloatNetwork, MaxPool, OnnxError, read_onnx


def runtime(model, feeds, outputs=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(outputs, feeds)


@pytest.fixture
def network(tmp_path):
    onnx.save(small_network(), tmp_path / "small.onnx")
    return read_onnx(tmp_path / "small.onnx")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).random((3, 3, 12, 10), np.float32)


def in_float(network, x):
    """The scores of a network, each stage by ONNX's own operator."""
    def apply(op, *inputs, **attributes):
        names = [f"i{n}" for n in range(len(inputs))]
        graph = helper.make_graph(
            [helper.make_node(op, names, ["y"], **attributes)], "op",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        return runtime(model, dict(zip(names, inputs, strict=True)))[0]

    for stage in network.stages:
        if isinstance(stage, Convolution):
            x = apply("Conv", x, stage.weights, stage.bias, strides=stage.stride, pads=stage.padding,
                      dilations=stage.dilation, group=stage.groups)
        elif isinstance(stage, Dense):
            x = x @ stage.weights.T + stage.bias
        elif isinstance(stage, MaxPool):
            x = apply("MaxPool", x, kernel_shape=stage.kernel, strides=stage.stride, pads=stage.padding)
        else:
            assert stage == Flatten(stage.name, True)
            x = x.transpose(0, 2, 3, 1).reshape(len(x), -1)
        x = np.maximum(x, 0) if getattr(stage, "relu", False) else x
    return x


def test_the_stages_compute_what_the_file_does(network, images):
    assert network.channels_last and network.input_shape == (0, 3, 12, 10)
    kinds = [type(stage) for stage in network.stages]
    assert kinds == [Convolution, MaxPool, Convolution, MaxPool, Flatten, Dense, Dense]
    scores = runtime(small_network(), {"x": images.transpose(0, 2, 3, 1)}, ["scores"])[0]
    np.testing.assert_allclose(in_float(network, images), scores, atol=1e-5)


def test_without_pruning_the_quantized_chain_is_close_to_float(network, images):
    last = list(quantized_layers(network, images, act_width=16, weight_width=16))[-1]
    scores = runtime(small_network(), {"x": images.transpose(0, 2, 3, 1)}, ["scores"])[0]
    assert last.results.shape == scores.shape
    np.testing.assert_allclose(last.results * last.quantized.output_scale, scores, atol=2e-3)
    eight = list(quantized_layers(network, images))[-1]
    error = eight.results * eight.quantized.output_scale - scores
    assert np.abs(error).max() < 0.1 * np.abs(scores).max()


def qlinear_conv(values):
    """A layer's results by ONNX Runtime, on the same integers."""
    q, layer = values.quantized, values.quantized.layer
    x, weights = values.activations, layer.weights
    attributes = {}
    if isinstance(layer, Conv2d):
        attributes = {"strides": layer.stride, "pads": layer.padding, "dilations": layer.dilation,
                      "group": layer.groups}
    else:
        x, weights = x[:, :, None, None], weights[:, :, None, None]
    feeds = {
        "x": x.astype(np.uint8), "sx": q.input_scale, "zx": np.uint8(0), "w": weights.astype(np.int8),
        "sw": q.weight_scales, "zw": np.zeros(len(weights), np.int8), "sy": q.output_scale,
        "zy": np.uint8(-q.lo),  # the runtime has no uint8 to int8: a signed result is shifted instead
        "b": q.bias.astype(np.int32),
    }
    feeds = {name: np.asarray(value) for name, value in feeds.items()}
    graph = helper.make_graph(
        [helper.make_node("QLinearConv", list(feeds), ["y"], **attributes)], "layer",
        [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), None)
         for name, value in feeds.items()],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return runtime(model, feeds)[0].reshape(values.results.shape).astype(np.int64) + q.lo


@pytest.mark.parametrize("densities", [(), (0.5, 0.3, 0.2, 0.4)])
def test_every_layer_gives_what_onnx_runtime_gives(network, images, densities):
    layers = list(quantized_layers(network, images, densities=densities, names=("first",)))
    assert [v.quantized.layer.name for v in layers] == ["first", "e", "i", "scores"]
    different = outputs = 0
    for number, values in enumerate(layers):
        error = np.abs(values.results - qlinear_conv(values))
        assert error.max() <= 1
        different += np.count_nonzero(error)
        outputs += error.size
        weights = values.quantized.layer.weights
        if densities:
            assert np.count_nonzero(weights) <= round(densities[number] * weights.size)
        assert np.abs(values.results).max() == values.quantized.hi  # min-max: all of the range is used
    assert different <= 1e-3 * outputs
    # from one layer to the next
    first, second = layers[:2]
    np.testing.assert_array_equal(second.activations, golden.max_pool2d(first.results, (2, 2), stride=(2, 2)))
    assert second.quantized.input_scale == first.quantized.output_scale
    assert layers[3].quantized.lo == -128


def test_shapes_that_do_not_fit(network):
    with pytest.raises(LayerError, match=r"activations must have 2 axes and 126 channels, not shape \(1, 1[0-9]+\)"):
        list(quantized_layers(network, np.ones((1, 3, 12, 12), np.float32)))
    with pytest.raises(LayerError, match="3 channels"):
        list(quantized_layers(FloatNetwork(network.stages[:1], (), False), np.ones((1, 4, 12, 12), np.float32)))


@pytest.mark.parametrize(("model", "message"), [
    (one_node("Sin"), r"node 'n1' \(Sin\): operator not supported"),
    (one_node("Conv", ("x", "w"), [("w", np.ones((2, 3, 3)))]), "weights must have 4 axes, not 3"),
    (one_node("Conv", ("x", "w"), [("w", np.ones((2, 3, 3, 3)))], auto_pad="SAME_UPPER"), "auto_pad SAME_UPPER"),
    (one_node("Transpose", perm=[0, 2, 1]), "perm must have 4 axes"),
    (one_node("Relu"), "must follow a layer"),
    (one_node("Add", ("x", "w"), [("w", np.ones(3))]), "must directly follow a layer"),
    (one_node("MatMul", ("w", "x"), [("w", np.ones((3, 3)))]), "constant matrix from the right"),
    (one_node("Gemm", ("x", "w"), [("w", np.ones((3, 3)))], alpha=0.5), "transA, alpha and beta"),
    (one_node("Flatten", axis=2), "must keep the batch"),
    (one_node("Softmax"), "the network has no layer"),
])
def test_networks_that_are_refused(tmp_path, model, message):
    onnx.save(model, tmp_path / "one.onnx")
    with pytest.raises(OnnxError, match=message):
        read_onnx(tmp_path / "one.onnx")


def test_a_branch_is_refused(tmp_path):
    model = small_network()
    model.graph.node.append(helper.make_node("Relu", ["d"], ["d2"]))
    onnx.save(model, tmp_path / "branch.onnx")
    with pytest.raises(OnnxError, match="tensor 'd' goes to 2 nodes"):
        read_onnx(tmp_path / "branch.onnx")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(OnnxError, match=r"cannot read '/nowhere.onnx': No such file"):
        read_onnx("/nowhere.onnx")
    (tmp_path / "text.onnx").write_bytes(b"\xffnot a model")
    with pytest.raises(OnnxError, match="is not an ONNX file"):
        read_onnx(tmp_path / "text.onnx")
