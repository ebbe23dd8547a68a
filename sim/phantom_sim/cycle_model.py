"""Cycle model of a core: the same streams in, the cycles and the occupancy of every cycle out.

It keeps exactly the state that decides *when* something happens (levels, numbers, reservations) and none of the values.
Delays come from the hardware classes' constants.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from phantom_compiler.packing import unpack
from phantom_hw import PhantomConfig
from phantom_hw.core.core import PhantomCore
from phantom_hw.core.drain import DrainControl
from phantom_hw.core.encoder import OutputEncoder
from phantom_hw.core.layouts import layer_layout, moving_layout, stationary_layout
from phantom_hw.core.pe import ProcessingElement

__all__ = ["CoreCycles", "CoreStreams", "core_cycles", "prepare"]


@dataclass(frozen=True)
class CoreStreams:
    """The entry streams of a run, reduced to what decides the time.

    Attributes
    ----------
    groups, outputs : int
        Groups of an item, addresses that a tile drains.
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
    moving_pes: np.ndarray
    moving_last: np.ndarray
    stationary_pes: np.ndarray
    row_start: np.ndarray
    rows: np.ndarray
    entries: np.ndarray
    item_start: np.ndarray
    item_mask: np.ndarray
    item_flags: np.ndarray


@dataclass(frozen=True)
class CoreCycles:
    """What the model says of a run.

    Attributes
    ----------
    cycles : int
        Clock cycles from the first offered beat to the last result beat, both included.
    occupancy : uint8[cycles, pes]
        Threads that are busy in each PE in each cycle, as the core's ``activity`` output shows it.
    entries : int
        Entries that passed through the windows.
    products : int
        Effectual products.
    result_cycles : int64[beats]
        The cycle in which each result beat is transferred.
    """

    cycles: int
    occupancy: np.ndarray
    entries: int
    products: int
    result_cycles: np.ndarray


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
    entries = np.zeros((rows, (int(number.max(initial=0)) + 1) * width), np.uint8)
    entries.reshape(rows, -1, width)[row_of, number] = masks.reshape(len(last), width)

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
        moving_pes=moving_pes, moving_last=last, stationary_pes=pes(stationary["pe_row"], valid),
        row_start=starts(row_lists), rows=np.concatenate(row_lists).astype(np.int32),
        entries=np.ascontiguousarray(entries),
        item_start=starts(mask_lists), item_mask=np.concatenate(mask_lists), item_flags=np.concatenate(flag_lists),
    )


def core_cycles(config: PhantomConfig, streams: CoreStreams, tiles: int, nonzero=None, moving_gaps=None,
                stationary_gaps=None, result_ready=None, max_cycles: int = 1 << 40) -> CoreCycles:
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

    def gaps(values, beats: int) -> np.ndarray:
        return np.zeros(beats, np.int64) if values is None else np.asarray(values, np.int64)

    ready = np.ones(1, np.uint8) if result_ready is None else np.asarray(result_ready, np.uint8)
    occupancy, result_cycles, totals = _run(
        config.pe_rows, config.pe_cols, config.threads, config.window_groups, config.group,
        config.refill_groups, config.tds == "in_order", config.skip_empty, config.row_slots,
        config.item_slots, config.chunk, OutputEncoder.SLOTS,
        PhantomCore.result_latency(config), ProcessingElement.ACTIVITY_DELAY, ProcessingElement.RELEASE_DELAY,
        DrainControl.START_DELAY,
        streams.groups, streams.outputs, tiles, streams.moving_pes, streams.moving_last, streams.stationary_pes,
        streams.row_start, streams.rows, streams.entries, streams.item_start, streams.item_mask,
        streams.item_flags, np.asarray(nonzero, np.uint8),
        gaps(moving_gaps, len(streams.moving_pes)), gaps(stationary_gaps, len(streams.stationary_pes)), ready,
        max_cycles,
    )
    if totals[0] < 0:
        raise RuntimeError(f"the core stands still in cycle {-totals[0]}: {totals[3]} of {tiles} tiles drained, "
                           f"{totals[4]} moving and {totals[5]} stationary beats taken")
    return CoreCycles(cycles=int(totals[0]), occupancy=occupancy, entries=int(totals[1]), products=int(totals[2]),
                      result_cycles=result_cycles)


@numba.njit(cache=True, inline="always")
def _select(counts, sums, window, first, level, groups, size, capacity, in_order):
    """Clear what the selector takes in a PE's ring of groups (from ``window`` on); the number of products."""
    taken = 0
    group = first
    for _ in range(level):
        if sums[window + group]:
            base = (window + group) * size
            for place in range(base, base + size):
                p = counts[place]
                if p:
                    if p <= capacity:
                        capacity -= p
                        taken += p
                        counts[place] = 0
                        sums[window + group] -= p
                        if capacity == 0:
                            return taken
                    elif in_order:
                        return taken
        group += 1
        if group == groups:
            group = 0
    return taken


