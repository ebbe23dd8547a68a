"""What the host does around a program: inputs from arrays and images, outputs as real numbers and classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray

from phantom_compiler.accelerator.program import Program
from phantom_compiler.frontend.partition import run_host

__all__ = ["HostError", "classes", "final_outputs", "input_from_array", "input_from_image", "read_input"]


class HostError(ValueError):
    """An input that does not fit the program: one line."""


def read_input(program: Program, path: str | Path) -> NDArray[np.int64]:
    """The network's input from a file: an array (``.npy``) or an image.

    Raises
    ------
    HostError
        If the file cannot be read or does not fit.
    """
    try:
        if Path(path).suffix != ".npy":
            return input_from_image(program, path)
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise HostError(f"cannot read {str(path)!r}: {error.strerror or 'not an image'}") from None
    except (ValueError, EOFError) as error:
        if isinstance(error, HostError):
            raise
        raise HostError(f"{path}: not an array in the format .npy") from None
    if not isinstance(array, np.ndarray):
        raise HostError(f"{path}: not an array in the format .npy")
    return input_from_array(program, array, str(path))


def input_from_array(program: Program, array: NDArray[Any], name: str = "input") -> NDArray[np.int64]:
    """The network's input from integers, taken as they are, or from real numbers, as the ONNX file's input takes them.

    The axis of the images may be left out if there is one image.

    Raises
    ------
    HostError
        If type, shape or range is wrong.
    """
    if array.dtype.kind not in "iuf":
        raise HostError(f"{name}: must be an array of integers or real numbers, not {array.dtype}")
    real = array.dtype.kind == "f"
    shape = _file_shape(program) if real else program.shape
    if array.shape == shape[1:] and shape[0] == 1:
        array = array[None]
    if array.shape != shape:
        raise HostError(f"{name}: must have shape {shape}, not {array.shape}")
    if not real:
        low, high = golden.integer_range(program.config.act_width, signed=program.signed)
        if array.size and not (low <= array.min() and array.max() <= high):
            value = array.min() if array.min() < low else array.max()
            raise HostError(f"{name}: integers must be in {low}..{high}, not {value}")
        return array.astype(np.int64)
    if not np.isfinite(array).all():
        raise HostError(f"{name}: real numbers must be finite")
    return _enter(program, array.astype(np.float32))


def input_from_image(program: Program, path: str | Path) -> NDArray[np.int64]:
    """The network's input from an image, which is resized to its shape; the same image as often as it takes images.

    Raises
    ------
    HostError
        If the network does not take images.
    """
    from PIL import Image, UnidentifiedImageError

    images, channels, rows, columns = program.shape
    shape = _file_shape(program)
    if channels not in (1, 3):
        raise HostError(f"{path}: the network takes arrays of {channels} channels, not images")
    try:
        with Image.open(path) as opened:
            pixels = np.asarray(opened.convert("RGB" if channels == 3 else "L").resize(
                (columns, rows), Image.Resampling.BILINEAR), np.float32)
    except UnidentifiedImageError:
        raise HostError(f"{path}: neither an image nor an array in the format .npy") from None
    image = pixels.reshape(rows, columns, channels) * np.float32(program.pixels.scale) + np.float32(
        program.pixels.offset)
    image = np.broadcast_to(image, (images, rows, columns, channels))
    if shape != image.shape:
        image = image.transpose(0, 3, 1, 2)
    if shape != image.shape:
        raise HostError(f"{path}: the network takes arrays of shape {shape}, not images")
    return _enter(program, np.ascontiguousarray(image))


def final_outputs(program: Program, values: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
    """The network's outputs as real numbers, what is left to the host done.

    Parameters
    ----------
    program : Program
    values : sequence of integer arrays
        The outputs of ``program.outputs``.
    """
    real = [golden.dequantize(value, program.output_scales[number]) if program.output_scales
            else value.astype(np.float32) for number, value in zip(program.outputs, values, strict=True)]
    return real if program.after is None else [np.asarray(one, np.float32) for one in run_host(program.after, *real)]


def classes(program: Program, outputs: Sequence[NDArray[np.float32]], count: int = 5) -> list[tuple[str, float]]:
    """The classes with the highest scores of the first image, if the network has names for them."""
    scores = outputs[0][0].ravel() if outputs else np.zeros(0, np.float32)
    if len(program.labels) != len(scores):
        return []
    return [(program.labels[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:count]]


def _enter(program: Program, array: NDArray[np.float32]) -> NDArray[np.int64]:
    if program.before is not None:
        array = run_host(program.before, array)[0]
    return program.quantize(array)


def _file_shape(program: Program) -> tuple[int, ...]:
    """Of the input that the ONNX file takes."""
    if program.before is None:
        return program.shape
    import onnx

    model = onnx.load_from_string(program.before)
    dimensions = model.graph.input[0].type.tensor_type.shape.dim
    # a dimension without a number is that of the images
    return tuple(one.dim_value or program.shape[0] for one in dimensions)
