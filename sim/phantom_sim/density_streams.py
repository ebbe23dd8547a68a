"""Entry streams of given densities for one PE, and the utilization that an ideal window would reach on them."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from phantom_compiler.packing import pack
from phantom_hw import PhantomConfig
from phantom_hw.core.layouts import layer_layout, moving_layout, stationary_layout

__all__ = ["DensityStreams", "density_streams", "ideal_cycles"]


@dataclass(frozen=True)
class DensityStreams:
    """One tile for a core with a single PE.

    Attributes
    ----------
    layer, moving, stationary : uint32[..., words]
        Payloads of the core's streams.
    counts : uint8[entries]
        Set bits of each entry, in the order of the stream.
    sums : int64[positions]
        What the tile must give.
    """

    layer: NDArray[np.uint32]
    moving: NDArray[np.uint32]
    stationary: NDArray[np.uint32]
    counts: NDArray[np.uint8]
    sums: NDArray[np.int64]


def density_streams(config: PhantomConfig, weight_density: float, activation_density: float, *, positions: int,
                    rows: int, items: int, seed: int) -> DensityStreams:
    """Bernoulli masks: rows of a stride-1 convolution with T taps, each met by ``items`` nonzero items.

    Parameters
    ----------
    config : PhantomConfig
        With one PE; ``positions + T - 1`` must fit into ``row_width``.
    weight_density, activation_density : float
        Probability that a value is not zero; an item without a nonzero is drawn again, as it is never sent.
    positions : int
        W, output positions of a row.
    """
    if config.pes != 1:
        raise ValueError(f"pe_rows x pe_cols must be 1 x 1, not {config.pe_rows} x {config.pe_cols}")
    taps, size = config.threads, config.group
    if positions + taps - 1 > config.row_width:
        most = config.row_width - taps + 1
        raise ValueError(f"positions must be at most {most} (row_width - T + 1), not {positions}")
    rng = np.random.default_rng(seed)
    limit = 1 << (config.operand_width - 1)
    groups = -(-positions // size)

    def values(shape: tuple[int, ...], density: float) -> NDArray[np.int64]:
        return rng.integers(1, limit, shape) * (rng.random(shape) < density)

    moving_values = np.zeros((rows, config.row_width), np.int64)
    moving_values[:, :positions + taps - 1] = values((rows, positions + taps - 1), activation_density)
    stationary_values = values((rows, items, taps), weight_density)
    while (empty := ~stationary_values.any(axis=2)).any():
        stationary_values[empty] = values((int(empty.sum()), taps), weight_density)

    windows = np.stack([moving_values[:, t:t + positions] for t in range(taps)], axis=2)  # row, position, tap
    both = (windows[:, None] != 0) & (stationary_values[:, :, None] != 0)  # row, item, position, tap
    sums = np.einsum("rpt,rit->p", windows, stationary_values)

    masks = np.zeros((rows, groups * size), np.int64)
    masks[:, :positions] = ((windows != 0) << np.arange(taps)).sum(axis=2)
    per_beat, link = config.mask_groups * size, config.moving_link
    beats = max(-(-groups // config.mask_groups), config.row_width // link)
    masks = np.pad(masks, ((0, 0), (0, beats * per_beat - groups * size)))
    flat = np.pad(moving_values, ((0, 0), (0, beats * link - config.row_width)))
    last = np.zeros((rows, beats), np.int64)
    last[:, -1] = 1
    moving = pack(moving_layout(config), {
        "pe_row": np.zeros(rows * beats, np.int64), "cols": np.ones(rows * beats, np.int64), "last": last.ravel(),
        "mask": masks.reshape(rows * beats, config.mask_groups, size), "values": flat.reshape(rows * beats, link),
    })
    ends = np.zeros((rows, items), np.int64)
    ends[:, -1] = 1
    tile_last = np.zeros((rows, items), np.int64)
    tile_last[-1, -1] = 1
    count = rows * items

    def lane(field: NDArray[np.int64]) -> NDArray[np.int64]:
        return field.reshape(count, 1, *field.shape[2:])

    stationary = pack(stationary_layout(config), {
        "pe_row": np.zeros(count, np.int64),
        "items": {
            "valid": np.ones((count, 1), np.int64), "row_last": lane(ends), "tile_last": lane(tile_last),
            "dest": np.zeros((count, 1), np.int64),
            "mask": lane(((stationary_values != 0) << np.arange(taps)).sum(axis=2)), "values": lane(stationary_values),
        },
    })
    layer = pack(layer_layout(config), {
        "groups": np.array([groups]), "outputs": np.array([positions]), "span": np.array([config.chunk]),
        "moving_signed": np.zeros(1, np.int64), "stationary_signed": np.zeros(1, np.int64),
        "tap_base": np.arange(taps)[None],
    })
    return DensityStreams(layer=layer[0], moving=moving, stationary=stationary,
                          counts=both.sum(axis=3).astype(np.uint8).ravel(), sums=sums)


@numba.njit(cache=True)
def ideal_cycles(counts: NDArray[np.uint8], lookahead: int, group: int, threads: int, in_order: bool) -> int:
    """Cycles of a window over an endless list of entries that never waits: no items, rows, slots or links.

    Groups are cut from the list regardless of where an item ends; at most L_f / G of them leave in a cycle
    (ARCHITECTURE section 3).
    """
    left = counts.copy()
    head, cycles = 0, 0
    while head < left.size:
        capacity = threads
        end = min(left.size, head + lookahead)
        for i in range(head, end):
            if left[i] <= capacity:
                capacity -= left[i]
                left[i] = 0
            elif in_order:
                break
        cycles += 1
        for _ in range(lookahead // group):
            if head >= left.size or left[head:head + group].any():
                break
            head += group
    return cycles
