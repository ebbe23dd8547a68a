"""A node of an ONNX file with what it reads, and questions to it that many operators ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from phantom_compiler.accelerator.vector_layers import Window
from phantom_compiler.frontend.builder import GraphBuilder, Tensor, UnsupportedError
from phantom_compiler.frontend.onnx_file import attributes
from phantom_compiler.frontend.view import natural, reshape

__all__ = ["Node", "Operand"]

FloatArray = NDArray[np.floating[Any]]
Operand = Tensor | NDArray[Any] | None
"""What a node reads: a tensor, a constant, or nothing."""


class Node:
    """A node of a file with its operands.

    Parameters
    ----------
    builder : GraphBuilder
    proto : NodeProto
    operands : sequence of Operand
    """

    def __init__(self, builder: GraphBuilder, proto: onnx.NodeProto, operands: Sequence[Operand]) -> None:
        self.builder, self.operands = builder, operands
        self.name = proto.name or proto.output[0]
        self.given = attributes(proto)

    # --- operands -----------------------------------------------------------------------------------

    def tensor(self, place: int = 0) -> Tensor:
        """An operand that must be computed."""
        operand = self.operands[place] if place < len(self.operands) else None
        if not isinstance(operand, Tensor):
            raise UnsupportedError(f"input {place + 1} must not be a constant")
        return operand

    def constant(self, place: int, name: str) -> NDArray[Any] | None:
        """An operand that must be a constant, or None if it is not given."""
        operand = self.operands[place] if place < len(self.operands) else None
        if isinstance(operand, Tensor):
            raise UnsupportedError(f"{name} must be constants")
        return operand

    def weights(self, place: int = 1, name: str = "weights") -> FloatArray:
        """Constants that must be given."""
        found = self.constant(place, name)
        if found is None or found.dtype.kind != "f":
            raise UnsupportedError(f"{name} must be constants, real numbers")
        return found.astype(np.float32)

    def bias(self, place: int, size: int) -> FloatArray:
        """Constants, or zeros if they are not given."""
        found = self.constant(place, "bias")
        return np.zeros(size, np.float32) if found is None else found.astype(np.float32)

    def integers(self, name: str, place: int) -> list[int] | None:
        """Integers that are an attribute in old files and an input in newer ones."""
        if name in self.given:
            return [int(value) for value in self.given[name]]
        found = self.constant(place, name)
        return None if found is None else [int(value) for value in found.ravel()]

    # --- geometry -----------------------------------------------------------------------------------

    def image(self) -> tuple[Tensor, bool]:
        """The first operand as images; and whether it has rows only (three axes)."""
        tensor = self.tensor()
        row = tensor.shape[2] == 1 and tensor.view == natural(tensor.shape, (0, 1, 3))
        if not row and not tensor.is_image:
            raise UnsupportedError(f"must work on (images, channels, rows, columns), not on shape {tensor.dims} in "
                                   f"another order")
        return tensor, row

    def pair(self, name: str, row: bool) -> tuple[int, int]:
        """An attribute with a value for each axis of the image, 1 by default."""
        values = [int(value) for value in self.given.get(name, (1,) if row else (1, 1))]
        return (1, values[0]) if row else (values[0], values[1])

    def padding(
        self, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], tensor: Tensor, row: bool,
    ) -> tuple[int, int, int, int]:
        """The padding of a window, computed where the file leaves it to the size."""
        auto = bytes(self.given.get("auto_pad", b"NOTSET")).decode()
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            begin, end = [], []
            for axis in (0, 1):
                size = tensor.shape[2 + axis] + tensor.padding[axis] + tensor.padding[axis + 2]
                reach = (kernel[axis] - 1) * dilation[axis] + 1
                total = max(0, (-(-size // stride[axis]) - 1) * stride[axis] + reach - size)
                less, more = total // 2, total - total // 2
                begin.append(less if auto == "SAME_UPPER" else more)
                end.append(more if auto == "SAME_UPPER" else less)
            return begin[0], begin[1], end[0], end[1]
        pads = [int(value) for value in self.given.get("pads", (0, 0) if row else (0, 0, 0, 0))]
        if min(pads) < 0:
            raise UnsupportedError(f"pads must not be negative, not {pads}")
        return (0, pads[0], 0, pads[1]) if row else (pads[0], pads[1], pads[2], pads[3])

    def window(self, row: bool, tensor: Tensor) -> Window:
        """The window of a pooling."""
        kernel, stride, dilation = (self.pair(name, row) for name in ("kernel_shape", "strides", "dilations"))
        return Window(kernel, stride, self.padding(kernel, stride, dilation, tensor, row), dilation,
                      bool(self.given.get("ceil_mode", 0)))

    def shaped(self, done: Tensor, row: bool) -> Tensor:
        """A result with as many axes as the operand had."""
        return replace(done, view=natural(done.shape, (0, 1, 3))) if row else done

    def viewed(self, target: Sequence[int]) -> Tensor:
        """The first operand with another shape."""
        tensor = self.tensor()
        if any(tensor.padding):
            tensor = self.builder.settle(tensor)
        view = reshape(tensor.shape, tensor.view, target) if target and target[0] == tensor.dims[0] else None
        if view is None:
            raise UnsupportedError(f"must keep the images and the axes whole or merge them, not {tensor.dims} to "
                                   f"{tuple(target)}")
        return replace(tensor, view=view)
