"""Recorded tensors: what the layers of a program gave in a run, in a file that later runs of some layers begin with.

An ``.npz`` file with an array for each recorded tensor: ``input``, and ``N.NAME`` for the output of layer N.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import phantom_golden as golden
from numpy.typing import NDArray
from phantom_compiler.accelerator.network import INPUT
from phantom_compiler.accelerator.program import Program
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.whole_file import whole_file

__all__ = ["RecordError", "read_tensors", "write_tensors"]

NAME_OF_INPUT = "input"


class RecordError(ValueError):
    """A file of recorded tensors that cannot be written, read or used: one line."""


def _names(program: Program) -> dict[str, int]:
    return {NAME_OF_INPUT: INPUT} | {f"{number}.{facts.name}": number for number, facts in enumerate(program.layers)}


def _form(program: Program, number: int) -> TensorFormat:
    return program.job.input if number == INPUT else program.job.outputs[number]


def write_tensors(path: str | Path, program: Program, tensors: Mapping[int, NDArray[Any]]) -> None:
    """Write tensors by the numbers of the layers that gave them; the file is there as a whole or as before.

    Raises
    ------
    RecordError
        If it cannot be written.
    """
    arrays: dict[str, Any] = {}
    for name, number in _names(program).items():
        if number in tensors:
            kind = "i" if _form(program, number).signed else "u"
            arrays[name] = tensors[number].astype(f"{kind}{1 if program.config.act_width <= 8 else 2}")
    try:
        with whole_file(path) as file:
            np.savez_compressed(file, **arrays)
    except OSError as error:
        raise RecordError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def read_tensors(path: str | Path, program: Program) -> dict[int, NDArray[np.int64]]:
    """Read tensors by the numbers of the layers that gave them.

    Raises
    ------
    RecordError
        If the file cannot be read, or a tensor in it is none of the program's.
    """
    names, found = _names(program), {}
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            for name in file.files:
                if name not in names:
                    raise RecordError(f"{path}: {name!r} is no tensor of program {program.name!r}")
                found[names[name]] = _checked(f"{path}: {name!r}", file[name], _form(program, names[name]))
    except OSError as error:
        raise RecordError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except (ValueError, TypeError, EOFError, RuntimeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"{path}: not a file of recorded tensors") from None
    return found


def _checked(what: str, values: NDArray[Any], form: TensorFormat) -> NDArray[np.int64]:
    if values.dtype.kind not in "iu":
        raise RecordError(f"{what} must be an array of integers, not {values.dtype}")
    if values.shape != form.shape:
        raise RecordError(f"{what} must have shape {form.shape}, not {values.shape}")
    low, high = golden.integer_range(form.config.act_width, signed=form.signed)
    if values.size and not (low <= values.min() and values.max() <= high):
        raise RecordError(f"{what} must hold integers in {low}..{high}, not "
                          f"{values.min() if values.min() < low else values.max()}")
    return values.astype(np.int64)
