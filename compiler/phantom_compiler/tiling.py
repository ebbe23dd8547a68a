"""The search for the tiling of a layer: how long a row, how many filters, which planes, what the PE columns share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from phantom_hw.config import PhantomConfig

from phantom_compiler.activity import Activity
from phantom_compiler.arrangement import Arrangement
from phantom_compiler.balance import deal_filters
from phantom_compiler.geometry import RowGeometry
from phantom_compiler.problem import Problem
from phantom_compiler.selector import item_cycles

__all__ = ["Array", "Sharing", "Tiling", "row_beats", "tilings", "with_mesh_cycles"]

SAMPLE = 384  # items that stand for all of them
WIDTH_CHOICES = 10  # numbers of stretches tried beyond the fewest that fit a row slot
CONTENTION = 4  # fitted to core simulations of VGG16 layers, which it meets within 5 %
TILE_OVERHEAD = 6  # cycles a tile costs beyond its work


class Sharing(Enum):
    """What the PE columns side by side have in common."""

    POSITIONS = "positions"  #: the same rows, multicast; different filters
    CORES = "cores"  #: within a core the same rows and different filters; each core of a mesh row its own rows
    FILTERS = "filters"  #: the same filters; each column its own rows
    NOTHING = "nothing"  #: different groups of a grouped convolution


    def width(self, columns: int, of_core: int) -> int:
        """How many neighbours of ``columns`` PE columns, ``of_core`` of them in a core, get the same rows."""
        return {Sharing.POSITIONS: columns, Sharing.CORES: of_core}.get(self, 1)


@dataclass(frozen=True)
class Array:
    """What shares the work of a layer.

    Parameters
    ----------
    cores : int
        Cores, or rows of cores, that work on different blocks of positions.
    columns, of_core : int
        PE columns side by side, over all cores of a row, and of one core.
    lanes : int
        Sums that all of them drain in a cycle.
    positions : int
        Most positions of a filter in a tile.
    bus_bytes : int
        Bytes of a word of the bus by which results leave as slots, and come back as the next layer's activations; 0 if
        results do not go to memory.
    skips_zeros : bool
        Rows of zeros are not sent.
    """

    cores: int
    columns: int
    of_core: int
    lanes: int
    positions: int
    bus_bytes: int = 0
    skips_zeros: bool = False

    @classmethod
    def core(cls, config: PhantomConfig) -> Array:
        """One core."""
        return cls(1, config.pe_cols, config.pe_cols, 1, config.acc_depth, skips_zeros=True)

    @classmethod
    def mesh(cls, config: PhantomConfig) -> Array:
        """The whole mesh: the PE columns of a mesh row work side by side, mesh rows on different blocks."""
        return cls(config.mesh_rows, config.mesh_cols * config.pe_cols, config.pe_cols, config.drain_lanes,
                   min(config.acc_depth, config.chunk))

    @classmethod
    def accelerator(cls, config: PhantomConfig) -> Array:
        """The mesh between its memories."""
        return replace(cls.mesh(config), bus_bytes=config.bus_width // 8)


@dataclass(frozen=True)
class Tiling:
    """A way to cut a layer into tiles.

    Parameters
    ----------
    geometry : RowGeometry
    sharing : Sharing
    depth : int
        Filters of one PE column.
    cycles : float
        What the search expects the layer to take, with what the next layer takes to read the results.
    mesh_cycles : float
        Of these, the time in which the mesh works.
    """

    geometry: RowGeometry
    sharing: Sharing
    depth: int
    cycles: float = 0.0
    mesh_cycles: float = 0.0

    @property
    def outputs(self) -> int:
        """Accumulator addresses of a tile."""
        return self.depth * self.geometry.positions


@dataclass(frozen=True)
class _Statistics:
    """What the cost of an arrangement of the filters into items depends on, averages over the filters."""

    rows: int
    items: float  # nonempty items of one filter
    item_cycles: float  # that a PE works on an item
    sent: float  # part of the rows that is not all zero


def _stretches(
    problem: Problem, taps: int, parts: int, config: PhantomConfig, array: Array
) -> Iterator[RowGeometry]:
    """Stretches of output rows whose row fits a row slot and the accumulators."""
    rows, columns = problem.out_size

    def geometry(width: int, height: int, merged: bool) -> RowGeometry | None:
        candidate = RowGeometry(problem.stationary.shape[3], problem.stride[1], problem.dilation[1], taps, parts,
                                width, height, merged)
        fits = candidate.row_values <= config.row_width and candidate.positions <= array.positions
        return candidate if fits else None

    for merged in (True, False):
        if not merged and taps == 1:
            return
        found = 0
        for cuts in range(1, columns + 1):
            width = -(-columns // cuts)
            if cuts > 1 and width == -(-columns // (cuts - 1)):
                continue
            candidate = geometry(width, 1, merged)
            if candidate is None:
                continue
            yield candidate
            found += 1
            if found == WIDTH_CHOICES:
                break
        height = 2
        while height <= rows and (candidate := geometry(columns, height, merged)) is not None:
            yield candidate
            height += 1


def _arrangements(problem: Problem, threads: int) -> Iterator[tuple[int, int]]:
    """Taps of a segment and segments of a row; fewer than fit T leave room for longer rows."""
    _, channels, height, width = problem.stationary.shape
    for taps in range(min(threads, width), 0, -1):
        segments = channels * height * -(-width // taps)
        for parts in range(min(threads // taps, segments), 0, -1):
            yield taps, parts


def _sharings(problem: Problem, array: Array) -> Iterator[tuple[Sharing, int, int]]:
    """Ways to use the PE columns: sharing, filters to deal to columns, filters that go together."""
    per_group = problem.stationary.shape[0] // problem.groups
    if problem.groups == 1 or per_group >= array.columns:
        yield Sharing.POSITIONS, per_group, 1
    if problem.groups > 1:
        yield Sharing.NOTHING, problem.groups, per_group
    if 1 < array.of_core < array.columns:
        yield Sharing.CORES, per_group, 1
    yield Sharing.FILTERS, per_group, 1


def _depths(members: int, together: int, columns: int, limit: int) -> Iterator[int]:
    """Filters of a column in a tile that deal evenly."""
    last = 0
    for tiles in range(1, members + 1):
        depth = -(-members // (tiles * columns))
        if depth != last and depth * together <= limit:
            yield depth * together
            last = depth
        if depth == 1:
            return


def _together(*cycles: float) -> float:
    """What several things take that wait for each other now and then: a little more than the longest of them."""
    return float(sum(c**CONTENTION for c in cycles) ** (1 / CONTENTION))


class _Loads:
    """How much work the busiest PE column has in a tile, when filters are dealt by their work."""

    def __init__(self, problem: Problem):
        per_group = problem.stationary.shape[0] // problem.groups
        self._work = np.count_nonzero(problem.stationary[:per_group], axis=(1, 2, 3))
        self._known: dict[tuple[int, int], float] = {}

    def busiest(self, columns: int, depth: int) -> float:
        """In filters of average work, on average over the tiles."""
        if (columns, depth) not in self._known:
            dealt = deal_filters(self._work, columns, depth)
            loads = np.where(dealt >= 0, self._work[dealt], 0).sum(axis=2).max(axis=1)
            self._known[columns, depth] = float(loads.mean() / max(1e-9, self._work.mean()))
        return self._known[columns, depth]


def row_beats(geometry: RowGeometry, config: PhantomConfig, array: Array) -> int:
    """Cycles of a row on the moving link: for its values, its masks, or its reads of the moving buffer."""
    groups = -(-geometry.positions // config.group)
    beats = max(-(-geometry.row_values // config.moving_link), -(-groups // config.mask_groups))
    if not array.bus_bytes:
        return beats
    reads = sum(-(-(geometry.positions + spread) // config.moving_link) for _, _, spread, _ in geometry.planes)
    return max(beats, geometry.parts * reads)


def _cost(
    problem: Problem, config: PhantomConfig, array: Array, geometry: RowGeometry, sharing: Sharing, depth: int,
    statistics: _Statistics, loads: _Loads,
) -> tuple[float, float]:
    """Cycles of the layer: for each tile the slowest of both links, the PEs and the drain; and those of the mesh."""
    (images, filters), (rows, columns) = problem.out_shape[:2], problem.out_size
    blocks = -(-images * -(-rows // geometry.height) * -(-columns // geometry.width) // array.cores)
    per_group = filters // problem.groups
    density = statistics.items / statistics.rows  # of items
    deep = busiest = float(depth)  # filters of a column in a tile, on average; work of the busiest one
    beats = row_beats(geometry, config, array)
    if sharing is Sharing.NOTHING:
        together = depth // per_group
        tiles = -(-problem.groups // (together * array.columns)) * blocks
        streams = min(array.columns, problem.groups / together)
        row_filters, column_rows = float(per_group), float(statistics.rows * together)
    else:
        width = sharing.width(array.columns, array.of_core)
        sets = -(-per_group // (depth * width))
        steps = -(-blocks // (array.columns // width))
        tiles, deep = problem.groups * sets * steps, -(-per_group // width) / sets
        busiest = loads.busiest(width, depth)
        streams, row_filters = blocks / steps, per_group / sets
        column_rows = float(statistics.rows)
    column_rows *= statistics.sent
    sent = column_rows * (1 - (1 - min(density, 1.0)) ** row_filters)  # rows that some item uses
    moving = sent * beats * streams
    mean = min(row_filters, deep) * density if sharing is not Sharing.NOTHING else per_group * density
    spread = 0.85 * math.sqrt(mean * (1 - min(density, 1.0))) if array.columns > 1 else 0.0
    stationary = column_rows * min(mean + spread, float(depth))
    compute = busiest * statistics.items / config.pe_rows * statistics.item_cycles
    outputs = depth * geometry.positions
    drain = outputs * array.columns / array.lanes
    # the first tile's work and the last one's drain overlap with nothing
    work_cycles = _together(moving, stationary, compute + outputs)
    cycles = work_cycles + (tiles - 1) * (max(work_cycles, drain) + TILE_OVERHEAD) + drain
    return _with_slots(problem, config, array, geometry, cycles)


def _with_slots(
    problem: Problem, config: PhantomConfig, array: Array, geometry: RowGeometry, cycles: float
) -> tuple[float, float]:
    """Cycles with the next layer's reads, and those of the mesh, from those of the mesh alone."""
    if not array.bus_bytes:
        return cycles, cycles
    # slots are written while the mesh works, and read by the next layer while it does not
    (images, filters), (rows, columns) = problem.out_shape[:2], problem.out_size
    slots = images * filters * -(-rows // geometry.height) * -(-columns // geometry.width)
    words = -(-(config.chunk + geometry.width * geometry.height * config.act_width) // (8 * array.bus_bytes))
    cycles = max(cycles, slots * words)
    return cycles + slots * words, cycles


def with_mesh_cycles(
    tiling: Tiling, cycles: float, problem: Problem, config: PhantomConfig, array: Array
) -> Tiling:
    """A tiling with another estimate of the cycles in which the mesh works."""
    total, mesh = _with_slots(problem, config, array, tiling.geometry, cycles)
    return replace(tiling, cycles=total, mesh_cycles=mesh)


def tilings(
    problem: Problem, config: PhantomConfig, array: Array | None = None, activity: Activity | None = None
) -> Iterator[Tiling]:
    """All tilings that the search looks at, with their estimates.

    ``activity`` tells the nonzeros of the moving operand, by default their share in the problem's.
    """
    array = array or Array.core(config)
    loads, activity = _Loads(problem), activity or Activity.of_moving(problem)
    for taps, parts in _arrangements(problem, config.threads):
        items: Arrangement | None = None
        for geometry in _stretches(problem, taps, parts, config, array):
            if items is None:
                items = Arrangement.of(problem, geometry, config.threads)
                sample, rows = items.sample(SAMPLE)
            hits, met = activity.hits(geometry, rows, config.threads)
            statistics = _Statistics(len(items.items), float(items.items.sum()) / len(items.work), *item_cycles(
                sample, hits, met, config, skips_zeros=array.skips_zeros))
            for sharing, members, together in _sharings(problem, array):
                lanes = array.columns if sharing is Sharing.NOTHING else sharing.width(array.columns, array.of_core)
                for depth in _depths(members, together, lanes, config.acc_depth // geometry.positions):
                    yield Tiling(geometry, sharing, depth,
                                 *_cost(problem, config, array, geometry, sharing, depth, statistics, loads))
