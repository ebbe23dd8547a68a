"""A slow interpreter of what a core is fed: results by the meaning of the beats, and the rules that senders obey."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout, moving_layout, stationary_layout

from phantom_compiler.packing import unpack

__all__ = ["ProgramError", "interpret"]

IntArray = NDArray[np.int64]

TILES_AHEAD = 2  # a PE may be this many tiles ahead of the drain


class ProgramError(AssertionError):
    """Beats that break a rule of the links."""


def _check(holds: Any, text: str) -> None:
    if not holds:
        raise ProgramError(text)


@dataclass
class _Row:
    cols: int
    pe_row: int
    masks: NDArray[Any]  # [positions, T]
    values: IntArray
    partial: bool = False  # too short to be used by more than empty items


@dataclass
class _Pe:
    rows: deque[_Row] = field(default_factory=deque)
    items: deque[dict[str, Any]] = field(default_factory=deque)
    tile: int = 0


def _extended(values: IntArray, width: int, signed: bool) -> IntArray:
    return values - ((values >> width - 1) << width) if signed else values


def _rows(config: PhantomConfig, layer: dict[str, Any], words: NDArray[np.uint32]) -> list[_Row]:
    """Beats joined to rows."""
    beats = unpack(moving_layout(config), words)
    groups = int(layer["groups"][0])
    values = _extended(beats["values"], config.operand_width, bool(layer["moving_signed"][0]))
    masks = (beats["mask"].reshape(len(words), -1)[..., None] >> np.arange(config.threads)) & 1
    rows = []
    start = 0
    for stop in (np.flatnonzero(beats["last"]) + 1).tolist():
        for name in ("pe_row", "cols"):
            _check(len(set(beats[name][start:stop].tolist())) == 1, f"beats {start}..{stop - 1} differ in {name}")
        row = _Row(int(beats["cols"][start]), int(beats["pe_row"][start]),
                   masks[start:stop].reshape(-1, config.threads), values[start:stop].ravel())
        _check(0 < row.cols < 1 << config.pe_cols and row.pe_row < config.pe_rows, f"beat {start} names no PE")
        covers = (stop - start) * config.mask_groups >= groups
        _check(covers or not row.values.any(), f"row at beat {start} has masks for too few groups")
        row.partial = not covers
        _check(not row.masks[groups * config.group:].any(), f"row at beat {start} has mask bits beyond its groups")
        _check(not row.values[config.row_width:].any(), f"row at beat {start} is wider than a row slot")
        for t, base in enumerate(layer["tap_base"][0]):
            hit = np.flatnonzero(row.masks[:, t])
            _check(row.values[base + hit].all(), f"row at beat {start}: mask of tap {t} set at a zero")
        rows.append(row)
        start = stop
    _check(start == len(words), "the last beat does not end its row")
    return rows


class _Core:
    """PEs that work in no time, between links that wait for room: if this comes to an end, so does any timing."""

    def __init__(self, config: PhantomConfig, layer: dict[str, Any], tiles: int):
        self.config, self.layer = config, layer
        self.pes = {(r, c): _Pe() for r in range(config.pe_rows) for c in range(config.pe_cols)}
        self.results = np.zeros((tiles, config.pe_cols, config.acc_depth), np.int64)
        self.products = 0

    def room_for_row(self, row: _Row) -> bool:
        return all(len(self.pes[row.pe_row, c].rows) < self.config.row_slots for c in self._columns(row))

    def _columns(self, row: _Row) -> list[int]:
        return [c for c in range(self.config.pe_cols) if row.cols >> c & 1]

    def add_row(self, row: _Row) -> None:
        for c in self._columns(row):
            self.pes[row.pe_row, c].rows.append(row)

    def work(self, place: tuple[int, int]) -> bool:
        """One item of one PE, if it is ready; whether anything was done."""
        pe = self.pes[place]
        if not pe.rows or not pe.items or pe.tile >= min(p.tile for p in self.pes.values()) + TILES_AHEAD:
            return False
        row, item = pe.rows[0], pe.items.popleft()
        _check(pe.tile < len(self.results), f"PE {place} gets more tiles than there are")
        _check(item["mask"] or item["tile_last"], f"PE {place}: an empty item within tile {pe.tile}")
        _check(item["row_last"] or not item["tile_last"], f"PE {place}: tile {pe.tile} ends within a row")
        _check(not item["mask"] or not row.partial, f"PE {place}: an item for a row without masks")
        bits = (item["mask"] >> np.arange(self.config.threads)) & 1
        _check(np.array_equal(bits != 0, item["values"] != 0), f"PE {place}: item mask differs from its values")
        position, tap = np.nonzero(row.masks & bits)
        products = row.values[self.layer["tap_base"][0][tap] + position] * item["values"][tap]
        address = item["dest"] + position
        _check(not len(address) or address.max() < self.layer["outputs"][0], f"PE {place}: a sum beyond the outputs")
        np.add.at(self.results[pe.tile, place[1]], address, products)
        self.products += len(products)
        if item["row_last"]:
            pe.rows.popleft()
        pe.tile += item["tile_last"]
        return True


def _run(core: _Core, rows: list[_Row], beats: list[tuple[int, dict[int, dict[str, Any]]]]) -> None:
    next_row = next_beat = 0
    while True:
        progress = False
        while next_row < len(rows) and core.room_for_row(rows[next_row]):
            core.add_row(rows[next_row])
            next_row += 1
            progress = True
        while next_beat < len(beats):
            pe_row, items = beats[next_beat]
            if any(len(core.pes[pe_row, c].items) >= core.config.item_slots for c in items):
                break
            for c, item in items.items():
                core.pes[pe_row, c].items.append(item)
            next_beat += 1
            progress = True
        for place in core.pes:
            while core.work(place):
                progress = True
        if not progress:
            break
    _check(next_row == len(rows), f"deadlock: row {next_row} of {len(rows)} never finds room")
    _check(next_beat == len(beats), f"deadlock: stationary beat {next_beat} of {len(beats)} never finds room")


def interpret(
    config: PhantomConfig, layer_words: NDArray[np.uint32], moving_words: NDArray[np.uint32],
    stationary_words: NDArray[np.uint32], tiles: int,
) -> tuple[IntArray, int]:
    """Execute what a core is fed.

    Parameters
    ----------
    config : PhantomConfig
    layer_words, moving_words, stationary_words : uint32 arrays
        As the links carry them.
    tiles : int

    Returns
    -------
    results : int64 array, shape (tiles, pe_cols, outputs)
    products : int
        Products computed.

    Raises
    ------
    ProgramError
        If the beats break a rule or would block for ever.
    """
    layer = unpack(layer_layout(config), layer_words)
    rows = _rows(config, layer, moving_words)
    beats = unpack(stationary_layout(config), stationary_words)
    fields = beats["items"]
    values = _extended(fields["values"], config.operand_width, bool(layer["stationary_signed"][0]))
    sequence = []
    for n in range(len(stationary_words)):
        items = {c: {"values": values[n, c], **{name: int(fields[name][n, c]) for name in
                                                ("dest", "mask", "row_last", "tile_last")}}
                 for c in range(config.pe_cols) if fields["valid"][n, c]}
        _check(items, f"stationary beat {n} is empty")
        sequence.append((int(beats["pe_row"][n]), items))
    core = _Core(config, layer, tiles)
    _run(core, rows, sequence)
    for place, pe in core.pes.items():
        _check(not pe.rows and not pe.items, f"PE {place} has rows or items left")
        _check(pe.tile == tiles, f"PE {place} ends {pe.tile} tiles of {tiles}")
    outputs = int(layer["outputs"][0])
    half = 1 << config.acc_width - 1
    wrapped = (core.results[:, :, :outputs] + half) % (2 * half) - half
    return wrapped, core.products
