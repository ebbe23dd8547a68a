"""Files that are there as a whole or as before."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["check_writable", "whole_file"]

STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file to write and to read again; it takes its place when the block ends without an exception.

    What is no regular file, as a pipe or ``/dev/stdout``, gets the contents at the end.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    if _direct(path):
        with tempfile.TemporaryFile("w+b") as file:
            yield file
            file.seek(0)
            with _opened(path) as target:
                shutil.copyfileobj(file, target)
        return
    path = path.resolve()  # a link stays one
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
    descriptor, scratch = _scratch(path)
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(scratch, mode)
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise


def check_writable(path: str | Path) -> None:
    """Find out before long work whether :func:`whole_file` can write a file; nothing is left behind.

    Raises
    ------
    OSError
        If it cannot.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not _direct(path):
        descriptor, scratch = _scratch(path.resolve())
        os.close(descriptor)
        os.unlink(scratch)
    elif not os.access(path, os.W_OK):  # opening a pipe would tell its reader that all is over
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _scratch(path: Path) -> tuple[int, str]:
    """A new file beside another one: its descriptor and name."""
    return tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)


def _direct(path: Path) -> bool:
    return path.exists() and (not path.is_file() or path.is_relative_to("/dev"))


def _opened(path: Path) -> IO[bytes]:
    """A file to write to; the own streams as they are, so that what they get follows what they have got."""
    if str(path) not in STREAMS:
        return open(path, "wb")
    sys.stdout.flush()
    sys.stderr.flush()
    return open(os.dup(STREAMS[str(path)]), "wb")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
