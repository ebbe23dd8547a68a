"""Small ONNX models, and ONNX Runtime as the reference of what is made of them."""

import math

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from phantom_compiler.frontend import (
    AveragePool,
    Concatenation,
    Convolution,
    MaxPool,
    TransposedConvolution,
    Upsampling,
)

VERSION = 17


def node(op, inputs, output, **attributes):
    """A node, its inputs with spaces."""
    return helper.make_node(op, inputs.split(" "), output.split(" "), name=f"{op.lower()}_{output}", **attributes)


def model(nodes, constants, shape, outputs=("y",), version=VERSION, elem=TensorProto.FLOAT):
    """A model with input ``x``."""
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", elem, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)


def runtime(proto, feeds, outputs=None):
    """The outputs by ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = proto if isinstance(proto, bytes) else proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(outputs, feeds)


def float_model(network, outputs=None):
    """The layers of a float network as a model, with an output for each, or for some."""
    nodes, constants = [], {}
    for number, entry in enumerate(network.nodes):
        layer = entry.layer
        names = ["x" if read < 0 else f"n{read}" for read in entry.inputs]
        if isinstance(layer, TransposedConvolution):
            filters, channels, *kernel = layer.weights.shape
            split = layer.weights.reshape(layer.groups, filters // layer.groups, channels, *kernel).swapaxes(1, 2)
            turned = split.reshape(-1, filters // layer.groups, *kernel)[..., ::-1, ::-1]
            constants |= {f"w{number}": np.ascontiguousarray(turned, np.float32),
                          f"b{number}": layer.bias.astype(np.float32)}
            made = helper.make_node("ConvTranspose", [*names, f"w{number}", f"b{number}"], [f"r{number}"],
                                    strides=layer.stride, pads=layer.padding, dilations=layer.dilation,
                                    group=layer.groups, output_padding=layer.output_padding)
        elif isinstance(layer, Convolution):
            constants |= {f"w{number}": layer.weights.astype(np.float32), f"b{number}": layer.bias.astype(np.float32)}
            made = helper.make_node("Conv", [*names, f"w{number}", f"b{number}"], [f"r{number}"], strides=layer.stride,
                                    pads=layer.padding, dilations=layer.dilation, group=layer.groups)
        elif isinstance(layer, (MaxPool, AveragePool)):
            window = layer.window
            given = {"kernel_shape": window.kernel, "strides": window.stride, "pads": window.padding,
                     "ceil_mode": int(window.ceil_mode), "dilations": window.dilation}
            if isinstance(layer, AveragePool):
                given["count_include_pad"] = int(layer.count_include_pad)
            kind = "MaxPool" if isinstance(layer, MaxPool) else "AveragePool"
            made = helper.make_node(kind, names, [f"r{number}"], **given)
        elif isinstance(layer, Concatenation):
            made = helper.make_node("Concat", names, [f"r{number}"], axis=1)
        elif isinstance(layer, Upsampling):
            constants[f"s{number}"] = np.array([1, 1, *layer.factor], np.float32)
            made = helper.make_node("Resize", [*names, "", f"s{number}"], [f"r{number}"], mode="nearest",
                                    nearest_mode="floor", coordinate_transformation_mode="asymmetric")
        else:
            made = helper.make_node("Add", names, [f"r{number}"])
        low, high = getattr(layer, "low", -math.inf), getattr(layer, "high", math.inf)
        limits = [""] * 2
        for place, (name, limit) in enumerate((("lo", low), ("hi", high))):
            if math.isfinite(limit):
                limits[place] = f"{name}{number}"
                constants[limits[place]] = np.float32(limit)
        nodes += [made, helper.make_node("Clip", [f"r{number}", *limits], [f"n{number}"])]
    names = [f"n{number}" for number in (range(len(network.nodes)) if outputs is None else outputs)]
    return model(nodes, constants, ["n", *network.shape[1:]], names, version=19)


def run_float(network, x):
    """What a network gives in float, with its host partitions, for the file's own input."""
    if network.before is not None:
        [x] = runtime(network.before, {onnx.load_from_string(network.before).graph.input[0].name: x})
    values = runtime(float_model(network), {"x": x})
    results = [values[number] for number in network.outputs]
    if network.after is None:
        return results
    names = [value.name for value in onnx.load_from_string(network.after).graph.input]
    return runtime(network.after, dict(zip(names, results, strict=True)))
