"""The read port: arbiter, read manager and memories, with the words that come out of them."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from phantom_sim.accelerator_model.bus import TOKENS, align, split, splitter_ready, tokens_after
from phantom_sim.cycle_kernel import record

__all__ = ["READS", "chosen_reader", "read", "word_offered"]

READS = record(
    offer=np.int64, address=np.int64, length=np.int64,  # of the arbiter to the manager
    owners_front=np.int64, owners_back=np.int64, had=np.int64,
    ar=np.int64, ar_beats=np.int64, ar_here=np.int64, free=np.int64,
    flying_front=np.int64, flying_back=np.int64, came=np.int64,  # beats of the first burst
    front=np.int64, back=np.int64, head=np.int64, head_count=np.int64, head_last=np.int64,  # the buffer
    here_front=np.int64, here_back=np.int64, here_beats=np.int64, here=np.int64,  # the memory on the chip
    memory_front=np.int64, memory_back=np.int64, tokens=np.int64,
    beats=np.int64,  # of external memory in all
)
"""The arbiter, the read manager and the memory on the chip; ends of queues count up, their contents are in rings.

``ar_here``: the burst on offer is for the memory on the chip; ``here``: that has a beat in its output register.
"""


@numba.njit(cache=True, error_model="numpy")
def _issues(r: Any, s: Any, flying: Any, memory: Any) -> bool:
    """Whether the splitter's burst goes to AR."""
    return (s.burst and s.beats <= r.free and r.flying_back - r.flying_front < flying.shape[0]
            and (not r.ar or r.ar_here or r.memory_back - r.memory_front < memory.shape[0]))


@numba.njit(cache=True, error_model="numpy")
def chosen_reader(r: Any, s: Any, flying: Any, memory: Any, owners: Any, asks: int, first_fair: int,
                  burst_words: int) -> int:
    """Whose request the arbiter takes in this cycle, -1 for nobody; ``asks`` has a bit for each that has one."""
    if asks == 0 or r.owners_back - r.owners_front == owners.shape[0]:
        return -1
    if r.offer and not splitter_ready(s, _issues(r, s, flying, memory), burst_words):
        return -1
    waiting = asks & ~r.had
    eligible = asks if asks & (1 << first_fair) - 1 or not waiting else waiting
    reader = 0
    while not eligible >> reader & 1:
        reader += 1
    if reader >= first_fair:
        r.had = (r.had if waiting else 0) | 1 << reader
    return reader


@numba.njit(cache=True, error_model="numpy")
def word_offered(r: Any, a: Any, owners: Any, size: int) -> Any:
    """The reader that is offered a word in this cycle (-1: none), the word's bytes, whether it ends a request."""
    if a.pending:
        return owners[r.owners_front % owners.shape[0]], a.held_count, a.held_last != 0
    if a.two and (a.two_total >= size or a.two_last):
        return (owners[r.owners_front % owners.shape[0]], min(size, a.two_total),
                a.two_last != 0 and a.two_total <= size)
    return -1, 0, False


@numba.njit(cache=True, error_model="numpy")
def _external(cycle: int, r: Any, memory: Any, order: Any) -> bool:
    """Whether a beat of external memory comes, which then is gone."""
    waits = order.shape[0] > 0 and (r.here or r.here_back == r.here_front or order[r.here_front % order.shape[0], 0])
    if waits or r.memory_back == r.memory_front or r.tokens < TOKENS:
        return False
    burst = r.memory_front % memory.shape[0]
    if memory[burst, 1] > cycle:
        return False
    r.tokens -= TOKENS
    r.beats += 1
    memory[burst, 0] -= 1
    if memory[burst, 0] == 0:
        r.memory_front += 1
    return True


@numba.njit(cache=True, error_model="numpy")
def _beat(cycle: int, r: Any, memory: Any, order: Any) -> bool:
    """Whether a beat comes; a cycle of the memory on the chip, if ``order`` has room for bursts."""
    comes = _external(cycle, r, memory, order)
    if order.shape[0] == 0:
        return comes
    oldest = r.here_front % order.shape[0]
    reads = r.here_back != r.here_front and order[oldest, 0] != 0
    if reads or comes:
        r.here_beats += 1
        if r.here_beats == order[oldest, 1]:
            r.here_beats = 0
            r.here_front += 1
    comes |= r.here != 0
    r.here = reads
    return comes


@numba.njit(cache=True, error_model="numpy")
def read(cycle: int, r: Any, s: Any, a: Any, owners: Any, flying: Any, words: Any, memory: Any, order: Any, reader: int,
         address: int, length: int, word_taken: bool, word_last: bool, size: int, burst_words: int, latency: int,
         rate: int, on_chip: int) -> None:
    """One cycle; ``reader`` gives its request, ``word_taken`` tells of the word on offer.

    ``order`` has the bursts of the memory on the chip and of external memory, with its words ``on_chip``.
    """
    if word_taken and word_last:
        r.owners_front += 1
    issue = _issues(r, s, flying, memory)
    memory_free = r.memory_back - r.memory_front < memory.shape[0]

    taken = align(a, r.head != 0, r.head_count, r.head_last != 0, 0, word_taken, size)
    if r.head and taken:
        r.free += 1
    if r.back != r.front and (not r.head or taken):
        place = r.front % words.shape[0]
        r.head, r.head_count, r.head_last = 1, words[place, 0], words[place, 1]
        r.front += 1
    elif taken:
        r.head = 0

    r.tokens = tokens_after(r.tokens, rate)
    if _beat(cycle, r, memory, order):
        burst = r.flying_front % flying.shape[0]
        ends = r.came + 1 == flying[burst, 0]
        begin = flying[burst, 1] if r.came == 0 else 0
        end = flying[burst, 2] if ends else size - 1
        place = r.back % words.shape[0]
        words[place, 0], words[place, 1] = end - begin + 1, ends and flying[burst, 3]
        r.back += 1
        r.came += 1
        if ends:
            r.came = 0
            r.flying_front += 1

    if r.ar and (r.ar_here or memory_free):
        if on_chip:
            place = r.here_back % order.shape[0]
            order[place, 0], order[place, 1] = r.ar_here, r.ar_beats
            r.here_back += 1
        if not r.ar_here:
            place = r.memory_back % memory.shape[0]
            memory[place, 0], memory[place, 1] = r.ar_beats, cycle + latency
            r.memory_back += 1
        r.ar = 0
    if issue:
        r.ar, r.ar_beats, r.ar_here = 1, s.beats, s.at < on_chip
        r.free -= s.beats
        place = r.flying_back % flying.shape[0]
        flying[place, 0], flying[place, 1], flying[place, 2], flying[place, 3] = s.beats, s.first, s.behind, s.ends
        r.flying_back += 1
    ready = splitter_ready(s, issue, burst_words)
    split(s, issue, r.offer != 0, r.address, r.length, size, burst_words)
    if ready:
        r.offer = 0
    if reader >= 0:
        r.offer, r.address, r.length = 1, address, length
        owners[r.owners_back % owners.shape[0]] = reader
        r.owners_back += 1
