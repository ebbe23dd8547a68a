"""Builds a graph of layers; constants, clippings and padding around a layer become a part of it where possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phantom_compiler.accelerator.network import INPUT
from phantom_compiler.frontend.graph import (
    Addition,
    AveragePool,
    Concatenation,
    Convolution,
    FloatLayer,
    FloatNode,
    MaxPool,
    TransposedConvolution,
    Upsampling,
    shape_of,
)
from phantom_compiler.frontend.view import View, dims, natural

__all__ = ["GraphBuilder", "Tensor", "UnsupportedError"]

FloatArray = NDArray[np.floating[Any]]
Padding = tuple[int, int, int, int]
NO_PADDING = (0, 0, 0, 0)


class UnsupportedError(ValueError):
    """What a node does has no layer: one line."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a file: the output of a node, and what is still to be done to it.

    Parameters
    ----------
    source : int
        Number of the node, or ``INPUT``.
    shape : (images, channels, rows, columns)
        Of the node's output.
    view : View
    scale, shift : float arrays that broadcast to (channels, rows, columns), or None
        ``x * scale + shift`` is still to be computed.
    padding : (top, left, bottom, right)
        Zeros that are still to be put around it, behind that.
    alone : bool
        Nothing else reads the node.
    origin : str
        Name of the file's tensor that the network's input is.
    """

    source: int
    shape: tuple[int, ...]
    view: View
    scale: FloatArray | None = None
    shift: FloatArray | None = None
    padding: Padding = NO_PADDING
    alone: bool = True
    origin: str = ""

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape that the file knows."""
        top, left, bottom, right = self.padding
        images, channels, rows, columns = self.shape
        return dims((images, channels, rows + top + bottom, columns + left + right), self.view)

    @property
    def pending(self) -> bool:
        """Something is still to be done."""
        return self.scale is not None or any(self.padding)

    @property
    def is_image(self) -> bool:
        """The file sees it as (images, channels, rows, columns)."""
        return self.view == natural(self.shape)


def _of_channels(values: FloatArray, channels: int) -> FloatArray | None:
    """The one value of each channel, or None if it is not one."""
    first = values[:, :1, :1]
    return np.broadcast_to(first[:, 0, 0], channels) if np.array_equal(np.broadcast_to(first, values.shape),
                                                                        values) else None


def _sum(first: Padding, second: Padding) -> Padding:
    return first[0] + second[0], first[1] + second[1], first[2] + second[2], first[3] + second[3]


def _compose(layer: Convolution | AveragePool | Addition, low: float, high: float) -> FloatLayer:
    """A layer with a second clipping behind its own."""
    return replace(layer, low=min(max(layer.low, low), high), high=min(max(layer.high, low), high))


