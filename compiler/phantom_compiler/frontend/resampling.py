"""Operators that make images larger: nearest upsampling and transposed convolution."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
import phantom_golden as golden

from phantom_compiler.frontend.builder import Tensor, UnsupportedError
from phantom_compiler.frontend.graph import TransposedConvolution, Upsampling
from phantom_compiler.frontend.onnx_node import Node

__all__ = ["conv_transpose", "resize", "upsample"]


def conv_transpose(node: Node) -> Tensor:
    tensor, row = node.image()
    if any(tensor.padding):
        tensor = node.builder.settle(tensor)
    weights = node.weights()
    if weights.ndim != (3 if row else 4):
        raise UnsupportedError(f"weights must have {3 if row else 4} axes, not {weights.ndim}")
    weights = weights[:, :, None] if row else weights
    stride, dilation = node.pair("strides", row), node.pair("dilations", row)
    groups, channels = int(node.given.get("group", 1)), len(weights)
    if groups < 1 or channels % groups:
        raise UnsupportedError(f"group must divide the {channels} channels of the weights, not {groups}")
    last = [int(value) for value in node.given.get("output_padding", (0,) if row else (0, 0))]
    more = (0, last[0]) if row else (last[0], last[1])
    # filter after filter, turned; golden.flip_weights is for integers
    split = weights.reshape(groups, channels // groups, *weights.shape[1:]).swapaxes(1, 2)
    filters = np.ascontiguousarray(split.reshape(-1, channels // groups, *weights.shape[2:])[..., ::-1, ::-1])
    padding, more = _cut(node, tensor, row, (weights.shape[2], weights.shape[3]), stride, dilation, more)
    layer = TransposedConvolution(node.name, filters, node.bias(2, len(filters)), stride, padding, dilation, groups,
                                  output_padding=more)
    return node.shaped(node.builder.convolution(layer, tensor), row)


def _cut(
    node: Node, tensor: Tensor, row: bool, kernel: tuple[int, int], stride: tuple[int, int],
    dilation: tuple[int, int], more: tuple[int, int],
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """What is cut off the output, and what is appended; from the output's size, where the file gives that."""
    auto = bytes(node.given.get("auto_pad", b"NOTSET")).decode()
    wanted = [int(size) for size in node.given.get("output_shape", ())][-2:]
    if row and wanted:
        wanted = [tensor.shape[2], wanted[-1]]
    if not wanted and auto in ("NOTSET", "VALID"):
        return node.padding(kernel, stride, dilation, tensor, row), more
    begin, end, rest = [], [], []
    for axis in (0, 1):
        size, reach = tensor.shape[2 + axis], (kernel[axis] - 1) * dilation[axis] + 1
        target = wanted[axis] if wanted else size * stride[axis]
        total = (size - 1) * stride[axis] + more[axis] + reach - target
        less = max(0, total) // 2
        begin.append(max(0, total) - less if auto == "SAME_LOWER" or (wanted and auto != "SAME_UPPER") else less)
        end.append(max(0, total) - begin[-1])
        rest.append(more[axis] + max(0, -total))
    try:
        golden.transposed_padding(kernel, stride=stride, output_padding=(rest[0], rest[1]), dilation=dilation)
    except ValueError as error:
        raise UnsupportedError(str(error)) from None
    return (begin[0], begin[1], end[0], end[1]), (rest[0], rest[1])


# --- nearest upsampling -------------------------------------------------------------------------------

