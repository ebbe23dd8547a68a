"""How long a PE takes for an item: the top-down selector on a sample of items and random activations."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

__all__ = ["cycles_per_item", "sample_items"]

SAMPLE = 128  # items
CONCENTRATION = 2.0  # of the Beta distribution of rows' densities: many rows are much denser or emptier than the mean


@numba.njit(cache=True)
def _run(
    counts: NDArray[Any], item_groups: int, window: int, refill: int, capacity: int, in_order: bool, skip_empty: bool
) -> int:
    """Cycles for groups of entries, ``counts[group, entry]``; two items at the most feed the window in a cycle."""
    groups, size = counts.shape
    order = np.empty(groups, np.int64)
    length = 0
    for g in range(groups):
        if not skip_empty or counts[g].any():
            order[length] = g
            length += 1
    head = tail = cycles = 0
    while head < length:
        left = capacity
        stop = False
        for w in range(head, tail):
            for e in range(size):
                count = counts[order[w], e]
                if count <= left:
                    left -= count
                    counts[order[w], e] = 0
                elif in_order:
                    stop = True
                    break
            if stop:
                break
        while head < tail and not counts[order[head]].any():
            head += 1
        entering = min(refill, window - (tail - head), length - tail)
        if entering > 0:
            reach = (order[tail] // item_groups + 2) * item_groups
            while entering > 0 and order[tail] < reach:
                tail += 1
                entering -= 1
        cycles += 1
    return cycles


def sample_items(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take a few items, ``[items, T]``, as many of each number of nonzeros as there are in all."""
    if not len(masks):
        return masks
    by_weight = np.argsort(masks.sum(axis=1, dtype=np.uint8), kind="stable")
    chosen = by_weight[(np.arange(SAMPLE) * 2 + 1) * len(masks) // (2 * SAMPLE)]
    return masks[np.random.default_rng(0).permutation(chosen)]


def cycles_per_item(
    sample: NDArray[np.bool_], density: float, used: NDArray[np.bool_], config: PhantomConfig
) -> tuple[float, float]:
    """Estimate the cycles that a PE spends on an item if it never waits, and the part of the rows that is sent.

    Rows of zeros are not sent, and their items take no time.

    Parameters
    ----------
    sample : bool array, shape (items, T)
        Items as :func:`sample_items` gives them.
    density : float
        Nonzeros of the moving operand. Those of a row are drawn around it: activations are dense in some channels and
        places and rare in others, so that in a dense row an item of two taps has two products at nearly every position.
    used : bool array, shape (positions,)
        The output positions of a row that exist.
    config : PhantomConfig
    """
    if not len(sample):
        return 0.0, 0.0
    groups = -(-len(used) // config.group)
    rng = np.random.default_rng(1)
    mean = min(max(density, 1e-3), 1 - 1e-3)
    of_rows = rng.beta(CONCENTRATION * mean, CONCENTRATION * (1 - mean), SAMPLE) * (density > 0)
    hits = rng.random((SAMPLE, len(used), sample.shape[1]), np.float32) < of_rows[:, None, None]
    hits &= used[:, None]
    sent = hits.any(axis=(1, 2))
    counts = np.zeros((int(sent.sum()), groups * config.group), np.int64)
    counts[:, :len(used)] = (hits & sample[:, None])[sent].sum(axis=2)
    cycles = _run(counts.reshape(-1, config.group), groups, config.window_groups, config.refill_groups, config.threads,
                  config.tds == "in_order", config.skip_empty)
    return cycles / SAMPLE, float(sent.mean())
