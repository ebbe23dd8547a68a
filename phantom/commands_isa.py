"""Command streams on the command line: text to bytes and back, between files."""

from __future__ import annotations

from pathlib import Path

from phantom_compiler.accelerator.whole_file import whole_file
from phantom_hw.config import PhantomConfig
from phantom_hw.soc.assembler import AssemblerError, assemble, disassemble
from phantom_hw.soc.commands import CommandSet

from phantom.options import UsageError

__all__ = ["assemble_file", "disassemble_file"]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}") from None


def assemble_file(source: Path, target: Path, config: PhantomConfig) -> int:
    """Translate a text file.

    Parameters
    ----------
    source, target : Path
    config : PhantomConfig
        Gives the legal ranges.

    Returns
    -------
    int
        Number of commands.

    Raises
    ------
    AssemblerError, UsageError
        The text is wrong, or a file cannot be read or written; then ``target`` is as before.
    """
    commands = CommandSet(config)
    try:
        code = assemble(_read(source).decode(), commands)
    except UnicodeDecodeError:
        raise UsageError(f"{source}: not a text in UTF-8") from None
    except AssemblerError as error:
        raise UsageError(f"{source}: {error}") from None
    try:
        with whole_file(target) as file:
            file.write(code)
    except OSError as error:
        raise UsageError(f"cannot write {str(target)!r}: {error.strerror}") from None
    return len(code) // commands.command_bytes


def disassemble_file(source: Path, config: PhantomConfig | None) -> str:
    """The text of a command stream; without a configuration, everything that the fields can hold is legal.

    Raises
    ------
    UsageError
        The file is no command stream, or cannot be read.
    """
    try:
        return disassemble(_read(source), CommandSet(config))
    except AssemblerError as error:
        raise UsageError(f"{source}: {error}") from None
