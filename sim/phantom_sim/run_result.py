"""What a run of a network gave: outputs, and figures of every layer with their units."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

__all__ = ["UNITS", "LayerRun", "RunResult"]

MOST_VALUES = 10_000
"""Values of an output that JSON holds."""
UNITS = {
    "cycles": "clock cycles", "effectual_macs": "products of two nonzeros", "dense_macs": "products",
    "utilization": "effectual MACs / (threads x cycles)", "moving_starved": "PEs that wait for rows / (PEs x cycles)",
    "stationary_starved": "PEs that wait for items / (PEs x cycles)", "drain": "draining cores / (cores x cycles)",
    "read_bytes": "bytes", "written_bytes": "bytes", "commands": "commands",
}


@dataclass(frozen=True)
class LayerRun:
    """Figures of a layer; None where the backend has none.

    Attributes
    ----------
    name, kind : str
    effectual_macs, dense_macs : int
        Products of two nonzeros; products without any skipping.
    cycles, commands : int
    utilization, moving_starved, stationary_starved, drain : float
        Shares of all threads, PEs, PEs and cores, see ``UNITS``.
    read_bytes, written_bytes : int
        Between accelerator and memory, whole words of the bus.
    """

    name: str
    kind: str
    effectual_macs: int
    dense_macs: int
    cycles: int | None = None
    utilization: float | None = None
    moving_starved: float | None = None
    stationary_starved: float | None = None
    drain: float | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    commands: int | None = None

    @classmethod
    def counted(
        cls, name: str, kind: str, dense_macs: int, config: PhantomConfig, counters: dict[str, int]
    ) -> LayerRun:
        """From what the performance counters counted."""
        cycles, word, pes = counters["cycles"], config.bus_width // 8, config.cores * config.pes

        def share(counter: str, units: int) -> float:
            return counters[counter] / (cycles * units) if cycles else 0.0

        return cls(
            name, kind, counters["busy_threads"], dense_macs, cycles,
            share("busy_threads", config.cores * config.core_threads), share("moving_starved", pes),
            share("stationary_starved", pes), share("drain", config.cores),
            counters["read_beats"] * word, counters["write_beats"] * word, counters["commands"])


@dataclass(frozen=True, eq=False)
class RunResult:
    """A run.

    Attributes
    ----------
    program, backend : str
    config : PhantomConfig
    layers : tuple of LayerRun
    total : LayerRun
    values : tuple of integer arrays
        The last layer's output, or the outputs of the network.
    outputs : tuple of float arrays
        The network's, if all of it ran.
    classes : tuple of (name, score)
        The best ones, if the network classifies.
    memory : dict
        How external memory behaved.
    compared : int
        Layers whose every value was compared with the golden model.
    difference : str
        The first one, or "".
    tensors : dict of integer arrays
        What the layers that ran read and gave, by the numbers of the layers that gave it, if it was recorded.
    """

    program: str
    backend: str
    config: PhantomConfig
    layers: tuple[LayerRun, ...]
    total: LayerRun
    values: tuple[NDArray[np.int64], ...]
    outputs: tuple[NDArray[np.float32], ...] = ()
    classes: tuple[tuple[str, float], ...] = ()
    memory: dict[str, float] | None = None
    compared: int = 0
    difference: str = ""
    tensors: Mapping[int, NDArray[np.int64]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "program": self.program, "backend": self.backend, "config": self.config.to_dict(),
            "memory": self.memory, "units": UNITS, "total": asdict(self.total),
            "layers": [asdict(layer) for layer in self.layers], "compared_layers": self.compared,
            "difference": self.difference, "classes": [{"name": name, "score": score} for name, score in self.classes],
            "outputs": [_array(one) for one in self.outputs or self.values],
        }

    def to_json(self) -> str:
        """All of it as JSON."""
        return json.dumps(self.to_dict(), indent=1) + "\n"

    def to_csv(self) -> str:
        """A line for each layer and one for all of them, the units in the second line."""
        text, names = io.StringIO(), [one.name for one in fields(LayerRun)]
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerow([UNITS.get(name, "") for name in names])
        for layer in (*self.layers, self.total):
            writer.writerow(["" if value is None else value for value in asdict(layer).values()])
        return text.getvalue()

    def rows(self) -> list[list[str]]:
        """A row for each layer and one for all of them, for a table with the columns of ``COLUMNS``."""
        return [_row(layer) for layer in (*self.layers, self.total)]

    COLUMNS = ("layer", "kind", "cycles", "utilization", "no row", "no item", "draining", "effectual MACs",
               "of all", "read kB", "written kB")


def _row(layer: LayerRun) -> list[str]:
    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.1%}"

    def kilobytes(value: int | None) -> str:
        return "" if value is None else f"{value / 1000:,.1f}"

    return [layer.name, layer.kind, "" if layer.cycles is None else f"{layer.cycles:,}", share(layer.utilization),
            share(layer.moving_starved), share(layer.stationary_starved), share(layer.drain),
            f"{layer.effectual_macs:,}", share(layer.effectual_macs / layer.dense_macs if layer.dense_macs else None),
            kilobytes(layer.read_bytes), kilobytes(layer.written_bytes)]


def _array(values: NDArray[Any]) -> dict[str, Any]:
    return {"shape": list(values.shape), "values": values.ravel().tolist() if values.size <= MOST_VALUES else None}


def added(layers: Sequence[LayerRun], name: str) -> LayerRun:
    """All layers of a backend without counters as one."""
    return LayerRun(name, "", sum(one.effectual_macs for one in layers), sum(one.dense_macs for one in layers))
