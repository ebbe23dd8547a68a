"""A quantized network: the nodes that the accelerator computes, what its integers stand for, what the host does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray

from phantom_compiler.accelerator.network import Node, golden_values
from phantom_compiler.frontend.partition import host_nodes, run_host

__all__ = ["QuantizedNetwork"]


@dataclass(frozen=True, eq=False)
class QuantizedNetwork:
    """A network of quantized layers between two host partitions.

    Parameters
    ----------
    name : str
    nodes : tuple of Node
        Each behind those that it reads.
    shape : (images, channels, rows, columns)
        Of the input of the nodes.
    signed : bool
        Whether that input uses the signed range.
    input_scale : float
        Real value of one step of the input.
    output_scales : tuple of float
        Real value of one step of each node's output.
    before, after : bytes or None
        Host partitions, ONNX models: from the network's own input to real images for `quantize_input`, and from the
        real outputs of the nodes `outputs` to the network's own outputs.
    labels : tuple of str
        Names of the classes, if the network tells classes apart.
    outputs : tuple of int
        Nodes whose outputs the network gives; the last node if none is named.
    act_width : int
        Bits of an activation.
    """

    name: str
    nodes: tuple[Node, ...]
    shape: tuple[int, int, int, int]
    signed: bool
    input_scale: float
    output_scales: tuple[float, ...]
    before: bytes | None = None
    after: bytes | None = None
    labels: tuple[str, ...] = ()
    outputs: tuple[int, ...] = ()
    act_width: int = 8

    def __post_init__(self) -> None:
        if not self.nodes or len(self.output_scales) != len(self.nodes):
            raise ValueError(f"there must be at least 1 node, and a scale for each of {len(self.nodes)}, not "
                             f"{len(self.output_scales)}")
        outputs = self.outputs or (len(self.nodes) - 1,)
        if not all(0 <= number < len(self.nodes) for number in outputs):
            raise ValueError(f"outputs must be in 0..{len(self.nodes) - 1}, not {self.outputs!r}")
        object.__setattr__(self, "outputs", tuple(outputs))

    @property
    def host_nodes(self) -> tuple[list[str], list[str]]:
        """Names and operators of the nodes of the two host partitions."""
        return host_nodes(self.before), host_nodes(self.after)

    def quantize_input(self, images: NDArray[Any]) -> NDArray[np.int64]:
        """Integers from real images (images, channels, rows, columns)."""
        integers: NDArray[np.int64] = golden.quantize(images, self.input_scale, self.act_width, signed=self.signed)
        return integers

    def dequantize(self, values: NDArray[Any], number: int | None = None) -> NDArray[np.float32]:
        """Real values of a node's output; of the first of `outputs` if no node is named."""
        scale = self.output_scales[self.outputs[0] if number is None else number]
        real: NDArray[np.float32] = golden.dequantize(values, scale)
        return real

    def golden(self, activations: NDArray[Any]) -> list[NDArray[np.int64]]:
        """The outputs of all nodes by the golden model."""
        return golden_values(self.nodes, activations)

    def run_before(self, given: NDArray[Any]) -> NDArray[np.int64]:
        """The integers for the first nodes, from the network's own input."""
        return self.quantize_input(given if self.before is None else run_host(self.before, given)[0])

    def run_after(self, values: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """The network's own outputs, from those of the nodes `outputs`."""
        real = [self.dequantize(array, number) for array, number in zip(values, self.outputs, strict=True)]
        return list(real) if self.after is None else run_host(self.after, *real)
