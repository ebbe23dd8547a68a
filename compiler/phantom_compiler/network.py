"""Quantized chains of layers: pruned, calibrated and executed by the golden model, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray

from phantom_compiler.convolution import Conv2d
from phantom_compiler.fully_connected import FullyConnected
from phantom_compiler.onnx_import import Convolution, Dense, Flatten, FloatNetwork, MaxPool, Stage
from phantom_compiler.quantized import QuantizedLayer

__all__ = ["CalibratedLayer", "LayerValues", "StageValues", "quantized_layers", "quantized_stages"]

IntArray = NDArray[Any]


@dataclass(frozen=True, eq=False)
class CalibratedLayer(QuantizedLayer):
    """A quantized layer of a network, and what its integers stand for.

    Attributes
    ----------
    input_scale, output_scale : float32
        Real value of one step.
    weight_scales : float32 array, shape (K,)
    real_bias : float32 array, shape (K,)
    """

    layer: Conv2d | FullyConnected
    input_scale: np.float32
    output_scale: np.float32
    weight_scales: NDArray[np.float32]
    real_bias: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class StageValues:
    """What a stage of a chain worked on and what it gave.

    Attributes
    ----------
    stage : Stage
    activations, results : integer arrays
        Input and output.
    """

    stage: Stage
    activations: IntArray
    results: IntArray


@dataclass(frozen=True, eq=False)
class LayerValues(StageValues):
    """What a layer with weights worked on and what it gave.

    Attributes
    ----------
    quantized : CalibratedLayer
    accumulators : integer array
        Raw sums, of which the results are made by requantization.
    """

    quantized: CalibratedLayer
    accumulators: IntArray


def _weights(
    stage: Convolution | Dense, density: float, width: int, input_scale: np.float32, signed: bool, name: str
) -> tuple[Conv2d | FullyConnected, NDArray[np.float32]]:
    """Prune and quantize the weights of a stage."""
    pruned = golden.magnitude_prune(stage.weights, density)
    scales = golden.weight_scales(pruned, width, minimum=golden.minimum_weight_scale(stage.bias, float(input_scale)))
    weights = golden.quantize(pruned, scales, width, narrow=True, axis=0)
    if isinstance(stage, Dense):
        return FullyConnected(weights, name=name, act_signed=signed), scales
    return Conv2d(weights, name=name, act_signed=signed, stride=stage.stride, padding=stage.padding,
                  dilation=stage.dilation, groups=stage.groups), scales


def _calibrated(
    layer: Conv2d | FullyConnected, scales: NDArray[np.float32], stage: Convolution | Dense, accumulators: IntArray,
    input_scale: np.float32, width: int,
) -> CalibratedLayer:
    """Choose the output scale from the smallest and the largest result."""
    steps = (np.float32(input_scale) * scales).astype(np.float64)
    bias = golden.quantize_bias(stage.bias, float(input_scale), scales)
    axes = tuple(axis for axis in range(accumulators.ndim) if axis != 1)
    low = float(((accumulators.min(axis=axes) + bias) * steps).min())
    high = float(((accumulators.max(axis=axes) + bias) * steps).max())
    low, high = (0.0, max(0.0, high)) if stage.relu else (min(0.0, low), max(0.0, high))
    output_scale = golden.activation_scale(low, high, width, signed=not stage.relu)
    lo, hi = golden.integer_range(width, signed=not stage.relu)
    mult, shift = golden.scale_to_mult_shift(golden.requantize_scale(input_scale, scales, output_scale))
    return CalibratedLayer(layer, bias, mult, shift, lo, hi, np.float32(input_scale), output_scale, scales, stage.bias)


def _plain(stage: Stage, x: IntArray) -> IntArray:
    """A stage without weights."""
    if isinstance(stage, MaxPool):
        return golden.max_pool2d(x, stage.kernel, stride=stage.stride, padding=stage.padding,
                                 dilation=stage.dilation, ceil_mode=stage.ceil_mode)
    assert isinstance(stage, Flatten)
    x = x.transpose(0, 2, 3, 1) if stage.channels_last else x
    return np.ascontiguousarray(x.reshape(len(x), -1))


def quantized_layers(
    network: FloatNetwork, images: NDArray[np.floating[Any]], *, densities: Sequence[float] = (),
    names: Sequence[str] = (), act_width: int = 8, weight_width: int = 8,
) -> Iterator[LayerValues]:
    """The layers with weights among :func:`quantized_stages`."""
    for values in quantized_stages(network, images, densities=densities, names=names, act_width=act_width,
                                   weight_width=weight_width):
        if isinstance(values, LayerValues):
            yield values


def quantized_stages(
    network: FloatNetwork, images: NDArray[np.floating[Any]], *, densities: Sequence[float] = (),
    names: Sequence[str] = (), act_width: int = 8, weight_width: int = 8,
) -> Iterator[StageValues]:
    """Quantize a network stage by stage, on the values that the quantized stages before gave.

    Scales are min-max: of each output channel's weights, and of the layer's results for all `images`; so the result
    of a layer never saturates on the images it was calibrated with.

    Parameters
    ----------
    network : FloatNetwork
    images : real array, NCHW
    densities : sequence of float, optional
        Share of the weights that magnitude pruning keeps in each layer; 1 for layers beyond the sequence.
    names : sequence of str, optional
        Names of the layers; those of the file for layers beyond the sequence.
    act_width, weight_width : int

    Yields
    ------
    StageValues
        Each stage, in order, as soon as it is computed; of those with weights `LayerValues`.

    Raises
    ------
    ValueError
        If a value or a shape is illegal.
    LayerError
        If a layer's shape does not fit what comes in.
    """
    signed = bool(images.min() < 0)
    scale = golden.activation_scale(float(images.min()), float(images.max()), act_width, signed=signed)
    x: IntArray = golden.quantize(images, scale, act_width, signed=signed)
    number = 0
    for stage in network.stages:
        if not isinstance(stage, (Convolution, Dense)):
            before, x = x, _plain(stage, x)
            yield StageValues(stage, before, x)
            continue
        density = densities[number] if number < len(densities) else 1.0
        name = names[number] if number < len(names) else stage.name
        number += 1
        layer, scales = _weights(stage, density, weight_width, scale, signed, name)
        _check_shape(layer, x)
        accumulators = layer.golden(x)
        quantized = _calibrated(layer, scales, stage, accumulators, scale, act_width)
        results = quantized.requantize(accumulators)
        yield LayerValues(stage, x, results, quantized, accumulators)
        x, scale, signed = results, quantized.output_scale, not stage.relu


def _check_shape(layer: Conv2d | FullyConnected, x: IntArray) -> None:
    inputs = layer.weights.shape[1] * (layer.groups if isinstance(layer, Conv2d) else 1)
    if x.ndim != layer.INPUT_AXES or x.shape[1] != inputs:
        raise layer.error(f"activations must have {layer.INPUT_AXES} axes and {inputs} channels, not shape {x.shape}")
