"""Quantized chains of stages as nodes of a network for the accelerator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phantom_compiler.accelerator.network import Node
from phantom_compiler.accelerator.vector_layers import MaxPool2d, Window
from phantom_compiler.convolution import Conv2d
from phantom_compiler.fully_connected import FullyConnected
from phantom_compiler.network import LayerValues, StageValues
from phantom_compiler.onnx_import import Flatten, MaxPool
from phantom_compiler.quantized import QuantizedLayer

__all__ = ["chain_nodes"]


def _as_convolution(layer: FullyConnected, shape: tuple[int, ...], channels_last: bool) -> Conv2d:
    """A fully connected layer as a convolution with a kernel as large as its input, (channels, rows, columns)."""
    channels, rows, columns = shape
    if channels_last:
        weights = layer.weights.reshape(-1, rows, columns, channels).transpose(0, 3, 1, 2)
    else:
        weights = layer.weights.reshape(-1, channels, rows, columns)
    return Conv2d(np.ascontiguousarray(weights), name=layer.name, act_signed=layer.act_signed)


def chain_nodes(stages: Iterable[StageValues]) -> tuple[list[Node], list[NDArray[Any]]]:
    """The nodes of a chain, and the outputs that each must give, (images, channels, rows, columns).

    The densities that the stages' activations have are those that the compiler expects.
    """
    nodes: list[Node] = []
    outputs: list[NDArray[Any]] = []
    shape: tuple[int, ...] = ()
    channels_last, signed = False, False
    for values in stages:
        if isinstance(values.stage, Flatten):
            channels_last = values.stage.channels_last
            continue
        results = values.results
        if isinstance(values.stage, MaxPool):
            stage = values.stage
            window = Window(stage.kernel, stage.stride, stage.padding, stage.dilation, stage.ceil_mode)
            nodes.append(Node(MaxPool2d(stage.name, window), (len(nodes) - 1,), signed))
        else:
            assert isinstance(values, LayerValues)
            quantized: QuantizedLayer = values.quantized
            activations = values.activations
            if isinstance(quantized.layer, FullyConnected):
                shape = shape or (activations.shape[1], 1, 1)
                quantized = replace(values.quantized, layer=_as_convolution(quantized.layer, shape, channels_last))
                results, channels_last = results[:, :, None, None], False
                activations = activations.reshape(len(activations), -1, 1, 1)
                density: Any = float(np.count_nonzero(activations)) / activations.size
            else:
                density = (activations != 0).mean(axis=(0, 2, 3))
            signed = quantized.lo < 0
            nodes.append(Node(quantized, (len(nodes) - 1,), signed, density))
        shape = results.shape[1:]
        outputs.append(results)
    return nodes, outputs