def _repeats(size: int, factor: int, coordinates: str, rounding: str) -> bool:
    """Whether the nearest position of the input is the one that repetition takes, for each of the output.

    Raises
    ------
    UnsupportedError
        If the way to find it is not known.
    """
    half, large = Fraction(1, 2), size * factor
    for x in range(large):
        if coordinates == "asymmetric":
            place = Fraction(x, factor)
        elif coordinates in ("half_pixel", "half_pixel_symmetric"):
            place = (x + half) / factor - half
        elif coordinates == "pytorch_half_pixel":
            place = (x + half) / factor - half if large > 1 else Fraction(0)
        elif coordinates == "tf_half_pixel_for_nn":
            place = (x + half) / factor
        elif coordinates == "align_corners":
            place = Fraction(x * (size - 1), large - 1) if large > 1 else Fraction(0)
        else:
            raise UnsupportedError(f"coordinate_transformation_mode {coordinates!r} is not supported")
        nearest = {"floor": math.floor(place), "ceil": math.ceil(place), "round_prefer_floor": math.ceil(place - half),
                   "round_prefer_ceil": math.floor(place + half)}.get(rounding)
        if nearest is None:
            raise UnsupportedError(f"nearest_mode {rounding!r} is not supported")
        if min(max(nearest, 0), size - 1) != x // factor:
            return False
    return True


def _upsampled(node: Node, factors: Sequence[Fraction], coordinates: str, rounding: str) -> Tensor:
    tensor, row = node.image()
    if any(tensor.padding):
        tensor = node.builder.settle(tensor)
    if len(factors) != len(tensor.view) or any(one != 1 for one in factors[:2]):
        raise UnsupportedError(f"must enlarge rows and columns, not {tensor.dims} by "
                               f"{', '.join(str(float(one)) for one in factors)}")
    if any(one < 1 or one.denominator != 1 for one in factors):
        raise UnsupportedError(f"must enlarge by integers, not by {', '.join(str(float(one)) for one in factors)}")
    spatial = [1] * row + [int(one) for one in factors[2:]]
    factor = spatial[0], spatial[1]
    for size, one in zip(tensor.shape[2:], factor, strict=True):
        if not _repeats(size, one, coordinates, rounding):
            raise UnsupportedError(f"must repeat positions, which coordinate_transformation_mode {coordinates!r} with "
                                   f"nearest_mode {rounding!r} does not")
    if factor == (1, 1):
        return tensor
    return node.shaped(node.builder.upsampling(Upsampling(node.name, factor), tensor), row)


def _mode(node: Node) -> None:
    mode = bytes(node.given.get("mode", b"nearest")).decode()
    if mode != "nearest":
        raise UnsupportedError(f"mode must be nearest, not {mode}")


def upsample(node: Node) -> Tensor:
    """Its scales are an attribute in the oldest files."""
    _mode(node)
    given = node.given.get("scales")
    scales = given if given is not None else node.constant(1, "scales")
    if scales is None:
        raise UnsupportedError("scales must be given")
    return _upsampled(node, _fractions(scales), "asymmetric", "floor")


def _fractions(scales: Iterable[float]) -> list[Fraction]:
    return [Fraction(float(one)).limit_denominator(1 << 20) for one in scales]


def resize(node: Node) -> Tensor:
    """Scales or sizes; in the first files with this operator there are only scales, and nothing else to choose."""
    _mode(node)
    first = len(node.operands) == 2
    known = node.tensor().dims
    scales = node.constant(1 if first else 2, "scales")
    sizes = node.constant(3, "sizes")
    axes = [int(axis) % len(known) for axis in node.given.get("axes", range(len(known)))]
    if bytes(node.given.get("keep_aspect_ratio_policy", b"stretch")) != b"stretch":
        raise UnsupportedError("keep_aspect_ratio_policy must be stretch")
    factors = [Fraction(1)] * len(known)
    if sizes is not None and sizes.size:
        chosen = [Fraction(int(size), known[axis]) for axis, size in zip(axes, sizes, strict=True)]
    elif scales is not None and scales.size:
        chosen = _fractions(scales)
    else:
        raise UnsupportedError("scales or sizes must be given")
    for axis, one in zip(axes, chosen, strict=True):
        factors[axis] = one
    coordinates = bytes(node.given.get("coordinate_transformation_mode", b"asymmetric" if first else b"half_pixel"))
    rounding = bytes(node.given.get("nearest_mode", b"floor" if first else b"round_prefer_floor"))
    return _upsampled(node, factors, coordinates.decode(), rounding.decode())
