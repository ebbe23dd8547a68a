"""Seeded random networks of all kinds of layers, with branches and additions, small enough for a simulation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.network import INPUT, network_job
from phantom_compiler.accelerator.quantized_network import QuantizedNetwork
from phantom_compiler.accelerator.vector_layers import Window
from phantom_compiler.frontend.graph import (
    Addition,
    AveragePool,
    Concatenation,
    Convolution,
    FloatLayer,
    FloatNetwork,
    FloatNode,
    MaxPool,
    TransposedConvolution,
    Upsampling,
    shape_of,
)
from phantom_compiler.layer import LayerError
from phantom_compiler.quantization import quantize_network

__all__ = ["random_float_network", "random_network"]

Rng = np.random.Generator
TRIES = 30
LAYERS = 6
CHANNELS = 24
SIZE = 12
CLIPPINGS = ((0.0, math.inf), (0.0, math.inf), (0.0, 0.7), (-math.inf, math.inf), (-0.4, 0.9))
KERNELS = ((1, 1), (1, 1), (3, 3), (3, 3), (3, 3), (5, 5), (1, 3), (3, 2), (2, 2))


class _Grower:
    """Adds layers to a graph."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        rows, columns = self._pair(1, SIZE)
        self.shape = int(rng.integers(1, 3)), int(rng.integers(1, 9)), rows, columns
        self.nodes: list[FloatNode] = []
        self.shapes: list[tuple[int, ...]] = [self.shape]  # of the input and the nodes

    def grow(self) -> None:
        """Add a layer of a random kind that reads something; often what nothing has read."""
        rng = self.rng
        read = {number for node in self.nodes for number in node.inputs}
        fresh = [number for number in range(INPUT, len(self.nodes)) if number not in read]
        source = int(rng.choice(fresh if rng.random() < 0.7 else range(INPUT, len(self.nodes))))
        kinds: list[Callable[[int], bool]] = [self._convolution, self._depthwise, self._pool, self._add,
                                              self._concatenate, self._upsample, self._transposed]
        chances = [0.35, 0.1, 0.15, 0.15, 0.15, 0.05, 0.05]
        if min(self.shapes[1 + source][2:]) == max(self.shapes[1 + source][2:]) == 1:
            kinds, chances = kinds[:1], [1.0]
        for place in rng.choice(len(kinds), len(kinds), replace=False, p=chances):
            if kinds[place](source):
                return

    def _put(self, layer: FloatLayer, *inputs: int) -> bool:
        """Add a layer if it fits."""
        try:
            shape = shape_of(layer, [self.shapes[1 + number] for number in inputs])
        except ValueError:
            return False
        self.nodes.append(FloatNode(layer, inputs))
        self.shapes.append(shape)
        return True

    def _pair(self, low: int, high: int) -> tuple[int, int]:
        first, second = self.rng.integers(low, high + 1, 2)
        return int(first), int(second)

    def _clipping(self) -> tuple[float, float]:
        return CLIPPINGS[self.rng.integers(len(CLIPPINGS))]

    def _weights(self, filters: int, channels: int, kernel: tuple[int, int]) -> NDArray[np.float32]:
        weights = self.rng.normal(size=(filters, channels, *kernel)) / math.sqrt(channels * kernel[0] * kernel[1])
        for axis in (0, 1):  # now and then a filter or a channel without weights
            if weights.shape[axis] > 2 and self.rng.random() < 0.15:
                np.moveaxis(weights, axis, 0)[self.rng.integers(weights.shape[axis])] = 0
        return weights.astype(np.float32)

    def _convolve(self, source: int, filters: int, groups: int) -> bool:
        rng, (_, channels, rows, columns) = self.rng, self.shapes[1 + source]
        kernel, stride, dilation = KERNELS[rng.integers(len(KERNELS))], (1, 1), (1, 1)
        padding = [0, 0, 0, 0]
        if groups == 1 and rows * columns <= 36 and rng.random() < 0.2:
            kernel = (rows, columns)  # fully connected
        else:
            stride = self._pair(1, 2) if rng.random() < 0.3 else stride
            dilation = self._pair(1, 2) if rng.random() < 0.15 else dilation
            if rng.random() < 0.7:
                padding = [kernel[axis % 2] // 2 for axis in range(4)]
            elif rng.random() < 0.5:
                padding = [int(rng.integers(kernel[axis % 2])) for axis in range(4)]
        low, high = self._clipping()
        bias = (rng.normal(size=filters) / 4).astype(np.float32)
        layer = Convolution(f"conv{len(self.nodes)}", self._weights(filters, channels // groups, kernel), bias, stride,
                            (padding[0], padding[1], padding[2], padding[3]), dilation, groups, low, high)
        return self._put(layer, source)

    def _convolution(self, source: int) -> bool:
        channels = self.shapes[1 + source][1]
        groups = 2 if channels % 2 == 0 and self.rng.random() < 0.1 else 1
        return self._convolve(source, groups * int(self.rng.integers(1, CHANNELS // groups + 1)), groups)

    def _transposed(self, source: int) -> bool:
        """As often as not one that doubles rows and columns."""
        rng, (_, channels, rows, columns) = self.rng, self.shapes[1 + source]
        groups = channels if rng.random() < 0.2 else 1
        filters = groups if groups > 1 else int(rng.integers(1, CHANNELS + 1))
        kernel, stride, dilation = KERNELS[rng.integers(len(KERNELS))], (2, 2), (1, 1)
        padding, more = (0, 0, 0, 0), (0, 0)
        if rng.random() < 0.5:
            stride = self._pair(1, 3)
            dilation = self._pair(1, 2) if rng.random() < 0.2 else dilation
            padding = (int(rng.integers(kernel[0])), int(rng.integers(kernel[1])), int(rng.integers(kernel[0])),
                       int(rng.integers(kernel[1])))
            more = int(rng.integers(stride[0])), int(rng.integers(stride[1]))
        low, high = self._clipping()
        bias = (rng.normal(size=filters) / 4).astype(np.float32)
        layer = TransposedConvolution(
            f"transposed{len(self.nodes)}", self._weights(filters, channels // groups, kernel), bias, stride, padding,
            dilation, groups, low, high, more)
        return stride[0] * rows <= 2 * SIZE and stride[1] * columns <= 2 * SIZE and self._put(layer, source)

    def _upsample(self, source: int) -> bool:
        factor, (_, _, rows, columns) = self._pair(1, 3), self.shapes[1 + source]
        if factor == (1, 1) or factor[0] * rows > 2 * SIZE or factor[1] * columns > 2 * SIZE:
            return False
        return self._put(Upsampling(f"upsample{len(self.nodes)}", factor), source)

    def _concatenate(self, source: int) -> bool:
        """Of up to four of one size, at times one of them twice."""
        rng, (images, _, rows, columns) = self.rng, self.shapes[1 + source]
        same = [number for number in range(INPUT, len(self.nodes))
                if (self.shapes[1 + number][0], *self.shapes[1 + number][2:]) == (images, rows, columns)]
        others = [number for number in same if number != source]
        if not others or rng.random() < 0.1:
            others = same
        more = rng.choice(others, min(len(others), int(rng.integers(1, 4))), replace=False)
        inputs = [int(one) for one in rng.permutation([source, *more])]
        if sum(self.shapes[1 + number][1] for number in inputs) > 2 * CHANNELS:
            return False
        return self._put(Concatenation(f"concat{len(self.nodes)}"), *inputs)

    def _depthwise(self, source: int) -> bool:
        channels = self.shapes[1 + source][1]
        return self._convolve(source, channels, channels)

    def _pool(self, source: int) -> bool:
        rng, (_, _, rows, columns) = self.rng, self.shapes[1 + source]
        kernel, name = self._pair(1, 3), f"pool{len(self.nodes)}"
        average, padding = bool(rng.random() < 0.4), [0, 0, 0, 0]
        if average and rng.random() < 0.4:
            return self._put(AveragePool(name, Window((rows, columns))), source)
        if rng.random() < 0.4:
            padding = [int(rng.integers((kernel[axis % 2] + 1) // 2 + 1)) // 2 for axis in range(4)]
        window = Window(kernel, self._pair(1, 2), (padding[0], padding[1], padding[2], padding[3]),
                        ceil_mode=bool(not average and rng.random() < 0.3))
        low, high = self._clipping()
        layer = AveragePool(name, window, any(padding), low, high) if average else MaxPool(name, window)
        return self._put(layer, source)

    def _add(self, source: int) -> bool:
        shape = self.shapes[1 + source]
        same = [number for number in range(INPUT, len(self.nodes)) if self.shapes[1 + number] == shape]
        low, high = self._clipping()
        return self._put(Addition(f"add{len(self.nodes)}", low, high), source, int(self.rng.choice(same)))


def random_float_network(rng: Rng, layers: int) -> FloatNetwork:
    """A network of so many layers; all that nothing reads is an output."""
    grower = _Grower(rng)
    for _ in range(4 * layers):
        if len(grower.nodes) < layers:
            grower.grow()
    read = {number for node in grower.nodes for number in node.inputs}
    outputs = tuple(number for number in range(len(grower.nodes)) if number not in read)
    return FloatNetwork("random", tuple(grower.nodes), grower.shape, outputs)


def _images(rng: Rng, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Images, many of whose values are zero; at times with negative ones, at times with a channel of zeros."""
    images = rng.normal(size=shape) if rng.random() < 0.4 else rng.random(shape)
    images[rng.random(shape) < rng.uniform(0, 0.8)] = 0
    if shape[1] > 1 and rng.random() < 0.2:
        images[:, rng.integers(shape[1])] = 0
    return images.astype(np.float32)


def random_network(
    rng: Rng, config: PhantomConfig, refused: Callable[[LayerError], None] = lambda error: None
) -> tuple[QuantizedNetwork, NDArray[Any]]:
    """A network of 1 to 6 layers that a configuration can compute, and its input.

    Convolutions of all kinds, transposed ones, too, both kinds of pooling, additions, concatenations, upsampling;
    several layers may read one. Inputs have up to 12 × 12 positions, layers up to 24 channels, concatenations up to 48.

    Parameters
    ----------
    rng : numpy.random.Generator
    config : PhantomConfig
    refused : callable, optional
        Told why a network is not taken.

    Returns
    -------
    (QuantizedNetwork, integer array)

    Raises
    ------
    LayerError
        If nothing fits after many tries.
    """
    error = None
    for _ in range(TRIES):
        network = random_float_network(rng, int(rng.integers(1, LAYERS + 1)))
        images = _images(rng, network.shape)
        densities = rng.uniform(0.1, 1.0, len(network.nodes)).tolist()
        try:
            quantized = quantize_network(network, images, config, densities=densities)
            network_job(quantized.nodes, quantized.shape, quantized.signed, config)
        except LayerError as found:
            error = found
            refused(found)
            continue
        activations = quantized.quantize_input(images)
        if rng.random() < 0.3:  # beyond the calibration
            activations = quantized.quantize_input(3 * _images(rng, network.shape) * (-1 if quantized.signed else 1))
        return quantized, activations
    raise LayerError(f"no random network fits configuration {config.name!r}: {error}")
