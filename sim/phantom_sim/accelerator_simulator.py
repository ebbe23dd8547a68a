"""A Verilated accelerator with a host and an external memory, without Python in its clock cycles."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_char_p, c_int32, c_int64, c_uint8, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import stalls_layout
from phantom_hw.emit import ACCELERATOR_MODULE, TILE_MODULE
from phantom_hw.soc.csr import CsrMap
from phantom_hw.soc.isa import UNITS
from phantom_hw.soc.status import Status

from phantom_sim.core_simulator import SimulationError
from phantom_sim.mesh_simulator import FLAT_CORES, usable_processors
from phantom_sim.rtl import cached_accelerator_verilog
from phantom_sim.simulation import Simulation
from phantom_sim.verilator import build_library

__all__ = ["AcceleratorSimulator", "JobResult", "MemoryModel", "MemoryRange", "build_accelerator"]

HARNESS = Path(__file__).parent / "harness"
ACCESS_LIMIT = 1000
"""Cycles that an access to a register may take."""
CHUNK_CYCLES = 20_000
EVERYTHING = (0, (1 << 64) - 1)


class _Range(ctypes.Structure):
    _fields_ = [("first", c_uint64), ("last", c_uint64), ("read_response", c_int32), ("write_response", c_int32),
                ("writable", c_int32), ("unused", c_int32)]


class _Options(ctypes.Structure):
    _fields_ = [("memory_bytes", c_int64), ("ranges", POINTER(_Range)),
                *((name, c_int64) for name in (
                    "range_count", "latency", "beats_per_256", "queue", "seed", "stall_256"))]


class _Counts(ctypes.Structure):
    _fields_ = [*((name, c_int64) for name in (
        "cycles", "read_beats", "write_beats", "read_bursts", "write_bursts", "stray_bytes", "stray_address",
        "crossings")), ("irq", c_int32), ("unused", c_int32)]


class _Shape(ctypes.Structure):
    _fields_ = [("rows", c_int64), ("cols", c_int64), ("lane_of", POINTER(c_int64)),
                *((name, c_int64) for name in ("activity_bits", "stalls_bits", "threads"))]


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
        Bursts under way in each direction.
    stall : float
        Probability that a channel pauses in a cycle.
    seed : int
        Of the pauses.
    """

    size: int
    latency: int = 20
    bandwidth: float = 1.0
    queue: int = 16
    stall: float = 0.0
    seed: int = 0


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


