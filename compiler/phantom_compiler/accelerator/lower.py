"""A layer from tensor to tensor: what the accelerator is told and given for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.emit import LayerEmitter
from phantom_compiler.accelerator.image import MemoryImage
from phantom_compiler.accelerator.plan import plan_layer
from phantom_compiler.accelerator.sets import Density
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.quantized import QuantizedLayer

__all__ = ["Lowered", "lower_layer"]


@dataclass(frozen=True)
class Lowered:
    """What became of a layer.

    Attributes
    ----------
    output : TensorFormat
        With its address.
    tiling : str
        How the layer is cut, for reports.
    """

    output: TensorFormat
    tiling: str


def lower_layer(
    quantized: QuantizedLayer, form: TensorFormat, shape: tuple[int, ...], config: PhantomConfig,
    image: MemoryImage, stream: CommandStream, *, out_signed: bool, density: Density = 0.5,
    seen: NDArray[np.bool_] | None = None,
) -> Lowered:
    """Add a layer to a job.

    Parameters
    ----------
    quantized : QuantizedLayer
    form : TensorFormat
        Of the input, with its address.
    shape : tuple of int
        Of the activations, as the reference operator takes them.
    config : PhantomConfig
    image : MemoryImage
        Gets the layer's constant data and room for its output.
    stream : CommandStream
        Gets its commands.
    out_signed : bool
        Whether the results use the signed range.
    density : float, or float array of shape (channels,)
        Share of nonzero activations expected, of all or of each channel (from a calibration); rows are dealt to PE rows
        by those of the channels.
    seen : bool array, optional
        Nonzeros of the activations in a calibration, of the same shape but for the number of images.

    Raises
    ------
    LayerError
        If the layer cannot be computed exactly or does not fit the configuration.
    """
    plan = plan_layer(quantized, form, shape, config, density, out_signed, seen=seen)
    output = plan.output.at(image.reserve(plan.output.bytes))
    LayerEmitter(plan, output, image, stream).run()
    return Lowered(output, str(plan))
