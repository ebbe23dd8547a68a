"""Convolutions as layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.layer import Layer
from phantom_compiler.problem import Problem, Selection

__all__ = ["Conv1d", "Conv2d", "conv_problem"]

IntArray = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Conv2d(Layer):
    """2-D convolution; depthwise with ``groups`` equal to the channels, pointwise with a 1 × 1 kernel.

    Parameters
    ----------
    weights : integer array, shape (K, C/groups, KH, KW)
    stride, dilation : (vertical, horizontal)
    padding : (top, left, bottom, right)
    groups : int
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._integers("stride", self.stride, 2, 1)
        self._integers("padding", self.padding, 4, 0)
        self._integers("dilation", self.dilation, 2, 1)
        self._groups(self.groups, self.weights.shape[0])

    def validate(
        self, config: PhantomConfig, activations: IntArray | None = None, select: Selection | None = None
    ) -> None:
        super().validate(config, activations, select)
        if activations is not None:
            channels = self.weights.shape[1] * self.groups
            if activations.shape[1] != channels:
                raise self.error(f"activations must have {channels} channels, not shape {activations.shape}")
            self._out_size(activations.shape)

    def _out_size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        top, left, bottom, right = self.padding
        try:
            return (
                golden.conv_output_size(shape[2], self.weights.shape[2], self.stride[0], top + bottom,
                                        self.dilation[0]),
                golden.conv_output_size(shape[3], self.weights.shape[3], self.stride[1], left + right,
                                        self.dilation[1]),
            )
        except ValueError as error:
            raise self.error(str(error)) from None

    def golden(self, activations: IntArray) -> NDArray[np.int64]:
        return golden.conv2d(activations, self.weights, stride=self.stride, padding=self.padding,
                             dilation=self.dilation, groups=self.groups)

    def problem(self, activations: IntArray, select: Selection | None = None) -> Problem:
        top, left, bottom, right = self.padding
        padded = np.pad(activations, ((0, 0), (0, 0), (top, bottom), (left, right)))
        return conv_problem(self, padded, self.weights, self.stride, self.dilation, self.groups,
                             self._out_size(activations.shape), select or Selection())


def conv_problem(
    layer: Layer, padded: IntArray, weights: IntArray, stride: tuple[int, int], dilation: tuple[int, int], groups: int,
    out_size: tuple[int, int], select: Selection, stuffing: int = 1,
) -> Problem:
    """A convolution of a padded input, cut down to the selected rows and channels."""
    start, stop = Selection.bounds("rows", select.rows, out_size[0])
    first, last = Selection.bounds("channels", select.channels, len(weights))
    per_group, channels = len(weights) // groups, weights.shape[1]
    if groups > 1 and (first % per_group or last % per_group):
        raise layer.error(f"select.channels must be whole groups of {per_group}, not {(first, last)}")
    if groups > 1:
        padded = padded[:, first // per_group * channels:last // per_group * channels]
    extent = (stop - 1 - start) * stride[0] + (weights.shape[2] - 1) * dilation[0] + 1
    moving = np.ascontiguousarray(padded[:, :, start * stride[0]:start * stride[0] + extent])
    stationary = weights[first:last]
    shape = (len(moving), last - first, stop - start, out_size[1])
    products = int(np.prod(shape)) * int(np.prod(weights.shape[1:]))
    return Problem(moving, stationary, stride, dilation, (last - first) // per_group if groups > 1 else 1,
                   (stop - start, out_size[1]), layer.act_signed, True, shape, products // stuffing)


@dataclass(frozen=True, eq=False)
class Conv1d(Layer):
    """1-D convolution.

    Parameters
    ----------
    weights : integer array, shape (K, C/groups, KL)
    stride, dilation, groups : int
    padding : (begin, end)
    """

    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    dilation: int = 1
    groups: int = 1
    _conv: Conv2d = field(init=False, repr=False)

    WEIGHT_AXES = 3
    INPUT_AXES = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self._integers("padding", self.padding, 2, 0)
        begin, end = self.padding
        object.__setattr__(self, "_conv", Conv2d(
            self.weights[:, :, None], name=self.name, act_signed=self.act_signed, stride=(1, self.stride),
            padding=(0, begin, 0, end), dilation=(1, self.dilation), groups=self.groups))

    def validate(
        self, config: PhantomConfig, activations: IntArray | None = None, select: Selection | None = None
    ) -> None:
        if activations is not None:
            self._array("activations", activations, self.INPUT_AXES)
        self._conv.validate(config, None if activations is None else activations[:, :, None],
                            Selection(channels=select.channels) if select else None)

    def golden(self, activations: IntArray) -> NDArray[np.int64]:
        return golden.conv1d(activations, self.weights, stride=self.stride, padding=self.padding,
                             dilation=self.dilation, groups=self.groups)

    def problem(self, activations: IntArray, select: Selection | None = None) -> Problem:
        select = select or Selection()
        stacked = self._conv.problem(activations[:, :, None], Selection(channels=select.channels))
        start, stop = Selection.bounds("rows", select.rows, stacked.out_size[1])
        shape = (*stacked.result_shape[:2], stop - start)
        share = stacked.dense_macs // stacked.out_size[1]
        return Problem(stacked.moving[..., start * self.stride:], stacked.stationary, stacked.stride, stacked.dilation,
                       stacked.groups, (1, stop - start), stacked.moving_signed, True, shape, share * (stop - start))
