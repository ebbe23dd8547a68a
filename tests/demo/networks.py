"""A small float network as an ONNX file: everything that the reader folds, turns and skips."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def small_network(seed: int = 0) -> onnx.ModelProto:
    """NHWC input 12 × 10 × 3: two convolutions with max pools, a flattening, two fully connected layers, a softmax."""
    rng = np.random.default_rng(seed)

    def normal(name, *shape):
        return numpy_helper.from_array(rng.normal(size=shape).astype(np.float32) / 4, name)

    def node(op, inputs, output, **attributes):
        return helper.make_node(op, inputs.split(), [output], **attributes)

    nodes = [
        node("Transpose", "x", "a", perm=[0, 3, 1, 2]),
        node("Conv", "a w1 b1", "b", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Mul", "b s1", "b2"),
        node("Relu", "b2", "c"),
        node("MaxPool", "c", "d", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "d w2", "e", pads=[1, 2, 1, 2], strides=[2, 1], group=2),
        node("Add", "e b2c", "e2"),
        node("MaxPool", "e2", "f0", kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
        node("Relu", "f0", "f"),
        node("Transpose", "f", "g", perm=[0, 2, 3, 1]),
        # what Keras exports for a flattening
        node("Shape", "f", "shape"),
        node("Slice", "shape zero one", "batch"),
        node("Concat", "batch rest", "flat", axis=0),
        node("Reshape", "g flat", "h"),
        node("MatMul", "h w3", "i"),
        node("Add", "i b3", "i2"),
        node("Relu", "i2", "j"),
        node("Mul", "j s3", "j2"),
        node("Add", "j2 t3", "j3"),
        node("Gemm", "j3 w4 b4", "scores", transB=1),
        node("Softmax", "scores", "y", axis=1),
    ]
    constants = [
        normal("w1", 8, 3, 3, 3), normal("b1", 8), normal("s1", 1, 8, 1, 1), normal("w2", 6, 4, 3, 3),
        normal("b2c", 6, 1, 1), normal("w3", 6 * 3 * 7, 9), normal("b3", 9), normal("s3", 9), normal("t3", 9),
        normal("w4", 5, 9), normal("b4", 5),
        *(numpy_helper.from_array(np.array([value], np.int64), name)
          for name, value in (("zero", 0), ("one", 1), ("rest", -1))),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 12, 10, 3])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 5]) for name in ("y", "scores")]
    graph = helper.make_graph(nodes, "small", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def one_node(op, inputs=("x",), constants=(), **attributes):
    """A network of a single node."""
    graph = helper.make_graph(
        [helper.make_node(op, list(inputs), ["y"], name="n1", **attributes)], "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants])
    return helper.make_model(graph)
