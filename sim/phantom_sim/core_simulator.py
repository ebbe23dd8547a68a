"""A Verilated Phantom core that runs whole layers from NumPy arrays, without Python in its clock cycles."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, byref, c_uint8, c_uint32, c_void_p
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from amaranth.lib import data
from numpy.typing import ArrayLike, NDArray
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout, moving_layout, result_layout, stationary_layout

from phantom_sim.core_library import (
    ABANDONED,
    DONE,
    NOT_IDLE,
    RUNNING,
    STALLED,
    UNSTABLE,
    Beats,
    Geometry,
    Pattern,
    RunSpec,
    State,
    load_library,
)
from phantom_sim.rtl import cached_core_verilog
from phantom_sim.simulation import Simulation
from phantom_sim.verilator import build_library

__all__ = ["CoreRun", "CoreSimulator", "SimulationError", "build_core"]

HARNESS = Path(__file__).parent / "harness"
ACTIVITY = {"none": 0, "total": 1, "trace": 2}
STALL_LIMIT = 50_000
CHUNK_CYCLES = 20_000



class SimulationError(RuntimeError):
    """A run that cannot go on or does not end; says which stream is stuck at which beat."""


@dataclass(frozen=True)
class CoreRun:
    """What a run gave.

    Attributes
    ----------
    cycles : int
        Clock cycles from the first one after the layer was accepted to the last tile's last beat, both included.
    results : uint32[beats, words]
        Payloads of :func:`~phantom_hw.core.layouts.result_layout`.
    result_cycles : int64[beats]
        The cycle in which each result beat was transferred.
    tiles, moving_sent, stationary_sent : int
        Tiles completed and beats transferred (all of them, unless the run was abandoned).
    busy_threads : int64[pes] or None
        Products of each PE, with ``activity="total"`` or ``"trace"``.
    activity : uint8[cycles, pes] or None
        Busy threads of each PE in each cycle, with ``activity="trace"``.
    completed : bool
        False if ``reset_at`` ended the run.
    """

    cycles: int
    results: NDArray[np.uint32]
    result_cycles: NDArray[np.int64]
    tiles: int
    moving_sent: int
    stationary_sent: int
    busy_threads: NDArray[np.int64] | None
    activity: NDArray[np.uint8] | None
    completed: bool


def build_core(
    config: PhantomConfig, *, coverage: bool = False, trace: bool = False, folder: Path | None = None
) -> Path:
    """Build the Verilated library of a configuration's core, or find the one built before."""
    return build_library(
        cached_core_verilog(config, folder), "phantom_core", HARNESS / "core.cpp", headers=[HARNESS / "streams.h"],
        coverage=coverage, trace=trace, folder=folder,
    )


