"""A network of layers as one job: every layer reads what those before it wrote, the host does nothing in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.image import MemoryImage
from phantom_compiler.accelerator.job import Job
from phantom_compiler.accelerator.lower import lower_layer
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.vector import lower_vector
from phantom_compiler.accelerator.vector_layers import VectorLayer
from phantom_compiler.fully_connected import FullyConnected
from phantom_compiler.quantized import QuantizedLayer

__all__ = ["INPUT", "Node", "golden_values", "network_job"]

INPUT = -1
"""Number of the network's input among what a node reads."""


@dataclass(frozen=True, eq=False)
class Node:
    """A layer of a network.

    Parameters
    ----------
    operation : QuantizedLayer or VectorLayer
        On images; a fully connected layer is given as the convolution that it is.
    inputs : tuple of int
        Numbers of the nodes whose outputs it reads, or ``INPUT``.
    signed : bool
        Whether its output uses the signed range.
    density : float, or float array of shape (channels,)
        Share of nonzero activations expected in its input.
    """

    operation: QuantizedLayer | VectorLayer
    inputs: tuple[int, ...]
    signed: bool
    density: float | NDArray[np.float64] = 0.5

    @property
    def name(self) -> str:
        """Of the layer."""
        return self.operation.layer.name if isinstance(self.operation, QuantizedLayer) else self.operation.name

    def golden(self, *inputs: NDArray[Any]) -> NDArray[np.int64]:
        """The output by the golden model."""
        if isinstance(self.operation, QuantizedLayer):
            return self.operation.requantize(self.operation.layer.golden(inputs[0]))
        return self.operation.golden(*inputs)


def golden_values(nodes: Sequence[Node], activations: NDArray[Any]) -> list[NDArray[np.int64]]:
    """The outputs of all nodes by the golden model."""
    values: list[NDArray[Any]] = []
    for node in nodes:
        values.append(node.golden(*(activations if number == INPUT else values[number] for number in node.inputs)))
    return values


def network_job(
    nodes: Sequence[Node], shape: tuple[int, int, int, int], signed: bool, config: PhantomConfig, base: int = 0
) -> Job:
    """A job of a whole network.

    Parameters
    ----------
    nodes : sequence of Node
        Each behind those that it reads.
    shape : (images, channels, rows, columns)
        Of the network's input.
    signed : bool
        Whether the input uses the signed range.
    config : PhantomConfig
    base : int
        First address of the job's memory.

    Raises
    ------
    LayerError
        If a layer cannot be computed exactly or does not fit the configuration.
    """
    image, stream = MemoryImage(base), CommandStream(config)
    first = TensorFormat.natural(config, shape, signed)
    first = first.at(image.reserve(first.bytes))
    forms: list[TensorFormat] = []
    tilings, starts = [], []
    for node in nodes:
        inputs = tuple(first if number == INPUT else forms[number] for number in node.inputs)
        starts.append(len(stream.instructions))
        if isinstance(node.operation, QuantizedLayer):
            layer = node.operation.layer
            if isinstance(layer, FullyConnected):
                raise layer.error("must be given as a convolution")
            lowered = lower_layer(node.operation, inputs[0], inputs[0].shape, config, image, stream,
                                  out_signed=node.signed, density=node.density)
            forms.append(lowered.output)
            tilings.append(lowered.tiling)
        else:
            forms.append(lower_vector(node.operation, inputs, config, image, stream, out_signed=node.signed))
            tilings.append("vector unit")
    stream.fence()
    address = image.add(stream.to_bytes())
    return Job(config, image, address, len(stream.instructions) + 1, first, forms, tilings, starts)
