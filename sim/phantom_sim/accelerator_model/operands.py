"""The ways of both operands into the mesh: sequencer, row streamers, stationary columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from phantom_hw.moving.dispatch import EntryDispatcher
from phantom_hw.results.lane import PostProcessingLane
from phantom_hw.stationary.column import StationaryColumn

from phantom_sim.cycle_kernel import record

__all__ = ["BASE", "COLUMN", "LAST", "SEQUENCER", "SHORT", "STREAMER", "Rows", "StreamerSizes", "column_idle",
           "column_step", "sequencer_settled", "sequencer_step", "streamer_idle", "streamer_step"]

DESCRIPTORS, MARGIN = EntryDispatcher.DEPTH, EntryDispatcher.MARGIN
TILES = PostProcessingLane.TILES
REPLAYS, GAP = StationaryColumn.DEPTH, StationaryColumn.GAP
RECENT = (1 << MARGIN) - 1

LAST, SHORT = 1, 2
"""What is known of a descriptor."""
BASE = 1
"""An entry is a base entry."""

SEQUENCER = record(
    walks=np.int64, left=np.int64,  # entries of the command that are still to be read
    read=np.int64, out=np.int64, had=np.int64, next=np.int64,  # cores that have had the tile; the entry at the output
    recent=np.int64, pattern=np.int64, commands=np.int64, rows=np.int64, vector=np.int64,  # commands carried out
)
"""MovingSequencer with walker, row program and dispatcher."""

STREAMER = record(
    pushed=np.int64, popped=np.int64,  # descriptors
    part=np.int64, part_flags=np.int64, plane=np.int64, has_plane=np.int64, left=np.int64, last=np.int64,  # reader
    chain=(np.int64, 8), fill=np.int64, room=np.int64, place=np.int64, row=np.int64, rows=np.int64,  # gather
    masks=(np.int64, 8), ends=(np.int64, 32), shorts=(np.int64, 32), headings=np.int64,
    active=np.int64, beats=np.int64, short=np.int64, sent=np.int64, tail=np.int64, end=np.int64, moving=np.int64,
)
"""RowStreamer with its queue of descriptors; places in the row store count up."""

COLUMN = record(
    pushed=np.int64, popped=np.int64,
    active=np.int64, left=np.int64, repeats=np.int64, filling=np.int64,
    raw=np.int64, unpacked=np.int64, sink=np.int64,
)
"""StationaryColumn."""


class Rows(NamedTuple):
    """What the sequencer does in a segment."""

    kinds: NDArray[np.int64]  # [commands] STREAM_MOVING: entries; else 0 - the unit's number of the command
    entries: NDArray[np.int64]  # [entries, 2] kind, who is meant: cores, or mesh rows
    descriptors: NDArray[np.int64]  # flags, mesh row after mesh row
    starts: NDArray[np.int64]
    settings: NDArray[np.int64]  # [ROWS, 2 + threads] planes, beats, length of each plane


class StreamerSizes(NamedTuple):
    """Sizes of a streamer."""

    link: int
    threads: int
    row_width: int
    depth: int  # of the row store
    chain: int  # stages of the gather
    masks: int  # stages of the mask former


# --- sequencer --------------------------------------------------------------------------------------------

@numba.njit(cache=True, error_model="numpy")
def sequencer_settled(q: Any, waits: bool, idle: bool) -> bool:
    """All that was ordered is handed out; ``waits`` for a descriptor in a queue, ``idle`` are all streamers."""
    return not q.walks and not q.read and not q.out and not waits and q.recent == 0 and idle


@numba.njit(cache=True, error_model="numpy")
def sequencer_step(q: Any, streamers: Any, popped: Any, tiles: Any, tiles_popped: Any, kinds: Any, entries: Any,
                   command: bool, settled: bool, any_popped: bool) -> bool:
    """One cycle; ``popped`` and ``tiles_popped`` are what queues had given before it. Whether the command is taken."""
    had_pattern = q.pattern != 0
    q.pattern = 0
    q.recent = (q.recent << 1 | any_popped) & RECENT
    # the entry at the output of the program
    done = False
    if q.out:
        kind, targets = entries[q.next, 0], entries[q.next, 1]
        done = True
        if kind == BASE:
            for core in range(tiles.size):
                if targets >> core & 1 and not q.had >> core & 1:
                    if tiles[core] - tiles_popped[core] < TILES:
                        tiles[core] += 1
                        q.had |= 1 << core
                    else:
                        done = False
            if done:
                q.had = 0
        else:
            for r in range(streamers.size):
                if targets >> r & 1 and streamers[r].pushed - popped[r] == DESCRIPTORS:
                    done = False
            if done:
                for r in range(streamers.size):
                    if targets >> r & 1:
                        streamers[r].pushed += 1
    to_out = not q.out or done
    to_read = not q.read or to_out
    if done:
        q.next += 1
    if to_out:
        q.out = q.read
    if to_read:
        q.read = q.walks
        if q.walks:
            q.left -= 1
            q.walks = q.left != 0
    taken = False
    if command and settled:
        count = kinds[q.commands]
        if count > 0:
            if not had_pattern:
                taken = True
                q.walks, q.left = 1, count
        else:
            taken = True
            q.pattern = count == 0
            q.rows += count == -1
            q.vector += count == -2
        q.commands += taken
    return taken


# --- streamer ---------------------------------------------------------------------------------------------

@numba.njit(cache=True, error_model="numpy")
def streamer_idle(t: Any, sizes: Any) -> bool:
    """Nothing is inside, apart from the queue of descriptors."""
    if t.part or t.has_plane or t.row or t.active or t.moving:
        return False
    for i in range(sizes.chain):
        if t.chain[i]:
            return False
    for i in range(sizes.masks):
        if t.masks[i]:
            return False
    return True


@numba.njit(cache=True, error_model="numpy")
def streamer_step(t: Any, pushed: int, descriptors: Any, start: int, setting: Any, moving_taken: bool, sizes: Any
                  ) -> None:
    """One cycle; ``pushed`` descriptors had come before it, ``moving_taken`` tells of the packet on offer."""
    tail = t.tail
    # sender
    taps = t.masks[sizes.masks - 1] if sizes.masks else t.row
    last = t.short != 0 or t.beats <= 1
    advance = not t.moving or moving_taken
    goes = t.active != 0 and advance
    taps_ready = not t.active or (goes and last)
    begins = taps != 0 and taps_ready
    if advance:
        t.moving = t.active
    if goes:
        if last:
            t.tail = t.end
        elif not t.short and t.tail != t.end:
            t.tail += 1
    if begins:
        t.active, t.beats = 1, setting[1]
        t.end, t.short = t.ends[t.sent & 31], t.shorts[t.sent & 31]
        t.sent += 1
    elif goes:
        t.active = not last
        t.beats -= 1
    # mask former
    on = taps_ready
    for i in range(sizes.masks - 1, -1, -1):
        on = not t.masks[i] or on
        if on:
            t.masks[i] = t.masks[i - 1] if i else t.row
    # gather
    final = t.chain[sizes.chain - 1]
    proceeds = final != 0 and t.room != 0 and (not t.row or on)
    forward = final == 0 or proceeds
    t.room = t.place - tail < sizes.depth - 4
    if proceeds:
        count, ends = final >> 2, final & 2
        lanes = sizes.link
        word, total = t.fill // lanes, t.fill % lanes + count
        words = sizes.row_width // lanes
        begun = total != 0 if ends else total >= lanes
        t.place += (begun and word < words) + (ends != 0 and total > lanes and word < words - 1)
        t.fill = 0 if ends else min(t.fill + count, sizes.row_width)
        t.row = ends != 0
        if ends:
            t.ends[t.rows & 31] = t.place
            t.rows += 1
    elif on:
        t.row = 0
    # reader
    final_read = t.left <= sizes.link
    leaves = t.has_plane != 0 and forward
    if forward:
        for i in range(sizes.chain - 1, 0, -1):
            t.chain[i] = t.chain[i - 1]
        ends = t.last != 0 and final_read
        t.chain[0] = (min(t.left, sizes.link) << 2 | ends << 1 | 1) if t.has_plane else 0
        if t.has_plane and ends:
            t.shorts[t.headings & 31] = t.last & SHORT
            t.headings += 1
    to_plane = not t.has_plane or (leaves and final_read)
    short = t.part_flags & SHORT
    final_plane = short != 0 or t.plane + 1 >= setting[0] or t.plane == sizes.threads - 1
    descriptor_ready = not t.part or (to_plane and final_plane)
    if to_plane:
        t.has_plane = t.part
        t.left = 0 if short else setting[2 + t.plane]
        t.last = t.part_flags if t.part_flags & LAST and final_plane else 0
    elif leaves:
        t.left -= sizes.link
    if descriptor_ready:
        t.plane = 0
        t.part = t.popped != pushed
        if t.part:
            t.part_flags = descriptors[start + t.popped]
            t.popped += 1
    elif to_plane:
        t.plane += 1


# --- stationary column ------------------------------------------------------------------------------------

@numba.njit(cache=True, error_model="numpy")
def column_idle(c: Any) -> bool:
    """All packets are sent."""
    return c.pushed == c.popped and not c.active and not c.raw and not c.unpacked and not c.sink


@numba.njit(cache=True, error_model="numpy")
def column_step(c: Any, pushed: int, replays: Any, start: int, sink_taken: bool) -> None:
    """One cycle; ``pushed`` replays had come before it, ``sink_taken`` tells of the packet on offer."""
    moves = not c.sink or sink_taken
    valid = c.active != 0 and c.filling == 0
    take = valid and moves
    if moves:
        c.sink, c.unpacked, c.raw = c.unpacked, c.raw, valid
    ends = take and c.left == 1
    loads = not c.active or (ends and c.repeats == 1)
    if loads or ends:
        c.filling = GAP
    elif c.filling:
        c.filling -= 1
    if loads:
        c.active = c.popped != pushed
        if c.active:
            c.left, c.repeats = replays[start + c.popped, 0], replays[start + c.popped, 1]
            c.popped += 1
    elif take:
        c.left -= 1
        if ends:
            c.left = replays[start + c.popped - 1, 0]
            c.repeats -= 1
