"""A Verilated accelerator with a host and an external memory, without Python in its clock cycles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ctypes import byref, c_int64, c_uint32, c_uint64
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import stalls_layout
from phantom_hw.emit import ACCELERATOR_MODULE, TILE_MODULE
from phantom_hw.soc.commands import CommandError, CommandSet
from phantom_hw.soc.csr import CsrMap
from phantom_hw.soc.isa import UNITS
from phantom_hw.soc.status import Status

from phantom_sim.accelerator_library import DONE, MARK, Counts, Shape, load_library
from phantom_sim.core_simulator import SimulationError
from phantom_sim.job_result import JobResult
from phantom_sim.memory_model import MemoryModel, MemoryRange, memory_options
from phantom_sim.mesh_simulator import FLAT_CORES, usable_processors
from phantom_sim.rtl import cached_accelerator_verilog
from phantom_sim.simulation import Simulation
from phantom_sim.tiles import TILE_HEADERS, lanes_for
from phantom_sim.verilator import build_library
from phantom_sim.visible import VISIBLE_FLAGS, make_visible, waiting_streams

__all__ = ["AcceleratorSimulator", "JobResult", "MemoryModel", "MemoryRange", "build_accelerator", "no_waveform"]

HARNESS = Path(__file__).parent / "harness"
ACCESS_LIMIT = 1000
"""Cycles that an access to a register may take."""
CHUNK_CYCLES = 20_000
EVERYTHING = (0, (1 << 64) - 1)
LEAST_CHUNK = 1000
PROGRESS = ("commands", "busy_threads", "read_beats", "write_beats")
"""Counters one of which grows as long as a job goes on."""
NEVER = (1 << 64) - 1


def no_waveform(config: PhantomConfig) -> str:
    """Why there are no waveforms of a configuration, or ""."""
    return "" if config.cores <= FLAT_CORES else (
        f"there is no waveform of {config.cores} cores: a mesh of more than {FLAT_CORES} is simulated in tiles")


def build_accelerator(
    config: PhantomConfig, *, coverage: bool = False, trace: bool = False, tiled: bool | None = None,
    lanes: int = 0, folder: Path | None = None,
) -> Path:
    """Build the Verilated library of a configuration's accelerator, or find the one built before.

    Verilator sees all of it, or, ``tiled``, a tile of the mesh and the rest; by default by ``FLAT_CORES``. A tile is
    simulated alone, or in ``lanes`` of vectors.

    Raises
    ------
    SimulationError
        If waveforms are wanted (``trace``) of an accelerator in tiles.
    """
    tiled = config.cores > FLAT_CORES if tiled is None else tiled
    if trace and tiled:
        raise SimulationError(no_waveform(config))
    verilog = make_visible(cached_accelerator_verilog(config, folder, tiled))
    return build_library(
        verilog, "accelerator_ports" if tiled else ACCELERATOR_MODULE,
        HARNESS / "accelerator.cpp", headers=TILE_HEADERS if tiled else [HARNESS / "streams.h"],
        tile=TILE_MODULE if tiled else None, lanes=lanes if tiled and not coverage else 0, coverage=coverage,
        trace=trace, flags=VISIBLE_FLAGS, folder=folder)


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
    trace : bool
        Make :meth:`record` possible; not with ``tiled``.
    lanes : int, optional
        Tiles that are simulated at once in vectors, a power of two, or 0; by :func:`~.tiles.lanes_for` by default. What
        is simulated does not depend on it.
    """

    def __init__(self, config: PhantomConfig, coverage: bool = False, folder: Path | None = None,
                 tiled: bool | None = None, threads: int | None = None, trace: bool = False,
                 lanes: int | None = None):
        super().__init__("accelerator", coverage, folder)
        self.config = config
        threads = threads or usable_processors()
        lanes = lanes_for(config, threads) if lanes is None else lanes
        self._library = load_library(build_accelerator(config, coverage=coverage, trace=trace, tiled=tiled, lanes=lanes,
                                                       folder=folder))
        self._offsets = {placed.register.name: (placed.offset, placed.register.words) for placed in CsrMap.placed()}
        self._counters = [placed.register.name for placed in CsrMap.placed() if placed.register.counter]
        self._commands = CommandSet(config, address_width=config.address_width)
        self._window, self._start, self._memory = EVERYTHING, 0, np.zeros(0, np.uint8)
        options = memory_options(MemoryModel(0), [])
        lane_of = (c_int64 * config.mesh_cols)(*map(config.lane_of, range(config.mesh_cols)))
        shape = Shape(config.mesh_rows, config.mesh_cols, lane_of, config.pes * config.threads,
                       stalls_layout(config).size, threads)
        self._created(self._library.accelerator_create(byref(options), byref(shape)), self._library.accelerator_destroy)
        self._signals = self._library.accelerator_signals(self._handle).decode().split()
        self.reset()

    def reset(self) -> None:
        """Reset the accelerator; memory keeps its contents."""
        self._library.accelerator_reset(self._handle)

    def connect(self, model: MemoryModel, ranges: Sequence[MemoryRange] = ()) -> NDArray[np.uint8]:
        """Give the accelerator a memory; returns its bytes, which may be changed at any time until the next call.

        Jobs may then write from the first writable byte of the ranges to the last, or anything if there is none.
        The first bytes stand for the memory on the chip, if there is one: it gets them at the start of a job, and they
        are what it holds whenever the simulation stands still.
        """
        writable = [one for one in ranges if one.writable]
        self._window = EVERYTHING
        if writable:
            self._window = min(one.first for one in writable), max(one.first + one.size for one in writable) - 1
        self._library.accelerator_configure(self._handle, byref(memory_options(model, ranges)))
        self._memory = np.ctypeslib.as_array(self._library.accelerator_memory(self._handle), (model.size,))
        return self._memory

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
        self._library.accelerator_load_on_chip(self._handle)
        first, last = window or self._window
        for register, value in (("interrupt_status", 3), ("interrupt_enable", 3), ("command_address", address),
                                ("command_count", count), ("watchdog", watchdog), ("write_first", first),
                                ("write_last", last), ("control", 1)):
            self.write(register, value)
        self._start = address

    def advance(self, cycles: int) -> bool:
        """Let cycles pass until the interrupt comes; whether it did."""
        return self._advance(cycles) == DONE

    def _advance(self, cycles: int, commands: int = NEVER) -> int:
        """Let cycles pass until the interrupt comes or so many commands are carried out."""
        end = int(self._library.accelerator_run(self._handle, cycles, commands))
        self._library.accelerator_save_on_chip(self._handle)
        return end

    def run(
        self, address: int, count: int, *, watchdog: int = 20_000, max_cycles: int = 1_000_000_000,
        abort_after: int | None = None, window: tuple[int, int] | None = None,
        progress: Callable[[int], None] | None = None, marks: Sequence[int] = (),
        reached: Callable[[int], None] | None = None,
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
        marks : sequence of int
            Commands, in ascending order, each of which is a mark when it has been carried out.
        reached : callable, optional
            Called with the number of a mark in the cycle in which it is reached: memory may be looked at.

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
        chunk = max(LEAST_CHUNK, min(CHUNK_CYCLES, watchdog // 3)) if watchdog else CHUNK_CYCLES
        seen: list[dict[str, int]] = []
        waiting, last = "", self.counters()
        while not ended:
            state = self._advance(chunk, marks[len(seen)] + 1 if len(seen) < len(marks) else NEVER)
            ended, cycles = state == DONE, self._counts().cycles - start
            if state == MARK:
                seen.append(self.counters())
                if reached is not None:
                    reached(len(seen) - 1)
                continue
            if progress is not None:
                progress(cycles)
            before_that, last = last, self.counters()
            if not ended and not any(last[name] > before_that[name] for name in PROGRESS):
                waiting = self._waiting(before_that)
            if not ended and cycles > max_cycles:
                raise SimulationError(f"the job has not ended within {max_cycles} cycles; {self.state()}"
                                      f"{waiting or self._waiting(before_that)}")
        after = self._counts()
        status = Status(self.read("status") >> 8 & 15)
        if status is Status.WATCHDOG:
            waiting = self.state() + waiting
        return JobResult(
            status, self.read("failed_address"), self.read("failed_index"), after.cycles - start,
            {name: self.read(name) for name in self._counters}, after.read_beats - before.read_beats,
            after.write_beats - before.write_beats, after.read_bursts - before.read_bursts,
            after.write_bursts - before.write_bursts, after.stray_bytes - before.stray_bytes, after.stray_address,
            after.crossings - before.crossings, tuple(seen), waiting if status is Status.WATCHDOG else "")

    # --- looking on -------------------------------------------------------------------------------------

    def signals(self) -> dict[str, int]:
        """The public signals, in no time."""
        value, found = c_uint64(), {}
        for name in self._signals:
            self._library.accelerator_signal(self._handle, name.encode(), byref(value))
            found[name] = value.value
        return found

    def counters(self) -> dict[str, int]:
        """The performance counters, in no time."""
        value, found = c_uint64(), {}
        for name in self._signals:
            counter = name.rpartition(".")[2].removesuffix("_count")
            if counter in self._counters:
                self._library.accelerator_signal(self._handle, name.encode(), byref(value))
                found[counter] = value.value
        return {name: found[name] for name in self._counters}

    def record(self, path: Path, first: int, last: int) -> None:
        """Write a waveform (VCD) of cycles ``first`` to before ``last``, counted from now on.

        Raises
        ------
        SimulationError
            If the simulator was not made for it, or the file cannot be written.
        """
        try:
            path.open("wb").close()
        except OSError as error:
            raise SimulationError(f"cannot write {str(path)!r}: {error.strerror}") from None
        now = self._counts().cycles
        if not self._library.accelerator_trace(self._handle, str(path).encode(), now + first, now + last):
            raise SimulationError("the simulator was built without waveforms")

    def record_end(self) -> None:
        """Close the waveform."""
        self._library.accelerator_trace(self._handle, None, 0, 0)

    def state(self) -> str:
        """What the control plane says, for messages."""
        busy, index = self.read("busy"), self.read("failed_index")
        names = [unit.name for bit, unit in enumerate(UNITS) if busy >> bit & 1]
        return f"at command {index}{self._command(index)}; busy: {', '.join(names) or 'nothing'}"

    def _waiting(self, before: Mapping[str, int]) -> str:
        """Who waits for whom, by the streams now and the counters since ``before``; in no time."""
        counts, after = self._counts(), self.counters()
        cycles = max(1, after["cycles"] - before["cycles"])
        parts = waiting_streams(self.signals())
        parts += [f"{(after[name] - before[name]) / cycles:.3g} PEs wait for {what}"
                  for name, what in (("moving_starved", "rows"), ("stationary_starved", "packets"))
                  if after[name] > before[name]]
        parts += [f"{number} {name} under way in memory"
                  for name, number in (("reads", counts.reads_waiting), ("writes", counts.writes_waiting),
                                       ("write responses", counts.answers_waiting)) if number]
        return "".join(f"; {part}" for part in parts)

    def _command(self, index: int) -> str:
        """The command at a place of the stream, as far as memory tells."""
        at, size = self._start + index * self._commands.command_bytes, self._commands.command_bytes
        try:
            return f" ({self._commands.decode(self._memory[at:at + size].tobytes()).name})"
        except CommandError:
            return ""

    def _counts(self) -> Counts:
        counts = Counts()
        self._library.accelerator_counts(self._handle, byref(counts))
        return counts

