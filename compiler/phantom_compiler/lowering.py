"""A layer to the beats that one core is fed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.balance import Balance
from phantom_compiler.beats import TileBeats, make_beats
from phantom_compiler.layer import Layer
from phantom_compiler.problem import Problem, Selection
from phantom_compiler.program import CoreProgram
from phantom_compiler.rows import RowSource, row_source
from phantom_compiler.schedule import deal, make_schedule
from phantom_compiler.search import find_tiling
from phantom_compiler.tiling import Sharing, Tiling

__all__ = ["blocks_of_tiles", "layer_fields", "lower", "lower_problem", "output_places"]

IntArray = NDArray[np.int64]

BATCH = 1 << 21  # rows and items of the tiles that are handled together


def blocks_of_tiles(blocks: int, sharing: Sharing, pe_cols: int, of_core: int) -> IntArray:
    """The block that each PE column works on in each tile of a set of filters, ``[tiles, pe_cols]``, or -1."""
    together = pe_cols if sharing is Sharing.NOTHING else sharing.width(pe_cols, of_core)
    at_once = pe_cols // together
    numbers = np.full(-(-blocks // at_once) * at_once, -1)
    numbers[:blocks] = np.arange(blocks)
    return np.repeat(numbers.reshape(-1, at_once), together, axis=1)


def output_places(
    problem: Problem, tiling: Tiling, places: IntArray, filters: IntArray, tile_blocks: IntArray
) -> IntArray:
    """Flat place in the output of each result of the tiles of a set of filters."""
    _, all_filters, rows, columns = problem.out_shape
    image, top, left = (places[tile_blocks, i][:, :, None, None] for i in range(3))
    stretch, place = tiling.geometry.outputs()
    number = filters[None, :, :, None]
    y, x = top + stretch, left + place
    index = ((image * all_filters + number) * rows + y) * columns + x
    exists = (number >= 0) & (tile_blocks[:, :, None, None] >= 0) & (stretch >= 0) & (y < rows) & (x < columns)
    return np.where(exists, index, -1).reshape(len(tile_blocks), len(filters), tiling.outputs)


def layer_fields(
    problem: Problem, tiling: Tiling, source: RowSource, config: PhantomConfig, span: int
) -> dict[str, Any]:
    """The configuration of a layer, as fields of `layer_layout`."""
    return {
        "groups": [-(-tiling.geometry.positions // config.group)], "outputs": [tiling.outputs], "span": [span],
        "moving_signed": [int(problem.moving_signed)], "stationary_signed": [int(problem.stationary_signed)],
        "tap_base": [source.tap_base],
    }


def _batches(tiles: int, size: int) -> Iterator[slice]:
    step = max(1, BATCH // max(1, size))
    for start in range(0, tiles, step):
        yield slice(start, min(start + step, tiles))


def lower_problem(
    problem: Problem, config: PhantomConfig, *, balance: Balance = Balance.BOTH, tiling: Tiling | None = None
) -> CoreProgram:
    """Lower a problem; see :func:`lower`."""
    problem = problem.flattened()
    tiling = tiling or find_tiling(problem, config)
    geometry = tiling.geometry
    source, places = row_source(problem, tiling, config)
    items = np.ascontiguousarray(geometry.arrange(problem.stationary, config.threads))
    masks = items != 0
    work = masks.sum(axis=(1, 2))
    all_blocks = blocks_of_tiles(len(places), tiling.sharing, config.pe_cols, config.pe_cols)

    beats: list[TileBeats] = []
    out_index = []
    effectual = 0
    for filters in deal(work, problem.groups, tiling.sharing, tiling.depth, config, balance):
        schedule = make_schedule(filters, masks, problem.groups, tiling.sharing, config, balance)
        users = schedule.users(masks)
        for batch in _batches(len(all_blocks), len(schedule.item_row) + len(schedule.row) * source.taps):
            tile_blocks = np.ascontiguousarray(all_blocks[batch])
            products = source.hits(schedule, tile_blocks) * users
            effectual += int(products.sum())
            keep = np.any(products, axis=2)
            beats.append(make_beats(schedule, source, tile_blocks, np.asarray(keep), items, tiling, config))
            out_index.append(output_places(problem, tiling, places, filters, tile_blocks))
    layer = layer_fields(problem, tiling, source, config, config.chunk)
    joined = TileBeats.join(beats)
    return CoreProgram(
        config=config, tiling=tiling, layer=layer, moving=joined.moving, stationary=joined.stationary,
        moving_ends=joined.moving_ends, stationary_ends=joined.stationary_ends, out_index=np.concatenate(out_index),
        result_shape=problem.result_shape, effectual_macs=effectual, dense_macs=problem.dense_macs)


def lower(
    layer: Layer, activations: NDArray[Any], config: PhantomConfig, *, select: Selection | None = None,
    balance: Balance = Balance.BOTH, tiling: Tiling | None = None,
) -> CoreProgram:
    """Lower a layer for one core.

    Parameters
    ----------
    layer : Layer
    activations : integer array
        Of the whole layer, in the shape that the reference operator takes.
    config : PhantomConfig
    select : Selection, optional
        Lower a slice of the output only.
    balance : Balance
        Levels of load balancing that are on.
    tiling : Tiling, optional
        Use this one instead of a search.

    Returns
    -------
    CoreProgram

    Raises
    ------
    LayerError
        If the layer or its activations cannot be computed exactly, see `Layer.validate`.
    """
    layer.validate(config, activations, select)
    return lower_problem(layer.problem(activations, select), config, balance=balance, tiling=tiling)
