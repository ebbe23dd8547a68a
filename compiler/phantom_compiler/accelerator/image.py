"""What a job needs in external memory, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALIGNMENT", "MemoryImage"]

ALIGNMENT = 64
"""Bytes: everything begins at a multiple of it, so that no bus word is shared."""


@dataclass
class MemoryImage:
    """Grows from ``base`` on: constant data with their contents, and room for tensors.

    Parameters
    ----------
    base : int
        First address.
    """

    base: int = 0
    size: int = 0
    segments: list[tuple[int, NDArray[np.uint8]]] = field(default_factory=list)

    def reserve(self, size: int) -> int:
        """Room for ``size`` bytes; returns its address."""
        address = self.base + self.size
        self.size += -(-size // ALIGNMENT) * ALIGNMENT
        return address

    def add(self, content: NDArray[Any] | bytes) -> int:
        """Constant data; returns their address."""
        data = np.frombuffer(content, np.uint8) if isinstance(content, bytes) else content.view(np.uint8).ravel()
        address = self.reserve(len(data))
        self.segments.append((address, data))
        return address
