"""The decoder: commands come, are checked, and are handed out one after another."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from phantom_hw.soc.check import CommandCheck
from phantom_hw.soc.isa import UNITS

from phantom_sim.cycle_kernel import record

__all__ = ["DECODER", "IDLE", "Fixed", "decode"]

FENCE, END = len(UNITS), len(UNITS) + 1
SETTLE, NEXT, OFFER, WAIT, ENDS, STOP, IDLE = range(7)
"""What the decoder is at."""
CHECKED = CommandCheck.LATENCY + 1

DECODER = record(
    step=np.int64, index=np.int64, offered=np.int64, given=np.int64,  # the unit that is offered a command; loaders
    asks=np.int64, left=np.int64, held=np.int64, asked=np.int64,
    back=np.int64, front=np.int64, here=np.int64, waits=np.int64,  # words come, taken; of the command; its check
    lately=np.int64, mesh_idle=np.int64, tiles_idle=np.int64, cycle=np.int64,
)
"""The decoder with its fetch and collector, and what the top of the accelerator remembers."""


class Fixed(NamedTuple):
    """Numbers that stay, all of them integers."""

    size: int  # bytes of a word of the bus
    burst_words: int
    latency: int
    rate: int
    outstanding: int
    buffer: int
    command_bytes: int
    commands: int  # address of the first one, and how many
    total: int
    prefetch: int
    record_units: int  # of the row program
    unit: int
    parameter_ratio: int
    parameter_bytes: int
    chunk: int
    clearing: int  # cycles of the cores behind a reset
    on_chip: int  # words of the memory on the chip


@numba.njit(cache=True, error_model="numpy")
def decode(d: Any, fixed: Any, commands: Any, first: int, busy: int, taken: bool, granted: bool, came: bool,
            retired: Any) -> None:
    """One cycle of the decoder; what retires when."""
    stopped = d.step == SETTLE or d.step == STOP or d.step == IDLE
    words = fixed.command_bytes // fixed.size
    checked = d.waits == CHECKED
    advance = False
    following = d.step
    begins = False
    if d.step == SETTLE:
        begins = busy == 0
        if begins:
            following = NEXT
    elif d.step == NEXT:
        if checked:
            unit = commands[d.index - first, 0]
            following = WAIT if unit == FENCE else ENDS if unit == END else OFFER
            d.offered = unit if following == OFFER else -1
            d.given = 0
    elif d.step == OFFER:
        advance = taken
        if taken:
            d.offered = -1
    elif d.step == WAIT:
        advance = busy & commands[d.index - first, 1] == 0
    elif d.step == ENDS:
        advance = busy == 0
    elif d.step == STOP and busy == 0:
        following = IDLE
    if advance:
        following = STOP if d.step == ENDS else NEXT
        retired[d.index] = d.cycle + 1
    # collector and fetch
    went = d.back != d.front and not stopped and d.here < words
    whole = went and (d.front + 1) % words == 0
    last = went and d.here == words - 1
    if d.waits and d.waits < CHECKED:
        d.waits += 1
    if last:
        d.waits = 1
    d.here += went
    d.front += went
    if (checked and advance) or stopped:
        d.here, d.waits = 0, 0
    held = d.held
    d.held = 0 if stopped else held + granted - whole
    if d.asks:
        d.asks = not granted
    else:
        d.asks = d.left != 0 and held != fixed.prefetch and not stopped
    d.asked += granted
    d.left -= granted
    if begins:
        d.left = fixed.total
    d.back += came
    d.index += advance
    d.step = following
