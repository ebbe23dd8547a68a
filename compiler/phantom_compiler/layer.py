"""What all quantized layers on integers have in common."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.problem import Problem, Selection

__all__ = ["Layer", "LayerError"]

IntArray = NDArray[Any]


class LayerError(ValueError):
    """A layer that cannot be computed: one line that names the layer, the value and the legal range."""


def _signed_range(width: int) -> tuple[int, int]:
    return -(1 << width - 1), (1 << width - 1) - 1


@dataclass(frozen=True, eq=False)
class Layer:
    """What all layers have: weights, a name for messages, and the signedness of the activations.

    Parameters
    ----------
    weights : integer array
        Output channel first (of a transposed convolution the input channel), as in ONNX.
    name : str
    act_signed : bool
        Whether the activations use the signed range of ``act_width`` bits.
    """

    weights: IntArray
    _: KW_ONLY
    name: str = "layer"
    act_signed: bool = False

    WEIGHT_AXES = 4
    INPUT_AXES = 4

    def __post_init__(self) -> None:
        self._array("weights", self.weights, self.WEIGHT_AXES)

    def error(self, text: str) -> LayerError:
        """Return an error that names this layer."""
        return LayerError(f"layer {self.name!r}: {text}")

    def _array(self, name: str, array: IntArray, axes: int) -> None:
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
            raise self.error(f"{name} must be an integer array, not {getattr(array, 'dtype', type(array).__name__)}")
        if array.ndim != axes or array.size == 0:
            raise self.error(f"{name} must have {axes} axes and not be empty, not shape {array.shape}")

    def _integers(self, name: str, value: tuple[int, ...], length: int, low: int) -> None:
        if (not isinstance(value, tuple) or len(value) != length
                or any(type(v) is not int or v < low for v in value)):
            raise self.error(f"{name} must be {length} integers of at least {low}, not {value!r}")

    def _groups(self, groups: int, filters: int) -> None:
        if type(groups) is not int or groups < 1 or filters % groups:
            raise self.error(f"groups must divide the {filters} filters, not {groups!r}")

    def act_range(self, config: PhantomConfig) -> tuple[int, int]:
        """Lowest and highest activation."""
        return _signed_range(config.act_width) if self.act_signed else (0, (1 << config.act_width) - 1)

    def filters(self) -> IntArray:
        """The weights with the output channel on axis 0."""
        return self.weights

    def validate(
        self, config: PhantomConfig, activations: IntArray | None = None, select: Selection | None = None
    ) -> None:
        """Refuse what the configuration cannot compute exactly; with `select`, look at those channels only.

        Raises
        ------
        LayerError
            If a weight or an activation is out of range, the activations have the wrong shape, or the worst case of
            the weights could overflow an accumulator.
        """
        filters = self.filters()
        if select is not None:
            filters = filters[slice(*Selection.bounds("channels", select.channels, len(filters)))]
        self._within("weights", filters, _signed_range(config.weight_width), f"weight_width {config.weight_width}")
        low, high = self.act_range(config)
        try:
            golden.check_accumulator(self.name, filters, low, high, acc_width=min(config.acc_width, 40))
        except golden.AccumulatorOverflowError as error:
            raise LayerError(str(error)) from None
        if activations is not None:
            self._array("activations", activations, self.INPUT_AXES)
            kind = "signed" if self.act_signed else "unsigned"
            self._within("activations", activations, (low, high), f"{kind} act_width {config.act_width}")

    def _within(self, name: str, array: IntArray, legal: tuple[int, int], why: str) -> None:
        low, high = int(array.min()), int(array.max())
        if low < legal[0] or high > legal[1]:
            value = low if low < legal[0] else high
            raise self.error(f"{name} must be in {legal[0]}..{legal[1]} ({why}), not {value}")

    def golden(self, activations: IntArray) -> NDArray[np.int64]:
        """The accumulators by the reference operators."""
        raise NotImplementedError

    def problem(self, activations: IntArray, select: Selection | None = None) -> Problem:
        """The layer (or the selected slice of it) as a :class:`Problem`."""
        raise NotImplementedError

    def selected(self, result: IntArray, select: Selection | None = None) -> IntArray:
        """The slice of a whole result that `select` names."""
        select = select or Selection()
        rows = slice(*Selection.bounds("rows", select.rows, result.shape[2]))
        channels = slice(*Selection.bounds("channels", select.channels, result.shape[1]))
        return result[:, channels, rows]
