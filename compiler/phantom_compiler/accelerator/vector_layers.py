"""Layers of the vector unit: pooling, addition, upsampling and concatenation of quantized activations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray
from phantom_golden.requantize import round_shift
from phantom_hw.config import PhantomConfig
from phantom_hw.vector.layouts import Operation

from phantom_compiler.layer import LayerError

__all__ = ["Add", "AveragePool2d", "Concat", "MaxPool2d", "Upsample2d", "VectorLayer", "Window"]

IntArray = NDArray[Any]
IDENTITY = (1 << 23, 23)
"""Multiplier and shift that change nothing."""


@dataclass(frozen=True)
class Window:
    """What a position of the output is made of; see :func:`phantom_golden.max_pool2d`.

    Parameters
    ----------
    kernel, stride, dilation : (vertical, horizontal)
    padding : (top, left, bottom, right)
    ceil_mode : bool
    """

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    ceil_mode: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The parameters of the golden operators beside the kernel."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "ceil_mode": self.ceil_mode}

    def counts(self, size: tuple[int, int], include_pad: bool) -> NDArray[np.int64]:
        """Activations that each position of the output is made of."""
        counts: NDArray[np.int64] = golden.pool_counts(size, self.kernel, count_include_pad=include_pad,
                                                       **self.options)
        return counts

    def reach(self, axis: int, outputs: int) -> int:
        """Positions of the padded input that so many positions of the output need."""
        return (outputs - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1


@dataclass(frozen=True)
class VectorLayer:
    """A layer of the vector unit.

    Parameters
    ----------
    name : str
    """

    operation: ClassVar[Any]
    inputs: ClassVar[int] = 1

    name: str = "vector"
    window: Window = field(default_factory=Window)

    def error(self, text: str) -> LayerError:
        """An error that names this layer."""
        return LayerError(f"layer {self.name!r}: {text}")

    @property
    def repeats(self) -> tuple[int, int]:
        """How often each row and each column of the input is there; more than once only without a window."""
        return 1, 1

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the output for an input of this size."""
        rows, columns = self.window.counts(size, False).shape
        return rows * self.repeats[0], columns * self.repeats[1]

    def scale(self, size: tuple[int, int]) -> tuple[int, int]:
        """Multiplier and shift of the lanes for an input of this size."""
        raise NotImplementedError

    def clamp(self, width: int, signed: bool) -> tuple[int, int]:
        """Range of the results for activations of ``width`` bits."""
        raise NotImplementedError

    def golden(self, *inputs: IntArray) -> NDArray[np.int64]:
        """The output by the golden model."""
        raise NotImplementedError


@dataclass(frozen=True)
class MaxPool2d(VectorLayer):
    """Max pooling. Padding never wins."""

    operation: ClassVar[Any] = Operation.MAX

    def scale(self, size: tuple[int, int]) -> tuple[int, int]:
        """The maximum stays what it is."""
        return IDENTITY

    def clamp(self, width: int, signed: bool) -> tuple[int, int]:
        """All values."""
        return golden.integer_range(width, signed=signed)

    def golden(self, *inputs: IntArray) -> NDArray[np.int64]:
        """See :func:`phantom_golden.max_pool2d`."""
        result: NDArray[np.int64] = golden.max_pool2d(inputs[0], self.window.kernel, **self.window.options)
        return result


@dataclass(frozen=True)
class Upsample2d(VectorLayer):
    """Nearest upsampling: each position is repeated.

    Parameters
    ----------
    factor : (vertical, horizontal)
        At least 1.
    """

    operation: ClassVar[Any] = Operation.MAX

    factor: tuple[int, int] = (2, 2)

    def __post_init__(self) -> None:
        if len(self.factor) != 2 or any(type(one) is not int or one < 1 for one in self.factor):
            raise self.error(f"factor must be 2 integers of at least 1, not {self.factor!r}")
        if self.window != Window():
            raise self.error(f"there must be no window, not {self.window!r}")

    @property
    def repeats(self) -> tuple[int, int]:
        """The factor."""
        return self.factor

    def scale(self, size: tuple[int, int]) -> tuple[int, int]:
        """Values stay what they are."""
        return IDENTITY

    def clamp(self, width: int, signed: bool) -> tuple[int, int]:
        """All values."""
        return golden.integer_range(width, signed=signed)

    def golden(self, *inputs: IntArray) -> NDArray[np.int64]:
        """See :func:`phantom_golden.upsample_nearest`."""
        result: NDArray[np.int64] = golden.upsample_nearest(inputs[0], self.factor)
        return result


