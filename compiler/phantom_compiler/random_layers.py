"""Seeded random layers of every kind, of a size that a core simulation takes in a moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.convolution import Conv1d, Conv2d
from phantom_compiler.fully_connected import FullyConnected
from phantom_compiler.layer import Layer, LayerError
from phantom_compiler.search import find_tiling
from phantom_compiler.transposed import TransposedConv2d

__all__ = ["CYCLES", "KINDS", "random_layer"]

CYCLES = (200, 3000)  # core cycles that a layer is meant to take, by the tiling's estimate
TRIES = 12

Rng = np.random.Generator
IntArray = NDArray[Any]


@dataclass(frozen=True)
class _Shape:
    """What a kind of layer fixes; the rest is drawn."""

    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    size: tuple[tuple[int, int], tuple[int, int]] = ((2, 9), (3, 14))  # of the output
    weights: tuple[float, float] = (0.1, 0.7)  # density
    activations: tuple[float, float] = (0.1, 0.8)


@dataclass(frozen=True)
class _Aim:
    """Cycles that a layer is meant to take, and the input channels that are tried for it."""

    cycles: float
    channels: int


def _draw(rng: Rng, bounds: tuple[int, int]) -> int:
    return int(rng.integers(bounds[0], bounds[1] + 1))


def _sparse(rng: Rng, shape: tuple[int, ...], density: float, low: int, high: int) -> IntArray:
    """Integers of ``low..high``, now and then the extremes, with some slices of axis 0 and 1 all zero."""
    values = rng.integers(low, high, shape, endpoint=True)
    extreme = rng.random(shape) < 0.05
    values[extreme] = rng.choice([low, high], int(extreme.sum()))
    values[rng.random(shape) >= density] = 0
    for axis in (0, 1):
        if shape[axis] > 2 and rng.random() < 0.3:
            np.moveaxis(values, axis, 0)[rng.integers(shape[axis])] = 0
    return values


def _weights(rng: Rng, config: PhantomConfig, shape: tuple[int, ...], spec: _Shape) -> IntArray:
    half = 1 << config.weight_width - 1
    return _sparse(rng, shape, rng.uniform(*spec.weights), -half, half - 1)


def _activations(rng: Rng, config: PhantomConfig, shape: tuple[int, ...], spec: _Shape, signed: bool) -> IntArray:
    half = 1 << config.act_width - 1
    low, high = (-half, half - 1) if signed else (0, 2 * half - 1)
    return _sparse(rng, shape, rng.uniform(*spec.activations), low, high)


def _filters(rng: Rng, config: PhantomConfig, positions: int, aim: _Aim) -> int:
    """So many filters that draining their results takes a part of the cycles only."""
    results = aim.cycles * rng.uniform(0.05, 0.6)
    return int(np.clip(round(results / positions), 1, 12 * config.pe_cols))


def _padding(rng: Rng, vertical: int, horizontal: int) -> tuple[int, int, int, int]:
    return (_draw(rng, (0, vertical)), _draw(rng, (0, horizontal)), _draw(rng, (0, vertical)),
            _draw(rng, (0, horizontal)))


def _input_size(spec: _Shape, size: tuple[int, int], padding: tuple[int, ...]) -> tuple[int, int]:
    extent = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in
              zip(size, spec.stride, spec.kernel, spec.dilation, strict=True)]
    return max(1, extent[0] - padding[0] - padding[2]), max(1, extent[1] - padding[1] - padding[3])


def _conv(rng: Rng, config: PhantomConfig, spec: _Shape, aim: _Aim, grouping: str = "") -> tuple[Layer, IntArray]:
    """A convolution; `grouping` is empty, ``"depthwise"`` or ``"grouped"``."""
    size = _draw(rng, spec.size[0]), _draw(rng, spec.size[1])
    reach = [(k - 1) * d for k, d in zip(spec.kernel, spec.dilation, strict=True)]
    padding = _padding(rng, reach[0], reach[1])
    images = 2 if rng.random() < 0.15 else 1
    channels, filters = aim.channels, _filters(rng, config, images * size[0] * size[1], aim)
    groups = 1
    if grouping == "depthwise":
        groups, channels, filters = aim.channels, 1, _draw(rng, (1, 2))
    elif grouping == "grouped":
        groups = _draw(rng, (2, 4))
        channels, filters = -(-channels // groups), -(-filters // groups)
    signed = bool(rng.integers(2))
    weights = _weights(rng, config, (groups * filters, channels, *spec.kernel), spec)
    activations = _activations(
        rng, config, (images, groups * channels, *_input_size(spec, size, padding)), spec, signed)
    return Conv2d(weights, act_signed=signed, stride=spec.stride, padding=padding, dilation=spec.dilation,
                  groups=groups), activations


def _conv1d(rng: Rng, config: PhantomConfig, spec: _Shape, aim: _Aim) -> tuple[Layer, IntArray]:
    spec = replace(spec, kernel=(1, _draw(rng, (1, 9))), stride=(1, _draw(rng, (1, 3))),
                   dilation=(1, _draw(rng, (1, 3))), size=((1, 1), (8, 80)))
    layer, activations = _conv(rng, config, spec, aim, "grouped" if rng.random() < 0.2 else "")
    assert isinstance(layer, Conv2d)
    return Conv1d(layer.weights[:, :, 0], act_signed=layer.act_signed, stride=spec.stride[1],
                  padding=(layer.padding[1], layer.padding[3]), dilation=spec.dilation[1],
                  groups=layer.groups), activations[:, :, 0]


def _transposed(rng: Rng, config: PhantomConfig, spec: _Shape, aim: _Aim) -> tuple[Layer, IntArray]:
    stride = _draw(rng, (1, 3)), _draw(rng, (1, 3))
    kernel = _draw(rng, (2, 4)), _draw(rng, (2, 4))
    groups = _draw(rng, (1, 2))
    size = _draw(rng, (2, 6)), _draw(rng, (2, 8))
    positions = size[0] * size[1] * stride[0] * stride[1] * groups
    channels, filters = -(-aim.channels // groups), _filters(rng, config, positions, aim)
    signed = bool(rng.integers(2))
    weights = _weights(rng, config, (groups * channels, filters, *kernel), spec)
    activations = _activations(
        rng, config, (1, groups * channels, *size), spec, signed)
    return TransposedConv2d(weights, act_signed=signed, stride=stride,
                            padding=_padding(rng, kernel[0] - 1, kernel[1] - 1),
                            output_padding=(_draw(rng, (0, stride[0] - 1)), _draw(rng, (0, stride[1] - 1))),
                            groups=groups), activations


def _fully_connected(
    rng: Rng, config: PhantomConfig, spec: _Shape, aim: _Aim, batch: tuple[int, int] = (1, 2)
) -> tuple[Layer, IntArray]:
    images = _draw(rng, batch)
    inputs, neurons = 4 * aim.channels, max(1, round(aim.cycles * rng.uniform(0.02, 0.4) / images))
    signed = bool(rng.integers(2))
    return (FullyConnected(_weights(rng, config, (neurons, inputs), spec), act_signed=signed),
            _activations(rng, config, (images, inputs), spec, signed))


Maker = Callable[[Rng, PhantomConfig, _Aim], tuple[Layer, IntArray]]


def _of(spec: _Shape, grouping: str = "") -> Maker:
    return lambda rng, config, aim: _conv(rng, config, spec, aim, grouping)


_MAKERS: dict[str, Maker] = {
    "conv3x3": _of(_Shape()),
    "conv3x3_s2": _of(_Shape(stride=(2, 2))),
    "conv5x5": _of(_Shape(kernel=(5, 5))),
    "conv7x7_s2": _of(_Shape(kernel=(7, 7), stride=(2, 2))),
    "conv1x7": _of(_Shape(kernel=(1, 7))),
    "conv7x1": _of(_Shape(kernel=(7, 1))),
    "conv2x2": _of(_Shape(kernel=(2, 2), stride=(1, 2))),
    "dilated": _of(_Shape(dilation=(2, 3))),
    "dilated_s2": _of(_Shape(dilation=(2, 2), stride=(2, 2))),
    "depthwise": _of(_Shape(), "depthwise"),
    "depthwise_s2": _of(_Shape(stride=(2, 2)), "depthwise"),
    "pointwise": _of(_Shape(kernel=(1, 1))),
    "pointwise_s2": _of(_Shape(kernel=(1, 1), stride=(2, 2))),
    "grouped": _of(_Shape(), "grouped"),
    "conv1d": lambda rng, config, aim: _conv1d(rng, config, _Shape(), aim),
    "transposed": lambda rng, config, aim: _transposed(rng, config, _Shape(), aim),
    "fully_connected": lambda rng, config, aim: _fully_connected(rng, config, _Shape(), aim),
    "matmul": lambda rng, config, aim: _fully_connected(rng, config, _Shape(), aim, (3, 24)),
    "dense": _of(_Shape(weights=(1.0, 1.0), activations=(1.0, 1.0))),
    "very_sparse": _of(_Shape(weights=(0.005, 0.02), activations=(0.005, 0.3))),
    "one_pixel": _of(_Shape(size=((1, 1), (1, 1)))),
    "ragged": _of(_Shape(size=((1, 3), (29, 67)))),
}

KINDS = tuple(_MAKERS)


def _within_accumulator(layer: Layer, config: PhantomConfig) -> Layer:
    """The layer with weights so small that its accumulators cannot overflow."""
    while True:
        try:
            layer.validate(config)
            return layer
        except LayerError:
            weights = (layer.weights / 2).astype(layer.weights.dtype)
            layer = replace(layer, weights=weights)


def random_layer(
    rng: Rng, config: PhantomConfig, kind: str, cycles: tuple[int, int] = CYCLES
) -> tuple[Layer, IntArray]:
    """Draw a layer and its activations.

    Parameters
    ----------
    rng : numpy.random.Generator
        The same state gives the same layer.
    config : PhantomConfig
    kind : str
        One of `KINDS`.
    cycles : (low, high)
        Estimated core cycles to aim at; kept where the kind allows it.

    Returns
    -------
    layer : Layer
    activations : integer array

    Raises
    ------
    ValueError
        If `kind` is unknown.
    """
    if kind not in _MAKERS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    target = float(np.exp(rng.uniform(*np.log(cycles))))
    channels = 8
    best: tuple[float, Layer, IntArray] | None = None
    for _ in range(TRIES):
        layer, activations = _MAKERS[kind](rng, config, _Aim(target, channels))
        try:
            estimate = find_tiling(layer.problem(activations), config).cycles
        except LayerError:  # the padding drawn leaves nothing of the output
            continue
        miss = abs(float(np.log(estimate / target)))
        if best is None or miss < best[0]:
            best = miss, layer, activations
        if miss < 0.4:
            break
        channels = round(np.clip(channels * np.clip(target / estimate, 0.2, 5.0), 1, 2048))
    assert best is not None
    layer = replace(_within_accumulator(best[1], config), name=f"random {kind}")
    return layer, best[2]
