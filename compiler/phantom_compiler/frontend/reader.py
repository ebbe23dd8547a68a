"""Reads an ONNX model node by node: constants are computed, layers collected, the edges left to the host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from phantom_compiler.accelerator.network import INPUT
from phantom_compiler.frontend.builder import GraphBuilder, Tensor, UnsupportedError
from phantom_compiler.frontend.graph import FloatNetwork, FloatNode
from phantom_compiler.frontend.onnx_file import OnnxError, attributes, compute, load, refuse
from phantom_compiler.frontend.operators import OPERATORS, apply
from phantom_compiler.frontend.partition import after_model, before_model
from phantom_compiler.frontend.view import natural

__all__ = ["read_model", "read_onnx"]

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Never left to the host."""
HOST_FIRST = ("Add", "BatchNormalization", "Cast", "Clip", "Div", "Mul", "Relu", "Sub", "Sum", "Transpose")
"""Left to the host in front of the first layer: the input is quantized behind them."""


@dataclass(frozen=True, eq=False)
class Host:
    """A tensor that only the host can compute, and why."""

    node: onnx.NodeProto
    why: str


Value: TypeAlias = Tensor | Host | NDArray[Any]


class _Reader:
    """Follows the data from the input."""

    def __init__(self, model: onnx.ModelProto, name: str, shape: Sequence[int] | None) -> None:
        self.model, self.name, self.builder = model, name, GraphBuilder()
        graph = model.graph
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in self.constants]
        if len(inputs) != 1:
            raise OnnxError(f"the network must have 1 input, not {len(inputs)}")
        self.input = inputs[0]
        self.uses = Counter(name for node in graph.node if node.op_type != "Shape" for name in node.input)
        self.uses.update(value.name for value in graph.output)
        self.values: dict[str, Value] = dict(self.constants)
        sizes = tuple(shape or self._sizes(self.input, "input"))
        self.tensor = self._input(self.input.name, sizes)
        self.values[self.input.name] = self.tensor
        self.origins: set[str] = set()
        self.host: list[onnx.NodeProto] = []
        self.shapes: dict[str, onnx.ValueInfoProto] | None = None

    def _sizes(self, value: onnx.ValueInfoProto, what: str) -> tuple[int, ...]:
        sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if sizes and sizes[0] <= 0:
            sizes[0] = 1
        if not sizes or min(sizes) <= 0:
            raise OnnxError(f"{what} {value.name!r} must have a known shape, not {sizes}")
        return tuple(sizes)

    def _input(self, name: str, sizes: tuple[int, ...]) -> Tensor:
        """The network's input, of 2 to 4 axes."""
        if len(sizes) not in (2, 3, 4):
            raise OnnxError(f"input {name!r} must have 2 to 4 axes, not shape {sizes}")
        axes = {2: (0, 1), 3: (0, 1, 3), 4: (0, 1, 2, 3)}[len(sizes)]
        shape = [1, 1, 1, 1]
        for axis, size in zip(axes, sizes, strict=True):
            shape[axis] = size
        return Tensor(INPUT, tuple(shape), natural(shape, axes), origin=name)

    # --- nodes --------------------------------------------------------------------------------------

    def read(self) -> FloatNetwork:
        """Read the whole graph."""
        for node in self.model.graph.node:
            self._step(node)
        return self._network()

    def _step(self, node: onnx.NodeProto) -> None:
        for name in node.input:
            if name and name not in self.values:
                raise refuse(node, f"reads {name!r}, which no node before it gives")
        operands = [self.values[name] if name else None for name in node.input]
        read = [value for value in operands if isinstance(value, (Tensor, Host))]
        if node.op_type == "Shape" and read and isinstance(read[0], Tensor):
            given = attributes(node)
            size = np.array(read[0].dims, np.int64)[given.get("start", 0):given.get("end", None)]
            self._known(node, [size])
        elif not read:
            inputs = {name: np.asarray(value) for name, value in zip(node.input, operands, strict=True) if name}
            self._known(node, compute(self.model, node, inputs))
        elif (first := next((value for value in read if isinstance(value, Host)), None)) is not None:
            if node.op_type in LAYERS:
                raise refuse(first.node, f"{first.why}; between layers there may be {', '.join(sorted(OPERATORS))}")
            self._leave(node, first)
        else:
            self._layer(node, operands)

    def _known(self, node: onnx.NodeProto, values: Sequence[NDArray[Any]]) -> None:
        for name, value in zip([name for name in node.output if name], values, strict=True):
            self.values[name] = self.constants[name] = value

    def _leave(self, node: onnx.NodeProto, why: Host) -> None:
        """Leave a node behind the last layers to the host."""
        self.host.append(node)
        self.values.update((name, why) for name in node.output if name)

    def _layer(self, node: onnx.NodeProto, operands: Sequence[Value | None]) -> None:
        tensors: list[Any] = [
            replace(value, alone=value.alone and self.uses[name] == 1) if isinstance(value, Tensor) else value
            for name, value in zip(node.input, operands, strict=True)]
        read = [value for value in tensors if isinstance(value, Tensor)]
        first = all(value.source == INPUT for value in read)
        doubled = len(read) == 2 and read[0].origin == read[1].origin  # added to itself: that is a layer
        try:
            if first and node.op_type in HOST_FIRST and not doubled:
                raise UnsupportedError("left to the host")
            done = apply(self.builder, node, tensors)
        except UnsupportedError as error:
            if node.op_type in LAYERS:
                raise refuse(node, str(error)) from None
            if first:
                self._begin(node)
            else:
                self._leave(node, Host(node, str(error)))
            return
        if done.source != INPUT:
            self.origins.update(value.origin for value in read if value.source == INPUT)
        self.values[node.output[0]] = done

    def _begin(self, node: onnx.NodeProto) -> None:
        """Leave a node in front of the first layers to the host: its output is the input from here on."""
        if self.shapes is None:
            model = onnx.ModelProto()
            model.CopyFrom(self.model)
            [given] = [value for value in model.graph.input if value.name == self.input.name]
            given.CopyFrom(onnx.helper.make_tensor_value_info(
                given.name, given.type.tensor_type.elem_type, self.tensor.dims))
            inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
            self.shapes = {value.name: value for value in [*inferred.graph.value_info, *inferred.graph.output]}
        for name in node.output:
            if name in self.shapes:
                self.values[name] = self._input(name, self._sizes(self.shapes[name], "tensor"))
            elif name:
                raise refuse(node, "must give a known shape")

    # --- the network --------------------------------------------------------------------------------

    def _network(self) -> FloatNetwork:
        made = {name for node in self.host for name in node.output}
        wanted = [name for node in self.host for name in node.input] + [v.name for v in self.model.graph.output]
        tensors: dict[str, Tensor] = {}
        for name in wanted:
            value = self.values.get(name)
            if name in made or not isinstance(value, Tensor) or name in tensors:
                continue
            if value.source == INPUT:
                raise OnnxError("the network has no layer" if not self.builder.nodes else
                                f"the input goes to an output, or past all layers to the host, as {name!r}")
            tensors[name] = self._settled(name, value)
        if not tensors:
            raise OnnxError("the network has no layer")
        if len(self.origins) != 1:
            raise OnnxError(f"the layers must read one form of the input, not {', '.join(sorted(self.origins))}")
        [origin] = self.origins
        entry = self.values[origin]
        assert isinstance(entry, Tensor)
        before = after = None
        if origin != self.input.name or len(entry.dims) != 4:
            before = before_model(self.model, self.constants, self.input, entry)
        names = [value.name for value in self.model.graph.output]
        if self.host or list(tensors) != names or not all(tensor.is_image for tensor in tensors.values()):
            after = after_model(self.model, self.constants, tensors, self.host)
        nodes, numbers = _living(self.builder.nodes, [tensor.source for tensor in tensors.values()])
        images, channels, rows, columns = entry.shape
        return FloatNetwork(self.name, nodes, (images, channels, rows, columns),
                            tuple(numbers[tensor.source] for tensor in tensors.values()), before, after)

    def _settled(self, name: str, tensor: Tensor) -> Tensor:
        try:
            return self.builder.settle(tensor)
        except UnsupportedError as error:
            raise OnnxError(f"output {name!r}: {error}") from None


