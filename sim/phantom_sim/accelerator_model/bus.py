"""What both halves of the bus have in common: requests cut into bursts, bytes packed into words."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from phantom_sim.cycle_kernel import record

__all__ = ["ALIGNER", "SPLITTER", "TOKENS", "align", "split", "splitter_ready", "tokens_after"]

TOKENS = 256
"""What a beat costs of what a memory's bandwidth gives."""
MOST_TOKENS = 2 * TOKENS

SPLITTER = record(
    active=np.int64, word=np.int64, last_word=np.int64, begin=np.int64, end=np.int64,  # the rest of a request
    burst=np.int64, at=np.int64, beats=np.int64, first=np.int64, behind=np.int64, ends=np.int64,  # the burst on offer
)
"""A BurstSplitter. A burst begins ``at`` a word; ``first`` and ``behind`` are the first byte of that word, the last of
its last one."""

ALIGNER = record(
    inside=np.int64, fill=np.int64,
    one=np.int64, one_total=np.int64, one_last=np.int64, two=np.int64, two_total=np.int64, two_last=np.int64,
    pending=np.int64, held_last=np.int64, held_count=np.int64,
)
"""A ByteAligner."""


@numba.njit(cache=True, error_model="numpy")
def tokens_after(tokens: int, rate: int) -> int:
    """What is there of the bandwidth in the next cycle."""
    return min(tokens + rate, MOST_TOKENS)


@numba.njit(cache=True, error_model="numpy")
def splitter_ready(s: Any, bursts_ready: bool, burst_words: int) -> bool:
    """Whether a request can be taken."""
    return not s.active or ((not s.burst or bursts_ready) and s.last_word // burst_words == s.word // burst_words)


@numba.njit(cache=True, error_model="numpy")
def split(s: Any, bursts_ready: bool, valid: bool, address: int, length: int, size: int, burst_words: int) -> None:
    """One cycle of a splitter; ``valid`` offers a request."""
    ready = splitter_ready(s, bursts_ready, burst_words)
    moves = s.active and (not s.burst or bursts_ready)
    if bursts_ready:
        s.burst = 0
    if moves:
        top = s.word // burst_words * burst_words + burst_words - 1
        final = s.last_word <= top
        s.burst, s.at = 1, s.word
        s.beats = min(top, s.last_word) - s.word + 1
        s.first = s.begin
        s.behind = s.end if final else size - 1
        s.ends = final
        s.word = top + 1
        s.begin = 0
    if ready:
        s.active = valid
        if valid:
            s.word, s.last_word = address // size, (address + length - 1) // size
            s.begin, s.end = address % size, (address + length - 1) % size


@numba.njit(cache=True, error_model="numpy")
def align(a: Any, valid: bool, count: int, last: bool, start: int, sink_ready: bool, size: int) -> bool:
    """One cycle of an aligner; whether the word on offer is taken."""
    ends = a.two_total >= size or a.two_last
    spills = a.two_total > size
    if a.pending:
        taken = a.two and sink_ready and not spills
    else:
        taken = a.two and (not ends or sink_ready)
    to_two = not a.two or taken
    to_one = not a.one or to_two
    if taken:
        a.pending = ends if a.pending else spills and a.two_last
        a.held_last = a.two_last
        a.held_count = a.two_total - size if spills else a.two_total
    elif sink_ready:
        a.pending = 0
    if to_two:
        a.two, a.two_total, a.two_last = a.one, a.one_total, a.one_last
    if to_one:
        place = a.fill if a.inside else start
        a.one, a.one_total, a.one_last = valid, place + count, last
        if valid:
            a.inside = not last
            a.fill = (place + count) % size
    return to_one
