"""A Verilated mesh that runs whole layers from NumPy arrays, without Python in its clock cycles."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_char_p, c_int32, c_int64, c_uint8, c_uint32, c_void_p
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.packing import payload_words
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import stalls_layout
from phantom_hw.emit import TILE_MODULE
from phantom_hw.mesh.packets import moving_packet, stationary_packet, sum_packet

from phantom_sim.core_library import Beats
from phantom_sim.core_simulator import CHUNK_CYCLES, STALL_LIMIT, SimulationError
from phantom_sim.rtl import cached_mesh_verilog, cached_tile_verilog
from phantom_sim.simulation import Simulation
from phantom_sim.tiles import TILE_HEADERS, lanes_for
from phantom_sim.verilator import build_library

__all__ = ["FLAT_CORES", "MeshRun", "MeshSimulator", "build_mesh", "usable_processors"]

HARNESS = Path(__file__).parent / "harness"
RUNNING, DONE, STALLED, TOO_LONG, NOT_IDLE, UNSTABLE = range(6)
FLAT_CORES = 4
"""Up to so many cores Verilator sees all of the mesh at once; else a tile, of which the harness makes a mesh."""


def usable_processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


class _Geometry(ctypes.Structure):
    """What the harness must know of the configuration."""

    _fields_ = [(name, c_int64) for name in (
        "moving", "stationary", "sums", "moving_words", "stationary_words", "sums_words", "moving_bits",
        "stationary_bits", "pes", "threads", "tile_last_bit")]
    _fields_ += [("lane_of", POINTER(c_int64)), ("stalls_bits", c_int64), ("workers", c_int64)]


class _RunSpec(ctypes.Structure):
    """A run, as the harness takes it."""

    _fields_ = [
        ("moving", POINTER(Beats)), ("stationary", POINTER(Beats)), ("ready", POINTER(c_uint8)),
        ("ready_length", c_int64), ("tiles", c_int64), ("max_cycles", c_int64), ("stall_limit", c_int64),
        ("reset", c_int32), ("trace", c_int32),
    ]


class _State(ctypes.Structure):
    """How far a run is."""

    _fields_ = [("status", c_int32), ("unused", c_int32),
                *((name, c_int64) for name in ("cycles", "results", "tiles", "products"))]


@dataclass(frozen=True)
class MeshRun:
    """What a run gave.

    Attributes
    ----------
    cycles : int
        Clock cycles from the first one in which the sources offer their packets to the last sum, both included.
    results : uint32[sums, words]
        Packets of :func:`~phantom_hw.mesh.packets.sum_packet`.
    result_cycles, result_links : int64[sums], uint8[sums]
        The cycle in which each was transferred, and on which link.
    tiles, products : int
        Tiles of all cores, and products of all threads.
    activity : uint8[cycles, PEs] or None
        Busy threads of each PE (core by core) in each cycle, with ``trace``.
    """

    cycles: int
    results: NDArray[np.uint32]
    result_cycles: NDArray[np.int64]
    result_links: NDArray[np.uint8]
    tiles: int
    products: int
    activity: NDArray[np.uint8] | None


def build_mesh(
    config: PhantomConfig, *, coverage: bool = False, tiled: bool | None = None, lanes: int = 0,
    folder: Path | None = None
) -> Path:
    """Build the Verilated library of a configuration's mesh, or find the one built before.

    Verilator sees all of it, or, ``tiled``, one tile; by default by ``FLAT_CORES``. A tile is simulated alone, or
    in ``lanes`` of vectors.
    """
    if config.cores > FLAT_CORES if tiled is None else tiled:
        return build_library(cached_tile_verilog(config, folder), TILE_MODULE, HARNESS / "mesh.cpp", tile=TILE_MODULE,
                             lanes=0 if coverage else lanes, headers=TILE_HEADERS, coverage=coverage, folder=folder)
    return build_library(cached_mesh_verilog(config, folder), "mesh_ports", HARNESS / "mesh.cpp",
                         headers=[HARNESS / "streams.h"], coverage=coverage, folder=folder)


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.mesh_create.argtypes, library.mesh_create.restype = [POINTER(_Geometry)], c_void_p
    library.mesh_destroy.argtypes, library.mesh_destroy.restype = [c_void_p, c_char_p], None
    library.mesh_start.argtypes, library.mesh_start.restype = [c_void_p, POINTER(_RunSpec), POINTER(_State)], None
    library.mesh_advance.argtypes, library.mesh_advance.restype = [c_void_p, c_int64, POINTER(_State)], None
    library.mesh_sent.argtypes, library.mesh_sent.restype = [c_void_p, c_int32, c_int64], c_int64
    library.mesh_fetch.argtypes, library.mesh_fetch.restype = [c_void_p] * 5, None
    return library


class MeshSimulator(Simulation):
    """A mesh at work, cycle for cycle. Use it as a context manager or call :meth:`close`.

    Parameters
    ----------
    config : PhantomConfig
    coverage : bool
        Count toggles, written to ``<cache>/coverage/mesh-<process>-<instance>.dat`` by :meth:`close`.
    folder : Path, optional
        Where Verilated libraries are kept.
    tiled : bool, optional
        As :func:`build_mesh` has it.
    threads : int, optional
        Of a tiled simulation; the usable processors by default. What is simulated does not depend on it.
    lanes : int, optional
        Tiles that are simulated at once in vectors, a power of two, or 0; by :func:`~.tiles.lanes_for` by default. What
        is simulated does not depend on it.
    """

    def __init__(self, config: PhantomConfig, coverage: bool = False, folder: Path | None = None,
                 tiled: bool | None = None, threads: int | None = None, lanes: int | None = None):
        super().__init__("mesh", coverage, folder)
        self.config = config
        self._layouts = {"moving": moving_packet(config), "stationary": stationary_packet(config)}
        sums = sum_packet(config)
        threads = threads or usable_processors()
        lanes = lanes_for(config, threads) if lanes is None else lanes
        self._library = _load(build_mesh(config, coverage=coverage, tiled=tiled, lanes=lanes, folder=folder))
        self._sum_words = payload_words(sums)
        lane_of = (c_int64 * config.mesh_cols)(*map(config.lane_of, range(config.mesh_cols)))
        geometry = _Geometry(
            config.mesh_rows, config.mesh_cols, config.mesh_rows * config.drain_lanes,
            *(payload_words(layout) for layout in self._layouts.values()), self._sum_words,
            *(layout.size for layout in self._layouts.values()), config.cores * config.pes, config.threads,
            sums["tile_last"].offset, lane_of, stalls_layout(config).size, threads)
        self._created(self._library.mesh_create(byref(geometry)), self._library.mesh_destroy)

    def run(
        self, moving: Sequence[NDArray[np.uint32]], stationary: Sequence[NDArray[np.uint32]], tiles: int, *,
        moving_gaps: Sequence[NDArray[np.int64]] | None = None,
        stationary_gaps: Sequence[NDArray[np.int64]] | None = None, ready: NDArray[np.bool_] | None = None,
        trace: bool = False, reset: bool = True, max_cycles: int = 1_000_000_000, stall_limit: int = STALL_LIMIT,
        progress: Callable[[int, int], None] | None = None,
    ) -> MeshRun:
        """Run packets.

        Cycle 0 is the first one in which the mesh is idle and the sources offer. Packet i of a link has ``valid`` low
        for ``gaps[i]`` cycles from the cycle after packet i-1's transfer. The run ends with the last tile's last sum.

        Parameters
        ----------
        moving, stationary : sequences of uint32[packets, words]
            One for each mesh row, each mesh column.
        tiles : int
            Tiles that all cores together complete.
        moving_gaps, stationary_gaps : sequences of int[packets], optional
        ready : bool[n, links], optional
            Pattern of the result links' ready; always by default.
        trace : bool
            Record the busy threads of each PE in each cycle.
        reset : bool
            Reset the mesh first; otherwise go on from the run before.
        max_cycles, stall_limit : int
            Longest run; longest time in which no packet moves, no thread works and no gap passes.
        progress : callable, optional
            Called with (cycles, tiles completed) every 20,000 cycles.

        Raises
        ------
        SimulationError
            If the run does not end, or ends with packets left over; names the links.
        ValueError
            If an array has the wrong shape.
        """
        keep: list[NDArray] = []
        spec = _RunSpec(
            self._beats("moving", moving, moving_gaps, keep),
            self._beats("stationary", stationary, stationary_gaps, keep),
            None, 1, tiles, max_cycles, stall_limit, reset, trace)
        if ready is not None:
            pattern = np.ascontiguousarray(np.asarray(ready, bool), np.uint8)
            links = self.config.mesh_rows * self.config.drain_lanes
            if pattern.ndim != 2 or pattern.shape[1] != links or not pattern.any(axis=0).all():
                raise ValueError(f"ready must have shape (n, {links}) and let every link go on, not {pattern.shape}")
            keep.append(pattern)
            spec.ready, spec.ready_length = pattern.ctypes.data_as(POINTER(c_uint8)), len(pattern)
        state = _State()
        self._library.mesh_start(self._handle, byref(spec), byref(state))
        while state.status == RUNNING:
            self._library.mesh_advance(self._handle, CHUNK_CYCLES, byref(state))
            if progress is not None:
                progress(state.cycles, state.tiles)
        self._check(state, tiles, moving, stationary)
        words = np.empty((state.results, self._sum_words), np.uint32)
        cycles, result_links = np.empty(state.results, np.int64), np.empty(state.results, np.uint8)
        activity = np.empty((state.cycles, self.config.cores * self.config.pes), np.uint8) if trace else None
        self._library.mesh_fetch(self._handle, *(None if array is None else array.ctypes.data_as(c_void_p)
                                               for array in (words, cycles, result_links, activity)))
        return MeshRun(state.cycles, words, cycles, result_links, state.tiles, state.products, activity)

    def _beats(self, name: str, words: Sequence[NDArray[np.uint32]], gaps: Sequence[NDArray[np.int64]] | None,
               keep: list[NDArray]) -> ctypes.Array[Beats]:
        """The sources of a kind of link; the arrays are kept alive while C++ reads them."""
        links = self.config.mesh_rows if name == "moving" else self.config.mesh_cols
        width = payload_words(self._layouts[name])
        if len(words) != links:
            raise ValueError(f"{name} must have packets for {links} links, not {len(words)}")
        beats = (Beats * links)()
        for link, packets in enumerate(words):
            if packets.ndim != 2 or packets.shape[1] != width:
                raise ValueError(f"{name}[{link}] must have shape (packets, {width}), not {packets.shape}")
            array = np.ascontiguousarray(packets, np.uint32)
            keep.append(array)
            beats[link] = Beats(array.ctypes.data_as(POINTER(c_uint32)), None, len(array), self._layouts[name].size)
            if gaps is not None:
                waits = np.ascontiguousarray(gaps[link], np.uint32)
                if waits.shape != (len(array),):
                    raise ValueError(f"{name}_gaps[{link}] must have shape {(len(array),)}, not {waits.shape}")
                keep.append(waits)
                beats[link].gaps = waits.ctypes.data_as(POINTER(c_uint32))
        return beats

    def _check(self, state: _State, tiles: int, moving: Sequence, stationary: Sequence) -> None:
        """Raise unless the run ended as it should."""
        left = [f"{name} link {link} at packet {sent} of {len(packets)}"
                for kind, (name, links) in enumerate((("moving", moving), ("stationary", stationary)))
                for link, packets in enumerate(links)
                if (sent := self._library.mesh_sent(self._handle, kind, link)) < len(packets)]
        if state.status == DONE and not left:
            return
        where = f"cycle {state.cycles}, {state.tiles} of {tiles} tiles done"
        if state.status == DONE:
            raise SimulationError(f"{where}, left: {', '.join(left)}")
        if state.status == NOT_IDLE:
            raise SimulationError("the mesh did not become idle before the run")
        if state.status == UNSTABLE:
            raise SimulationError(f"{where}: a sum changed while it waited")
        reason = "nothing moved any more" if state.status == STALLED else "not finished in time"
        raise SimulationError(f"{where}: {reason}; {', '.join(left) or 'all packets were sent'}")
