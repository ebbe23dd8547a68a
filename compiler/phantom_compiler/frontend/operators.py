"""What each ONNX operator becomes: a layer, a part of its neighbour, or another view of the same data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from phantom_compiler.accelerator.vector_layers import Window
from phantom_compiler.frontend.builder import GraphBuilder, Tensor, UnsupportedError
from phantom_compiler.frontend.graph import Addition, AveragePool, Concatenation, Convolution, MaxPool
from phantom_compiler.frontend.onnx_node import Node, Operand
from phantom_compiler.frontend.resampling import conv_transpose, resize, upsample
from phantom_compiler.frontend.view import natural, to_images, transpose

__all__ = ["OPERATORS", "apply"]

FloatArray = NDArray[np.floating[Any]]


# --- layers with weights ------------------------------------------------------------------------------

def conv(node: Node) -> Tensor:
    tensor, row = node.image()
    weights = node.weights()
    if weights.ndim != (3 if row else 4):
        raise UnsupportedError(f"weights must have {3 if row else 4} axes, not {weights.ndim}")
    weights = weights[:, :, None] if row else weights
    stride, dilation = node.pair("strides", row), node.pair("dilations", row)
    kernel = (weights.shape[2], weights.shape[3])
    layer = Convolution(node.name, weights, node.bias(2, len(weights)), stride,
                        node.padding(kernel, stride, dilation, tensor, row), dilation, int(node.given.get("group", 1)))
    return node.shaped(node.builder.convolution(layer, tensor), row)


def dense(node: Node, weights: FloatArray, bias: FloatArray) -> Tensor:
    """``tensor @ weights.T + bias``, of the last axis."""
    tensor = node.tensor()
    if any(tensor.padding):
        tensor = node.builder.settle(tensor)
    *outer, last = tensor.dims
    if weights.shape[1] != last:
        raise UnsupportedError(f"needs weights of {last} inputs, not {weights.shape[1]}")
    if len(outer) == 1:
        kernels = to_images(weights, tensor.shape, tensor.view)
        done = node.builder.convolution(Convolution(node.name, np.ascontiguousarray(kernels), bias), tensor)
        return replace(done, view=natural(done.shape, (0, 1)))
    if tensor.view[-1] != natural(tensor.shape, (1,))[0]:
        raise UnsupportedError("must multiply images or their channels with constants")
    done = node.builder.convolution(Convolution(node.name, weights[:, :, None, None], bias), tensor)
    return replace(done, view=(*tensor.view[:-1], *natural(done.shape, (1,))))


def matmul(node: Node) -> Tensor:
    if len(node.operands) == 2 and not isinstance(node.operands[0], Tensor):
        raise UnsupportedError("must multiply by a constant matrix from the right")
    weights = node.weights(1, "the right side")
    if weights.ndim != 2:
        raise UnsupportedError(f"must multiply by a matrix, not by {weights.ndim} axes")
    return dense(node, weights.T, np.zeros(weights.shape[1], np.float32))


def gemm(node: Node) -> Tensor:
    if node.given.get("transA", 0):
        raise UnsupportedError("transA is not supported")
    weights = node.weights() * np.float32(node.given.get("alpha", 1.0))
    weights = weights if node.given.get("transB", 0) else weights.T
    bias = node.bias(2, len(weights)) * np.float32(node.given.get("beta", 1.0))
    if bias.size not in (1, len(weights)):
        raise UnsupportedError(f"bias must have 1 or {len(weights)} constants, not {bias.size}")
    return dense(node, weights, np.array(np.broadcast_to(bias.ravel(), len(weights))))


# --- pooling ------------------------------------------------------------------------------------------

def max_pool(node: Node) -> Tensor:
    tensor, row = node.image()
    return node.shaped(node.builder.max_pool(MaxPool(node.name, node.window(row, tensor)), tensor), row)


def average_pool(node: Node) -> Tensor:
    tensor, row = node.image()
    layer = AveragePool(node.name, node.window(row, tensor), bool(node.given.get("count_include_pad", 0)))
    return node.shaped(node.builder.average_pool(layer, tensor), row)


def whole(tensor: Tensor) -> Window:
    """The window over a whole image."""
    return Window((tensor.shape[2], tensor.shape[3]))


def global_average_pool(node: Node) -> Tensor:
    tensor, row = node.image()
    tensor = node.builder.settle(tensor)
    return node.shaped(node.builder.average_pool(AveragePool(node.name, whole(tensor)), tensor), row)


def global_max_pool(node: Node) -> Tensor:
    tensor, row = node.image()
    tensor = node.builder.settle(tensor)
    return node.shaped(node.builder.max_pool(MaxPool(node.name, whole(tensor)), tensor), row)


def reduce_mean(node: Node) -> Tensor:
    tensor = node.builder.settle(node.tensor())
    axes = node.integers("axes", 1)
    chosen = {axis % len(tensor.view) for axis in axes} if axes else set(range(len(tensor.view)))
    reduced = sorted(axis for place in chosen for axis in tensor.view[place])
    if reduced != [axis for axis in (2, 3) if tensor.shape[axis] > 1]:
        raise UnsupportedError("must be the mean of rows and columns")
    done = node.builder.average_pool(AveragePool(node.name, whole(tensor)), tensor)
    kept = [() if place in chosen else group for place, group in enumerate(tensor.view)
            if node.given.get("keepdims", 1) or place not in chosen]
    return replace(done, view=tuple(kept))


# --- element by element -------------------------------------------------------------------------------

def _affine(node: Node, place: int, scale: FloatArray | float, shift: FloatArray | float) -> Tensor:
    """The operand at a place, multiplied and shifted by constants that broadcast to it."""
    tensor = node.tensor(place)
    if any(tensor.padding):
        tensor = node.builder.settle(tensor)
    wanted = (1, *tensor.dims[1:])
    arrays = []
    for value in (scale, shift):
        array = np.asarray(value, np.float32)
        try:
            array = np.broadcast_to(array, wanted)
        except ValueError:
            raise UnsupportedError(f"needs constants that broadcast to {wanted}, not shape {array.shape}") from None
        arrays.append(to_images(array[0], tensor.shape, tensor.view))
    return node.builder.affine(tensor, *arrays)


def _operands(node: Node) -> tuple[int, FloatArray] | None:
    """Of two operands the place of the computed one and the constant, or None if both are computed."""
    first, second = node.operands[:2]
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return None
    place = 0 if isinstance(first, Tensor) else 1
    return place, node.weights(1 - place, "the other input")


def add(node: Node) -> Tensor:
    if len(node.operands) != 2:
        raise UnsupportedError(f"must have 2 inputs, not {len(node.operands)}")
    operands = _operands(node)
    if operands is None:
        return node.builder.addition(Addition(node.name), node.tensor(0), node.tensor(1))
    return _affine(node, operands[0], 1.0, operands[1])


def sub(node: Node) -> Tensor:
    operands = _operands(node)
    if operands is None:
        raise UnsupportedError("one input must be a constant")
    place, constant = operands
    return _affine(node, place, 1.0, -constant) if place == 0 else _affine(node, place, -1.0, constant)


def mul(node: Node) -> Tensor:
    operands = _operands(node)
    if operands is None:
        raise UnsupportedError("one input must be a constant")
    return _affine(node, *operands, 0.0)


def div(node: Node) -> Tensor:
    operands = _operands(node)
    if operands is None or operands[0] != 0:
        raise UnsupportedError("the divisor must be a constant")
    with np.errstate(divide="ignore"):
        inverse = 1 / operands[1]
    if not np.isfinite(inverse).all():
        raise UnsupportedError("the divisor must not be zero")
    return _affine(node, 0, inverse, 0.0)


def batch_normalization(node: Node) -> Tensor:
    scale, shift, mean, variance = (node.weights(place, "parameters").astype(np.float64) for place in (1, 2, 3, 4))
    if node.given.get("training_mode", 0):
        raise UnsupportedError("training_mode is not supported")
    factor = scale / np.sqrt(variance + node.given.get("epsilon", 1e-5))
    shape = (1, -1, *[1] * (len(node.tensor().view) - 2))
    return _affine(node, 0, factor.reshape(shape), (shift - mean * factor).reshape(shape))


def relu(node: Node) -> Tensor:
    return node.builder.clip(node.tensor(), 0.0, math.inf, node.name)


def clip(node: Node) -> Tensor:
    limits = []
    for place, (name, default) in enumerate((("min", -math.inf), ("max", math.inf)), 1):
        value = node.constant(place, "min and max")
        limits.append(float(node.given.get(name, default if value is None else value)))
    return node.builder.clip(node.tensor(), limits[0], limits[1], node.name)


def concat(node: Node) -> Tensor:
    tensors = [node.tensor(place) for place in range(len(node.operands))]
    if len(tensors) == 1:
        return tensors[0]
    return node.builder.concatenation(Concatenation(node.name), int(node.given["axis"]), tensors)


# --- shapes -------------------------------------------------------------------------------------------

def identity(node: Node) -> Tensor:
    return node.tensor()


def cast(node: Node) -> Tensor:
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)
    if node.given["to"] not in kinds:
        raise UnsupportedError("must cast to real numbers")
    return node.tensor()


def flatten(node: Node) -> Tensor:
    if node.given.get("axis", 1) != 1:
        raise UnsupportedError(f"axis must be 1, not {node.given['axis']}")
    images, *rest = node.tensor().dims
    return node.viewed([images, int(np.prod(rest))])


def reshape_node(node: Node) -> Tensor:
    target, known = node.integers("shape", 1) or [], node.tensor().dims
    if not node.given.get("allowzero", 0):
        target = [known[place] if size == 0 and place < len(known) else size for place, size in enumerate(target)]
    if -1 in target:
        rest = int(np.prod([size for size in target if size != -1]))
        target[target.index(-1)] = int(np.prod(known)) // max(1, rest)
    return node.viewed(target)


def squeeze(node: Node) -> Tensor:
    known = node.tensor().dims
    axes = node.integers("axes", 1)
    gone = [axis % len(known) for axis in axes] if axes else [axis for axis, size in enumerate(known) if size == 1]
    return node.viewed([size for axis, size in enumerate(known) if axis not in gone])


def unsqueeze(node: Node) -> Tensor:
    target = list(node.tensor().dims)
    axes = node.integers("axes", 1) or []
    for axis in sorted(axis % (len(target) + len(axes)) for axis in axes):
        target.insert(axis, 1)
    return node.viewed(target)


def transpose_node(node: Node) -> Tensor:
    tensor = node.tensor()
    if any(tensor.padding):
        tensor = node.builder.settle(tensor)
    perm = [int(axis) for axis in node.given.get("perm", range(len(tensor.view))[::-1])]
    if len(perm) != len(tensor.view) or perm[0] != 0:
        raise UnsupportedError(f"must keep the images first, not perm {perm}")
    return replace(tensor, view=transpose(tensor.view, perm))


def pad(node: Node) -> Tensor:
    tensor = node.tensor()
    given, axes = node.integers("pads", 1) or [], node.integers("axes", 3)
    value = node.constant(2, "the value")
    mode = bytes(node.given.get("mode", b"constant")).decode()
    if mode != "constant" or float(node.given.get("value", 0.0 if value is None else value.item())) != 0:
        raise UnsupportedError("must pad with zeros")
    count = len(tensor.view)
    places = [axis % count for axis in axes] if axes else list(range(count))
    padding = [0, 0, 0, 0]
    for number, place in enumerate(places):
        amounts = given[number], given[number + len(places)]
        if not any(amounts):
            continue
        if min(amounts) < 0 or not tensor.is_image or place < 2:
            raise UnsupportedError("must pad rows and columns of (images, channels, rows, columns)")
        padding[place - 2], padding[place] = amounts
    return node.builder.pad(tensor, (padding[0], padding[1], padding[2], padding[3]))


OPERATORS: dict[str, Callable[[Node], Tensor]] = {
    "Add": add, "AveragePool": average_pool, "BatchNormalization": batch_normalization, "Cast": cast, "Clip": clip,
    "Concat": concat, "Conv": conv, "ConvTranspose": conv_transpose, "Div": div, "Dropout": identity,
    "Flatten": flatten, "Gemm": gemm, "GlobalAveragePool": global_average_pool, "GlobalMaxPool": global_max_pool,
    "Identity": identity, "MatMul": matmul, "MaxPool": max_pool, "Mul": mul, "Pad": pad, "ReduceMean": reduce_mean,
    "Relu": relu, "Reshape": reshape_node, "Resize": resize, "Squeeze": squeeze, "Sub": sub, "Sum": add,
    "Transpose": transpose_node, "Unsqueeze": unsqueeze, "Upsample": upsample,
}
"""All that is supported between two layers."""


def apply(builder: GraphBuilder, proto: onnx.NodeProto, operands: Sequence[Operand]) -> Tensor:
    """Do what a node does.

    Raises
    ------
    UnsupportedError
        If there is no layer for it.
    """
    handler = OPERATORS.get(proto.op_type) if proto.domain in ("", "ai.onnx") else None
    if handler is None:
        raise UnsupportedError("operator not supported")
    if any(proto.output[1:]) and proto.op_type != "Dropout":
        raise UnsupportedError("only the first output is supported")
    return handler(Node(builder, proto, operands))
