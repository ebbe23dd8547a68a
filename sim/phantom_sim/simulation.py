"""A simulated design in a loaded library, from its creation to its end."""

from __future__ import annotations

import ctypes
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from phantom_sim.verilator import cache_folder

__all__ = ["Simulation"]

_instances = itertools.count()


class Simulation:
    """Ends what it created: use it as a context manager or call :meth:`close`.

    Parameters
    ----------
    name : str
        Of the design, for the file of the coverage counts.
    coverage : bool
        :meth:`close` writes toggles to ``<cache>/coverage/<name>-<process>-<instance>.dat`` (``coverage_path``).
    folder : Path, optional
        Where Verilated libraries are kept.
    """

    def __init__(self, name: str, coverage: bool, folder: Path | None):
        self.coverage_path: Path | None = None
        if coverage:
            place = (folder or cache_folder()) / "coverage"
            place.mkdir(parents=True, exist_ok=True)
            self.coverage_path = place / f"{name}-{os.getpid()}-{next(_instances)}.dat"
        self._handle: int | None = None

    def _created(self, handle: int, destroy: Callable[[int, bytes | None], None] | ctypes._NamedFuncPointer) -> None:
        """Take what the library created, and the function that ends it."""
        self._handle, self._destroy = handle, destroy

    def close(self) -> None:
        """End the simulation and write the coverage counts."""
        if self._handle:
            self._destroy(self._handle, str(self.coverage_path).encode() if self.coverage_path else None)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()
