"""The C interface of ``harness/accelerator.cpp``: its structures, field for field, and its functions."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_uint8, c_uint32, c_uint64, c_void_p
from pathlib import Path

__all__ = ["DONE", "MARK", "RUNNING", "Counts", "Options", "Range", "Shape", "load_library"]

RUNNING, DONE, MARK = range(3)
"""How ``accelerator_run`` ends: after its cycles, with the interrupt, when so many commands were carried out."""


class Range(ctypes.Structure):
    """A range of memory."""

    _fields_ = [("first", c_uint64), ("last", c_uint64), ("read_response", c_int32), ("write_response", c_int32),
                ("writable", c_int32), ("unused", c_int32)]


class Options(ctypes.Structure):
    """Memory."""

    _fields_ = [("memory_bytes", c_int64), ("ranges", POINTER(Range)),
                *((name, c_int64) for name in (
                    "range_count", "latency", "beats_per_256", "queue", "seed", "stall_256"))]


class Counts(ctypes.Structure):
    """What the harness counts."""

    _fields_ = [*((name, c_int64) for name in (
        "cycles", "read_beats", "write_beats", "read_bursts", "write_bursts", "stray_bytes", "stray_address",
        "crossings")), ("irq", c_int32), ("unused", c_int32),
                *((name, c_int64) for name in ("reads_waiting", "writes_waiting", "answers_waiting"))]


class Shape(ctypes.Structure):
    """A mesh outside of the accelerator."""

    _fields_ = [("rows", c_int64), ("cols", c_int64), ("lane_of", POINTER(c_int64)),
                *((name, c_int64) for name in ("activity_bits", "stalls_bits", "threads"))]


def load_library(path: Path) -> ctypes.CDLL:
    """Open a library of :func:`phantom_sim.accelerator_simulator.build_accelerator`."""
    library = ctypes.CDLL(str(path))
    signatures: dict[str, tuple[list, object]] = {
        "create": ([POINTER(Options), POINTER(Shape)], c_void_p),
        "destroy": ([c_void_p, c_char_p], None),
        "configure": ([c_void_p, POINTER(Options)], None),
        "memory": ([c_void_p], POINTER(c_uint8)),
        **dict.fromkeys(("reset", "load_on_chip", "save_on_chip"), ([c_void_p], None)),
        "write": ([c_void_p, c_uint32, c_uint32, c_int64], c_int32),
        "read": ([c_void_p, c_uint32, POINTER(c_uint32), c_int64], c_int32),
        "run": ([c_void_p, c_int64, c_uint64], c_int32),
        "counts": ([c_void_p, POINTER(Counts)], None),
        "signals": ([c_void_p], c_char_p),
        "signal": ([c_void_p, c_char_p, POINTER(c_uint64)], c_int32),
        "trace": ([c_void_p, c_char_p, c_int64, c_int64], c_int32),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(library, f"accelerator_{name}")
        function.argtypes, function.restype = arguments, result
    return library
