"""A loader of moving buffers: requests for slots, and their way to the places of their values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from phantom_sim.accelerator_model.loads import PLACES, queue_step
from phantom_sim.cycle_kernel import record

__all__ = ["COMMANDS", "COMMAND_ENDS", "FILLS", "HEADERS", "LINE_ENDS", "LOADER", "PLACEMENTS", "QUEUES", "SLOTS",
            "LoaderSizes", "Slots", "loader_asks", "loader_busy",
           "loader_step"]

LINE_ENDS, COMMAND_ENDS, FILLS = 1, 2, 4
"""What is known of a slot or a row of zeros."""

COMMANDS, HEADERS, SLOTS, PLACEMENTS = range(4)
QUEUES = 4
"""The queues of a loader; those of all loaders follow each other."""

LOADER = record(
    asking=np.int64, fill=np.int64, asked=np.int64, ends=np.int64, commands=np.int64,  # SlotRequests
    next_request=np.int64, next_slot=np.int64, next_header=np.int64, next_placement=np.int64, next_origin=np.int64,
    state=np.int64, wait=np.int64,  # PlacementOrigin
    gathered=np.int64, whole=np.int64, whole_last=np.int64,  # WordGather
    active=np.int64, has_high=np.int64, ended=np.int64, odd=np.int64, start=np.int64, behind=np.int64,  # SlotWindow
    pieces=np.int64, count=np.int64, rest=np.uint64, sink=np.int64, sink_last=np.int64,
    spread=np.int64, spread_last=np.int64, spare_last=np.int64,  # the decoder's output
    cutting=np.int64, lane=np.int64, left=np.int64, filling=np.int64, whole_rows=np.int64, width=np.int64,
    steps=np.int64,  # RowCutter
    scatter=np.int64, scatter_left=np.int64, scatter_steps=np.int64, write=np.int64,  # PhaseScatter
)
"""A MovingLoader without its queues."""

FREE, DIVIDES = range(2)


class Slots(NamedTuple):
    """What all loaders load, one loader after the other; ``starts`` tells where each one's begin."""

    requests: NDArray[np.int64]  # [slots, 2] address and bytes
    masks: NDArray[np.uint64]  # of slots
    positions: NDArray[np.int64]  # of slots
    request_starts: NDArray[np.int64]
    rows: NDArray[np.int64]  # [slots and rows of zeros, 2] positions of the last word, what ends with it
    row_starts: NDArray[np.int64]
    commands: NDArray[np.int64]  # [commands, 5] fills, whole, width, steps, cycles of the origin
    command_starts: NDArray[np.int64]


class LoaderSizes(NamedTuple):
    """Sizes of a loader."""

    lanes: int
    ahead: int
    ratio: int  # words that are joined
    values: int  # of a word of the window
    first: int  # place of a slot's first value
    odd: int
    mask_lanes: np.uint64


@numba.njit(cache=True, error_model="numpy")
def loader_busy(l: Any, queue: Any, placements: Any) -> bool:
    """What the loader tells of itself, its queue of commands included."""
    return (l.asking != 0 or placements.level != 0 or placements.head != 0 or l.state != FREE or l.cutting != 0
            or l.scatter != 0 or l.write != 0 or l.whole != 0 or l.gathered != 0 or l.active != 0 or not l.ended
            or l.sink != 0 or l.spread != 0 or queue.level != 0 or queue.head != 0)


@numba.njit(cache=True, error_model="numpy")
def loader_asks(l: Any, headers: Any, waiting: Any, ahead: int) -> bool:
    """A request is on offer."""
    return l.asking != 0 and not l.fill and headers.level < ahead and waiting.level < ahead


@numba.njit(cache=True, error_model="numpy")
def _scatter(l: Any, waiting: Any, rows: Any, first: int, sizes: Any) -> tuple[bool, bool, bool]:
    """One cycle of cutter and scatter; whether the dense word, the slot and the origin are taken."""
    final = l.scatter_left == 1 or l.scatter_steps == 0
    piece_ready = not l.scatter or final
    l.write = l.scatter
    if l.scatter:
        l.scatter_left -= 1
        l.scatter_steps -= 1
    slot = first + l.next_slot
    there = sizes.lanes
    if not l.filling and l.spread_last:
        there = rows[slot, 0]
    there -= l.lane
    fewer, same = l.left < there, l.left == there
    word_ends = l.whole_rows != 0 or not fewer
    slot_ends = fewer or same if l.filling else word_ends and l.spread_last != 0
    row_ends = slot_ends and rows[slot, 1] & LINE_ENDS != 0 if l.whole_rows else slot_ends or fewer or same
    count = there if word_ends else l.left
    valid = l.cutting != 0 and waiting.head != 0 and (l.filling != 0 or l.spread != 0)
    goes = valid and piece_ready
    origin_ready = not l.cutting and piece_ready
    if piece_ready:
        l.scatter = valid
        l.scatter_left, l.scatter_steps = count, l.steps
    if goes:
        l.lane = 0 if word_ends or l.filling else l.lane + count
        l.left = l.width if row_ends else l.left - count
        if slot_ends and rows[slot, 1] & COMMAND_ENDS:
            l.cutting = 0
    return goes and not l.filling and word_ends, goes and slot_ends, origin_ready


