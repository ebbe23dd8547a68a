"""What requests and data words make of a memory of bytes, and the golden bytes of a slot."""

from __future__ import annotations

import numpy as np
from phantom_golden.slots import to_bytes
from phantom_golden.sparse import encode
from phantom_hw.config import PhantomConfig

GUARD = 0xA5
"""What lies in the memory before."""


def golden_slot(config: PhantomConfig, values: list[int]) -> bytes:
    """The used bytes of the slot of a chunk, of N positions at most; those it does not have count as zeros."""
    row = np.array([*values, *[0] * (config.chunk - len(values))])
    stored = to_bytes(encode(row, config.chunk), config.act_width, signed=bool((row < 0).any())).tobytes()
    return stored[:-(-config.chunk // 8) + -(-int((row != 0).sum()) * config.act_width // 8)]


def apply_writes(requests: list[tuple[int, int]], words: list[int], word_bytes: int, base: int,
                 size: int) -> np.ndarray:
    """The ``size`` bytes from ``base`` on after the writes; each byte is written once at most, none outside."""
    memory, written = np.full(size, GUARD, np.uint8), np.zeros(size, bool)
    queue = iter(words)
    for address, length in requests:
        count = -(-length // word_bytes)
        content = b"".join(next(queue).to_bytes(word_bytes, "little") for _ in range(count))
        start = address - base
        assert 0 <= start and start + length <= size, f"a write to {address:#x}, which is not a slot"
        assert not written[start:start + length].any(), f"bytes from {address:#x} on are written twice"
        memory[start:start + length] = np.frombuffer(content[:length], np.uint8)
        written[start:start + length] = True
    assert next(queue, None) is None, "there are words of no request"
    return memory
