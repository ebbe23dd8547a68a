"""Cycle model of a core: the same streams in, the cycles and the occupancy of every cycle out.

It keeps exactly the state that decides *when* something happens (levels, numbers, reservations) and none of the values.
Delays come from the hardware classes' constants.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from phantom_compiler.packing import unpack
from phantom_hw import PhantomConfig
from phantom_hw.core.core import PhantomCore
from phantom_hw.core.drain import DrainControl
from phantom_hw.core.layouts import layer_layout, moving_layout, stationary_layout
from phantom_hw.core.pe import ProcessingElement
from phantom_hw.core.queue import ResultQueue

from phantom_sim.cycle_kernel import Beats, Cores, Limits, Outcome, run

__all__ = ["CoreStreams", "core_cycles", "limits", "prepare"]


@dataclass(frozen=True)
class CoreStreams:
    """The entry streams of a run, reduced to what decides the time.

    Attributes
    ----------
    groups, outputs, span : int
        Groups of an item, addresses that a tile drains, addresses of a chunk.
    moving_pes, stationary_pes : uint64[beats]
        PEs that a beat goes to, a bit each.
    moving_last : bool[beats]
        The beat completes its row.
    row_start, rows : int64[pes], int32[...]
        Each PE's rows, in order, as indices into ``entries``; PE p's start at ``row_start[p]``.
    entries : uint8[rows, groups * G]
        Mask bits (T of them) of each output position of a row.
    item_start, item_mask, item_flags : int64[pes], uint8[...], uint8[...]
        Each PE's items, in order; flag bit 0 is ``row_last``, bit 1 ``tile_last``.
    """

    groups: int
    outputs: int
    span: int
    moving_pes: np.ndarray
    moving_last: np.ndarray
    stationary_pes: np.ndarray
    row_start: np.ndarray
    rows: np.ndarray
    entries: np.ndarray
    item_start: np.ndarray
    item_mask: np.ndarray
    item_flags: np.ndarray


def prepare(config: PhantomConfig, layer_words, moving_words, stationary_words) -> CoreStreams:
    """Reduce packed beats (uint32[beats, words], as the ports take them) to a :class:`CoreStreams`."""
    layer = unpack(layer_layout(config), np.atleast_2d(layer_words))
    moving = unpack(moving_layout(config), moving_words)
    stationary = unpack(stationary_layout(config), stationary_words)
    groups = int(np.ravel(layer["groups"])[0])
    columns = np.arange(config.pe_cols, dtype=np.uint64)

    def pes(pe_row: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Bit mask of PEs from a PE row and a bool[beats, pe_cols]."""
        bits = (wanted.astype(np.uint64) << columns).sum(axis=1, dtype=np.uint64)
        return bits << (pe_row.astype(np.uint64) * np.uint64(config.pe_cols))

    wanted = (moving["cols"].astype(np.uint64)[:, None] >> columns) & np.uint64(1)
    moving_pes = pes(moving["pe_row"], wanted)
    last = moving["last"].astype(bool)
    masks = moving["mask"].astype(np.uint8)  # [beat, group, entry], T bits each
    row_of = np.concatenate([[0], np.cumsum(last)[:-1]]) if len(last) else np.zeros(0, int)
    rows = int(last.sum())
    first = np.searchsorted(row_of, np.arange(rows)) if rows else np.zeros(0, int)
    number = np.arange(len(last)) - (first[row_of] if rows else 0)
    width = config.mask_groups * config.group
    by_beat = np.zeros((rows, int(number.max(initial=0)) + 1, width), np.uint8)
    by_beat[row_of, number] = masks.reshape(len(last), width)
    entries = by_beat.reshape(rows, by_beat.shape[1] * width)

    beat_of_row = first
    row_lists = [np.flatnonzero((moving_pes[beat_of_row] >> np.uint64(p)) & np.uint64(1)) for p in range(config.pes)]
    items = stationary["items"]
    valid = items["valid"].astype(bool)
    item_masks = items["mask"]
    flags = items["row_last"].astype(np.uint8) | (items["tile_last"].astype(np.uint8) << 1)
    mask_lists, flag_lists = [], []
    for r in range(config.pe_rows):
        for c in range(config.pe_cols):
            mine = (stationary["pe_row"] == r) & valid[:, c]
            mask_lists.append(item_masks[mine, c].astype(np.uint8))
            flag_lists.append(flags[mine, c])

    def starts(lists: list) -> np.ndarray:
        return np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64)

    # a row that only meets empty items may be shorter than its groups
    needed = groups * config.group
    entries = np.pad(entries, ((0, 0), (0, max(0, needed - entries.shape[1]))))[:, :needed]
    return CoreStreams(
        groups=groups, outputs=int(np.ravel(layer["outputs"])[0]),
        span=int(np.ravel(layer["span"])[0]),
        moving_pes=moving_pes, moving_last=last, stationary_pes=pes(stationary["pe_row"], valid),
        row_start=starts(row_lists), rows=np.concatenate(row_lists).astype(np.int32),
        entries=np.ascontiguousarray(entries),
        item_start=starts(mask_lists), item_mask=np.concatenate(mask_lists), item_flags=np.concatenate(flag_lists),
    )


