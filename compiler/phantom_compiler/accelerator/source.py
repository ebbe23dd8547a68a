"""A layer's input as the accelerator sees it: where each activation lies in the padded input of the convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_golden import transposed_padding

from phantom_compiler.activity import Activity
from phantom_compiler.convolution import Conv1d, Conv2d
from phantom_compiler.fully_connected import FullyConnected
from phantom_compiler.layer import Layer
from phantom_compiler.problem import Problem
from phantom_compiler.transposed import TransposedConv2d

__all__ = ["LayerInput", "as_images", "layer_activity", "layer_input"]


@dataclass(frozen=True)
class LayerInput:
    """The input of a convolution, its activation (y, x) at ``origin + (y, x) * spacing`` of the padded input.

    Parameters
    ----------
    problem : Problem
        The convolution; of its moving operand only the shape counts.
    shape : (images, channels, rows, columns)
        Of the activations in memory.
    origin : (vertical, horizontal)
        May be negative: then the first rows or columns are not read.
    spacing : (vertical, horizontal)
        More than 1 for a zero-stuffed input.
    """

    problem: Problem
    shape: tuple[int, int, int, int]
    origin: tuple[int, int]
    spacing: tuple[int, int] = (1, 1)

    @property
    def stride(self) -> tuple[int, int]:
        """Of the convolution."""
        return self.problem.stride

    @property
    def dilation(self) -> tuple[int, int]:
        """Of the convolution."""
        return self.problem.dilation

    @property
    def kernel(self) -> tuple[int, int]:
        """Of the convolution."""
        return self.problem.stationary.shape[2], self.problem.stationary.shape[3]

    @property
    def cut(self) -> int:
        """Columns of the activations left of the padded input; they are loaded all the same, a whole stride of them."""
        return -(-max(0, -self.origin[1]) // self.stride[1]) * self.stride[1]

    @property
    def columns(self) -> int:
        """Columns of a row in the moving buffer: those that are read and those that are loaded."""
        read = (self.problem.out_size[1] - 1) * self.stride[1] + (self.kernel[1] - 1) * self.dilation[1] + 1
        loaded = self.origin[1] + (self.shape[3] - 1) * self.spacing[1] + 1
        return self.cut + max(read, loaded)


def as_images(layer: Layer, activations: NDArray[Any]) -> NDArray[Any]:
    """Activations in the form in which they lie in memory: images, channels, rows, columns.

    The inputs of a fully connected layer are channels, the rows of its batch lie side by side in one row.
    """
    if isinstance(layer, FullyConnected):
        return np.ascontiguousarray(activations.T)[None, :, None, :]
    return activations[:, :, None, :] if isinstance(layer, Conv1d) else activations


def layer_input(layer: Layer, shape: tuple[int, ...]) -> LayerInput:
    """The input of a layer of activations of the shape that its reference operator takes."""
    nothing = np.zeros(shape, np.int8)
    if isinstance(layer, FullyConnected):
        rows, inputs = shape
        weights = layer.weights[:, :, None, None]
        problem = Problem(np.zeros((1, inputs, 1, rows), np.int8), weights, (1, 1), (1, 1), 1, (1, rows),
                          layer.act_signed, True, (1, len(weights), 1, rows), rows * layer.weights.size)
        return LayerInput(problem, (1, inputs, 1, rows), (0, 0))
    problem = layer.problem(nothing)
    if isinstance(layer, Conv1d):
        return LayerInput(problem, (shape[0], shape[1], 1, shape[2]), (0, layer.padding[0]))
    images = (shape[0], shape[1], shape[2], shape[3])
    if isinstance(layer, TransposedConv2d):
        top, left, _, _ = transposed_padding(
            (layer.weights.shape[2], layer.weights.shape[3]), stride=layer.stride, padding=layer.padding,
            output_padding=layer.output_padding, dilation=layer.dilation)
        return LayerInput(problem, images, (top, left), layer.stride)
    if isinstance(layer, Conv2d):
        return LayerInput(problem, images, (layer.padding[0], layer.padding[1]))
    raise layer.error(f"{type(layer).__name__} is no layer of the accelerator")


def layer_activity(
    layer: Layer, problem: Problem, density: float | NDArray[np.float64], seen: NDArray[np.bool_] | None
) -> Activity:
    """What is known of the nonzeros that a layer reads.

    Parameters
    ----------
    layer : Layer
    problem : Problem
        As :func:`layer_input` makes it.
    density : float, or float array of shape (channels,)
    seen : bool array, optional
        Nonzeros in a calibration, as the reference operator takes the activations.
    """
    if seen is not None:
        fully = isinstance(layer, FullyConnected)
        seen = as_images(layer, seen) if fully else layer.problem(seen.astype(np.int8)).moving != 0
    return Activity(problem, float(np.mean(density)), seen)