class CoreSimulator(Simulation):
    """One Phantom core at work, cycle for cycle.

    Use it as a context manager or call :meth:`close`; with ``coverage`` that is when the counts are written.

    Parameters
    ----------
    config : PhantomConfig
    coverage : bool
        Count toggles, written to ``<cache>/coverage/core-<process>-<instance>.dat`` (``coverage_path``).
    trace : Path, optional
        Write a VCD of everything to this file (slow).
    folder : Path, optional
        Where Verilated libraries are kept.
    """

    def __init__(
        self, config: PhantomConfig, coverage: bool = False, trace: Path | None = None, folder: Path | None = None
    ):
        super().__init__("core", coverage, folder)
        self.config = config
        self.layouts: dict[str, data.StructLayout] = {
            "layer": layer_layout(config), "moving": moving_layout(config),
            "stationary": stationary_layout(config), "result": result_layout(config),
        }
        library = build_core(config, coverage=coverage, trace=trace is not None, folder=folder)
        self._library = load_library(library)
        self._words = {name: self._library.phantom_words(i) for i, name in enumerate(self.layouts)}
        geometry = Geometry(config.pes, config.threads, self.layouts["result"]["tile_last"].offset)
        created = self._library.phantom_create(byref(geometry), str(trace).encode() if trace else None)
        self._created(created, self._library.phantom_destroy)

    def run(
        self,
        layer: ArrayLike,
        moving: ArrayLike,
        stationary: ArrayLike,
        tiles: int,
        *,
        moving_gaps: ArrayLike | None = None,
        stationary_gaps: ArrayLike | None = None,
        result_ready: ArrayLike | None = None,
        max_cycles: int = 1_000_000_000,
        stall_limit: int = STALL_LIMIT,
        activity: str = "none",
        reset: bool = True,
        reset_at: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> CoreRun:
        """Run one layer.

        Cycle 0 is the clock cycle after the one in which the core accepted the layer. From then on each source
        offers its beats in order: beat i has ``valid`` low for ``gaps[i]`` cycles from the cycle after beat i-1's
        transfer (from cycle 0 for i = 0), then high until it is transferred. ``result.ready`` in cycle n is
        ``result_ready[n % len]``. The run ends with the transfer of the last tile's ``tile_last`` beat.

        Parameters
        ----------
        layer : uint32[words]
            Payload of the layer stream; bit 0 of word 0 is its bit 0.
        moving, stationary : uint32[beats, words]
            Payloads of the links.
        tiles : int
            Tiles that the streams contain.
        moving_gaps, stationary_gaps : int[beats], optional
            Cycles without valid before each beat; 0 by default.
        result_ready : bool[n], optional
            Pattern of the result link's ready; always by default.
        max_cycles, stall_limit : int
            Longest run; longest time in which no beat moves and no gap passes.
        activity : str
            ``"none"``, ``"total"`` or ``"trace"``.
        reset : bool
            Reset the core first (2 cycles); otherwise go on from the run before.
        reset_at : int, optional
            Reset the core in this cycle, which abandons the run; reset it again before the next one or not.
        progress : callable, optional
            Called with (cycles, tiles completed) every 20,000 cycles.

        Raises
        ------
        SimulationError
            If the run does not end, or ends with beats left over; names the stream and the beat.
        ValueError
            If an array has the wrong shape, or bits beyond its payload.
        """
        if activity not in ACTIVITY:
            raise ValueError(f"activity must be one of {', '.join(ACTIVITY)}, not {activity!r}")
        if tiles < 1:
            raise ValueError(f"tiles must be at least 1, not {tiles!r}")
        if self._handle is None:
            raise SimulationError("the simulator is closed")
        layer_words = self._payloads("layer", np.atleast_2d(np.asarray(layer)))
        if len(layer_words) != 1:
            raise ValueError(f"layer must be one payload, not {len(layer_words)}")
        keep: list[NDArray] = [layer_words]  # alive while C++ reads them

        def pointer(array: NDArray, kind: type) -> ctypes._Pointer:
            keep.append(array)
            return array.ctypes.data_as(POINTER(kind))

        def beats(name: str, words: ArrayLike, gaps: ArrayLike | None) -> Beats:
            array = self._payloads(name, np.asarray(words))
            spec = Beats(pointer(array, c_uint32), None, len(array), self.layouts[name].size)
            if gaps is not None:
                gap_array = np.ascontiguousarray(gaps, np.uint32)
                if gap_array.shape != (len(array),):
                    raise ValueError(f"{name}_gaps must have shape {(len(array),)}, not {gap_array.shape}")
                spec.gaps = pointer(gap_array, c_uint32)
            return spec

        pattern = Pattern(None, 1)
        if result_ready is not None:
            ready = np.ascontiguousarray(np.asarray(result_ready, bool), np.uint8)
            if ready.ndim != 1 or not ready.any():
                raise ValueError("result_ready must be one-dimensional and not always 0")
            pattern = Pattern(pointer(ready, c_uint8), len(ready))
        spec = RunSpec(
            layer_words.ctypes.data_as(POINTER(c_uint32)), self.layouts["layer"].size,
            beats("moving", moving, moving_gaps), beats("stationary", stationary, stationary_gaps), pattern,
            tiles, max_cycles, stall_limit, -1 if reset_at is None else reset_at, reset, ACTIVITY[activity],
        )
        state = State()
        self._library.phantom_start(self._handle, byref(spec), byref(state))
        while state.status == RUNNING:
            self._library.phantom_advance(self._handle, CHUNK_CYCLES, byref(state))
            if progress is not None:
                progress(state.cycles, state.tiles)
        self._check(spec, state)
        return self._fetch(state, activity)

    def _payloads(self, name: str, words: NDArray) -> NDArray[np.uint32]:
        """Check an array of payloads."""
        if words.ndim != 2 or words.shape[1] != self._words[name]:
            raise ValueError(f"{name} must have shape (beats, {self._words[name]}), not {words.shape}")
        array = np.ascontiguousarray(words, np.uint32)
        rest = self.layouts[name].size % 32
        if rest and (array[:, -1] >> np.uint32(rest)).any():
            raise ValueError(f"{name} has bits beyond its payload of {self.layouts[name].size} bits")
        return array

    def _check(self, spec: RunSpec, state: State) -> None:
        """Raise unless the run ended as it should."""
        left = [
            f"{name} beat {sent} of {total}"
            for name, sent, total in (("moving", state.moving_sent, spec.moving.count),
                                      ("stationary", state.stationary_sent, spec.stationary.count))
            if sent < total
        ]
        if state.status == DONE and left:
            raise SimulationError(f"all {state.tiles} tiles ended in cycle {state.cycles - 1}, left: {', '.join(left)}")
        if state.status in (DONE, ABANDONED):
            return
        if state.status == NOT_IDLE:
            raise SimulationError(f"the core did not become idle in {spec.stall_limit} cycles before the run")
        if state.status == UNSTABLE:
            raise SimulationError(f"cycle {state.cycles - 1}: result beat {state.results} changed while it waited")
        reason = (f"nothing moved for {spec.stall_limit} cycles" if state.status == STALLED
                  else f"not finished after {spec.max_cycles} cycles")
        stuck = "; stuck: " + ", ".join(left) if left else "; all beats were sent"
        raise SimulationError(
            f"cycle {state.cycles}: {reason}{stuck}; result beat {state.results}"
            f"{' waits for ready' if state.result_offered else ''}, {state.tiles} of {spec.tiles} tiles done"
        )

    def _fetch(self, state: State, activity: str) -> CoreRun:
        """Copy what the run recorded."""
        pes = self.config.pes
        words = np.empty((state.results, self._words["result"]), np.uint32)
        cycles = np.empty(state.results, np.int64)
        totals = np.empty(pes, np.int64) if activity != "none" else None
        occupancy = np.empty((state.cycles, pes), np.uint8) if activity == "trace" else None
        arrays = (words, cycles, totals, occupancy)
        self._library.phantom_fetch(
            self._handle, *(None if array is None else array.ctypes.data_as(c_void_p) for array in arrays)
        )
        return CoreRun(
            state.cycles, words, cycles, state.tiles, state.moving_sent, state.stationary_sent, totals, occupancy,
            state.status == DONE,
        )
