"""How a mesh of tiles is simulated: in how many lanes, by which C++."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from phantom_hw.config import PhantomConfig

from phantom_sim.processor import processor

__all__ = ["TILE_HEADERS", "lanes_for"]

_HARNESS = Path(__file__).parent / "harness"
TILE_HEADERS = [_HARNESS / f"{name}.h"
                for name in ("streams", "tiles", "crew", "tile_pins", "tile_block", "lane_block", "lanes")]
"""What the harness of a mesh of tiles includes."""

LANES = 16
"""A vector of lanes of 32 bits is then as large as a register of AVX-512, one of lanes of 8 bits as one of SSE."""
WORTH_IT = 7
"""From so many tiles for a thread on, vectors are faster than one tile after another."""
NEEDED = frozenset({"avx512f", "avx512bw", "avx512vl"})
"""What the processor must have."""


@lru_cache(maxsize=1)
def _fast_vectors() -> bool:
    return NEEDED <= set(processor().split())


def lanes_for(config: PhantomConfig, threads: int) -> int:
    """Lanes for a mesh whose rows are shared by threads; 0 if vectors would not be worth it."""
    rows = -(-config.mesh_rows // threads)
    return LANES if _fast_vectors() and rows * config.mesh_cols >= WORTH_IT else 0
