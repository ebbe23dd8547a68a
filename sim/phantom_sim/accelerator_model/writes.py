"""The write port: write window, write manager and memories."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from phantom_sim.accelerator_model.bus import TOKENS, align, split, splitter_ready, tokens_after
from phantom_sim.cycle_kernel import record

__all__ = ["WRITES", "write", "writes_idle"]

WRITES = record(
    waits=np.int64, wait_address=np.int64, wait_bytes=np.int64,  # the window
    sink=np.int64, address=np.int64, bytes=np.int64,
    active=np.int64, left=np.int64, tail=np.int64, start=np.int64,  # the marker
    planned_front=np.int64, planned_back=np.int64, sending_front=np.int64, sending_back=np.int64,
    waiting_front=np.int64, waiting_back=np.int64,
    level=np.int64, head=np.int64, stored=np.int64, aw=np.int64, aw_beats=np.int64, aw_here=np.int64, w=np.int64,
    sent=np.int64, here_front=np.int64, here_back=np.int64, here_beats=np.int64, noted=np.int64,
    memory_front=np.int64, memory_back=np.int64, answers_front=np.int64, answers_back=np.int64, tokens=np.int64,
    beats=np.int64,
)
"""The window, the marker, the write manager and the memory on the chip; ends of queues count up, their contents are in
rings.

``aw_here``: the burst on offer is for the memory on the chip; ``noted``: it is in the queue of that already.
``beats`` are those of external memory.
"""


@numba.njit(cache=True, error_model="numpy")
def writes_idle(v: Any, s: Any, a: Any) -> bool:
    """Neither the window nor the manager has something to do."""
    return not (v.waits or v.sink or s.active or s.burst or v.active or a.inside or a.one or a.two or a.pending
                or v.planned_front != v.planned_back or v.sending_front != v.sending_back
                or v.waiting_front != v.waiting_back or v.level or v.head or v.aw or v.w)


@numba.njit(cache=True, error_model="numpy")
def _memories(cycle: int, v: Any, memory: Any, answers: Any, order: Any, aw_ready: bool, w_ready: bool, here: bool,
              latency: int, on_chip: int) -> None:
    """What the memories take of what is offered; ``here``: the beat on offer is for the memory on the chip."""
    if v.w and w_ready:
        v.w = 0
        last = False
        if not here:
            v.tokens -= TOKENS
            v.beats += 1
            place = v.memory_front % memory.shape[0]
            memory[place] -= 1
            last = memory[place] == 0
            v.memory_front += last
        if on_chip:
            v.here_beats += 1
            last = v.here_beats == order[v.here_front % order.shape[0], 1]
            if last:
                v.here_beats = 0
                v.here_front += 1
        if last:
            answers[v.answers_back % answers.shape[0]] = cycle if here else cycle + latency
            v.answers_back += 1
    if v.aw and on_chip and not v.noted:
        place = v.here_back % order.shape[0]
        order[place, 0], order[place, 1] = v.aw_here, v.aw_beats
        v.here_back += 1
        v.noted = 1
    if v.aw and aw_ready:
        if not v.aw_here:
            memory[v.memory_back % memory.shape[0]] = v.aw_beats
            v.memory_back += 1
        v.aw = v.noted = 0


@numba.njit(cache=True, error_model="numpy")
def write(cycle: int, v: Any, s: Any, a: Any, planned: Any, sending: Any, memory: Any, answers: Any, order: Any,
          depth: int, offered: bool, address: int, length: int, word: bool, size: int, burst_words: int,
          outstanding: int, latency: int, rate: int, on_chip: int) -> tuple[bool, bool]:
    """One cycle; a request and a word may be on offer. Whether they can be taken.

    ``order`` has the bursts of the memory on the chip and of external memory, with its words ``on_chip``. A response
    is due at the cycle in ``answers``, and comes when those before it have.
    """
    v.tokens = tokens_after(v.tokens, rate)
    known = not on_chip or v.here_back != v.here_front  # the place of the beat on offer
    here = on_chip != 0 and known and order[v.here_front % order.shape[0], 0] != 0
    aw_ready = v.aw_here or v.memory_back - v.memory_front < memory.shape[0]
    w_ready = here or (known and v.memory_back != v.memory_front and v.tokens >= TOKENS)
    planned_room = v.planned_back - v.planned_front < planned.shape[0]
    sending_room = v.sending_back - v.sending_front < outstanding
    waiting_room = v.waiting_back - v.waiting_front < outstanding
    has_sending = v.sending_back != v.sending_front

    beats = planned[v.planned_front % planned.shape[0], 0]
    issue = (v.planned_back != v.planned_front and beats <= v.stored and sending_room and waiting_room
             and (not v.aw or aw_ready))
    if v.answers_front != v.answers_back and answers[v.answers_front % answers.shape[0]] <= cycle:
        v.answers_front += 1
        v.waiting_front += 1
    load = has_sending and v.head != 0 and (not v.w or w_ready)
    _memories(cycle, v, memory, answers, order, aw_ready, w_ready, here, latency, on_chip)
    if load:
        v.w = 1
        v.sent += 1
        if v.sent == sending[v.sending_front % sending.shape[0]]:
            v.sent = 0
            v.sending_front += 1
    # the buffer, behind the aligner
    has_word = a.pending or (a.two and (a.two_total >= size or a.two_last))
    room = v.level < depth
    enters = has_word and room
    loads = v.level != 0 and (not v.head or load)
    if loads:
        v.head = 1
    elif load:
        v.head = 0
    v.level += enters - loads
    v.stored += enters
    if issue:
        v.aw, v.aw_beats, v.aw_here = 1, beats, planned[v.planned_front % planned.shape[0], 1] < on_chip
        v.stored -= beats
        sending[v.sending_back % sending.shape[0]] = beats
        v.sending_back += 1
        v.waiting_back += 1
        v.planned_front += 1
    if s.burst and planned_room:
        place = v.planned_back % planned.shape[0]
        planned[place, 0], planned[place, 1] = s.beats, s.at
        v.planned_back += 1

    # requests, then words
    final = v.left == 0
    valid = v.active != 0 and word
    taken = align(a, valid, v.tail + 1 if final else size, final, v.start, room, size)
    moves = valid and taken
    free = not v.active or (moves and final)
    word_ready = v.active != 0 and taken
    if moves:
        v.left -= 1
    request_ready = free and splitter_ready(s, planned_room, burst_words)
    split(s, planned_room, v.sink != 0 and free, v.address, v.bytes, size, burst_words)
    if free:
        v.active = v.sink != 0 and request_ready
        if v.active:
            v.left, v.tail = (v.bytes - 1) // size, (v.bytes - 1) % size
            v.start = v.address % size
    moves = not v.sink or request_ready
    accepts = not v.waits or moves
    if moves:
        v.sink, v.address, v.bytes = v.waits, v.wait_address, v.wait_bytes
    if accepts:
        v.waits, v.wait_address, v.wait_bytes = offered, address, length
    return accepts, word_ready
