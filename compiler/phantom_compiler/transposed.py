"""Transposed convolutions as layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.convolution import conv_problem
from phantom_compiler.layer import Layer
from phantom_compiler.problem import Problem, Selection

__all__ = ["TransposedConv2d"]

IntArray = NDArray[Any]


@dataclass(frozen=True, eq=False)
class TransposedConv2d(Layer):
    """Transposed 2-D convolution, computed as a convolution of the zero-stuffed input with flipped filters.

    Parameters
    ----------
    weights : integer array, shape (C, K/groups, KH, KW)
    stride, dilation, output_padding : (vertical, horizontal)
    padding : (top, left, bottom, right)
    groups : int
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    output_padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._integers("stride", self.stride, 2, 1)
        self._integers("padding", self.padding, 4, 0)
        self._integers("output_padding", self.output_padding, 2, 0)
        self._integers("dilation", self.dilation, 2, 1)
        self._groups(self.groups, self.weights.shape[0])

    def filters(self) -> IntArray:
        return golden.flip_weights(self.weights, self.groups)

    def _stuffed(self, activations: IntArray) -> IntArray:
        kernel = self.weights.shape[2:]
        try:
            return golden.zero_stuff(activations, self.stride, golden.transposed_padding(
                kernel, stride=self.stride, padding=self.padding, output_padding=self.output_padding,
                dilation=self.dilation))
        except ValueError as error:
            raise self.error(str(error)) from None

    def validate(
        self, config: PhantomConfig, activations: IntArray | None = None, select: Selection | None = None
    ) -> None:
        super().validate(config, activations, select)
        if activations is not None:
            if activations.shape[1] != len(self.weights):
                raise self.error(f"activations must have {len(self.weights)} channels, not shape {activations.shape}")
            self._out_size(self._stuffed(activations))

    def _out_size(self, stuffed: IntArray) -> tuple[int, int]:
        reach = [(k - 1) * d for k, d in zip(self.weights.shape[2:], self.dilation, strict=True)]
        size = stuffed.shape[2] - reach[0], stuffed.shape[3] - reach[1]
        if min(size) < 1:
            raise self.error(f"padding must leave a part of the output, not {self.padding!r}")
        return size

    def golden(self, activations: IntArray) -> NDArray[np.int64]:
        return golden.transposed_conv2d(activations, self.weights, stride=self.stride, padding=self.padding,
                                        output_padding=self.output_padding, dilation=self.dilation,
                                        groups=self.groups)

    def problem(self, activations: IntArray, select: Selection | None = None) -> Problem:
        stuffed = self._stuffed(activations)
        return conv_problem(self, stuffed, self.filters(), (1, 1), self.dilation, self.groups,
                             self._out_size(stuffed), select or Selection(), self.stride[0] * self.stride[1])
