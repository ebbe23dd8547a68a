"""From networks to program files: what the command line says, checked and carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.accelerator.host import Entrance, HostError
from phantom_compiler.accelerator.program import Pixels, Program, compile_program
from phantom_compiler.accelerator.program_file import write_program
from phantom_compiler.accelerator.whole_file import check_writable
from phantom_compiler.balance import Balance
from phantom_compiler.frontend import FloatNetwork, read_onnx
from phantom_compiler.frontend.graph import Convolution
from phantom_compiler.quantization import quantize_network
from phantom_hw.config import PhantomConfig

from phantom import demo_network
from phantom.options import UsageError

__all__ = ["BALANCES", "WHEELS", "compile_file", "densities_of", "read_network", "real_numbers"]

BALANCES = {level.name.lower().replace("_", "-"): level
            for level in (Balance.BOTH, Balance.INTER_CORE, Balance.INTRA_CORE, Balance.NONE) if level.name}
"""Levels of load balancing by their names on the command line."""
NOISE_SEED = 1
WHEELS = ("vgg16", "efficientnet-lite0")
"""Networks that come in Python packages, by their names."""


def real_numbers(option: str, text: str) -> list[float]:
    """An option of real numbers with commas between them."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or not np.isfinite(values).all():
        raise UsageError(f"{option} must be real numbers with commas between them, not {text!r}")
    return values


def densities_of(text: str, network: FloatNetwork) -> list[float]:
    """The share of weights that each layer keeps."""
    values, layers = real_numbers("--density", text), sum(isinstance(one.layer, Convolution) for one in network.nodes)
    if not all(0 < value <= 1 for value in values) or len(values) not in (1, layers):
        raise UsageError(f"--density must be a number over 0, up to 1, or {layers} of them, not {text!r}")
    return values * layers if len(values) == 1 else values


def _calibration(entrance: Entrance, files: Sequence[Path]) -> NDArray[np.float32]:
    """Images for the first layer."""
    if not files:
        noise = np.random.default_rng(NOISE_SEED).uniform(0, 255, entrance.given).astype(np.float32)
        return entrance.enter(noise * np.float32(entrance.pixels.scale) + np.float32(entrance.pixels.offset))
    found = []
    for path in files:
        values: NDArray[Any] = entrance.read(path)
        if values.dtype.kind != "f":
            raise HostError(f"{path}: a calibration must be an array of real numbers, not {values.dtype}")
        found.append(entrance.enter(values))
    return np.concatenate(found)


def _labels(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a text in UTF-8") from None


def read_network(
    model: str, shape: Sequence[int] | None, pixels: Pixels | None, labels: Sequence[str]
) -> tuple[FloatNetwork, Pixels, Sequence[str]]:
    """A network from an ONNX file, or one of ``WHEELS`` with the pixels and the names of classes that belong to it.

    Parameters
    ----------
    model : str
    shape : sequence of int, optional
        Of the input of a file.
    pixels : Pixels, optional
    labels : sequence of str
        Both go before what belongs to the network.
    """
    if model == "vgg16":
        return demo_network.load_vgg16(), pixels or Pixels(), labels
    if model == "efficientnet-lite0":
        from phantom import efficientnet

        return (efficientnet.load_efficientnet(), pixels or Pixels(1 / 128, -127 / 128),
                labels or efficientnet.class_names())
    return read_onnx(model, shape), pixels or Pixels(), labels


def compile_file(
    model: str, output: Path, config: PhantomConfig, *, calibration: Sequence[Path], density: str, pixels: str | None,
    labels: Path | None, shape: str | None, memory: int | None, keep: bool, balance: str,
    progress: Callable[[str, str], None],
) -> Program:
    """Compile a network; the parameters are the options of ``phantom compile``.

    Raises
    ------
    DemoError, OnnxError, HostError, UsageError, LayerError, ProgramError
        A file, an option or a layer is wrong, or does not fit.
    """
    if balance not in BALANCES:
        raise UsageError(f"--balance must be one of {', '.join(BALANCES)}, not {balance!r}")
    values = None if pixels is None else real_numbers("--pixels", pixels)
    if values is not None and len(values) != 2:
        raise UsageError(f"--pixels must be SCALE,OFFSET, not {pixels!r}")
    try:
        check_writable(output)
    except OSError as error:
        raise UsageError(f"cannot write {str(output)!r}: {error.strerror}") from None
    names, sizes = _labels(labels), None
    if shape is not None:
        if not all(part.isdigit() and int(part) > 0 for part in shape.split(",")):
            raise UsageError(f"--shape must be positive integers with commas between them, not {shape!r}")
        sizes = [int(part) for part in shape.split(",")]
    progress("reading", model)
    network, used, classes = read_network(
        model, sizes, None if values is None else Pixels(*values), names)
    entrance = Entrance(network.shape, network.before, used)
    kept = densities_of(density, network)
    progress("quantizing", f"{len(network.nodes)} layers")
    quantized = quantize_network(network, _calibration(entrance, calibration), config, densities=kept, labels=classes)
    program = compile_program(quantized, config, reuse=not keep, memory_bytes=memory, balance=BALANCES[balance],
                              pixels=entrance.pixels, progress=lambda layer: progress("compiling", layer))
    progress("writing", str(output))
    write_program(program, output)
    return program
