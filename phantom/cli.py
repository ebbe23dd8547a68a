"""The command ``phantom``: a thin layer over the packages, which does the talking and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from phantom_hw.config import PhantomConfig
from phantom_hw.soc.csr import field_meanings
from rich.table import Table
from rich.text import Text

from phantom.commands_program import add_commands
from phantom.options import ConfigFile, Preset, Settings, UsageError, configuration, console, progress

__all__ = ["app", "field_meanings", "main"]

USER_ERROR, FAILURE = 2, 1

app = typer.Typer(
    name="phantom",
    epilog="A wrong input gives one line on standard error and exit status 2.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
fpga_app = typer.Typer(help="Bitstreams for FPGA boards.")
app.add_typer(fpga_app, name="fpga")

# --- commands ---------------------------------------------------------------------------------------

def _version(wanted: bool) -> None:
    if wanted:
        print(f"phantom {metadata.version('phantom-accelerator')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option(
        "--version", callback=_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Generate, check and build Phantom, a sparse neural-network accelerator."""


@app.command()
def doctor(
    extras: Annotated[list[str] | None, typer.Option(
        "--with", metavar="EXTRA",
        help="Count the tools of this extra as needed: fpga, demo, dev, train, wave.")] = None,
) -> None:
    """Check every tool: version, what it is for, and how to install what is missing."""
    from phantom import doctor as tools

    wanted = frozenset(extras or ())
    if unknown := sorted(wanted - set(tools.EXTRAS)):
        raise UsageError(f"unknown extra {unknown[0]!r}; extras: {', '.join(tools.EXTRAS)}")
    results = list(tools.checks())
    table = Table("tool", "version", "for", "needed", "state")
    for check in results:
        needed = check.needed_for or "always"
        if check.needed_for in tools.EXTRAS:
            needed = f"extra {check.needed_for}" if check.needed_for in wanted else f"optional, extra {needed}"
        style = "red" if check.fatal(wanted) else "yellow" if check.problem else "green"
        table.add_row(check.tool, check.version or "-", check.purpose, needed, Text(check.problem or "ok", style))
    screen = console()
    screen.print(table)
    for check in results:
        if check.problem:
            optional = "" if check.fatal(wanted) else " (optional)"
            screen.print(f"{check.tool} is {check.problem}{optional}: {check.install}")
    fatal = [check.tool for check in results if check.fatal(wanted)]
    screen.print(f"needed and not usable: {', '.join(fatal)}" if fatal else "everything needed is there")
    if fatal:
        raise typer.Exit(FAILURE)


@app.command()
def presets() -> None:
    """List the presets."""
    table = Table("preset", "mesh", "PEs a core", "threads", "L_f (G)", "selector", "operands", "accumulators")
    for name in PhantomConfig.presets():
        c = PhantomConfig.preset(name)
        table.add_row(
            name, f"{c.mesh_rows} x {c.mesh_cols}", f"{c.pe_rows} x {c.pe_cols}", f"{c.cores * c.core_threads}",
            f"{c.lookahead} ({c.group})", c.tds, f"{c.act_width} x {c.weight_width} bits",
            f"{c.acc_depth} x {c.acc_width} bits",
        )
    console().print(table)


@app.command()
def config(preset: Preset = None, file: ConfigFile = None, settings: Settings = None) -> None:
    """Show a configuration: every field, and what follows from it."""
    chosen = configuration(preset, file, settings)
    meanings = field_meanings()
    screen = console()
    table = Table("field", "value", "meaning", title=f"configuration {chosen.name}")
    for field, value in chosen.to_dict().items():
        table.add_row(field, str(value), meanings[field])
    screen.print(table)
    derived = Table("derived", "value", "meaning")
    for name, member in vars(PhantomConfig).items():
        if isinstance(member, property):
            derived.add_row(name, str(getattr(chosen, name)), " ".join((member.__doc__ or "").split()))
    screen.print(derived)


