"""The ways of the results: post-processing lanes, and the writer of their slots."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from phantom_hw.core.encoder import OutputEncoder
from phantom_hw.memory.sparse_writer import SparseEncoder
from phantom_hw.results.lane import PostProcessingLane

from phantom_sim.accelerator_model.loads import PLACES, queue_step
from phantom_sim.cycle_kernel import record

__all__ = ["ENCODER", "LANE", "WRITER", "Chunks", "WriterSizes", "encoder_step", "lane_room", "lane_step",
           "writer_idle", "writer_step"]

PIPE = PostProcessingLane.LATENCY - OutputEncoder.LATENCY
QUEUE = OutputEncoder.SLOTS
SLOTS = SparseEncoder.SLOTS

LANE = record(reserved=np.int64, position=np.int64, pipe=(np.int64, PIPE + 1), at=np.int64,
              queue=(np.int64, QUEUE), front=np.int64, back=np.int64)
"""PostProcessingLane with its encoder; the pipe is a ring."""

ENCODER = record(
    place=np.int64, needed=np.int64, count=np.int64, words=np.int64, begun=np.int64,  # packer
    push=np.int64, done=np.int64, done_words=np.int64, done_count=np.int64, done_whole=np.int64, done_chunk=np.int64,
    level=np.int64, slots=(np.int64, (SLOTS, 4)), front=np.int64, back=np.int64,
    sent=np.int64, had_slot=np.int64, had_words=np.int64,
)
"""SparseEncoder: of a slot that waits its final word, whether it spills, its bytes and its chunk."""

WRITER = record(owner=np.int64, requests=np.int64, request=(np.int64, (2, 2)), level=np.int64, head=np.int64)
"""ResultWriter; ``level`` and ``head`` are those of its queue of words."""

CHUNK = 4
"""The number of a sum's chunk begins at this bit; below: there is a sum, it is not zero, it is the last, it counts."""


class Chunks(NamedTuple):
    """The chunks of results of all cores, one core after the other."""

    starts: NDArray[np.int64]
    masks: NDArray[np.uint64]  # positions of the burst of sums that are not zero
    written: NDArray[np.bool_]
    addresses: NDArray[np.int64]


class WriterSizes(NamedTuple):
    """Sizes of the encoders."""

    chunk: int
    act_width: int
    mask_bytes: int
    odd: int
    alone: int
    values: int
    origin: int
    depth: int  # words that wait


# --- lanes ------------------------------------------------------------------------------------------------

@numba.njit(cache=True, error_model="numpy", inline="always")
def lane_room(lane: Any) -> bool:
    """A sum can be taken if its tile is there."""
    return lane.reserved != QUEUE


@numba.njit(cache=True, error_model="numpy")
def lane_step(lane: Any, enters: bool, last: bool, chunk: int, masks: Any, written: Any, limit: int, taken: bool
              ) -> None:
    """One cycle; a sum of a chunk may enter, ``taken`` tells of the beat on offer."""
    now = lane.at
    code = 0
    if enters:
        position = lane.position
        nonzero = position < limit and masks[chunk] >> np.uint64(position) & np.uint64(1) != 0
        code = (chunk << CHUNK) + (written[chunk] << 3) + (last << 2) + (nonzero << 1) + 1
        lane.position = 0 if last else position + 1
        lane.reserved += 1
    lane.pipe[now] = code
    lane.at = 0 if now == PIPE else now + 1
    arrived = lane.pipe[lane.at]
    lane.pipe[lane.at] = 0
    if taken:
        lane.front += 1
        lane.reserved -= 1
    if arrived:
        if arrived & 8 and arrived & 6:
            lane.queue[lane.back % QUEUE] = arrived
            lane.back += 1
        else:
            lane.reserved -= 1


# --- encoders of slots ------------------------------------------------------------------------------------

@numba.njit(cache=True, error_model="numpy", inline="always")
def _waits(e: Any) -> bool:
    return e.front != e.back


