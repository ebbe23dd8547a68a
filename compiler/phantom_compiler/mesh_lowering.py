"""A layer to the packets that a mesh is fed.

The PE columns of a mesh row work side by side as those of one wide core; mesh rows work on different blocks of
output positions, with the same items, so that a packet of a stationary link serves all of them. Nothing of the order
depends on the moving operand, which is only known when the layer runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout, stationary_layout
from phantom_hw.mesh.packets import moving_packet, stationary_packet

from phantom_compiler.activity import Activity
from phantom_compiler.balance import Balance
from phantom_compiler.beats import moving_beats, of_mesh_column, stationary_beats
from phantom_compiler.layer import Layer
from phantom_compiler.lowering import blocks_of_tiles, layer_fields, output_places
from phantom_compiler.mesh_program import MeshProgram
from phantom_compiler.packing import pack, pack_bytes, payload_words
from phantom_compiler.problem import Problem, Selection
from phantom_compiler.rows import row_source
from phantom_compiler.schedule import deal, make_schedule, wide_core
from phantom_compiler.search import find_tiling
from phantom_compiler.tiling import Array, Tiling

__all__ = ["lower_to_mesh"]

IntArray = NDArray[np.int64]
Words = NDArray[np.uint32]


def lower_to_mesh(
    layer: Layer, activations: NDArray[Any], config: PhantomConfig, *, select: Selection | None = None,
    balance: Balance = Balance.BOTH, density: NDArray[np.float64] | None = None,
    seen: NDArray[np.bool_] | None = None, tiling: Tiling | None = None,
) -> MeshProgram:
    """Lower a layer for a mesh.

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
    density : float array, shape (channels of the moving operand,), optional
        Share of nonzeros expected in each channel, from a calibration; rows are dealt to PE rows by it.
    seen : bool array, optional
        Nonzeros of the activations in a calibration, of the same shape; the search takes them for those of this run.
    tiling : Tiling, optional
        Use this one instead of a search.

    Raises
    ------
    LayerError
        If the layer or its activations cannot be computed exactly, see `Layer.validate`.
    """
    layer.validate(config, activations, select)
    problem = layer.problem(activations, select).flattened()
    if tiling is None:
        activity = None
        if seen is not None:
            known = layer.problem(seen.astype(np.int8), select).flattened().moving != 0
            activity = Activity(problem, float(known.mean()), known)
        tiling = find_tiling(problem, config, Array.mesh(config), activity)
    return _lower(problem, config, balance, density, tiling)


def _lower(
    problem: Problem, config: PhantomConfig, balance: Balance, density: NDArray[np.float64] | None, tiling: Tiling
) -> MeshProgram:
    wide = wide_core(config)
    geometry = tiling.geometry
    source, places = row_source(problem, tiling, config)
    items = np.ascontiguousarray(geometry.arrange(problem.stationary, config.threads))
    masks = items != 0
    blocks = blocks_of_tiles(len(places), tiling.sharing, wide.pe_cols, config.pe_cols)
    rows = config.mesh_rows
    # what has no nonzero passes the window all the same, L_f entries a cycle
    expected = None if density is None else np.maximum(source.of_channels(density), config.threads / config.lookahead)

    fields = layer_fields(problem, tiling, source, config, min(geometry.positions, config.chunk))
    size = stationary_packet(config)["content"].shape.length
    layer_content = pack_bytes(layer_layout(config), fields, size)
    everyone = np.array([(1 << rows) - 1])
    first = pack(stationary_packet(config), {"rows": everyone, "layer": np.array([1]), "content": layer_content})
    moving: list[list[Words]] = [[] for _ in range(rows)]
    stationary: list[list[Words]] = [[first] for _ in range(config.mesh_cols)]
    index: list[list[IntArray]] = [[] for _ in range(rows)]
    effectual = 0
    for filters in deal(masks.sum(axis=(1, 2)), problem.groups, tiling.sharing, tiling.depth, wide, balance):
        schedule = make_schedule(filters, masks, problem.groups, tiling.sharing, wide, balance, expected)
        users = schedule.users(masks)
        keep = np.ones((len(blocks), len(schedule.row)), bool)
        beats, _, extra_cols = stationary_beats(schedule, keep[:1], items, tiling, wide)
        steps = -(-len(blocks) // rows)
        present = np.minimum(rows, len(blocks) - np.arange(steps) * rows)  # mesh rows that get a tile, from the north
        for column, packets in enumerate(stationary):
            part = of_mesh_column(beats, column, config.pe_cols)
            content = pack_bytes(stationary_layout(config), part, size)
            packets.append(pack(stationary_packet(config), {
                "rows": np.repeat((1 << present) - 1, len(content)), "layer": np.array(0),
                "content": np.tile(content, (steps, 1))}))
        for row in range(rows):
            mine = np.ascontiguousarray(blocks[row::rows])
            if not len(mine):
                continue
            effectual += int((source.hits(schedule, mine) * users).sum())
            extra = np.broadcast_to(extra_cols, (len(mine), len(schedule.row)))
            rows_of, _ = moving_beats(schedule, source, mine, keep[:len(mine)], extra, tiling, wide)
            cols = rows_of["cols"][:, None] >> np.arange(0, wide.pe_cols, config.pe_cols, dtype=np.uint64)
            part = {**rows_of, "cols": cols & np.uint64((1 << config.pe_cols) - 1)}
            moving[row].append(pack(moving_packet(config), part))
            index[row].append(output_places(problem, tiling, places, filters, mine))
    no_packets = np.zeros((0, payload_words(moving_packet(config))), np.uint32)
    no_index = np.zeros((0, wide.pe_cols, tiling.outputs), np.int64)
    return MeshProgram(
        config=config, tiling=tiling, layer=fields, moving=[np.concatenate([no_packets, *m]) for m in moving],
        stationary=[np.concatenate(s) for s in stationary],
        out_index=[np.concatenate([no_index, *i]) for i in index], result_shape=problem.result_shape,
        effectual_macs=effectual, dense_macs=problem.dense_macs)
