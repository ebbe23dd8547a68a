"""Verilog of generated modules, kept on disk: elaboration takes seconds and is a pure function of its sources."""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import phantom_hw
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import core_verilog

from phantom_sim.verilator import cache_folder

__all__ = ["cached_core_verilog"]


@lru_cache(maxsize=1)
def _sources_digest() -> str:
    """Hash of the generator's sources and of Amaranth's version."""
    digest = hashlib.sha256(metadata.version("amaranth").encode())
    root = Path(phantom_hw.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


def cached_core_verilog(config: PhantomConfig, folder: Path | None = None) -> str:
    """:func:`phantom_hw.emit.core_verilog` of a configuration, from disk if it was generated before."""
    folder = folder or cache_folder()
    values = {key: value for key, value in config.to_dict().items() if key not in ("name", "mesh_rows", "mesh_cols")}
    key = hashlib.sha256((_sources_digest() + json.dumps(values, sort_keys=True)).encode()).hexdigest()[:24]
    path = folder / f"core-{key}.v"
    if not path.is_file():
        text = core_verilog(config)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    return path.read_text(encoding="utf-8")