@app.command()
def generate(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the files.")],
    preset: Preset = None,
    file: ConfigFile = None,
    settings: Settings = None,
    top: Annotated[str, typer.Option(
        "--top", "-t", metavar="TOP", help="accelerator, mesh (without memory system) or core (one, alone).",
    )] = "accelerator",
) -> None:
    """Write the hardware: Verilog, lint waivers, headers, a FuseSoC description, the configuration."""
    chosen = configuration(preset, file, settings)
    from phantom_hw.generate import check_folder
    from phantom_hw.generate import generate as write

    check_folder(output)
    with progress() as report:
        report("generating", f"{top} of {chosen.name}")
        paths = write(chosen, output, top)
    table = Table("file", "bytes")
    table.columns[1].justify = "right"
    for path in paths:
        table.add_row(str(path), f"{path.stat().st_size:,}")
    console().print(table)


@app.command()
def area(
    preset: Preset = None,
    file: ConfigFile = None,
    settings: Settings = None,
    top: Annotated[str, typer.Option(
        "--top", "-t", metavar="TOP", help="core: a PE and a core; accelerator: all of it, unit by unit.")] = "core",
    block: Annotated[list[str] | None, typer.Option(
        "--block", "-b", metavar="NAME", help="Of a core: pe or core; may be repeated, all by default.")] = None,
    place: Annotated[bool | None, typer.Option(
        "--place/--no-place", help="Place and route as well, for the clock rate.",
        show_default="a core yes, the accelerator no")] = None,
    seed: Annotated[list[int] | None, typer.Option(
        "--seed", metavar="N", help="A seed of the placement; may be repeated, the fastest placement counts.")] = None,
) -> None:
    """Measure area and clock rate on an ECP5-85F."""
    chosen = configuration(preset, file, settings)
    if top not in ("core", "accelerator"):
        raise UsageError(f"--top must be core or accelerator, not {top!r}")
    if top == "accelerator" and (block or len(seed or ()) > 1):
        raise UsageError("--top accelerator takes no --block and one --seed at the most")
    from phantom_fpga.area import BLOCKS, render
    from phantom_fpga.area import area as measure
    from phantom_fpga.whole import render_whole, whole_area

    with progress() as report:
        if top == "accelerator":
            table = render_whole(whole_area(chosen, placed=bool(place), seed=(seed or [1])[0], progress=report))
        else:
            table = render(measure(chosen, tuple(block or BLOCKS), place=place is not False, seeds=tuple(seed or (1,)),
                                   progress=report))
    console().print(table)


@fpga_app.command()
def build(
    board: Annotated[str, typer.Option("--board", "-b", metavar="NAME", help="ulx3s, tangnano20k or icebreaker.")],
    preset: Preset = None,
    file: ConfigFile = None,
    settings: Settings = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the build.")] = Path(
        "build/fpga"),
    seed: Annotated[list[int] | None, typer.Option(
        "--seed", metavar="N", help="A seed of the placement; may be repeated: the first that meets the clock.",
        show_default="1, 2, 3")] = None,
) -> None:
    """Build the bitstream of a core that tests itself; the configuration is the board's own unless one is given."""
    from phantom_fpga import Board
    from phantom_fpga import build as run

    from phantom.selftest import self_test

    Board.named(board)
    chosen = configuration(board if preset is None and file is None else preset, file, settings)
    operands, golden_checksum = self_test(board, chosen)
    with progress() as report:
        result = run(board, chosen, operands, golden_checksum, output, report, seeds=tuple(seed or (1, 2, 3)))
    screen = console()
    screen.print(result.report.read_text(encoding="utf-8"))
    screen.print(f"bitstream: {result.bitstream}\nreport:    {result.report}", soft_wrap=True)