def core_cycles(config: PhantomConfig, streams: CoreStreams, tiles: int, nonzero=None, moving_gaps=None,
                stationary_gaps=None, result_ready=None, max_cycles: int = 1 << 40) -> Outcome:
    """Run the model.

    Parameters
    ----------
    tiles : int
        Tiles to wait for.
    nonzero : bool[tiles * outputs * pe_cols], optional
        Which drained values are not 0, in the order of draining (zeros leave no beat); default: all.
    moving_gaps, stationary_gaps : uint16[beats], optional
        Cycles that a source waits before it offers each beat.
    result_ready : bool[n], optional
        ``result.ready`` in cycle c is element c mod n.

    Raises
    ------
    RuntimeError
        Nothing moves any more, or ``max_cycles`` passed.
    """
    positions = tiles * streams.outputs * config.pe_cols
    if nonzero is None:
        nonzero = np.ones(positions, bool)
    if len(nonzero) != positions:
        raise ValueError(f"nonzero must have {positions} elements (tiles x outputs x pe_cols), not {len(nonzero)}")

    ready = np.ones(1, np.uint8) if result_ready is None else np.asarray(result_ready, np.uint8)
    return run(
        limits(config, streams.groups, streams.outputs, streams.span),
        _beats(streams.moving_pes, streams.moving_last, moving_gaps),
        _beats(streams.stationary_pes, np.zeros(len(streams.stationary_pes), bool), stationary_gaps),
        Cores(streams.row_start, streams.rows, streams.entries, streams.item_start, streams.item_mask,
              streams.item_flags),
        np.asarray(nonzero, bool), ready[:, None], tiles, positions, True, max_cycles)


def limits(config: PhantomConfig, groups: int, outputs: int, span: int, nodes: bool = False) -> Limits:
    """The configuration as the kernel takes it; with ``nodes`` the whole mesh, otherwise one core."""
    return Limits(
        mesh_rows=config.mesh_rows if nodes else 1, mesh_cols=config.mesh_cols if nodes else 1, nodes=int(nodes),
        lanes=config.drain_lanes if nodes else 1, pe_rows=config.pe_rows, pe_cols=config.pe_cols,
        threads=config.threads, window_groups=config.window_groups, size=config.group, refill=config.refill_groups,
        in_order=int(config.tds == "in_order"), skip_empty=int(config.skip_empty),
        split_banks=int(config.split_banks), row_slots=config.row_slots, item_slots=config.item_slots,
        slots=ResultQueue.SLOTS, result_latency=PhantomCore.result_latency(config),
        activity_delay=ProcessingElement.ACTIVITY_DELAY, release_delay=ProcessingElement.RELEASE_DELAY,
        start_delay=DrainControl.START_DELAY, groups=groups, outputs=outputs, span=span)


def _beats(pes: NDArray[np.uint64], last: NDArray[np.bool_], gaps: ArrayLike | None) -> Beats:
    """The beats of a link with one core."""
    waits = np.zeros(len(pes), np.int64) if gaps is None else np.asarray(gaps, np.int64)
    near = np.ascontiguousarray(pes[:, None])
    return Beats(np.array([0, len(pes)]), near, np.ones(near.shape, bool), np.zeros(near.shape, bool), last, waits)
