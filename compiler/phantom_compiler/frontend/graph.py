"""Float networks as graphs of layers on images: what the compiler quantizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray

from phantom_compiler.accelerator.network import INPUT
from phantom_compiler.accelerator.vector_layers import Window

__all__ = [
    "Addition", "AveragePool", "Concatenation", "Convolution", "FloatLayer", "FloatNetwork", "FloatNode", "MaxPool",
    "TransposedConvolution", "Upsampling", "shape_of",
]

FloatArray = NDArray[np.floating[Any]]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Convolution:
    """Convolution and a clipping of its results; the parameters of :class:`~phantom_compiler.Conv2d`.

    A fully connected layer is a convolution with a kernel as large as its input.

    Parameters
    ----------
    name : str
    weights : float array, shape (K, C / groups, KH, KW)
    bias : float array, shape (K,)
    stride, dilation : (vertical, horizontal)
    padding : (top, left, bottom, right)
    groups : int
    low, high : float
        Results are clipped to this range; ``low`` is 0 for a ReLU.
    """

    name: str
    weights: FloatArray
    bias: FloatArray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    low: float = -math.inf
    high: float = math.inf

    def shape(self, shape: Shape) -> Shape:
        """Of the output, for an input (images, channels, rows, columns).

        Raises
        ------
        ValueError
            If the input does not fit.
        """
        channels = self.weights.shape[1] * self.groups
        if shape[1] != channels:
            raise ValueError(f"must have {channels} channels, not shape {shape}")
        size = (golden.conv_output_size(shape[2 + axis], self.weights.shape[2 + axis], self.stride[axis],
                                        self.padding[axis] + self.padding[axis + 2], self.dilation[axis])
                for axis in (0, 1))
        return shape[0], len(self.weights), *size


@dataclass(frozen=True, eq=False)
class TransposedConvolution(Convolution):
    """Transposed convolution; the parameters of :class:`~phantom_compiler.TransposedConv2d`, but for the weights.

    Parameters
    ----------
    weights : float array, shape (K, C / groups, KH, KW)
        The filters of the convolution that it is computed as, see :func:`phantom_golden.flip_weights`.
    output_padding : (vertical, horizontal)
    """

    output_padding: tuple[int, int] = (0, 0)

    def shape(self, shape: Shape) -> Shape:
        """See :meth:`Convolution.shape`."""
        channels, kernel = self.weights.shape[1] * self.groups, self.weights.shape[2:]
        if shape[1] != channels:
            raise ValueError(f"must have {channels} channels, not shape {shape}")
        around = golden.transposed_padding(kernel, stride=self.stride, padding=self.padding,
                                           output_padding=self.output_padding, dilation=self.dilation)
        size = [(shape[2 + axis] - 1) * self.stride[axis] + 1 + around[axis] + around[axis + 2]
                - (kernel[axis] - 1) * self.dilation[axis] for axis in (0, 1)]
        if min(size) < 1:
            raise ValueError(f"padding must leave a part of the output, not {self.padding!r}")
        return shape[0], len(self.weights), size[0], size[1]


@dataclass(frozen=True)
class MaxPool:
    """Max pooling; padding never wins."""

    name: str
    window: Window

    def shape(self, shape: Shape) -> Shape:
        """See :meth:`Convolution.shape`."""
        return *shape[:2], *self.window.counts((shape[2], shape[3]), False).shape


@dataclass(frozen=True)
class AveragePool:
    """Average pooling and a clipping of its results.

    Parameters
    ----------
    name : str
    window : Window
    count_include_pad : bool
    low, high : float
        As of `Convolution`.
    """

    name: str
    window: Window
    count_include_pad: bool = False
    low: float = -math.inf
    high: float = math.inf

    def shape(self, shape: Shape) -> Shape:
        """See :meth:`Convolution.shape`."""
        return *shape[:2], *self.window.counts((shape[2], shape[3]), False).shape


@dataclass(frozen=True)
class Addition:
    """Sum of two images and a clipping of it; ``low`` and ``high`` as of `Convolution`."""

    name: str
    low: float = -math.inf
    high: float = math.inf
    inputs: ClassVar[int] = 2

    def shape(self, shape: Shape) -> Shape:
        """See :meth:`Convolution.shape`."""
        return shape


@dataclass(frozen=True)
class Upsampling:
    """Nearest upsampling.

    Parameters
    ----------
    name : str
    factor : (vertical, horizontal)
    """

    name: str
    factor: tuple[int, int]

    def shape(self, shape: Shape) -> Shape:
        """See :meth:`Convolution.shape`."""
        return *shape[:2], shape[2] * self.factor[0], shape[3] * self.factor[1]


@dataclass(frozen=True)
class Concatenation:
    """Concatenation along the channels."""

    name: str

    def shape(self, *shapes: Shape) -> Shape:
        """See :meth:`Convolution.shape`, of all inputs."""
        if len({(one[0], *one[2:]) for one in shapes}) != 1:
            listed = ", ".join(str(one) for one in shapes)
            raise ValueError(f"all inputs must have the same images, rows and columns, not {listed}")
        return shapes[0][0], sum(one[1] for one in shapes), *shapes[0][2:]


FloatLayer: TypeAlias = Convolution | MaxPool | AveragePool | Addition | Upsampling | Concatenation


def shape_of(layer: FloatLayer, shapes: Sequence[Shape]) -> Shape:
    """The shape of a layer's output, for those of its inputs; see :meth:`Convolution.shape`."""
    return layer.shape(*shapes) if isinstance(layer, Concatenation) else layer.shape(shapes[0])


@dataclass(frozen=True, eq=False)
class FloatNode:
    """A layer, and the numbers of the nodes whose outputs it reads, or ``INPUT``."""

    layer: FloatLayer
    inputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A graph of layers on images.

    Parameters
    ----------
    name : str
    nodes : tuple of FloatNode
        Each behind those that it reads.
    shape : (images, channels, rows, columns)
        Of the input; 1 image where the file leaves their number open.
    outputs : tuple of int
        Nodes whose outputs the network gives, in the order in which `after` takes them.
    before, after : bytes or None
        What is left to the host, as ONNX models: from the file's input to that of the nodes, and from the outputs of
        the nodes to the file's. Both see images as (images, channels, rows, columns) where they meet the nodes.
    """

    name: str
    nodes: tuple[FloatNode, ...]
    shape: tuple[int, int, int, int]
    outputs: tuple[int, ...]
    before: bytes | None = None
    after: bytes | None = None

    def shapes(self) -> list[Shape]:
        """Of the outputs of all nodes."""
        found: list[Shape] = []
        for node in self.nodes:
            found.append(shape_of(node.layer, [self.shape if one == INPUT else found[one] for one in node.inputs]))
        return found
