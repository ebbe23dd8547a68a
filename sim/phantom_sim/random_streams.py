"""Random entry streams for a core with the sums they must give: no layer, no lowering, every corner of the links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.packing import pack
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout, moving_layout, stationary_layout

from phantom_sim.results import wrap

__all__ = ["RandomStreams", "StreamShape", "random_streams"]


@dataclass(frozen=True)
class StreamShape:
    """What random streams look like; what is None is drawn.

    Attributes
    ----------
    tiles, rows : int
        Tiles, and rows of a tile for all PE rows together.
    positions : int
        W, output positions of a row.
    outputs : int
        Accumulator addresses of a tile, at least W.
    span : int
        Addresses of a chunk.
    tap_base : tuple of int
        Flat position that each tap reads for output position 0.
    row_density, item_density : float
        Share of nonzero values.
    items : int
        Most items of a row at a PE.
    multicast : float
        Probability that a row goes to any one PE column.
    moving_signed, stationary_signed : bool
    """

    tiles: int = 3
    rows: int = 12
    positions: int | None = None
    outputs: int | None = None
    span: int | None = None
    tap_base: tuple[int, ...] | None = None
    row_density: float | None = None
    item_density: float | None = None
    items: int = 6
    multicast: float = 0.8
    moving_signed: bool | None = None
    stationary_signed: bool | None = None


@dataclass(frozen=True)
class RandomStreams:
    """Streams and what must come out.

    Attributes
    ----------
    layer, moving, stationary : uint32[..., words]
        Payloads for :meth:`phantom_sim.core_simulator.CoreSimulator.run`.
    tiles, outputs, span : int
    sums : int64[tiles, pe_cols, outputs]
        The results.
    products : int64[pes]
        Effectual products of each PE.
    """

    layer: NDArray[np.uint32]
    moving: NDArray[np.uint32]
    stationary: NDArray[np.uint32]
    tiles: int
    outputs: int
    span: int
    sums: NDArray[np.int64]
    products: NDArray[np.int64]


@dataclass(frozen=True)
class _Shape:
    """A :class:`StreamShape` with nothing left open."""

    tiles: int
    rows: int
    positions: int
    outputs: int
    span: int
    tap_base: tuple[int, ...]
    row_density: float
    item_density: float
    items: int
    multicast: float
    moving_signed: bool
    stationary_signed: bool


@dataclass
class _Rows:
    """One entry a row, in the order of the moving link."""

    tile: NDArray[np.int64]
    pe_row: NDArray[np.int64]
    cols: NDArray[np.bool_]  # [rows, pe_cols]
    values: NDArray[np.int64]  # [rows, row_width]
    mask: NDArray[np.bool_]  # [rows, W, T]


@dataclass
class _Items:
    """One entry an item, ordered by row, then by the PE's own order."""

    row: NDArray[np.int64]
    col: NDArray[np.int64]
    beat: NDArray[np.int64]  # place among the beats of the row
    row_last: NDArray[np.bool_]
    tile_last: NDArray[np.bool_]
    values: NDArray[np.int64]  # [items, T]
    dest: NDArray[np.int64]


