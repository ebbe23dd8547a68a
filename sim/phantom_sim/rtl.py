"""Verilog of generated modules, kept on disk: elaboration takes seconds and is a pure function of its sources."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import phantom_hw
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import (
    accelerator_verilog,
    component_verilog,
    core_verilog,
    mesh_verilog,
    on_chip_verilog,
    row_verilog,
    tile_verilog,
)

from phantom_sim.mesh_ports import AcceleratorPorts, MeshPorts
from phantom_sim.verilator import cache_folder

__all__ = ["cached_accelerator_verilog", "cached_core_verilog", "cached_mesh_verilog", "cached_tile_verilog"]

AROUND_THE_MESH = ("name", "bus_width", "address_width", "outstanding", "moving_loaders", "moving_words",
                   "stationary_words", "program_words", "lane_channels", "on_chip_words")
"""Fields of the configuration that neither a core nor the mesh depends on."""


@lru_cache(maxsize=1)
def _sources_digest() -> str:
    """Hash of the generator's sources and of Amaranth's version."""
    digest = hashlib.sha256(metadata.version("amaranth").encode())
    root = Path(phantom_hw.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


def _cached(kind: str, values: dict, make: Callable[[], str], folder: Path | None) -> str:
    """What ``make`` gives, from disk if it was generated before."""
    folder = folder or cache_folder()
    key = hashlib.sha256((_sources_digest() + json.dumps(values, sort_keys=True)).encode()).hexdigest()[:24]
    path = folder / f"{kind}-{key}.v"
    if not path.is_file():
        text = make()
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    return path.read_text(encoding="utf-8")


def cached_core_verilog(config: PhantomConfig, folder: Path | None = None) -> str:
    """:func:`phantom_hw.emit.core_verilog` of a configuration."""
    around = (*AROUND_THE_MESH, "mesh_rows", "mesh_cols", "drain_lanes")
    values = {key: value for key, value in config.to_dict().items() if key not in around}
    return _cached("core", values, lambda: core_verilog(config), folder)


def cached_mesh_verilog(config: PhantomConfig, folder: Path | None = None) -> str:
    """:func:`phantom_hw.emit.mesh_verilog` of a configuration, within :class:`~.mesh_ports.MeshPorts`."""
    values = {key: value for key, value in config.to_dict().items() if key not in AROUND_THE_MESH}
    return _cached("mesh", values, lambda: mesh_verilog(config) + "\n" + component_verilog(
        MeshPorts(config), "mesh_ports"), folder)


def cached_tile_verilog(config: PhantomConfig, folder: Path | None = None) -> str:
    """:func:`phantom_hw.emit.tile_verilog` of a configuration."""
    values = {key: value for key, value in config.to_dict().items() if key not in AROUND_THE_MESH}
    return _cached("tile", values, lambda: tile_verilog(config), folder)


def cached_accelerator_verilog(config: PhantomConfig, folder: Path | None = None, tiled: bool = False) -> str:
    """:func:`phantom_hw.emit.accelerator_verilog` of a configuration.

    Or, ``tiled``, a tile and, as ``accelerator_ports``, everything but the mesh within
    :class:`~.mesh_ports.AcceleratorPorts`.
    """
    if tiled:
        return _cached("tiled-accelerator", config.to_dict(), lambda: "\n".join((
            on_chip_verilog(config), tile_verilog(config), row_verilog(config),
            component_verilog(AcceleratorPorts(config), "accelerator_ports"))), folder)
    return _cached("accelerator", config.to_dict(), lambda: accelerator_verilog(config), folder)
