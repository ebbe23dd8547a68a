"""Weights from PyTorch's files of before 2020, without PyTorch: a sequence of pickles, then the raw numbers.

Nothing of a file is executed: its pickles may name tensors, ordered dictionaries and plain data, and nothing else.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

__all__ = ["TorchFileError", "read_state"]

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
KINDS = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
         "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "<?"}


class TorchFileError(ValueError):
    """A file that cannot be read, or holds something else than weights: one line."""


@dataclass
class _Storage:
    """A sequence of numbers, which follow later in the file."""

    key: str
    kind: str
    count: int


@dataclass
class _Tensor:
    """A part of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    """What PyTorch's own function to rebuild a tensor is given."""
    numbers = (offset, *shape, *strides)
    reach = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if (not isinstance(storage, _Storage) or any(type(value) is not int or value < 0 for value in numbers)
            or prod(shape) > storage.count or (0 not in shape and reach >= storage.count)):
        raise TorchFileError("a tensor lies outside of its storage")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Knows tensors and ordered dictionaries only."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Callable[..., Any] | str] = {
            ("collections", "OrderedDict"): OrderedDict, ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            **{("torch", kind): kind for kind in KINDS}}
        if (module, name) not in known:
            raise TorchFileError(f"the file names {module}.{name}, which is no tensor")
        return known[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or pid[1] not in KINDS:
            raise TorchFileError("the file holds something else than tensors")
        return _Storage(str(pid[2]), pid[1], int(pid[4]))


def _numbers(file: BinaryIO, storages: dict[str, _Storage]) -> dict[str, NDArray[Any]]:
    """The numbers of all storages, in the order of their keys in the file."""
    found = {}
    for key in _Unpickler(file).load():
        storage = storages.get(key)
        if storage is None:
            raise TorchFileError(f"nothing uses storage {key!r}")
        count, kind = int.from_bytes(file.read(8), "little"), np.dtype(KINDS[storage.kind])
        data = file.read(storage.count * kind.itemsize)
        if count != storage.count or len(data) != storage.count * kind.itemsize:
            raise TorchFileError(f"storage {key!r} is cut off")
        found[key] = np.frombuffer(data, kind)
    return found


def read_state(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read the tensors of a state dictionary.

    Parameters
    ----------
    path : path of a file in PyTorch's format of before 2020 (no ZIP file)

    Returns
    -------
    dict of arrays by name

    Raises
    ------
    TorchFileError
        If the file cannot be read or holds anything else.
    """
    try:
        file = io.BytesIO(Path(path).read_bytes())
    except OSError as error:
        raise TorchFileError(f"cannot read {str(path)!r}: {error.strerror}") from None
    try:
        header = [_Unpickler(file).load() for _ in range(3)]
        if header[:2] != [MAGIC, PROTOCOL] or not header[2].get("little_endian"):
            raise TorchFileError("not a file of PyTorch's format of before 2020")
        state = _Unpickler(file).load()
        if not isinstance(state, dict) or not all(
                isinstance(name, str) and isinstance(tensor, _Tensor) for name, tensor in state.items()):
            raise TorchFileError("the file holds something else than tensors by name")
        numbers = _numbers(file, {tensor.storage.key: tensor.storage for tensor in state.values()})
        return {name: _array(numbers[tensor.storage.key], tensor) for name, tensor in state.items()}
    except TorchFileError as error:
        raise TorchFileError(f"{str(path)!r}: {error}") from None
    except Exception as error:  # whatever a broken pickle raises
        raise TorchFileError(f"{str(path)!r}: not a file of PyTorch ({type(error).__name__})") from None


def _array(numbers: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    strides = [step * numbers.itemsize for step in tensor.strides]
    return np.array(as_strided(numbers[tensor.offset:], tensor.shape, strides, writeable=False))
