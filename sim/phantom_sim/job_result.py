"""How a job on the accelerator ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from phantom_hw.soc.status import Status

__all__ = ["JobResult"]


@dataclass(frozen=True)
class JobResult:
    """How a job ended.

    Attributes
    ----------
    status : Status
    failed_address, failed_index : int
        After an error.
    cycles : int
        Clock cycles from the start to the interrupt.
    counters : dict
        The performance counters.
    read_beats, write_beats, read_bursts, write_bursts : int
        What memory saw.
    stray_bytes, stray_address : int
        Bytes written outside of the writable ranges, and the first one's address.
    crossings : int
        Bursts that cross 4 KiB.
    marks : tuple of dict
        The performance counters when each mark was reached.
    waiting : str
        Who waited for whom, if the watchdog ended the job.
    """

    status: Status
    failed_address: int
    failed_index: int
    cycles: int
    counters: dict[str, int]
    read_beats: int
    write_beats: int
    read_bursts: int
    write_bursts: int
    stray_bytes: int
    stray_address: int
    crossings: int
    marks: tuple[dict[str, int], ...] = ()
    waiting: str = field(default="", compare=False)