@dataclass(frozen=True)
class Concat(VectorLayer):
    """Concatenation along the channels of inputs of one scale.

    What writes an input writes it into its place where that is possible; other inputs are copied there.
    """

    operation: ClassVar[Any] = Operation.MAX

    def golden(self, *inputs: IntArray) -> NDArray[np.int64]:
        """See :func:`phantom_golden.concat`."""
        result: NDArray[np.int64] = golden.concat(inputs)
        return result


@dataclass(frozen=True)
class AveragePool2d(VectorLayer):
    """Average pooling where each window has the same number of activations.

    Parameters
    ----------
    factor : float
        Input step / output step.
    lo, hi : int
        Legal range of the results.
    count_include_pad : bool
    """

    operation: ClassVar[Any] = Operation.SUM

    factor: float = 1.0
    lo: int = 0
    hi: int = 255
    count_include_pad: bool = False

    def scale(self, size: tuple[int, int]) -> tuple[int, int]:
        """The factor divided by how many activations a window has.

        Raises
        ------
        LayerError
            If it is not the same for all windows.
        """
        counts = np.unique(self.window.counts(size, self.count_include_pad))
        if len(counts) > 1:
            raise self.error(f"each window must have as many activations as the others, not {counts.tolist()}")
        mult, shift = golden.scale_to_mult_shift(np.float32(self.factor) / np.float32(counts[0]))
        return int(mult), int(shift)

    def clamp(self, width: int, signed: bool) -> tuple[int, int]:
        """As it was given."""
        return self.lo, self.hi

    def golden(self, *inputs: IntArray) -> NDArray[np.int64]:
        """See :func:`phantom_golden.average_pool2d`."""
        result: NDArray[np.int64] = golden.average_pool2d(
            inputs[0], self.window.kernel, scale=self.factor, lo=self.lo, hi=self.hi,
            count_include_pad=self.count_include_pad, **self.window.options)
        return result


@dataclass(frozen=True)
class Add(VectorLayer):
    """``clamp(rne((a * mult_a + b * mult_b) * 2^-shift), lo, hi)``.

    Parameters
    ----------
    mult_a, mult_b, shift : int
        See :func:`phantom_golden.add_multipliers`.
    lo, hi : int
        Legal range of the results.
    """

    operation: ClassVar[Any] = Operation.ADD
    inputs: ClassVar[int] = 2

    mult_a: int = 1
    mult_b: int = 1
    shift: int = 0
    lo: int = 0
    hi: int = 255

    @staticmethod
    def multiplier_bits(config: PhantomConfig) -> int:
        """Bits of the multipliers with which no sum can overflow."""
        return max(0, min(24, config.acc_width - config.act_width - 2))

    def fitted(self, config: PhantomConfig) -> Self:
        """The same with multipliers that are rounded until no sum can overflow in a configuration."""
        most = 1 << self.multiplier_bits(config)
        less = 0
        while max(self._rounded(less)) >= most:
            less += 1
        if less > self.shift:
            raise self.error(f"sums of {config.acc_width} bits are too small for its multipliers")
        mult_a, mult_b = self._rounded(less)
        return replace(self, mult_a=mult_a, mult_b=mult_b, shift=self.shift - less)

    def _rounded(self, less: int) -> tuple[int, int]:
        both = round_shift(np.array([self.mult_a, self.mult_b], np.int64), np.array(less, np.int64))
        return int(both[0]), int(both[1])

    def scale(self, size: tuple[int, int]) -> tuple[int, int]:
        """Only the shift is left to do."""
        return 1, self.shift

    def clamp(self, width: int, signed: bool) -> tuple[int, int]:
        """As it was given."""
        return self.lo, self.hi

    def golden(self, *inputs: IntArray) -> NDArray[np.int64]:
        """See :func:`phantom_golden.quantized_add`."""
        result: NDArray[np.int64] = golden.quantized_add(inputs[0], inputs[1], self.mult_a, self.mult_b, self.shift,
                                                         lo=self.lo, hi=self.hi)
        return result
