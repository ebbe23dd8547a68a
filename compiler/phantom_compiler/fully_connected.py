"""Fully connected layers and matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.layer import Layer
from phantom_compiler.problem import Problem, Selection

__all__ = ["FullyConnected"]

IntArray = NDArray[Any]


@dataclass(frozen=True, eq=False)
class FullyConnected(Layer):
    """Fully connected layer or matrix product ``x @ weights.T``: the weights move, the activations stay.

    Parameters
    ----------
    weights : integer array, shape (K, I)
        One row for each neuron.
    """

    WEIGHT_AXES = 2
    INPUT_AXES = 2

    def validate(
        self, config: PhantomConfig, activations: IntArray | None = None, select: Selection | None = None
    ) -> None:
        super().validate(config, activations, select)
        if activations is not None and activations.shape[1] != self.weights.shape[1]:
            raise self.error(f"activations must have {self.weights.shape[1]} inputs, not shape {activations.shape}")

    def golden(self, activations: IntArray) -> NDArray[np.int64]:
        return golden.fully_connected(activations, self.weights)

    def selected(self, result: IntArray, select: Selection | None = None) -> IntArray:
        select = select or Selection()
        rows = slice(*Selection.bounds("rows", select.rows, result.shape[0]))
        return result[rows, slice(*Selection.bounds("channels", select.channels, result.shape[1]))]

    def problem(self, activations: IntArray, select: Selection | None = None) -> Problem:
        select = select or Selection()
        start, stop = Selection.bounds("rows", select.rows, len(activations))
        first, last = Selection.bounds("channels", select.channels, len(self.weights))
        moving = np.ascontiguousarray(self.weights[first:last].T)[None, :, None]
        stationary = activations[start:stop, :, None, None]
        shape = stop - start, last - first
        return Problem(moving, stationary, (1, 1), (1, 1), 1, (1, last - first), True, self.act_signed, shape,
                       shape[0] * shape[1] * self.weights.shape[1])
