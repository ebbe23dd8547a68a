"""Float networks from ONNX files: a chain of convolutions, fully connected layers and max pools with its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

__all__ = ["Convolution", "Dense", "Flatten", "FloatNetwork", "MaxPool", "OnnxError", "Stage", "read_onnx"]

FloatArray = NDArray[np.float32]

NCHW, NHWC = (0, 1, 2, 3), (0, 2, 3, 1)
SKIPPED = ("Identity", "Dropout")
SCORES = ("Softmax", "LogSoftmax", "Sigmoid")  # a last step on the host


class OnnxError(ValueError):
    """A file that cannot be read as a network: one line that names the node and what is not supported."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """Convolution, and a ReLU behind it if ``relu``; the fields of :class:`~phantom_compiler.Conv2d`."""

    name: str
    weights: FloatArray
    bias: FloatArray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    relu: bool = False


@dataclass(frozen=True, eq=False)
class Dense:
    """Fully connected layer with weights of shape (K, I), and a ReLU behind it if ``relu``."""

    name: str
    weights: FloatArray
    bias: FloatArray
    relu: bool = False


@dataclass(frozen=True)
class MaxPool:
    """Max pool; the parameters of :func:`phantom_golden.max_pool2d`."""

    name: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    ceil_mode: bool


@dataclass(frozen=True)
class Flatten:
    """From NCHW to (N, features), with the channels as the fastest axis if ``channels_last``."""

    name: str
    channels_last: bool


Stage: TypeAlias = Convolution | Dense | MaxPool | Flatten


@dataclass(frozen=True)
class FloatNetwork:
    """A chain of stages on NCHW tensors.

    Attributes
    ----------
    stages : list of Stage
    input_shape : tuple of int
        NCHW (or (N, features)); 0 where the file leaves a size open.
    channels_last : bool
        Whether the file's own input is NHWC.
    """

    stages: list[Stage]
    input_shape: tuple[int, ...]
    channels_last: bool


class _Reader:
    """Follows the data from the input, node by node, and collects stages."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = np.asarray(self.attributes(node).get("value"))
        inputs = [value for value in graph.input if value.name not in self.constants]
        if len(inputs) != 1:
            raise OnnxError(f"the network must have 1 input, not {len(inputs)}")
        self.input = inputs[0]
        self.consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in graph.output}
        self.stages: list[Stage] = []
        self.layout: tuple[int, ...] = NCHW  # where the axes of NCHW are in the tensor at hand
        self.affine: tuple[FloatArray, FloatArray] | None = None  # to be absorbed by the next layer

    @staticmethod
    def attributes(node: onnx.NodeProto) -> dict[str, Any]:
        """The attributes of a node as Python values."""
        values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        return {name: numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for name, v in values.items()}

    @staticmethod
    def refuse(node: onnx.NodeProto, text: str) -> OnnxError:
        return OnnxError(f"node {node.name or node.output[0]!r} ({node.op_type}): {text}")

    def read(self) -> FloatNetwork:
        """Read the whole chain."""
        shape = [d.dim_value for d in self.input.type.tensor_type.shape.dim]
        first = self.next_node(self.input.name)
        turned = first is not None and first.op_type == "Transpose" and tuple(
            self.attributes(first).get("perm", ())) == (0, 3, 1, 2)
        if turned:
            self.layout = NHWC
            shape = [shape[axis] for axis in (0, 3, 1, 2)]
        tensor = self.input.name
        while (node := self.next_node(tensor)) is not None and node.op_type not in SCORES:
            self.add(node, tensor)
            tensor = node.output[0]
        if self.affine is not None:
            raise OnnxError("a Mul or Add behind the last ReLU is not supported")
        if not self.stages:
            raise OnnxError("the network has no layer")
        return FloatNetwork(self.stages, tuple(shape), turned)

    def next_node(self, tensor: str) -> onnx.NodeProto | None:
        """The one node that works on a tensor; those that only ask for its shape do not count."""
        nodes = [node for node in self.consumers.get(tensor, []) if node.op_type != "Shape"]
        if len(nodes) > 1:
            raise OnnxError(f"tensor {tensor!r} goes to {len(nodes)} nodes; only chains are supported")
        return nodes[0] if nodes else None

    def add(self, node: onnx.NodeProto, tensor: str) -> None:
        """Add what a node does to the stages."""
        if node.op_type in SKIPPED:
            return
        handler = getattr(self, f"add_{node.op_type.lower()}", None)
        if handler is None:
            raise self.refuse(node, "operator not supported")
        if node.op_type in ("Conv", "MaxPool") and self.layout != NCHW:
            raise self.refuse(node, "works on a transposed tensor, which is not supported")
        handler(node, self.attributes(node), [self.constants.get(name) for name in node.input if name != tensor])

    def weights(self, node: onnx.NodeProto, values: list[Any], place: int = 0) -> FloatArray:
        if len(values) <= place or values[place] is None:
            raise self.refuse(node, "weights must be constants")
        return np.asarray(values[place], np.float32)

    # --- layers -------------------------------------------------------------------------------------

    def padding(self, node: onnx.NodeProto, given: dict[str, Any]) -> tuple[int, int, int, int]:
        auto = bytes(given.get("auto_pad", b"NOTSET")).decode()
        if auto not in ("NOTSET", "VALID"):
            raise self.refuse(node, f"auto_pad {auto} is not supported")
        top, left, bottom, right = given.get("pads", (0, 0, 0, 0))
        return top, left, bottom, right

    def add_conv(self, node: onnx.NodeProto, given: dict[str, Any], values: list[Any]) -> None:
        weights = self.weights(node, values)
        if weights.ndim != 4:
            raise self.refuse(node, f"weights must have 4 axes, not {weights.ndim}")
        if self.affine is not None:
            raise self.refuse(node, "follows a Mul or Add, which is not supported")
        bias = self.weights(node, values, 1) if len(values) > 1 else np.zeros(len(weights), np.float32)
        self.stages.append(Convolution(
            node.name or node.output[0], weights, bias, tuple(given.get("strides", (1, 1))),
            self.padding(node, given), tuple(given.get("dilations", (1, 1))), given.get("group", 1)))

    def add_dense(self, node: onnx.NodeProto, weights: FloatArray, bias: FloatArray) -> None:
        if self.affine is not None:
            scale, shift = self.affine
            bias, weights = bias + weights @ shift, weights * scale
            self.affine = None
        self.stages.append(Dense(node.name or node.output[0], weights, bias))

    def add_matmul(self, node: onnx.NodeProto, given: dict[str, Any], values: list[Any]) -> None:
        weights = self.weights(node, values)
        if weights.ndim != 2 or node.input[1] not in self.constants:
            raise self.refuse(node, "must multiply by a constant matrix from the right")
        self.add_dense(node, weights.T, np.zeros(weights.shape[1], np.float32))

    def add_gemm(self, node: onnx.NodeProto, given: dict[str, Any], values: list[Any]) -> None:
        if given.get("transA", 0) or given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0:
            raise self.refuse(node, "transA, alpha and beta are not supported")
        weights = self.weights(node, values)
        weights = weights if given.get("transB", 0) else weights.T
        bias = self.weights(node, values, 1) if len(values) > 1 else np.zeros(len(weights), np.float32)
        self.add_dense(node, weights, np.broadcast_to(bias, len(weights)).astype(np.float32))

    # --- what follows a layer -----------------------------------------------------------------------

    def add_relu(self, node: onnx.NodeProto, given: dict[str, Any], values: list[Any]) -> None:
        if self.affine is not None or not self.stages:
            raise self.refuse(node, "must follow a layer")
        # a max pool and a flattening commute with it
        for place in reversed(range(len(self.stages))):
            stage = self.stages[place]
            if isinstance(stage, (Convolution, Dense)):
                self.stages[place] = replace(stage, relu=True)
                return
        raise self.refuse(node, "must follow a layer")

    def per_channel(self, node: onnx.NodeProto, values: list[Any]) -> tuple[FloatArray, Convolution | Dense]:
        last = self.stages[-1] if self.stages else None
        if not isinstance(last, (Convolution, Dense)):
            raise self.refuse(node, "must directly follow a layer")
        value = self.weights(node, values).astype(np.float32)
        value = value[..., 0, 0] if isinstance(last, Convolution) and value.ndim >= 3 else value
        channels = len(last.weights)
        if value.size not in (1, channels):
            raise self.refuse(node, f"needs 1 or {channels} constants, not {value.size}")
        return np.broadcast_to(value.ravel(), channels), last

    def add_mul(self, node: onnx.NodeProto, given: dict[str, Any], values: list[Any]) -> None:
        value, last = self.per_channel(node, values)
        if last.relu:
            scale, shift = self.affine or (np.ones_like(value), np.zeros_like(value))
            self.affine = scale * value, shift * value
            return
        shape = (-1,) + (1,) * (last.weights.ndim - 1)
        self.stages[-1] = replace(last, weights=last.weights * value.reshape(shape), bias=last.bias * value)

    def add_add(self, node: onnx.NodeProto, given: dict[str, Any], values: list[Any]) -> None:
        value, last = self.per_channel(node, values)
        if last.relu:
            scale, shift = self.affine or (np.ones_like(value), np.zeros_like(value))
            self.affine = scale, shift + value
            return
        self.stages[-1] = replace(last, bias=last.bias + value)

    # --- shapes -------------------------------------------------------------------------------------

    def add_maxpool(self, node: onnx.NodeProto, given: dict[str, Any], values: list[Any]) -> None:
        self.stages.append(MaxPool(
            node.name or node.output[0], tuple(given["kernel_shape"]), tuple(given.get("strides", (1, 1))),
            self.padding(node, given), tuple(given.get("dilations", (1, 1))), bool(given.get("ceil_mode", 0))))

    def add_transpose(self, node: onnx.NodeProto, given: dict[str, Any], values: list[Any]) -> None:
        perm = tuple(given.get("perm", ()))
        if len(perm) != 4:
            raise self.refuse(node, f"perm must have 4 axes, not {perm}")
        self.layout = tuple(self.layout[axis] for axis in perm)

    def add_flatten(self, node: onnx.NodeProto, given: dict[str, Any], values: list[Any]) -> None:
        if self.layout not in (NCHW, NHWC) or given.get("axis", 1) != 1:
            raise self.refuse(node, "must keep the batch and flatten NCHW or NHWC")
        self.stages.append(Flatten(node.name or node.output[0], self.layout == NHWC))
        self.layout = NCHW

    def add_reshape(self, node: onnx.NodeProto, given: dict[str, Any], values: list[Any]) -> None:
        shape = values[0] if values else None
        if shape is not None and len(shape) != 2:
            raise self.refuse(node, f"must flatten to 2 axes, not {len(shape)}")
        self.add_flatten(node, {}, values)


def read_onnx(path: str | Path) -> FloatNetwork:
    """Read a network that is a chain of convolutions, fully connected layers, ReLUs and max pools.

    Constants added to or multiplied with a layer's output are folded into it, or into the fully connected layer that
    follows; transposes between NHWC and NCHW go, and a softmax at the end is left to the host.

    Parameters
    ----------
    path : path of an ONNX file

    Returns
    -------
    FloatNetwork

    Raises
    ------
    OnnxError
        If the file cannot be read or holds something else.
    """
    try:
        model = onnx.load(str(path))
    except OSError as error:
        raise OnnxError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except Exception as error:  # protobuf's own class differs from version to version
        if type(error).__name__ != "DecodeError":
            raise
        raise OnnxError(f"{str(path)!r} is not an ONNX file") from None
    return _Reader(model.graph).read()
