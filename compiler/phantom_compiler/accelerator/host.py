"""What the host does around a network: inputs from arrays and images, outputs as real numbers and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import phantom_golden as golden
from numpy.typing import NDArray

from phantom_compiler.accelerator.program import Pixels, Program
from phantom_compiler.frontend.partition import host_engine, host_nodes, run_host

__all__ = ["Entrance", "HostError", "classes", "final_outputs", "host_lines", "read_input"]

Real = NDArray[np.float32]


class HostError(ValueError):
    """An input that does not fit the network: one line."""


@dataclass(frozen=True)
class Entrance:
    """What lies in front of the first layer.

    Parameters
    ----------
    shape : (images, channels, rows, columns)
        Of the first layer's input.
    before : bytes, optional
        What the host does first, an ONNX model.
    pixels : Pixels
    """

    shape: tuple[int, int, int, int]
    before: bytes | None = None
    pixels: Pixels = field(default_factory=Pixels)

    @property
    def given(self) -> tuple[int, ...]:
        """Shape of what the network's file takes."""
        if self.before is None:
            return self.shape
        dimensions = onnx.load_from_string(self.before).graph.input[0].type.tensor_type.shape.dim
        # a dimension without a number is that of the images
        return tuple(one.dim_value or self.shape[0] for one in dimensions)

    def read(self, path: str | Path) -> Real | NDArray[Any]:
        """Images from a file, as the network's file takes them; an array of integers is given as it is.

        An array may hold any number of images, or one without an axis for that. An image is resized.

        Raises
        ------
        HostError
            If the file cannot be read or does not fit.
        """
        try:
            if Path(path).suffix != ".npy":
                return self._image(path)
            with open(path, "rb") as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
        except OSError as error:
            raise HostError(f"cannot read {str(path)!r}: {error.strerror or 'not an image'}") from None
        except (ValueError, EOFError) as error:
            if isinstance(error, HostError):
                raise
            raise HostError(f"{path}: not an array in the format .npy") from None
        if array.dtype.kind not in "iuf":
            raise HostError(f"{path}: must be an array of integers or real numbers, not {array.dtype}")
        shape = self.given if array.dtype.kind == "f" else self.shape
        if array.shape == shape[1:]:
            array = array[None]
        if array.shape[1:] != shape[1:] or not len(array):
            raise HostError(f"{path}: must have shape {shape}, not {array.shape}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise HostError(f"{path}: real numbers must be finite")
        return array

    def enter(self, values: Real) -> Real:
        """What the first layer gets, real numbers yet."""
        values = values.astype(np.float32)
        if self.before is None:
            return values
        step = self.given[0]
        parts = [run_host(self.before, values[at:at + step])[0] for at in range(0, len(values), step)]
        return np.concatenate(parts).astype(np.float32)

    def _image(self, path: str | Path) -> Real:
        from PIL import Image, UnidentifiedImageError

        (_, channels, rows, columns), given = self.shape, self.given
        if channels not in (1, 3):
            raise HostError(f"{path}: the network takes arrays of {channels} channels, not images")
        try:
            with Image.open(path) as opened:
                pixels = np.asarray(opened.convert("RGB" if channels == 3 else "L").resize(
                    (columns, rows), Image.Resampling.BILINEAR), np.float32)
        except UnidentifiedImageError:
            raise HostError(f"{path}: neither an image nor an array in the format .npy") from None
        image = pixels.reshape(1, rows, columns, channels) * np.float32(self.pixels.scale) + np.float32(
            self.pixels.offset)
        for turned in (image, image.transpose(0, 3, 1, 2)):
            if turned.shape[1:] == given[1:]:
                return np.ascontiguousarray(turned)
        raise HostError(f"{path}: the network takes arrays of shape {given}, not images")


def read_input(program: Program, path: str | Path) -> NDArray[np.int64]:
    """The network's input from a file: an image, or an array of integers for the first layer or of real numbers.

    Raises
    ------
    HostError
        If the file cannot be read or does not fit.
    """
    entrance = Entrance(program.shape, program.before, program.pixels)
    values = entrance.read(path)
    if len(values) == 1 and program.shape[0] > 1:
        values = np.repeat(values, program.shape[0], axis=0)
    if len(values) != program.shape[0]:
        raise HostError(f"{path}: must have {program.shape[0]} images, not {len(values)}")
    if values.dtype.kind == "f":
        return program.quantize(entrance.enter(values))
    low, high = golden.integer_range(program.config.act_width, signed=program.signed)
    if not (low <= values.min() and values.max() <= high):
        raise HostError(f"{path}: integers must be in {low}..{high}, not "
                        f"{values.min() if values.min() < low else values.max()}")
    return values.astype(np.int64)


def final_outputs(program: Program, values: Sequence[NDArray[np.int64]]) -> list[Real]:
    """The network's outputs as real numbers, what is left to the host done.

    Parameters
    ----------
    program : Program
    values : sequence of integer arrays
        The outputs of ``program.outputs``.
    """
    real = [golden.dequantize(value, program.output_scales[number]) if program.output_scales
            else value.astype(np.float32) for number, value in zip(program.outputs, values, strict=True)]
    if program.after is None:
        return real
    return [np.asarray(one, np.float32) for one in run_host(program.after, *real)]


def classes(program: Program, outputs: Sequence[Real], count: int = 5) -> list[tuple[str, float]]:
    """The classes with the highest scores of the first image, if the network has names for them."""
    scores = outputs[0][0].ravel() if outputs else np.zeros(0, np.float32)
    if len(program.labels) != len(scores):
        return []
    return [(program.labels[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:count]]


def host_lines(program: Program) -> list[str]:
    """What does not run on the accelerator, a line for each host partition: operators with their names in the file."""
    parts = {"before": program.before, "after": program.after}
    found = [f"on the host, {place} the layers: {', '.join(names)}" for place, model in parts.items()
             if (names := host_nodes(model))]
    return [*found, f"by {host_engine()}"] if found else ["on the host: no operator of the network"]
