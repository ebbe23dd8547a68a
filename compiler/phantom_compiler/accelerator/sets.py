"""Sets of filters that the mesh works on at a time: their row programs and packets, cut into pieces that fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.buffer import BufferLayout
from phantom_compiler.accelerator.entries import row_entries
from phantom_compiler.accelerator.packets import PackedPackets, needs_wide, pack_items
from phantom_compiler.balance import Balance
from phantom_compiler.beats import of_mesh_column, stationary_beats
from phantom_compiler.problem import Problem
from phantom_compiler.schedule import Schedule, deal, make_schedule, wide_core
from phantom_compiler.tiling import Tiling

__all__ = ["Density", "FilterSet", "Limits", "Segment", "make_sets"]

IntArray = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Density = float | NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """What a segment may take: row entries of the row program, words of a stationary buffer."""

    entries: int
    words: int

    def hold(self, segment: Segment) -> bool:
        """The segment is within them."""
        return len(segment.rows) <= self.entries and segment.words <= self.words


@dataclass(frozen=True, eq=False)
class Segment:
    """A part of the rows of a tile, in their order, and the packets that come before the next part's first one.

    Parameters
    ----------
    rows : uint8 array, shape (entries, bytes)
    packets : list of PackedPackets
        For each mesh column.
    """

    rows: Bytes
    packets: list[PackedPackets]

    @property
    def words(self) -> int:
        """Words that the packets of the longest column take."""
        return max(packets.words for packets in self.packets)

    @cached_property
    def loads(self) -> dict[bytes, int]:
        """What is loaded, and for which mesh columns, a bit each: those with the same packets get them together."""
        columns: dict[bytes, int] = {}
        for column, one in enumerate(self.packets):
            if one.count:
                content = one.content.tobytes()
                columns[content] = columns.get(content, 0) | 1 << column
        return columns


@dataclass(frozen=True, eq=False)
class FilterSet:
    """What a set of filters needs.

    Parameters
    ----------
    filters : int64 array, shape (PE columns of a mesh row, depth)
        -1 for none.
    segments : list of Segment
    """

    filters: IntArray
    segments: list[Segment]


@dataclass(frozen=True, eq=False)
class _Whole:
    """A set before it is cut: its schedule, beats, and what `row_entries` gave for all of its rows."""

    schedule: Schedule
    beats: dict[str, Any]
    first_beat: IntArray  # of each row: the first beat that has an item of it or of a later one
    entries: Bytes
    per_row: int

    def cut(self, pieces: int) -> list[tuple[slice, slice]]:
        """Entries and beats of each of so many pieces of about the same number of beats."""
        rows, beats = len(self.first_beat), len(self.beats["pe_row"])
        if not rows:  # filters of zeros have results all the same
            return [(slice(0, len(self.entries)), slice(0, beats))]
        targets = np.arange(1, pieces) * beats // pieces
        edges = np.unique([0, *np.searchsorted(self.first_beat, targets), rows])
        places = [int(self.first_beat[edge]) if edge < rows else beats for edge in edges]
        places[0] = 0
        ends = [int(edge) * self.per_row for edge in edges]
        ends[-1] = len(self.entries)  # rows of zeros for PE rows without any come last
        return [(slice(ends[i], ends[i + 1]), slice(places[i], places[i + 1])) for i in range(len(edges) - 1)]


def _pack(config: PhantomConfig, beats: dict[str, Any], part: slice, span: int, wide: bool) -> list[PackedPackets]:
    """The packets of some beats, for each mesh column."""
    mine = {"pe_row": beats["pe_row"][part], "items": {name: values[part] for name, values in beats["items"].items()}}
    return [pack_items(config, of_mesh_column(mine, column, config.pe_cols), span, wide=wide)
            for column in range(config.mesh_cols)]


def make_sets(
    problem: Problem, tiling: Tiling, layout: BufferLayout, config: PhantomConfig, density: Density,
    preferred: Limits, most: Limits, replayed: bool, balance: Balance,
) -> list[FilterSet]:
    """All sets of filters, as the whole mesh works on them.

    Parameters
    ----------
    problem : Problem
    tiling : Tiling
    layout : BufferLayout
    config : PhantomConfig
    density : float or float array
        See `lower_layer`.
    preferred, most : Limits
        What lets one segment be loaded while another is sent; what the memories hold.
    replayed : bool
        A set is sent several times: then it is cut only if the memories do not hold it.
    balance : Balance
        Levels of load balancing that are on.
    """
    wide = wide_core(config)
    items = np.ascontiguousarray(tiling.geometry.arrange(problem.stationary, config.threads))
    masks = items != 0
    span = tiling.geometry.positions
    expected = None
    if isinstance(density, np.ndarray):  # what has no nonzero passes the window all the same, L_f entries a cycle
        expected = np.maximum(layout.of_channels(density, problem.groups), config.threads / config.lookahead)
    limits = most if replayed else preferred
    sets = []
    for filters in deal(masks.sum(axis=(1, 2)), problem.groups, tiling.sharing, tiling.depth, wide, balance):
        schedule = make_schedule(filters, masks, problem.groups, tiling.sharing, wide, balance, expected)
        beats, _, extra = stationary_beats(schedule, np.ones((1, len(schedule.row)), bool), items, tiling, wide)
        idle = np.array([not (schedule.pe_row == r).any() for r in range(config.pe_rows)])
        entries = row_entries(config, schedule, layout, problem.stationary.shape[1], extra[0], idle)
        first = np.full(len(schedule.row), len(beats["pe_row"]))
        np.minimum.at(first, schedule.item_row, schedule.item_beat)
        first = np.minimum.accumulate(first[::-1])[::-1]
        per_row = (len(entries) - int(idle.sum())) // max(1, len(schedule.row))
        whole = _Whole(schedule, beats, first, entries, per_row)
        sets.append(FilterSet(filters, _segments(config, whole, span, needs_wide(tiling.outputs, span), limits)))
    return sets


def _segments(config: PhantomConfig, whole: _Whole, span: int, wide: bool, limits: Limits) -> list[Segment]:
    """As few segments as are within the limits, or as the rows allow."""
    pieces = max(1, -(-len(whole.entries) // max(1, limits.entries)))
    while True:
        segments = [Segment(whole.entries[rows], _pack(config, whole.beats, beats, span, wide))
                    for rows, beats in whole.cut(pieces)]
        if all(limits.hold(segment) for segment in segments) or len(segments) < pieces:
            return segments
        most = max(max(segment.words / limits.words for segment in segments),
                   max(len(segment.rows) / max(1, limits.entries) for segment in segments))
        pieces = max(pieces + 1, round(pieces * most))
