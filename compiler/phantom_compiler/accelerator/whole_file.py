"""Files that are there as a whole or as before."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["check_writable", "whole_file"]


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file to write and to read again; it takes its place when the block ends without an exception.

    What is no regular file, as a pipe, or is named by its device, as ``/dev/stdout``, is written as it goes.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    if _direct(path):
        with open(path, "ab") as file:
            yield file
        return
    path = path.resolve()  # a link stays one
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise


def check_writable(path: str | Path) -> None:
    """Find out before long work whether a file can be written; nothing is left behind.

    Raises
    ------
    OSError
        If it cannot.
    """
    path = Path(path)
    if path.exists():
        with open(path, "ab"):
            return
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.resolve().parent)
    os.close(descriptor)
    os.unlink(scratch)


def _direct(path: Path) -> bool:
    return path.exists() and (not path.is_file() or path.is_relative_to("/dev"))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
