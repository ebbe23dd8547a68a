"""How external memory behaves in a simulation of the accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phantom_sim.accelerator_library import Options, Range

__all__ = ["MemoryModel", "MemoryRange", "memory_options"]


@dataclass(frozen=True)
class MemoryRange:
    """A range of memory that may be written, or that answers with an error.

    Parameters
    ----------
    first, size : int
        Bytes.
    writable : bool
    read_response, write_response : int
        As ``RRESP`` and ``BRESP``; what is written to a range that answers with an error is dropped.
    """

    first: int
    size: int
    writable: bool = True
    read_response: int = 0
    write_response: int = 0


@dataclass(frozen=True)
class MemoryModel:
    """External memory.

    Parameters
    ----------
    size : int
        Bytes, from address 0 on; elsewhere there is no memory (DECERR).
    latency : int
        Cycles from an address to its first beat, and from the last beat written to the response.
    bandwidth : float
        Beats a cycle in each direction, up to 1.
    queue : int
        Bursts under way in each direction; by default as many as any configuration may have.
    stall : float
        Probability that a channel pauses in a cycle.
    seed : int
        Of the pauses.
    """

    size: int
    latency: int = 20
    bandwidth: float = 1.0
    queue: int = 256
    stall: float = 0.0
    seed: int = 0


def memory_options(model: MemoryModel, ranges: Sequence[MemoryRange]) -> Options:
    """A memory and its ranges as the harness takes them."""
    table = (Range * max(1, len(ranges)))(*(
        Range(one.first, one.first + one.size - 1, one.read_response, one.write_response, one.writable, 0)
        for one in ranges))
    return Options(model.size, table, len(ranges), model.latency, round(256 * model.bandwidth), model.queue,
                   model.seed, round(256 * model.stall))
