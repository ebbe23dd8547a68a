"""What the commands share: the options that name a configuration, the console, the progress display."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from phantom_hw.config import PhantomConfig
from rich.console import Console

__all__ = ["ConfigFile", "Preset", "Settings", "UsageError", "configuration", "console", "numbers", "progress"]

WIDTH = 160
"""Columns of a table where the output is a file."""

Preset = Annotated[str | None, typer.Option("--preset", "-p", metavar="NAME", help="A preset; see `phantom presets`.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="A TOML configuration.")]
Settings = Annotated[list[str] | None, typer.Option(
    "--set", "-s", metavar="FIELD=VALUE", help="Change one field; may be repeated.")]


class UsageError(ValueError):
    """Options that are wrong or do not fit together."""


def configuration(preset: str | None, file: Path | None, settings: Sequence[str] | None) -> PhantomConfig:
    """The configuration that the options name."""
    if (preset is None) == (file is None):
        raise UsageError("give either --preset NAME or --config FILE")
    config = PhantomConfig.preset(preset) if preset is not None else PhantomConfig.from_toml(str(file))
    if not settings:
        return config
    values = config.to_dict()
    for setting in settings:
        field, equals, value = (part.strip() for part in setting.partition("="))
        if not equals:
            raise UsageError(f"--set needs FIELD=VALUE, not {setting!r}")
        try:
            values[field] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[field] = value  # a string without quotes
    return PhantomConfig.from_dict(values, "--set")


def numbers(option: str, text: str, count: int) -> tuple[int, ...]:
    """An option of ``count`` numbers with commas between them; one number stands for all."""
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, count):
        raise UsageError(f"{option} must be one integer or {count} with commas between them, not {text!r}")
    return values * count if len(values) == 1 else values


def console(stderr: bool = False) -> Console:
    """A console that does not squeeze tables into 80 columns where the output is a file."""
    made = Console(stderr=stderr, highlight=False, markup=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, markup=False, width=WIDTH)


@contextmanager
def progress() -> Iterator[Callable[[str, str], None]]:
    """Show what runs, told as (stage, text): a line that changes in a terminal, else a line a stage in the output."""
    terminal = console(stderr=True)
    if terminal.is_terminal:
        with terminal.status("starting") as status:
            yield lambda stage, text: status.update(f"{stage}: {text}")
        return
    screen = console()
    seen: set[str] = set()

    def report(stage: str, text: str) -> None:
        if stage not in seen:
            seen.add(stage)
            screen.print(stage)
    yield report
