"""How long a PE takes for an item: the top-down selector on a sample of items and activations."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

__all__ = ["busy_cycles", "item_cycles", "sample_items"]


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


def sample_items(weights: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Choose ``count`` of the items with these numbers of nonzeros, as many of each number as there are in all."""
    if not len(weights):
        return np.zeros(0, np.int64)
    by_weight = np.argsort(weights, kind="stable")
    chosen = by_weight[(np.arange(count) * 2 + 1) * len(weights) // (2 * count)]
    return np.random.default_rng(0).permutation(chosen)


def busy_cycles(counts: NDArray[Any], config: PhantomConfig) -> int:
    """Cycles that a PE spends on items one after another if it never waits; ``counts`` are their products, ``[items,
    positions]``.
    """
    groups = -(-counts.shape[1] // config.group)
    padded = np.zeros((len(counts), groups * config.group), np.int64)
    padded[:, :counts.shape[1]] = counts
    return int(_run(padded.reshape(-1, config.group), groups, config.window_groups, config.refill_groups,
                    config.threads, config.tds == "in_order", config.skip_empty))


def item_cycles(
    sample: NDArray[np.bool_], hits: NDArray[np.bool_], met: float, config: PhantomConfig, *, skips_zeros: bool
) -> tuple[float, float]:
    """Estimate the cycles that a PE spends on an item if it never waits, and the part of the rows that is sent.

    How many threads are busy is taken from the sample, but not how many products there are, which varies more from
    sample to sample.

    Parameters
    ----------
    sample : bool array, shape (items, T)
        Items, as many of each kind as there are in all.
    hits : bool array, shape (items, positions, T)
        What each of them meets.
    met : float
        Nonzeros that a tap meets in a row, on average over all rows.
    config : PhantomConfig
    skips_zeros : bool
        Rows of zeros are not sent, and their items take no time.
    """
    if not len(sample):
        return 0.0, 0.0
    sent = hits.any(axis=(1, 2)) if skips_zeros else np.ones(len(hits), bool)
    counts = (hits & sample[:, None])[sent].sum(axis=2)
    cycles, products = busy_cycles(counts, config), int(counts.sum())
    passing = busy_cycles(0 * counts, config)  # what even zeros take
    ratio = float(sample.sum()) * met / products if products else 1.0
    return (passing + (cycles - passing) * ratio) / len(sample), float(sent.mean())
