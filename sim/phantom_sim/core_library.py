"""The C interface of ``harness/core.cpp``: its structures, field for field, and its functions."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_uint8, c_uint32, c_void_p
from pathlib import Path

__all__ = [
    "ABANDONED", "DONE", "NOT_IDLE", "RUNNING", "STALLED", "TOO_LONG", "UNSTABLE",
    "Beats", "Geometry", "Pattern", "RunSpec", "State", "load_library",
]

RUNNING, DONE, ABANDONED, STALLED, TOO_LONG, NOT_IDLE, UNSTABLE = range(7)


class Geometry(ctypes.Structure):
    """What the harness must know of the configuration."""

    _fields_ = [("pes", c_int64), ("threads", c_int64), ("tile_last_bit", c_int64)]


class Beats(ctypes.Structure):
    """The beats of a source: payloads, the gaps before them, their number, bits of one."""

    _fields_ = [("words", POINTER(c_uint32)), ("gaps", POINTER(c_uint32)), ("count", c_int64), ("bits", c_int64)]


class Pattern(ctypes.Structure):
    """A repeated pattern of ready."""

    _fields_ = [("values", POINTER(c_uint8)), ("length", c_int64)]


class RunSpec(ctypes.Structure):
    """A run, as the harness takes it."""

    _fields_ = [
        ("layer", POINTER(c_uint32)), ("layer_bits", c_int64), ("moving", Beats), ("stationary", Beats),
        ("result_ready", Pattern), ("tiles", c_int64), ("max_cycles", c_int64), ("stall_limit", c_int64),
        ("reset_at", c_int64), ("reset", c_int32), ("activity", c_int32),
    ]


class State(ctypes.Structure):
    """How far a run is."""

    _fields_ = [
        ("status", c_int32), ("moving_offers", c_int32), ("stationary_offers", c_int32), ("result_offered", c_int32),
        ("cycles", c_int64), ("moving_sent", c_int64), ("stationary_sent", c_int64), ("results", c_int64),
        ("tiles", c_int64),
    ]


def load_library(path: Path) -> ctypes.CDLL:
    """Load a library and declare its functions."""
    library = ctypes.CDLL(str(path))
    library.phantom_words.argtypes, library.phantom_words.restype = [c_int32], c_int64
    library.phantom_create.argtypes, library.phantom_create.restype = [POINTER(Geometry), c_char_p], c_void_p
    library.phantom_destroy.argtypes, library.phantom_destroy.restype = [c_void_p, c_char_p], None
    library.phantom_start.argtypes = [c_void_p, POINTER(RunSpec), POINTER(State)]
    library.phantom_advance.argtypes = [c_void_p, c_int64, POINTER(State)]
    library.phantom_fetch.argtypes = [c_void_p] * 5
    for name in ("phantom_start", "phantom_advance", "phantom_fetch"):
        getattr(library, name).restype = None
    return library