@numba.njit(cache=True, error_model="numpy")
def encoder_step(e: Any, beat: int, sizes: Any, slot_ready: bool, word_ready: bool) -> bool:
    """One cycle; ``beat`` is on offer, 0 is none. Whether it is taken."""
    ready = e.level < sizes.depth - 1 and e.back - e.front < SLOTS - 1
    waits = _waits(e)
    removed = 0
    if waits:
        slot = e.slots[e.front % SLOTS]
        final, spill = e.sent == slot[0], slot[1] != 0 and e.sent == slot[0]
        sent = not e.had_words and word_ready
        leaves = (e.had_slot != 0 or slot_ready) and (e.had_words != 0 or (word_ready and final))
        had_words = (e.had_words != 0 or (word_ready and final)) and not leaves
        removed = sent and not spill and not (e.sent == 0 and sizes.alone)
        e.had_slot = (e.had_slot != 0 or slot_ready) and not leaves
        if sent:
            e.sent = 0 if final else e.sent + 1
        e.had_words = had_words
        e.front += leaves
    if e.done:
        spills = e.done_whole != 0 and sizes.odd != 0
        slot = e.slots[e.back % SLOTS]
        slot[0], slot[1] = e.done_words + sizes.alone + spills - 1, spills
        slot[2], slot[3] = sizes.mask_bytes + (e.done_count * sizes.act_width + 7) // 8, e.done_chunk
        e.back += 1
    e.level += e.push - removed
    e.push = e.done = 0
    enters = ready and beat != 0
    if enters:
        last = beat & 4 != 0
        store = beat & 2 != 0 and e.count != sizes.chunk
        full = store and e.place == sizes.values - 1
        push = full or (last and (e.needed != 0 or store))
        e.push, e.done = push, last
        e.done_words, e.done_count = e.words + push, e.count + store
        e.done_whole, e.done_chunk = full or (not e.needed and not store), beat >> CHUNK
        e.begun = 1
        e.words += push
        if store:
            e.place = 0 if full else e.place + 1
            e.needed = not full
            e.count += 1
        if last:
            e.place, e.needed, e.count, e.words, e.begun = sizes.origin, not sizes.alone, 0, 0, 0
    return ready


@numba.njit(cache=True, error_model="numpy")
def writer_idle(w: Any, encoders: Any) -> bool:
    """Nothing is inside."""
    if w.requests or w.level or w.head:
        return False
    for i in range(encoders.size):
        e = encoders[i]
        if e.begun or e.push or e.done or e.front != e.back:
            return False
    return True


@numba.njit(cache=True, error_model="numpy")
def writer_step(w: Any, encoders: Any, lanes: Any, masks: Any, written: Any, addresses: Any, sizes: Any, limit: int,
                request_taken: bool, word_taken: bool, entering: Any, entering_last: Any, entering_chunk: Any
                ) -> None:
    """One cycle of writer and lanes; sums enter as ``entering`` tells."""
    request_room, word_room = w.requests < 2, w.level < PLACES
    owner = encoders[w.owner]
    waits = _waits(owner)
    slot_offered, word_offered = waits and not owner.had_slot, waits and not owner.had_words
    word_last = waits and owner.sent == owner.slots[owner.front % SLOTS, 0]
    stays = (slot_offered and not request_room) or (word_offered and not (word_room and word_last))
    following = w.owner
    if not stays:
        for step in range(1, encoders.size + 1):
            number = (w.owner + step) % encoders.size
            other = encoders[number]
            if _waits(other) and not (other.had_slot and other.had_words):
                following = number
                break
    if request_taken and w.requests:
        w.request[0, 0], w.request[0, 1] = w.request[1, 0], w.request[1, 1]
        w.requests -= 1
    if slot_offered and request_room:
        slot = owner.slots[owner.front % SLOTS]
        w.request[w.requests, 0], w.request[w.requests, 1] = addresses[slot[3]], slot[2]
        w.requests += 1
    queue_step(w, word_offered and word_room, word_taken and w.head != 0)
    for i in range(encoders.size):
        lane, mine = lanes[i], i == w.owner
        offered = lane.front != lane.back
        beat = lane.queue[lane.front % QUEUE] if offered else 0
        ready = encoder_step(encoders[i], beat, sizes, mine and request_room, mine and word_room)
        lane_step(lane, entering[i], entering_last[i], entering_chunk[i], masks, written, limit, offered and ready)
    w.owner = following