def _living(nodes: Sequence[FloatNode], outputs: Sequence[int]) -> tuple[tuple[FloatNode, ...], dict[int, int]]:
    """The nodes that outputs need, and the new number of each."""
    needed = set(outputs)
    for number in range(len(nodes) - 1, -1, -1):
        if number in needed:
            needed.update(nodes[number].inputs)
    numbers = {INPUT: INPUT}
    living: list[FloatNode] = []
    for number, node in enumerate(nodes):
        if number in needed:
            numbers[number] = len(living)
            living.append(replace(node, inputs=tuple(numbers[read] for read in node.inputs)))
    return tuple(living), numbers


def read_model(model: onnx.ModelProto, name: str = "network", shape: Sequence[int] | None = None) -> FloatNetwork:
    """Read a network that is already in memory; see :func:`read_onnx`."""
    return _Reader(model, name, shape).read()


def read_onnx(path: str | Path, shape: Sequence[int] | None = None) -> FloatNetwork:
    """Read a network as a graph of convolutions, poolings, additions, upsamplings and concatenations.

    Fully connected layers become convolutions; batch normalizations, constants, ReLUs, clippings and paddings become a
    part of the layers beside them; reshapes and transposes vanish. What the accelerator cannot do in front of the first
    layer or behind the last ones is left to the host.

    Parameters
    ----------
    path : path of an ONNX file
    shape : sequence of int, optional
        Of the file's input, where the file leaves it open. An open number of images is 1.

    Returns
    -------
    FloatNetwork

    Raises
    ------
    OnnxError
        If the file cannot be read, or holds something between layers that is not supported.
    """
    return read_model(load(path), Path(path).stem, shape)