def random_streams(config: PhantomConfig, seed: int, shape: StreamShape = StreamShape()) -> RandomStreams:
    """Draw streams that obey the rules of the links.

    Parameters
    ----------
    config : PhantomConfig
    seed : int
    shape : StreamShape

    Returns
    -------
    RandomStreams
    """
    rng = np.random.default_rng(seed)
    drawn = _complete(config, rng, shape)
    rows = _draw_rows(config, rng, drawn)
    items = _draw_items(config, rng, drawn, rows)
    sums, products = _reference(config, drawn, rows, items)
    groups = -(-drawn.positions // config.group)
    layer = pack(layer_layout(config), {
        "groups": np.array([groups]),
        "outputs": np.array([drawn.outputs]),
        "span": np.array([drawn.span]),
        "moving_signed": np.array([int(drawn.moving_signed)]),
        "stationary_signed": np.array([int(drawn.stationary_signed)]),
        "tap_base": np.array([drawn.tap_base]),
    })
    return RandomStreams(
        layer, _moving(config, rng, drawn, rows, items, groups), _stationary(config, rows, items), drawn.tiles,
        drawn.outputs, drawn.span, sums, products,
    )


def _complete(config: PhantomConfig, rng: np.random.Generator, shape: StreamShape) -> _Shape:
    """Draw what the caller left open."""
    taps = config.threads
    longest = min(config.row_width, config.acc_depth, shape.outputs or config.acc_depth)
    if shape.tap_base is not None:
        longest = min(longest, config.row_width - max(shape.tap_base))
    positions = shape.positions or int(rng.integers(1, longest + 1))
    if not 1 <= positions <= longest:
        raise ValueError(f"positions must be in 1..{longest}, not {positions!r}")
    base = shape.tap_base or tuple(map(int, rng.integers(0, config.row_width - positions + 1, taps)))
    outputs = shape.outputs or int(rng.integers(positions, config.acc_depth + 1))
    if not positions <= outputs <= config.acc_depth:
        raise ValueError(f"outputs must be in {positions}..{config.acc_depth}, not {outputs!r}")
    span = shape.span or (config.chunk if rng.random() < 0.5 else int(rng.integers(1, config.chunk + 1)))
    if not 1 <= span <= config.chunk:
        raise ValueError(f"span must be in 1..{config.chunk}, not {span!r}")

    def drawn(value: float | None) -> float:
        return float(rng.choice([0.02, 0.1, 0.3, 0.5, 0.8, 1.0])) if value is None else value

    def coin(value: bool | None) -> bool:
        return bool(rng.integers(2)) if value is None else value

    return _Shape(
        shape.tiles, shape.rows, positions, outputs, span, base, drawn(shape.row_density), drawn(shape.item_density),
        shape.items, shape.multicast, coin(shape.moving_signed), coin(shape.stationary_signed),
    )


def _values(
    rng: np.random.Generator, size: tuple[int, ...], bits: int, signed: bool, density: float
) -> NDArray[np.int64]:
    """Values with a share of nonzeros; extremes are frequent."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    values = rng.integers(low, high + 1, size)
    values = np.where(rng.random(size) < 0.1, rng.choice([low, high], size), values)
    values = np.where(values == 0, 1, values)
    return np.where(rng.random(size) < density, values, 0)


def _draw_rows(config: PhantomConfig, rng: np.random.Generator, shape: _Shape) -> _Rows:
    """Rows of all tiles; in each tile every PE gets at least one."""
    tile, pe_row, cols = [], [], []
    for number in range(shape.tiles):
        todo = np.ones((config.pe_rows, config.pe_cols), bool)
        for _ in range(int(rng.integers(0, shape.rows + 1)) if shape.tiles > 1 else shape.rows):
            row, chosen = int(rng.integers(config.pe_rows)), rng.random(config.pe_cols) < shape.multicast
            if chosen.any():
                tile.append(number)
                pe_row.append(row)
                cols.append(chosen)
                todo[row] &= ~chosen
        for row in rng.permutation(config.pe_rows):
            if todo[row].any():
                tile.append(number)
                pe_row.append(int(row))
                cols.append(todo[row])
    count, width = len(tile), config.row_width
    values = _values(rng, (count, width), config.operand_width, shape.moving_signed, shape.row_density)
    used = max(shape.tap_base) + shape.positions
    values[:, used:] = 0
    reads = np.arange(shape.positions)[:, None] + np.array(shape.tap_base)
    mask = values[:, reads] != 0
    # a sender may hide values, as padding does; an empty row is legal too
    mask &= (rng.random(mask.shape) < 0.9) | (rng.random((count, 1, 1)) < 0.7)
    mask &= rng.random((count, 1, 1)) < 0.95
    return _Rows(np.array(tile), np.array(pe_row), np.array(cols), values, mask)


def _draw_items(config: PhantomConfig, rng: np.random.Generator, shape: _Shape, rows: _Rows) -> _Items:
    """Items for each PE of each row; a PE's last row of a tile may end with an empty item, or be nothing else."""
    row, col = np.nonzero(rows.cols)
    pe = rows.pe_row[row] * config.pe_cols + col
    share = rows.tile[row] * config.pes + pe
    final = np.zeros(len(row), bool)
    final[len(row) - 1 - np.unique(share[::-1], return_index=True)[1]] = True
    count = rng.integers(1, shape.items + 1, len(row))
    first = np.repeat(np.cumsum(count) - count, count)
    index = np.arange(count.sum()) - first
    row_last = index == np.repeat(count, count) - 1
    tile_last = row_last & np.repeat(final, count)
    values = _values(rng, (len(index), config.threads), config.operand_width, shape.stationary_signed,
                     shape.item_density)
    # an item in the middle of a tile is never empty
    forced = rng.integers(config.threads, size=len(index))
    empty = ~values.any(axis=1)
    values[empty, forced[empty]] = 1
    values[tile_last & (rng.random(len(index)) < 0.3)] = 0
    gap = rng.integers(0, 2, len(index)) * rng.integers(0, 3, len(index))
    place = np.cumsum(gap)
    beat = index + place - place[first]
    dest = rng.integers(0, shape.outputs - shape.positions + 1, len(index))
    return _Items(np.repeat(row, count), np.repeat(col, count), beat, row_last, tile_last, values, dest)


def _reference(
    config: PhantomConfig, shape: _Shape, rows: _Rows, items: _Items
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sums and products, straight from the definition."""
    width = shape.positions
    sums = np.zeros((shape.tiles, config.pe_cols, shape.outputs), np.int64)
    products = np.zeros(config.pes, np.int64)
    pe = rows.pe_row[items.row] * config.pe_cols + items.col
    for tap, base in enumerate(shape.tap_base):
        for start in range(0, len(items.row), 4096):
            part = slice(start, start + 4096)
            row = items.row[part]
            hits = rows.mask[row, :, tap] & (items.values[part, tap, None] != 0)
            product = np.where(hits, items.values[part, tap, None] * rows.values[row, base:base + width], 0)
            address = items.dest[part, None] + np.arange(width)
            np.add.at(sums, (rows.tile[row, None], items.col[part, None], address), product)
            np.add.at(products, pe[part], hits.sum(axis=1))
    return wrap(sums, config.acc_width), products


def _moving(
    config: PhantomConfig, rng: np.random.Generator, shape: _Shape, rows: _Rows, items: _Items, groups: int
) -> NDArray[np.uint32]:
    """Beats of the rows; a row that serves only empty items may be cut short."""
    link, per_beat, size = config.moving_link, config.mask_groups, config.group
    used = max(shape.tap_base) + shape.positions
    beats = max(-(-used // link), -(-groups // per_beat))
    count = len(rows.tile)
    served = np.zeros(count, bool)
    served[items.row[items.values.any(axis=1)]] = True
    length = np.where(served | (rng.random(count) < 0.3), beats, rng.integers(1, beats + 1, count))
    values = np.zeros((count, beats * link), np.int64)
    stored = min(values.shape[1], config.row_width)
    values[:, :stored] = rows.values[:, :stored] * served[:, None]
    mask = np.zeros((count, beats * per_beat * size, config.threads), np.uint64)
    mask[:, :shape.positions] = rows.mask & served[:, None, None]
    entries = (mask << np.arange(config.threads, dtype=np.uint64)).sum(axis=2, dtype=np.uint64)
    kept = np.arange(beats) < length[:, None]
    return pack(moving_layout(config), {
        "pe_row": np.repeat(rows.pe_row, length),
        "cols": np.repeat(rows.cols @ (1 << np.arange(config.pe_cols)), length),
        "last": (np.arange(beats) == length[:, None] - 1)[kept].astype(np.uint8),
        "mask": entries.reshape(count, beats, per_beat, size)[kept],
        "values": values.reshape(count, beats, link)[kept],
    })


def _stationary(config: PhantomConfig, rows: _Rows, items: _Items) -> NDArray[np.uint32]:
    """Beats of the items: those of one row that have the same place share one."""
    key = items.row * (int(items.beat.max()) + 1) + items.beat
    keys, beat = np.unique(key, return_inverse=True)
    row = keys // (int(items.beat.max()) + 1)

    def field(values: NDArray) -> NDArray:
        array = np.zeros((len(keys), config.pe_cols, *values.shape[1:]), np.int64)
        array[beat, items.col] = values
        return array

    mask = (items.values != 0) @ (1 << np.arange(config.threads))
    return pack(stationary_layout(config), {
        "pe_row": rows.pe_row[row],
        "items": {
            "valid": field(np.ones(len(key), np.int64)),
            "row_last": field(items.row_last.astype(np.int64)),
            "tile_last": field(items.tile_last.astype(np.int64)),
            "dest": field(items.dest),
            "mask": field(mask),
            "values": field(items.values),
        },
    })