@numba.njit(cache=True, error_model="numpy")
def _window(l: Any, headers: Any, masks: Any, positions: Any, header: int, word: bool, last: bool, sizes: Any
            ) -> tuple[bool, bool]:
    """One cycle of a SlotWindow; whether the word and the header are taken."""
    has_header = headers.head != 0
    more, exact = l.count > l.behind, l.count == l.behind
    advance = not l.sink or l.spread < 2
    go = (l.active != 0 and advance
          and (l.has_high != 0 or l.ended != 0 or not (more or (exact and l.odd != 0))))
    final = l.pieces <= 1
    free = not l.active or (go and final)
    drains = go and (more or exact)
    room = free or not l.has_high or drains
    begin = free and l.ended != 0 and word and has_header
    enters = not l.ended and room and word
    word_ready = free and has_header if l.ended else room
    down = drains and l.has_high != 0
    into_low = enters and not l.has_high and (drains or l.start == sizes.values)
    if advance:
        l.sink, l.sink_last = go, final
    if begin or enters:
        l.ended = last
    if free:
        l.active = begin
    if begin:
        l.start, l.behind, l.odd, l.has_high = sizes.first, sizes.values - sizes.first, sizes.odd, 0
    elif down:
        l.start, l.behind = l.start + l.count - sizes.values, l.behind - l.count + sizes.values
        l.has_high = enters
    else:
        if go:
            l.start += l.count
            l.behind -= l.count
        if into_low:
            l.start, l.behind = 0, sizes.values
        elif enters:
            l.has_high = 1
    if begin:
        l.rest = masks[header]
        l.pieces = (positions[header] + sizes.lanes - 1) // sizes.lanes
    elif go:
        l.pieces -= 1
    if begin or go:
        piece = l.rest & sizes.mask_lanes
        l.rest >>= np.uint64(sizes.lanes)
        l.count = 0
        while piece:
            piece &= piece - np.uint64(1)
            l.count += 1
    return word_ready, begin


@numba.njit(cache=True, error_model="numpy")
def loader_step(l: Any, commands: Any, headers: Any, waiting: Any, placements: Any, masks: Any, positions: Any,
                first: int, rows: Any, first_row: int, orders: Any, first_order: int, sizes: Any, command: bool,
                granted: bool, word: bool, last: bool) -> tuple[bool, bool]:
    """One cycle of a loader, whose slots begin at ``first``, and so on; whether the command and the word are taken."""
    command_room, placement_room = commands.level < PLACES, placements.level < PLACES
    goes = l.asking != 0 and (waiting.level < sizes.ahead if l.fill else granted)
    taken = commands.head != 0 and not l.asking and placement_room
    spread_room = l.spread < 2
    sink, sink_last = l.sink, l.sink_last

    dense, slot_taken, origin_ready = _scatter(l, waiting, rows, first_row, sizes)
    origin_valid = l.state == DIVIDES and l.wait == 0
    if origin_ready:
        l.cutting = origin_valid
        if origin_valid:
            at = first_order + l.next_origin
            l.filling, l.whole_rows, l.width, l.steps = orders[at, 0], orders[at, 1], orders[at, 2], orders[at, 3]
            l.left = l.width
            l.next_origin += 1
    # the origin of the next command
    placement_taken = False
    if l.state == FREE:
        if placements.head:
            placement_taken = True
            l.state, l.wait = DIVIDES, orders[first_order + l.next_placement, 4]
            l.next_placement += 1
    elif l.wait:
        l.wait -= 1
    elif origin_ready:
        l.state = FREE

    # the decoder, from its output to its input
    word_in, last_in = word, last
    if sizes.ratio > 1:
        word_in, last_in = l.whole != 0, l.whole_last != 0
    ready, header_taken = _window(l, headers, masks, positions, first + l.next_header, word_in, last_in, sizes)
    enters = sink != 0 and spread_room
    if dense:
        l.spread -= 1
        l.spread_last = l.spare_last
    if enters:
        if l.spread == 0:
            l.spread_last = sink_last
        else:
            l.spare_last = sink_last
        l.spread += 1
    if sizes.ratio > 1:
        join_ready = not l.whole or ready
        ends = last or l.gathered == sizes.ratio - 1
        if join_ready:
            l.whole = word and ends
            if word:
                l.whole_last = last
                l.gathered = 0 if ends else l.gathered + 1
        ready = join_ready

    # requests
    enters_slot, enters_header = goes, goes and not l.fill
    if not l.asking:
        l.asking = taken
        if taken:
            l.fill = orders[first_order + l.commands, 0]
            l.commands += 1
    elif goes:
        if rows[first_row + l.asked, 1] & COMMAND_ENDS:
            l.asking = 0
        l.asked += 1
        l.next_request += enters_header
    queue_step(waiting, enters_slot, slot_taken)
    l.next_slot += slot_taken
    queue_step(headers, enters_header, header_taken)
    l.next_header += header_taken
    queue_step(placements, taken, placement_taken)
    queue_step(commands, command and command_room, taken)
    return command_room, ready
