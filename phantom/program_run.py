"""Runs of program files: what the command line says as settings, and what happens shown as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from phantom_compiler.accelerator.host import host_lines, read_input
from phantom_compiler.accelerator.program import Program
from phantom_compiler.accelerator.program_file import read_program
from phantom_compiler.accelerator.whole_file import check_writable, whole_file
from phantom_sim.network_run import RunSettings, run_golden, run_rtl
from phantom_sim.recorded import read_tensors
from phantom_sim.run_result import RunResult
from phantom_sim.waveform import check_waveform
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from phantom.options import UsageError, console

__all__ = ["MismatchError", "layer_costs", "layer_range", "run_file", "shown", "window", "write_text"]

BACKENDS = ("golden", "rtl")
QUIET_SECONDS = 30
"""Between two lines where the output is a file."""


class MismatchError(RuntimeError):
    """The accelerator does not do what the golden model says."""


def layer_range(program: Program, text: str | None) -> tuple[int, int] | None:
    """``A-B`` or ``A``, each a number or a layer's name."""
    if text is None:
        return None
    names = [facts.name for facts in program.layers]
    wanted: tuple[str, str] | None = (text, text) if text in names or text.isdigit() else None
    for place in (place for place, letter in enumerate(text) if letter == "-"):
        ends = text[:place], text[place + 1:]
        if all(end in names or end.isdigit() for end in ends):
            wanted = ends
    if wanted is not None:
        first, last = (names.index(end) if end in names else int(end) for end in wanted)
        if 0 <= first <= last < len(names):
            return first, last
    raise UsageError(f"--layers must be A-B, numbers in 0..{len(names) - 1} or names of layers, not {text!r}")


def window(text: str) -> tuple[int, int]:
    """``A:B``, cycles."""
    first, colon, end = text.partition(":")
    if not (colon and first.isdigit() and end.isdigit() and int(first) < int(end)):
        raise UsageError(f"--wave-window must be A:B with A < B, cycles, not {text!r}")
    return int(first), int(end)


def run_file(
    path: Path, given: Path, *, backend: str, latency: int, bandwidth: float, layers: str | None, compare: bool,
    record: bool, wave: Path | None, wave_window: str, threads: int | None, outputs: Sequence[Path],
) -> tuple[Program, RunResult]:
    """Run a program from a file on an input from a file; ``outputs`` are files that will be written behind the run.

    Raises
    ------
    ProgramError, HostError, RecordError, WaveformError, UsageError
        A file or an option is wrong.
    RunError
        A job does not end well.
    """
    if backend not in BACKENDS:
        raise UsageError(f"--backend must be one of {', '.join(BACKENDS)}, not {backend!r}")
    program = read_program(path)
    wanted = layer_range(program, layers)
    known = read_tensors(given, program) if given.suffix == ".npz" else read_input(program, given)
    if wave is not None:
        if backend == "golden":
            raise UsageError("--wave is for --backend rtl")
        check_waveform(wave, program.config)
    settings = RunSettings(latency, bandwidth, wanted, record, compare, wave=wave,
                           window=window(wave_window))
    for output in outputs:
        _translated(check_writable, output)
    screen = console()
    for line in host_lines(program):
        screen.print(line, soft_wrap=True)
    first, last = wanted or (0, len(program.layers) - 1)
    place = "golden model" if backend == "golden" else "accelerator"
    with shown(f"{program.name} on the {place}", layer_costs(program)[first:last + 1]) as report:
        result = (run_golden(program, known, report, wanted, settings.record) if backend == "golden"
                  else run_rtl(program, known, settings, threads=threads, progress=report))
    return program, result


def _translated(action: Callable[[Path], None], path: Path) -> None:
    """Say in one line why a file cannot be written."""
    try:
        action(path)
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def write_text(path: Path, text: str) -> None:
    """Write a file; it is there as a whole or as before."""
    def write(path: Path) -> None:
        with whole_file(path) as file:
            file.write(text.encode())
    _translated(write, path)


def layer_costs(program: Program) -> list[float]:
    """Cycles that each layer is expected to take."""
    return [max(facts.expected_cycles, 1.0) for facts in program.layers]


class _Share:
    """Which share of a run is done: layers by their costs, and of the layer at hand what its cycles say."""

    MOST = 0.95  # of a layer that is not done

    def __init__(self, costs: Sequence[float]):
        self.costs, self.done, self.begun = costs, 0, 0

    def __call__(self, done: int, cycles: int) -> float:
        if done != self.done:
            self.done, self.begun = done, cycles
        part = min(cycles - self.begun, self.MOST * self.costs[done]) if done < len(self.costs) else 0.0
        return (sum(self.costs[:done]) + part) / sum(self.costs)


@contextmanager
def shown(what: str, costs: Sequence[float]) -> Iterator[Callable[[int, int, int], None]]:
    """Show layers done, cycles and the time that is left by their costs: a bar in a terminal, else a line at times.

    Parameters
    ----------
    what : str
    costs : sequence of float
        Of each layer, see :func:`layer_costs`.
    """
    terminal, share = console(stderr=True), _Share(costs)
    if terminal.is_terminal:
        with Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"),
                      TimeElapsedColumn(), TimeRemainingColumn(), console=terminal, transient=True) as bar:
            task = bar.add_task(what, total=1.0, text="")
            yield lambda done, total, cycles: bar.update(
                task, completed=share(done, cycles), text=_progress_text(done, total, cycles))
        return
    screen, start = console(), time.monotonic()
    last = start
    screen.print(what)

    def report(done: int, total: int, cycles: int) -> None:
        nonlocal last
        now = share(done, cycles)
        if time.monotonic() - last >= QUIET_SECONDS:
            last = time.monotonic()
            screen.print(_progress_text(done, total, cycles) + _left(last - start, now))
    yield report


def _progress_text(done: int, total: int, cycles: int) -> str:
    return f"{done} of {total} layers" + (f", {cycles:,} cycles" if cycles else "")


def _left(seconds: float, share: float) -> str:
    """The time that is left, from the time that a share of the work took."""
    if not 0 < share < 1:
        return ""
    left = round(seconds * (1 - share) / share)
    return f", about {left // 60} min {left % 60:02} s left"
