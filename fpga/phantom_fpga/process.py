"""Run an external tool: its output goes to a log file, a crash or a timeout is one clear line."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from phantom_fpga.errors import FpgaError

__all__ = ["CALL", "OutOfTime", "Progress", "ToolError", "run_tool"]

Progress = Callable[[str, str], None]
"""Told about a running flow: the stage (``"synthesis"``) and what it is doing just now."""

CALL = "import importlib, sys; sys.exit(getattr(importlib.import_module(sys.argv[1]), sys.argv[2])(sys.argv[3:]))"
"""For ``python -c``: call a function of a module with the list of the arguments that are left."""

_SECONDS_BETWEEN_REPORTS = 0.2


class ToolError(FpgaError):
    """A tool ended without its result; ``log`` holds all that it said."""

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message)
        self.log = log


class OutOfTime(ToolError):
    """A tool was stopped because it took too long."""


def _reason(log: Path, code: int) -> str:
    """The line of the log that tells why the tool stopped."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    errors = [line for line in lines if line.startswith(("ERROR", "%Error")) or "rror:" in line]
    if errors:
        return errors[0]
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return next((line for line in reversed(lines) if line), f"exit status {code}")


def _follow(
    process: subprocess.Popen, sink: TextIO, stage: str, interesting: Callable[[str], str | None],
    progress: Progress | None,
) -> None:
    """Copy the output of a program to its log until it ends; whatever interrupts that ends the program, too."""
    reported = 0.0
    assert process.stdout is not None
    try:
        for line in process.stdout:
            sink.write(line)
            now = time.monotonic()
            if progress is not None and now - reported >= _SECONDS_BETWEEN_REPORTS:
                text = interesting(line.rstrip())
                if text is not None:
                    progress(stage, text)
                    reported = now
    except BaseException:
        process.kill()
        raise


def run_tool(
    argv: Sequence[str],
    *,
    stage: str,
    log: Path,
    cwd: Path,
    timeout: float,
    env: Mapping[str, str] | None = None,
    interesting: Callable[[str], str | None] = lambda line: None,
    progress: Progress | None = None,
) -> None:
    """Run a program to its end.

    Parameters
    ----------
    argv : sequence of str
        The program and its arguments.
    stage : str
        What the program does, for messages.
    log : Path
        File that receives standard output and standard error.
    cwd : Path
        Working folder of the program.
    timeout : float
        Seconds after which the program is killed.
    env : mapping of str to str, optional
        Environment variables besides those of this process.
    interesting : callable
        Maps a line of output to what ``progress`` is told, or to None.
    progress : callable or None
        Called as ``progress(stage, text)``, a few times a second at most.

    Raises
    ------
    ToolError
        The program cannot be started, failed or crashed.
    OutOfTime
        It was killed.
    """
    started, expired = time.monotonic(), threading.Event()
    with open(log, "w", encoding="utf-8", buffering=1) as sink:
        try:
            process = subprocess.Popen(
                argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, encoding="utf-8", errors="replace", env={**os.environ, **(env or {})},
            )
        except OSError as error:
            raise ToolError(f"{stage}: cannot start {argv[0]}: {error.strerror}", log) from None

        def expire() -> None:
            expired.set()
            process.kill()

        watchdog = threading.Timer(timeout, expire)
        watchdog.start()
        try:
            with process:
                _follow(process, sink, stage, interesting, progress)
        finally:
            watchdog.cancel()
    code = process.returncode
    if expired.is_set():
        raise OutOfTime(f"{stage}: stopped after {time.monotonic() - started:.0f} s without a result", log)
    if code != 0:
        raise ToolError(f"{stage}: {_reason(log, code)}", log)