@app.command()
def layer(
    file: Annotated[Path, typer.Argument(metavar="FILE.npz", help="Integer arrays `weights` and `activations`.")],
    preset: Preset = None,
    config_file: ConfigFile = None,
    settings: Settings = None,
    stride: Annotated[str, typer.Option(metavar="N[,N]", help="Vertical, horizontal.")] = "1",
    padding: Annotated[str, typer.Option(metavar="N[,N,N,N]", help="Top, left, bottom, right.")] = "0",
    dilation: Annotated[str, typer.Option(metavar="N[,N]", help="Vertical, horizontal.")] = "1",
    groups: Annotated[int, typer.Option(metavar="N", help="Groups; the number of channels for depthwise.")] = 1,
    signed: Annotated[bool, typer.Option("--signed", help="The activations are signed.")] = False,
    transposed: Annotated[bool, typer.Option("--transposed", help="A transposed convolution.")] = False,
    rtl: Annotated[bool, typer.Option("--rtl", help="Run the Verilated core, too, and compare.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE.npz", help="Keep the sums.")] = None,
) -> None:
    """Run one layer on one core: fully connected (weights of 2 axes), 1-D (3) or 2-D convolution (4)."""
    chosen = configuration(preset, config_file, settings)
    from phantom import layer as layers

    weights, activations = layers.read_layer(file)
    made = layers.make_layer(weights, file.stem, stride=stride, padding=padding, dilation=dilation, groups=groups,
                             signed=signed, transposed=transposed)
    with progress() as report:
        figures = layers.run_layer(made, activations, chosen, rtl=rtl, progress=report)
    if output is not None:
        layers.write_sums(output, figures.sums)
    table = Table("layer", "output", "dense MACs", "effectual", "cycles", "threads busy", "against dense", "RTL")
    table.add_row(
        made.name, " x ".join(map(str, figures.sums.shape)), f"{figures.dense_macs:,}", f"{figures.effectual_macs:,}",
        f"{figures.cycles:,}", f"{figures.utilization:.1%}", f"{figures.speedup:.2f} x",
        "same sums, same cycles" if rtl else "not run",
    )
    console().print(table)


add_commands(app)


@app.command()
def asm(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Commands as text.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="File for the command stream.")],
    preset: Preset = None,
    config_file: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Translate commands into the command stream that the accelerator reads; see docs/isa.md."""
    chosen = configuration(preset, config_file, settings)
    from phantom.commands_isa import assemble_file

    count = assemble_file(file, output, chosen)
    console().print(f"{output}: {count} commands, {output.stat().st_size:,} bytes", soft_wrap=True)


@app.command()
def disasm(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A command stream.")],
    preset: Preset = None,
    config_file: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Show a command stream as text; with a configuration, check it as the hardware does."""
    none = preset is None and config_file is None and not settings
    chosen = None if none else configuration(preset, config_file, settings)
    from phantom.commands_isa import disassemble_file

    print(disassemble_file(file, chosen), end="")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def demo(context: typer.Context) -> None:
    """Classify a photo with a whole network on the Verilated accelerator, against the golden model."""
    import importlib

    run: Callable[[Sequence[str]], int | None] = importlib.import_module("phantom.demo").main
    raise typer.Exit(run(context.args) or 0)


# --- entry ------------------------------------------------------------------------------------------

def _is_ours(error: BaseException) -> bool:
    """An exception class of this project: its message is made for the user."""
    return type(error).__module__.split(".")[0].startswith("phantom")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit status: 0, 1 for a failure, 2 for a wrong input.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        return app(args=arguments, prog_name="phantom", standalone_mode=False) or 0
    except typer.TyperException as error:
        message, status = error.format_message(), USER_ERROR
    except ModuleNotFoundError as error:
        if str(error.name).startswith("phantom"):
            raise
        message = f"the Python package of {error.name} is missing; `phantom doctor` tells how to install it"
        status = FAILURE
    except (ValueError, RuntimeError) as error:
        if not _is_ours(error):
            raise
        message, status = str(error), USER_ERROR if isinstance(error, ValueError) else FAILURE
    print(f"phantom: error: {' '.join(message.split())}", file=sys.stderr)
    return status
