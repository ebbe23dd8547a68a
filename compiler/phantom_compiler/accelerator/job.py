"""A job: what the accelerator finds in memory, what it is told, and where its results are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.image import MemoryImage
from phantom_compiler.accelerator.lower import lower_layer
from phantom_compiler.accelerator.source import as_images, layer_input
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.quantized import QuantizedLayer

__all__ = ["Job", "layer_job"]


@dataclass(frozen=True, eq=False)
class Job:
    """A job and its memory.

    Parameters
    ----------
    config : PhantomConfig
    image : MemoryImage
        Constant data, and room for tensors.
    commands : int
        Address of the command stream.
    count : int
        Its commands.
    input : TensorFormat
    outputs : sequence of TensorFormat
        Of each layer.
    tilings : sequence of str
        How each layer is cut, for reports.
    starts : sequence of int
        The first command of each layer.
    tensor_bytes : int
        Bytes of all tensors of a network in external memory; they lie from the image's first address on.
    ahead : sequence of (first, end)
        For each layer, the commands among those of layers before it that load what it needs, ``end`` not included.
    cycles : sequence of float
        That each layer is expected to take.
    """

    config: PhantomConfig
    image: MemoryImage
    commands: int
    count: int
    input: TensorFormat
    outputs: Sequence[TensorFormat]
    tilings: Sequence[str] = ()
    starts: Sequence[int] = ()
    tensor_bytes: int = 0
    ahead: Sequence[tuple[int, int]] = ()
    cycles: Sequence[float] = ()

    @property
    def tensor_ranges(self) -> list[tuple[int, int]]:
        """First address and bytes of where the tensors of a network lie, in each memory."""
        on_chip = max((form.address + form.bytes for form in self.outputs if form.on_chip), default=0)
        return [(first, size) for first, size in ((0, on_chip), (self.image.base, self.tensor_bytes)) if size]

    def fill(self, memory: NDArray[np.uint8], activations: NDArray[Any]) -> None:
        """Put the constant data and the activations (images, channels, rows, columns) into memory."""
        for address, data in self.image.segments:
            memory[address:address + len(data)] = data
        memory[self.input.address:self.input.address + self.input.bytes] = self.input.encode(activations)

    def stream(self) -> bytes:
        """The commands as they lie in memory."""
        [found] = [data.tobytes() for address, data in self.image.segments if address == self.commands]
        return found

    def result(self, memory: NDArray[np.uint8], layer: int = -1) -> NDArray[np.int64]:
        """The output of a layer, (images, channels, rows, columns)."""
        form = self.outputs[layer]
        return form.decode(memory[form.address:form.address + form.bytes])


def layer_job(
    layer: QuantizedLayer, activations: NDArray[Any], config: PhantomConfig, *, base: int | None = None,
    form: TensorFormat | None = None, density: float | NDArray[np.float64] | None = None,
    seen: NDArray[np.bool_] | None = None,
) -> Job:
    """A job of one layer.

    Parameters
    ----------
    layer : QuantizedLayer
    activations : integer array
        As the reference operator takes them; only the shape and the share of nonzeros count.
    config : PhantomConfig
    base : int, optional
        First address of the job's memory; by default the first one of external memory.
    form : TensorFormat, optional
        Of the input; by default the natural one.
    density : float or float array, optional
        See `lower_layer`; by default that of the activations.
    seen : bool array, optional
        See `lower_layer`.

    Raises
    ------
    LayerError
        See `lower_layer`.
    """
    image, stream = MemoryImage(config.on_chip_bytes if base is None else base), CommandStream(config)
    source = layer_input(layer.layer, activations.shape)
    form = form or TensorFormat.natural(config, source.shape, layer.layer.act_signed)
    form = form.at(image.reserve(form.bytes))
    assert as_images(layer.layer, activations).shape == source.shape
    if density is None:
        density = float(np.count_nonzero(activations)) / activations.size
    lowered = lower_layer(layer, form, activations.shape, config, image, stream, out_signed=layer.lo < 0,
                         density=density, seen=seen)
    commands = stream.to_bytes()
    address = image.add(commands)
    return Job(config, image, address, len(stream.instructions) + 1, form, [lowered.output], [lowered.tiling])
