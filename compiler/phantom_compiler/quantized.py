"""A layer on integers and how its accumulators become activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray

from phantom_compiler.layer import Layer

__all__ = ["QuantizedLayer"]

IntArray = NDArray[Any]


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """A layer with what makes activations of its accumulators.

    Attributes
    ----------
    layer : Layer
    bias, mult, shift : int64 arrays, shape (K,)
        See :func:`phantom_golden.requantize`.
    lo, hi : int
        Legal range of the results.
    """

    layer: Layer
    bias: IntArray
    mult: IntArray
    shift: IntArray
    lo: int
    hi: int

    def requantize(self, accumulators: IntArray) -> NDArray[np.int64]:
        """The layer's results from its accumulators, whose axis 1 counts the channels."""
        return golden.requantize(accumulators, self.mult, self.shift, bias=self.bias, lo=self.lo, hi=self.hi)