def build_accelerator(
    config: PhantomConfig, *, coverage: bool = False, tiled: bool | None = None, folder: Path | None = None
) -> Path:
    """Build the Verilated library of a configuration's accelerator, or find the one built before.

    Verilator sees all of it, or, ``tiled``, a tile of the mesh and the rest; by default by ``FLAT_CORES``.
    """
    tiled = config.cores > FLAT_CORES if tiled is None else tiled
    return build_library(
        cached_accelerator_verilog(config, folder, tiled), "accelerator_ports" if tiled else ACCELERATOR_MODULE,
        HARNESS / "accelerator.cpp", headers=[HARNESS / "streams.h", *[HARNESS / "tiles.h"] * tiled],
        tile=TILE_MODULE if tiled else None, coverage=coverage, folder=folder)


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    signatures: dict[str, tuple[list, object]] = {
        "create": ([POINTER(_Options), POINTER(_Shape)], c_void_p),
        "destroy": ([c_void_p, c_char_p], None),
        "configure": ([c_void_p, POINTER(_Options)], None),
        "memory": ([c_void_p], POINTER(c_uint8)),
        "reset": ([c_void_p], None),
        "write": ([c_void_p, c_uint32, c_uint32, c_int64], c_int32),
        "read": ([c_void_p, c_uint32, POINTER(c_uint32), c_int64], c_int32),
        "run": ([c_void_p, c_int64], c_int32),
        "counts": ([c_void_p, POINTER(_Counts)], None),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(library, f"accelerator_{name}")
        function.argtypes, function.restype = arguments, result
    return library


class AcceleratorSimulator(Simulation):
    """An accelerator at work. Use it as a context manager or call :meth:`close`.

    Parameters
    ----------
    config : PhantomConfig
    coverage : bool
        Count toggles, written to ``<cache>/coverage/accelerator-<process>-<instance>.dat`` by :meth:`close`.
    folder : Path, optional
        Where Verilated libraries are kept.
    tiled : bool, optional
        As :func:`build_accelerator` has it.
    threads : int, optional
        Of a tiled simulation; the usable processors by default. What is simulated does not depend on it.
    """

    def __init__(self, config: PhantomConfig, coverage: bool = False, folder: Path | None = None,
                 tiled: bool | None = None, threads: int | None = None):
        super().__init__("accelerator", coverage, folder)
        self.config = config
        self._library = _load(build_accelerator(config, coverage=coverage, tiled=tiled, folder=folder))
        self._offsets = {placed.register.name: (placed.offset, placed.register.words) for placed in CsrMap.placed()}
        self._counters = [placed.register.name for placed in CsrMap.placed() if placed.register.counter]
        self._window = EVERYTHING
        options = self._options(MemoryModel(0), [])
        lane_of = (c_int64 * config.mesh_cols)(*map(config.lane_of, range(config.mesh_cols)))
        shape = _Shape(config.mesh_rows, config.mesh_cols, lane_of, config.pes * config.threads,
                       stalls_layout(config).size, threads or usable_processors())
        self._created(self._library.accelerator_create(byref(options), byref(shape)), self._library.accelerator_destroy)
        self.reset()

    @staticmethod
    def _options(model: MemoryModel, ranges: Sequence[MemoryRange]) -> _Options:
        table = (_Range * max(1, len(ranges)))(*(
            _Range(one.first, one.first + one.size - 1, one.read_response, one.write_response, one.writable, 0)
            for one in ranges))
        return _Options(model.size, table, len(ranges), model.latency, round(256 * model.bandwidth), model.queue,
                        model.seed, round(256 * model.stall))

    def reset(self) -> None:
        """Reset the accelerator; memory keeps its contents."""
        self._library.accelerator_reset(self._handle)

    def connect(self, model: MemoryModel, ranges: Sequence[MemoryRange] = ()) -> NDArray[np.uint8]:
        """Give the accelerator a memory; returns its bytes, which may be changed at any time until the next call.

        Jobs may then write from the first writable byte of the ranges to the last, or anything if there is none.
        """
        writable = [one for one in ranges if one.writable]
        self._window = EVERYTHING
        if writable:
            self._window = min(one.first for one in writable), max(one.first + one.size for one in writable) - 1
        self._library.accelerator_configure(self._handle, byref(self._options(model, ranges)))
        return np.ctypeslib.as_array(self._library.accelerator_memory(self._handle), (model.size,))

    def write(self, register: str, value: int) -> None:
        """Write a CSR.

        Raises
        ------
        SimulationError
            If it is not answered with OKAY.
        """
        offset, words = self._offsets[register]
        for word in range(words):
            response = self._library.accelerator_write(
                self._handle, offset + 4 * word, value >> 32 * word & 0xFFFFFFFF, ACCESS_LIMIT)
            self._answered(register, response)

    def read(self, register: str) -> int:
        """Read a CSR.

        Raises
        ------
        SimulationError
            If it is not answered with OKAY.
        """
        offset, words = self._offsets[register]
        value, part = 0, c_uint32()
        for word in range(words):
            response = self._library.accelerator_read(self._handle, offset + 4 * word, byref(part), ACCESS_LIMIT)
            self._answered(register, response)
            value |= part.value << 32 * word
        return value

    @staticmethod
    def _answered(register: str, response: int) -> None:
        if response:
            raise SimulationError(f"register {register!r}: " + (
                "no answer" if response < 0 else f"response {response}"))

    def start(self, address: int, count: int, *, watchdog: int = 20_000, window: tuple[int, int] | None = None) -> None:
        """Start a job and return; the parameters are those of :meth:`run`."""
        first, last = window or self._window
        for register, value in (("interrupt_status", 3), ("interrupt_enable", 3), ("command_address", address),
                                ("command_count", count), ("watchdog", watchdog), ("write_first", first),
                                ("write_last", last), ("control", 1)):
            self.write(register, value)

    def advance(self, cycles: int) -> bool:
        """Let cycles pass until the interrupt comes; whether it did."""
        return bool(self._library.accelerator_run(self._handle, cycles))

    def run(
        self, address: int, count: int, *, watchdog: int = 20_000, max_cycles: int = 1_000_000_000,
        abort_after: int | None = None, window: tuple[int, int] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> JobResult:
        """Run a job.

        Parameters
        ----------
        address, count : int
            Of the command stream.
        watchdog : int
            Cycles without progress after which the accelerator ends the job.
        max_cycles : int
            Longest run.
        abort_after : int, optional
            Abort the job after so many cycles.
        window : (first, last), optional
            Bytes that the job may write, instead of those that :meth:`connect` says.
        progress : callable, optional
            Called with the cycles so far, now and then.

        Raises
        ------
        SimulationError
            If the job does not end.
        """
        before = self._counts()
        self.start(address, count, watchdog=watchdog, window=window)
        start = self._counts().cycles
        ended = False
        if abort_after is not None:
            ended = self.advance(abort_after)
            self.write("control", 2)
        while not ended:
            ended = self.advance(CHUNK_CYCLES)
            cycles = self._counts().cycles - start
            if progress is not None:
                progress(cycles)
            if not ended and cycles > max_cycles:
                raise SimulationError(f"the job has not ended within {max_cycles} cycles; {self.state()}")
        after = self._counts()
        status = self.read("status")
        return JobResult(
            Status(status >> 8 & 15), self.read("failed_address"), self.read("failed_index"), after.cycles - start,
            {name: self.read(name) for name in self._counters}, after.read_beats - before.read_beats,
            after.write_beats - before.write_beats, after.read_bursts - before.read_bursts,
            after.write_bursts - before.write_bursts, after.stray_bytes - before.stray_bytes, after.stray_address,
            after.crossings - before.crossings)

    def state(self) -> str:
        """What the control plane says, for messages."""
        busy = self.read("busy")
        names = [unit.name for bit, unit in enumerate(UNITS) if busy >> bit & 1]
        return f"at command {self.read('failed_index')}; busy: {', '.join(names) or 'nothing'}"

    def _counts(self) -> _Counts:
        counts = _Counts()
        self._library.accelerator_counts(self._handle, byref(counts))
        return counts
