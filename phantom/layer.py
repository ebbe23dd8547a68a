"""One layer from a file: its sums by the golden model, its cycles by the cycle model, both by the RTL if wanted."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_compiler import Conv1d, Conv2d, CoreProgram, FullyConnected, Layer, LayerError, TransposedConv2d, lower
from phantom_compiler.accelerator.whole_file import whole_file
from phantom_hw.config import PhantomConfig
from phantom_sim.core_simulator import CoreSimulator
from phantom_sim.cycle_model import core_cycles, prepare
from phantom_sim.results import decode_results, drained_values

from phantom.options import numbers

__all__ = ["LayerFigures", "LayerFileError", "MismatchError", "make_layer", "read_layer", "run_layer", "write_sums"]


class LayerFileError(ValueError):
    """A layer file that cannot be read or written."""


class MismatchError(RuntimeError):
    """The RTL does not do what a model says."""


@dataclass(frozen=True, eq=False)
class LayerFigures:
    """What a run gives.

    Attributes
    ----------
    sums : int64 array
        The accumulators.
    dense_macs, effectual_macs : int
        Products without any skipping; products of two nonzeros.
    cycles : int
    threads : int
        Of the core.
    """

    sums: NDArray[np.int64]
    dense_macs: int
    effectual_macs: int
    cycles: int
    threads: int

    @property
    def utilization(self) -> float:
        """Effectual MACs / (threads x cycles)."""
        return self.effectual_macs / (self.threads * self.cycles)

    @property
    def speedup(self) -> float:
        """Dense MACs / (threads x cycles): against as many threads that are always busy but skip nothing."""
        return self.dense_macs / (self.threads * self.cycles)


def read_layer(path: str | Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """The arrays ``weights`` and ``activations`` of an ``.npz`` file.

    Raises
    ------
    LayerFileError
        The file cannot be read, is no ``.npz`` file or lacks an array.
    """
    try:
        if not zipfile.is_zipfile(path):
            Path(path).open("rb").close()  # tell a file that is not there from one that is no .npz
            raise LayerFileError(f"{path}: not an .npz file")
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in ("weights", "activations") if name not in file.files]
            if missing:
                raise LayerFileError(f"{path}: array {missing[0]!r} is missing; arrays: {', '.join(file.files)}")
            return file["weights"], file["activations"]
    except OSError as error:
        raise LayerFileError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, LayerFileError):
            raise
        raise LayerFileError(f"{path}: not an .npz file of integer arrays") from None


def write_sums(path: str | Path, sums: NDArray[np.int64]) -> None:
    """Write the sums to an ``.npz`` file as the array ``sums``.

    Raises
    ------
    LayerFileError
        The file cannot be written.
    """
    try:
        with whole_file(path) as file:
            np.savez_compressed(file, sums=sums)
    except OSError as error:
        raise LayerFileError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def make_layer(
    weights: NDArray[Any], name: str, *, stride: str = "1", padding: str = "0", dilation: str = "1", groups: int = 1,
    signed: bool = False, transposed: bool = False,
) -> Layer:
    """A layer of the kind that the axes of its weights tell: fully connected (2), 1-D (3) or 2-D convolution (4).

    Raises
    ------
    LayerError, UsageError
    """
    axes = 4 if transposed else weights.ndim
    if weights.ndim != axes or axes not in (2, 3, 4):
        legal = "4 axes (channels, filters, height, width)" if transposed else "2, 3 or 4 axes"
        raise LayerError(f"layer {name!r}: weights must have {legal}, not shape {weights.shape}")
    options: dict[str, Any] = {"name": name, "act_signed": signed}
    if axes == 2:
        return FullyConnected(weights, **options)
    options |= {"padding": numbers("--padding", padding, 2 * axes - 4), "groups": groups}
    strides, dilations = numbers("--stride", stride, axes - 2), numbers("--dilation", dilation, axes - 2)
    if axes == 3:
        return Conv1d(weights, stride=strides[0], dilation=dilations[0], **options)
    options |= {"stride": strides, "dilation": dilations}
    return TransposedConv2d(weights, **options) if transposed else Conv2d(weights, **options)


def _sent(program: CoreProgram, sums: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which sums are not 0, in the order in which a core drains them."""
    drained = drained_values(program.config, np.append(sums.ravel(), 0)[program.out_index], program.span)
    return np.asarray(drained != 0).ravel()


def run_layer(
    layer: Layer, activations: NDArray[Any], config: PhantomConfig, *, rtl: bool = False,
    progress: Callable[[str, str], None] = lambda stage, text: None,
) -> LayerFigures:
    """Run a layer on one core of a configuration.

    Parameters
    ----------
    layer : Layer
    activations : integer array
    config : PhantomConfig
    rtl : bool
        Run it on the Verilated core, too, and compare every sum and the number of cycles.
    progress : callable
        Told what runs.

    Raises
    ------
    LayerError
        The configuration cannot compute the layer.
    MismatchError
        RTL and models differ.
    """
    layer.validate(config, activations)
    progress("lowering", layer.name)
    program = lower(layer, activations, config)
    words = program.layer_words(), program.moving_words(), program.stationary_words()
    progress("golden model", layer.name)
    sums = layer.golden(activations)
    progress("cycle model", layer.name)
    model = core_cycles(config, prepare(config, *words), program.tiles, _sent(program, sums))
    if rtl:
        progress("RTL", "building the simulator")

        def cycles(done: int, tiles: int) -> None:
            progress("RTL", f"{done:,} of {model.cycles:,} cycles")

        with CoreSimulator(config) as simulator:
            run = simulator.run(*words, program.tiles, progress=cycles)
        found = program.assemble(decode_results(config, run.results, program.outputs, program.span))
        if wrong := int(np.count_nonzero(found != sums)):
            raise MismatchError(f"layer {layer.name!r}: {wrong} of {sums.size} sums are not the golden model's")
        if run.cycles != model.cycles:
            raise MismatchError(f"layer {layer.name!r}: {run.cycles} cycles of RTL, {model.cycles} by the cycle model")
    return LayerFigures(sums, program.dense_macs, program.effectual_macs, model.cycles, config.core_threads)