@numba.njit(cache=True)
def _run(pe_rows, pe_cols, threads, window_groups, size, refill, in_order, skip_empty, row_slots,
         item_slots, chunk, slots, result_latency, activity_delay, release_delay, start_delay,
         groups, outputs, tiles, moving_pes, moving_last, stationary_pes,
         row_start, rows, entries, item_start, item_mask, item_flags, nonzero,
         moving_gaps, stationary_gaps, ready_pattern, max_cycles):
    pes = pe_rows * pe_cols
    popcounts = np.zeros(256, np.int64)
    for i in range(256):
        popcounts[i] = popcounts[i >> 1] + (i & 1)
    # window of each PE: a ring of groups, how much each has left, and their tags
    counts = np.zeros(pes * window_groups * size, np.int64)
    sums = np.zeros(pes * window_groups, np.int64)
    tag_item, tag_row, tag_tile = np.zeros_like(sums), np.zeros_like(sums), np.zeros_like(sums)
    first = np.zeros(pes, np.int64)
    level = np.zeros(pes, np.int64)
    # scheduling: current item, row, tile and group; rows loaded and items pushed
    item, row, tile, group = np.zeros(pes, np.int64), np.zeros(pes, np.int64), np.zeros(pes, np.int64), np.zeros(
        pes, np.int64)
    loaded, pushed = np.zeros(pes, np.int64), np.zeros(pes, np.int64)
    total_entries, total_products = 0, 0
    occupancy = np.zeros((1 << 12, pes), np.uint8)
    result_cycles = np.zeros(nonzero.size, np.int64)
    results = 0
    # links: register, and the source's next beat and its wait
    m_register, m_next, m_wait = -1, 0, 0
    s_register, s_next, s_wait = -1, 0, 0
    if moving_pes.size:
        m_wait = moving_gaps[0]
    if stationary_pes.size:
        s_wait = stationary_gaps[0]
    # drain
    drain_tile, reading, waited = 0, False, 0
    start, offset, column, position = 0, 0, 0, 0
    reserved = 0
    pipe = np.zeros(result_latency + 1, np.uint8)  # 1 dropped zero, 2 kept, 3 kept and last of its tile
    queue = np.zeros(slots, np.uint8)
    front, back = 0, 0
    tiles_out = 0
    live_tile = np.zeros(pes, np.int64)
    # the oldest item and row in use, and what of that the stores know by now
    live_item = np.zeros((release_delay + 1, pes), np.int64)
    live_row = np.zeros((release_delay + 1, pes), np.int64)
    cycle = 0
    still = 0
    while tiles_out < tiles:
        moved = False
        if cycle + 2 >= occupancy.shape[0]:
            grown = np.zeros((occupancy.shape[0] * 2, pes), np.uint8)
            grown[:occupancy.shape[0]] = occupancy
            occupancy = grown
        now, known = cycle % (release_delay + 1), (cycle + 1) % (release_delay + 1)
        for p in range(pes):
            if level[p]:
                head = p * window_groups + first[p]
                live_item[now, p], live_row[now, p] = tag_item[head], tag_row[head]
                live_tile[p] = tag_tile[head]
            else:
                live_item[now, p], live_row[now, p], live_tile[p] = item[p], row[p], tile[p]
        # --- links -----------------------------------------------------------------------------------
        m_fire, s_fire = m_register >= 0, s_register >= 0
        if m_fire:
            for p in range(pes):
                if moving_pes[m_register] >> np.uint64(p) & np.uint64(1) and (
                        loaded[p] - live_row[known, p] >= row_slots):
                    m_fire = False
        if s_fire:
            for p in range(pes):
                if stationary_pes[s_register] >> np.uint64(p) & np.uint64(1) and (
                        pushed[p] - live_item[known, p] >= item_slots):
                    s_fire = False
        # --- drain -----------------------------------------------------------------------------------
        hold = -1
        in_pipe = 0
        tile_now = drain_tile
        if reading:
            if reserved < slots:
                hold = column
                length = min(chunk, outputs - start)
                row_end = offset + 1 == length
                tile_end = row_end and column == pe_cols - 1 and start + length >= outputs
                in_pipe = 3 if tile_end else (2 if nonzero[position] else (4 if row_end else 1))
                position += 1
                offset += 1
                if row_end:
                    offset = 0
                    column += 1
                    if column == pe_cols:
                        column = 0
                        start += chunk
                if tile_end:
                    reading = False
                    waited = 0
                    drain_tile += 1
        else:
            all_done = True
            for p in range(pes):
                if live_tile[p] == drain_tile:
                    all_done = False
            waited = waited + 1 if all_done else 0
            if waited == start_delay:
                reading = True
                start, offset, column = 0, 0, 0
        # --- encoder ---------------------------------------------------------------------------------
        freed = 0
        pipe[cycle % (result_latency + 1)] = in_pipe
        if in_pipe:
            reserved += 1
        arrived = pipe[(cycle + 1) % (result_latency + 1)]
        pipe[(cycle + 1) % (result_latency + 1)] = 0
        if front != back and ready_pattern[cycle % ready_pattern.size]:
            if queue[front % slots] == 3:
                tiles_out += 1
            front += 1
            freed += 1
            result_cycles[results] = cycle
            results += 1
            moved = True
        if arrived == 1:
            freed += 1
        elif arrived:
            queue[back % slots] = arrived
            back += 1
        reserved -= freed
        if in_pipe or freed or arrived:
            moved = True
        # --- PEs -------------------------------------------------------------------------------------
        for p in range(pes):
            if p % pe_cols == hold:
                continue
            taken = 0
            if level[p]:
                window = p * window_groups
                taken = _select(counts, sums, window, first[p], level[p], window_groups, size, threads, in_order)
                occupancy[cycle + activity_delay, p] = taken
                total_products += taken
                while level[p] and sums[window + first[p]] == 0:
                    first[p] += 1
                    if first[p] == window_groups:
                        first[p] = 0
                    level[p] -= 1
                    moved = True
            room = window_groups - level[p]
            offered = refill
            items_fed = 0
            while True:
                # the current item's groups, then the next item's; no third one in the same cycle
                if items_fed == 2 or item[p] >= pushed[p] or row[p] >= loaded[p] or tile[p] - tile_now >= 2:
                    break
                index = item_start[p] + item[p]
                mask = item_mask[index]
                which = rows[row_start[p] + row[p]]
                while offered and group[p] < groups:
                    place = first[p] + level[p]
                    if place >= window_groups:
                        place -= window_groups
                    at = group[p] * size
                    total = 0
                    if room:
                        place += p * window_groups
                        base = place * size
                        for e in range(size):
                            count = popcounts[entries[which, at + e] & mask]
                            counts[base + e] = count
                            total += count
                    elif skip_empty:
                        for e in range(size):
                            total += entries[which, at + e] & mask
                        if total:
                            break
                    else:
                        break
                    if total or not skip_empty:
                        sums[place] = total
                        tag_item[place], tag_row[place], tag_tile[place] = item[p], row[p], tile[p]
                        level[p] += 1
                        room -= 1
                    offered -= 1
                    group[p] += 1
                    total_entries += size
                    moved = True
                if group[p] < groups:
                    break
                group[p] = 0
                items_fed += 1
                item[p] += 1
                row[p] += item_flags[index] & 1
                tile[p] += item_flags[index] >> 1
                if offered == 0:
                    break
            if taken:
                moved = True
        # --- link registers ----------------------------------------------------------------------------
        if m_fire:
            if moving_last[m_register]:
                for p in range(pes):
                    if moving_pes[m_register] >> np.uint64(p) & np.uint64(1):
                        loaded[p] += 1
        if m_fire or m_register < 0:
            m_register = -1
            if m_next < moving_pes.size and m_wait == 0:
                m_register = m_next
                m_next += 1
                if m_next < moving_pes.size:
                    m_wait = moving_gaps[m_next] + 1
            moved |= m_fire
        if m_wait:
            m_wait -= 1
            moved = True
        if s_fire:
            for p in range(pes):
                if stationary_pes[s_register] >> np.uint64(p) & np.uint64(1):
                    pushed[p] += 1
        if s_fire or s_register < 0:
            s_register = -1
            if s_next < stationary_pes.size and s_wait == 0:
                s_register = s_next
                s_next += 1
                if s_next < stationary_pes.size:
                    s_wait = stationary_gaps[s_next] + 1
            moved |= s_fire
        if s_wait:
            s_wait -= 1
            moved = True
        cycle += 1
        still = 0 if moved else still + 1
        if still > 64 + ready_pattern.size or cycle >= max_cycles:
            return occupancy[:cycle], result_cycles[:results], np.array(
                [-cycle, total_entries, total_products, tiles_out, m_next, s_next])
    return occupancy[:cycle], result_cycles[:results], np.array(
        [cycle, total_entries, total_products, tiles_out, m_next, s_next])
