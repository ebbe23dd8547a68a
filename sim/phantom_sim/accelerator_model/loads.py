"""The units that read memory: loaders of the row program, of stationary packets and of parameters."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from phantom_hw.moving.queue import ShortQueue
from phantom_hw.stationary.loader import StationaryLoader

from phantom_sim.cycle_kernel import record

__all__ = ["PARAMETERS", "PLACES", "QUEUE", "TABLE", "parameters_step", "queue_step", "stationary_step", "table_step"]

PLACES = ShortQueue.PLACES
DEPTH = StationaryLoader.DEPTH

QUEUE = record(level=np.int64, head=np.int64)
"""A ShortQueue: payloads in the RAM, and whether there is one at the output."""

TABLE = record(
    request=np.int64, taken=np.int64, begun=np.int64,  # commands
    active=np.int64, left=np.int64, fill=np.int64, write=np.int64,
)
"""A TableLoader with its RecordUnpacker, or a StationaryLoader."""

PARAMETERS = record(asks=np.int64, waits=np.int64, clamps=np.int64, written=np.int64, part=np.int64,
                    taken=np.int64, gathered=np.int64, whole=np.int64, whole_count=np.int64, whole_last=np.int64)
"""A ParameterLoader."""


@numba.njit(cache=True, error_model="numpy", inline="always")
def queue_step(q: Any, enters: bool, taken: bool) -> None:
    """One cycle of a ShortQueue; ``enters`` only if there was room."""
    leaves = q.level > 0 and (not q.head or taken)
    if leaves:
        q.head = 1
    elif taken:
        q.head = 0
    q.level += enters - leaves


@numba.njit(cache=True, error_model="numpy")
def table_step(t: Any, counts: Any, command: bool, granted: bool, word: bool, word_count: int, record_units: int,
               unit: int) -> tuple[bool, bool]:
    """One cycle of a TableLoader; whether the command and the word are taken."""
    free = not t.request or granted
    taken = command and free and t.taken - t.begun < DEPTH
    # records are cut of the words
    there = t.fill >= record_units
    left = t.fill - record_units if there else t.fill
    word_ready = left < record_units
    t.fill = left + (word_count // unit if word and word_ready else 0)
    if not t.active or (there and t.left == 1):
        t.active = t.taken != t.begun
        if t.active:
            t.left = counts[t.begun]
            t.begun += 1
    elif there:
        t.left -= 1
    if free:
        t.request = taken
    t.taken += taken
    return taken, word_ready


@numba.njit(cache=True, error_model="numpy")
def stationary_step(t: Any, q: Any, command: bool, granted: bool, word: bool, word_last: bool) -> tuple[bool, bool]:
    """One cycle of the queue before a StationaryLoader, and of that; whether the command and the word are taken."""
    room = q.level < PLACES
    free = not t.request or granted
    taken = q.head != 0 and free and t.taken - t.begun < DEPTH
    takes = t.active != 0 and word
    word_ready = t.active != 0
    t.write = takes
    if not t.active or (takes and word_last):
        t.active = t.taken != t.begun
        t.begun += t.active
    if free:
        t.request = taken
    t.taken += taken
    queue_step(q, command and room, taken)
    return command and room, word_ready


@numba.njit(cache=True, error_model="numpy")
def parameters_step(p: Any, command: bool, granted: bool, word: bool, word_count: int, word_last: bool, ratio: int,
                    record_bytes: int) -> tuple[bool, bool]:
    """One cycle of a ParameterLoader whose words are joined ``ratio`` at a time; whether command and word are taken."""
    taken = command and not p.asks and not p.waits
    valid, count, last = word, word_count, word_last
    if ratio > 1:
        valid, count, last = p.whole != 0, p.whole_count, p.whole_last != 0
    there = p.waits != 0 and valid and p.part < count // record_bytes
    final = p.part + 1 >= count // record_bytes
    ready = p.waits != 0 and final
    ended = valid and ready and last
    word_ready = ready
    if ratio > 1:
        word_ready = not p.whole or ready
        ends = word_last or p.gathered == ratio - 1
        if word_ready:
            p.whole = word and ends
            if word:
                p.whole_count = p.gathered * (record_bytes // ratio) + word_count
                p.whole_last = word_last
                p.gathered = 0 if ends else p.gathered + 1
    p.written = there
    if there:
        p.part = 0 if final else p.part + 1
    p.clamps = taken
    if p.asks and granted:
        p.asks = 0
    if ended:
        p.waits = 0
    if taken:
        p.asks, p.waits, p.part = 1, 1, 0
        p.taken += 1
    return taken, word_ready
