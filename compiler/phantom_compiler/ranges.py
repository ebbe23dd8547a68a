"""Ranges of real values, and which tensors of a network must have one in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phantom_compiler.frontend.graph import Concatenation, FloatNetwork, MaxPool, Upsampling

__all__ = ["Range", "image_range", "scale_groups"]


@dataclass(frozen=True)
class Range:
    """Real results of a node, clipped, and whether they use the signed range."""

    low: float
    high: float
    signed: bool

    def joined(self, other: Range) -> Range:
        """The range of both."""
        return Range(min(self.low, other.low), max(self.high, other.high), self.signed or other.signed)


def image_range(images: NDArray[np.floating[Any]]) -> Range:
    """The range of a network's input."""
    low, high = float(images.min()), float(images.max())
    return Range(low, high, low < 0)


def scale_groups(network: FloatNetwork) -> list[set[int]]:
    """Nodes and the input that must have one scale: around concatenations, what no layer between rescales."""
    groups = [{place, *entry.inputs} for place, entry in enumerate(network.nodes)
              if isinstance(entry.layer, (Concatenation, MaxPool, Upsampling))]
    merged: list[set[int]] = []
    for group in groups:
        apart = [one for one in merged if not one & group]
        merged = [*apart, group.union(*(one for one in merged if one & group))]
    joining = {place for place, entry in enumerate(network.nodes) if isinstance(entry.layer, Concatenation)}
    return [group for group in merged if group & joining]