class GraphBuilder:
    """Collects nodes.

    Attributes
    ----------
    nodes : list of FloatNode
    """

    def __init__(self) -> None:
        self.nodes: list[FloatNode] = []
        self.alone: list[bool] = []  # nothing but this node reads its inputs

    def add(self, layer: FloatLayer, *inputs: Tensor) -> Tensor:
        """Add a layer that reads tensors to which nothing is left to do.

        Raises
        ------
        UnsupportedError
            If an input does not fit.
        """
        try:
            shape = shape_of(layer, [tensor.shape for tensor in inputs])
        except ValueError as error:
            raise UnsupportedError(str(error)) from None
        self.nodes.append(FloatNode(layer, tuple(tensor.source for tensor in inputs)))
        self.alone.append(all(tensor.alone for tensor in inputs))
        return Tensor(len(self.nodes) - 1, shape, natural(shape))

    # --- what is done to a tensor -------------------------------------------------------------------

    def affine(self, tensor: Tensor, scale: FloatArray, shift: FloatArray) -> Tensor:
        """``tensor * scale + shift``; both of shape (channels, rows, columns) or broadcast to it.

        A convolution without clipping takes both. Behind a ReLU a positive scale goes into the convolution, too: as a
        part of the weights behind, it would make those of quiet channels coarse.
        """
        if any(tensor.padding):
            tensor = self.settle(tensor)
        whole = tensor.shape[1:]
        scale, shift = np.broadcast_to(scale, whole), np.broadcast_to(shift, whole)
        layer = self.nodes[tensor.source].layer if tensor.source != INPUT else None
        if tensor.alone and tensor.scale is None and isinstance(layer, Convolution):
            factor, offset = _of_channels(scale, whole[0]), _of_channels(shift, whole[0])
            free, relu = ((layer.low, layer.high) == (low, math.inf) for low in (-math.inf, 0.0))
            if factor is not None and ((free and offset is not None) or (relu and (factor > 0).all())):
                scaled = replace(layer, weights=layer.weights * factor[:, None, None, None], bias=layer.bias * factor)
                if free and offset is not None:
                    scaled = replace(scaled, bias=scaled.bias + offset)
                self._replace(tensor.source, scaled)
                if free or not shift.any():
                    return tensor
                scale = np.ones_like(scale)
        if tensor.scale is not None and tensor.shift is not None:
            shift = tensor.shift * scale + shift
            scale = tensor.scale * scale
        return replace(tensor, scale=scale, shift=shift)

    def pad(self, tensor: Tensor, padding: Padding) -> Tensor:
        """Zeros around an image."""
        if tensor.shift is not None and tensor.shift.any():
            tensor = self.settle(tensor)
        return replace(tensor, padding=_sum(tensor.padding, padding))

    def clip(self, tensor: Tensor, low: float, high: float, name: str) -> Tensor:
        """Clip to a range: in the layer itself where nothing else reads it, else by a layer of its own."""
        if (low, high) == (-math.inf, math.inf):
            return tensor
        tensor = self.settle(tensor)
        if tensor.source != INPUT and tensor.alone:
            layer = self.nodes[tensor.source].layer
            if isinstance(layer, (Convolution, AveragePool, Addition)):
                self._replace(tensor.source, _compose(layer, low, high))
                return tensor
            # the maximum of clipped values is the clipped maximum; others just move values
            if isinstance(layer, (MaxPool, Upsampling, Concatenation)) and self._clip_inputs(tensor.source, low, high):
                return tensor
        one = np.ones(tensor.shape[1], np.float32)
        return self._scaled(tensor, name, one, 0 * one, low, high)

    def _clip_inputs(self, number: int, low: float, high: float) -> bool:
        """Clip all that a node reads, if the layers that give it can do that and nothing else reads them."""
        inputs = set(self.nodes[number].inputs)
        layers = {one: self.nodes[one].layer for one in inputs if one != INPUT}
        if not self.alone[number] or len(layers) < len(inputs):
            return False
        known = {one: layer for one, layer in layers.items() if isinstance(layer, (Convolution, AveragePool, Addition))}
        if len(known) < len(inputs):
            return False
        for one, layer in known.items():
            self._replace(one, _compose(layer, low, high))
        return True

    def settle(self, tensor: Tensor) -> Tensor:
        """Do all that is to be done to a tensor, by a convolution of each channel with one weight.

        Raises
        ------
        UnsupportedError
            If the constants are not the same in all of a channel.
        """
        if not tensor.pending:
            return tensor
        scale, shift = self.channel_constants(tensor)
        name = self.nodes[tensor.source].layer.name if tensor.source != INPUT else "input"
        return self._scaled(tensor, f"{name}.scaled", scale, shift)

    def channel_constants(self, tensor: Tensor) -> tuple[FloatArray, FloatArray]:
        """What each channel is still to be multiplied with, and what to be added.

        Raises
        ------
        UnsupportedError
            If it is not the same in all of a channel.
        """
        channels = tensor.shape[1]
        if tensor.scale is None or tensor.shift is None:
            return np.ones(channels, np.float32), np.zeros(channels, np.float32)
        scale, shift = _of_channels(tensor.scale, channels), _of_channels(tensor.shift, channels)
        if scale is None or shift is None:
            raise UnsupportedError("constants must be the same in all of a channel")
        return scale, shift

    def _scaled(
        self, tensor: Tensor, name: str, scale: FloatArray, shift: FloatArray, low: float = -math.inf,
        high: float = math.inf,
    ) -> Tensor:
        channels = tensor.shape[1]
        layer = Convolution(name, scale.reshape(-1, 1, 1, 1), shift, padding=tensor.padding, groups=channels, low=low,
                            high=high)
        done = self.add(layer, tensor)
        return replace(done, view=tensor.view)

    def _replace(self, number: int, layer: FloatLayer) -> None:
        self.nodes[number] = replace(self.nodes[number], layer=layer)

    # --- layers -------------------------------------------------------------------------------------

    def convolution(self, layer: Convolution, tensor: Tensor) -> Tensor:
        """Add a convolution; constants and padding in front of it become its own."""
        if layer.weights.shape[1] * layer.groups != tensor.shape[1]:
            raise UnsupportedError(f"must have {layer.weights.shape[1] * layer.groups} channels, not shape "
                                   f"{tensor.dims}")
        stuffed = isinstance(layer, TransposedConvolution)
        if stuffed and (any(tensor.padding) or (tensor.shift is not None and tensor.shift.any())):
            tensor = self.settle(tensor)
        padding = _sum(layer.padding, tensor.padding)
        if tensor.scale is not None and tensor.shift is not None:
            plain = not any(padding) and layer.groups == 1 and not stuffed
            full = plain and layer.weights.shape[2:] == tensor.shape[2:]
            if full:  # a fully connected layer, where each position may have constants of its own
                layer = replace(layer, weights=layer.weights * tensor.scale,
                                bias=layer.bias + np.einsum("kchw,chw->k", layer.weights, tensor.shift))
            else:
                scale, shift = self.channel_constants(tensor)
                if any(padding) and shift.any():
                    return self.convolution(layer, self.settle(tensor))
                kernels, channels = len(layer.weights) // layer.groups, layer.weights.shape[1]
                each = (np.repeat(value.reshape(layer.groups, channels), kernels, axis=0) for value in (scale, shift))
                factor, offset = (value[:, :, None, None] for value in each)
                layer = replace(layer, weights=layer.weights * factor,
                                bias=layer.bias + (layer.weights * offset).sum(axis=(1, 2, 3)))
        layer = replace(layer, padding=padding)
        return self.add(layer, replace(tensor, scale=None, shift=None, padding=NO_PADDING))

    def max_pool(self, layer: MaxPool, tensor: Tensor) -> Tensor:
        """Add max pooling; padding in front of it becomes its own if zeros cannot be seen in it."""
        if tensor.scale is not None or layer.window.ceil_mode or not self._nonnegative(tensor):
            tensor = self.settle(tensor)
        return self.add(self._padded(layer, tensor), replace(tensor, padding=NO_PADDING))

    def average_pool(self, layer: AveragePool, tensor: Tensor) -> Tensor:
        """Add average pooling; padding in front of it becomes its own if the pool counts its own."""
        own = any(layer.window.padding) and not layer.count_include_pad
        if tensor.scale is not None or layer.window.ceil_mode or own:
            tensor = self.settle(tensor)
        if any(tensor.padding):
            layer = replace(layer, count_include_pad=True)
        return self.add(self._padded(layer, tensor), replace(tensor, padding=NO_PADDING))

    def addition(self, layer: Addition, first: Tensor, second: Tensor) -> Tensor:
        """Add an addition of two tensors of one shape.

        Raises
        ------
        UnsupportedError
            If their shapes or the orders of their axes differ.
        """
        first, second = self.settle(first), self.settle(second)
        if first.shape != second.shape or first.view != second.view:
            raise UnsupportedError(f"both inputs must have the same shape and order of axes, not {first.dims} and "
                                   f"{second.dims}")
        return replace(self.add(layer, first, second), view=first.view)

    def upsampling(self, layer: Upsampling, tensor: Tensor) -> Tensor:
        """Add nearest upsampling."""
        return self.add(layer, self.settle(tensor))

    def concatenation(self, layer: Concatenation, axis: int, tensors: Sequence[Tensor]) -> Tensor:
        """Add a concatenation along the axis of the channels.

        Raises
        ------
        UnsupportedError
            If it is another axis, or the shapes or the orders of the axes differ.
        """
        tensors = [self.settle(tensor) for tensor in tensors]
        views = set()
        for tensor in tensors:
            count = len(tensor.view)
            view = list(tensor.view)
            place = axis % count
            if tensor.shape[1] == 1:  # which the view leaves out
                view[place] = (1, *view[place])
            if not -count <= axis < count or place == 0 or view[place][:1] != (1,):
                raise UnsupportedError(f"must be along the channels, not along axis {axis} of {tensor.dims}")
            views.add(tuple(view))
        if len(views) != 1:
            dims = " and ".join(str(tensor.dims) for tensor in tensors)
            raise UnsupportedError(f"all inputs must have the same order of axes, not {dims}")
        return replace(self.add(layer, *tensors), view=views.pop())

    def _padded(self, layer: Any, tensor: Tensor) -> Any:
        window = layer.window
        return replace(layer, window=replace(window, padding=_sum(window.padding, tensor.padding)))

    def _nonnegative(self, tensor: Tensor) -> bool:
        waiting = [tensor.source]
        while waiting:
            number = waiting.pop()
            layer = self.nodes[number].layer if number != INPUT else None
            if isinstance(layer, (MaxPool, Upsampling, Concatenation)):
                waiting += self.nodes[number].inputs
            elif not isinstance(layer, (Convolution, AveragePool, Addition)) or layer.low < 0:
                return False
        return True
