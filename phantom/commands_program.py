"""``phantom compile``, ``run`` and ``inspect``: the command line of program files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from phantom.options import ConfigFile, Preset, Settings, configuration, console, progress

if TYPE_CHECKING:
    from phantom_compiler.accelerator.program import Program

__all__ = ["add_commands"]

ProgramFile = Annotated[Path, typer.Argument(metavar="PROGRAM", help="A file that `phantom compile` wrote.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("compile")(compile_model)
    for command in (run, inspect):
        app.command()(command)


def compile_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="An ONNX file of a network of real numbers, or vgg16 or "
                                         "efficientnet-lite0 from their packages.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PROGRAM", help="File for the program.")],
    preset: Preset = None,
    config_file: ConfigFile = None,
    settings: Settings = None,
    calibration: Annotated[list[Path] | None, typer.Option(
        "--calibration", metavar="FILE", help="An image or an array (.npy) to take the ranges of activations from; may "
        "be repeated.", show_default="noise")] = None,
    density: Annotated[str, typer.Option(metavar="X[,X...]", help="Share of the weights that pruning keeps, of all "
                                         "layers or of each.")] = "1",
    pixels: Annotated[str | None, typer.Option(
        metavar="SCALE,OFFSET", help="What an image's pixels, 0 to 255, are multiplied by, then what is added.",
        show_default="1/255, 0")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Names of the classes, a line each.")] = None,
    shape: Annotated[str | None, typer.Option(metavar="N,N,...", help="Of the input, where the file leaves it open.",
                                              )] = None,
    memory: Annotated[int | None, typer.Option(metavar="BYTES", min=1, help="Size of external memory.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Every tensor keeps its memory to the end.")] = False,
    balance: Annotated[str, typer.Option(metavar="LEVEL", help="Load balancing: both, inter-core, intra-core or "
                                         "none.")] = "both",
) -> None:
    """Quantize and compile a network into a program file."""
    chosen = configuration(preset, config_file, settings)
    from phantom_compiler.accelerator.host import host_lines

    from phantom import program_compile

    with progress() as report:
        program = program_compile.compile_file(
            model, output, chosen, calibration=calibration or [], density=density, pixels=pixels, labels=labels,
            shape=shape, memory=memory, keep=keep, balance=balance, progress=report)
    screen = console()
    for line in host_lines(program):
        screen.print(line, soft_wrap=True)
    screen.print(f"{output}: {len(program.nodes)} layers, {program.memory_bytes:,} bytes of memory, "
                 f"{output.stat().st_size:,} bytes", soft_wrap=True)


def run(
    program: ProgramFile,
    given: Annotated[Path, typer.Option("--input", "-i", metavar="FILE", help="An image; an array (.npy): integers "
                                        "for the first layer, or real numbers as the ONNX file's input takes them; or "
                                        "tensors that --record wrote (.npz).")],
    backend: Annotated[str, typer.Option("--backend", "-b", metavar="NAME", help="golden or rtl.")] = "golden",
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures and outputs.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the figures of the layers.")] = None,
    latency: Annotated[int, typer.Option(min=1, help="Of external memory, cycles (rtl).")] = 100,
    bandwidth: Annotated[float, typer.Option(min=0.01, max=1.0, help="Of external memory, words of the bus a cycle in "
                                             "each direction (rtl).")] = 1.0,
    layers: Annotated[str | None, typer.Option(metavar="A-B", help="These layers only, by number or name; what they "
                                               "read is what was recorded, or comes from the golden model.")] = None,
    record: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the tensors that the layers read and gave "
                                                "(.npz), for later runs of some layers.")] = None,
    compare: Annotated[bool, typer.Option(help="Compare every layer with the golden model (rtl).")] = True,
    wave: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a waveform (rtl): VCD, or FST "
                                              "if the name ends with .fst.")] = None,
    wave_window: Annotated[str, typer.Option(metavar="A:B", help="Its cycles.")] = "0:10000",
    threads: Annotated[int | None, typer.Option(min=1, help="Of the simulation of a large mesh.")] = None,
) -> None:
    """Run a program on the golden model or on the Verilated accelerator, layer by layer."""
    from phantom_sim.recorded import write_tensors

    from phantom import program_run

    program_of, result = program_run.run_file(
        program, given, backend=backend, latency=latency, bandwidth=bandwidth, layers=layers, compare=compare,
        record=record is not None, wave=wave, wave_window=wave_window, threads=threads,
        outputs=[path for path in (json, csv, record) if path is not None])
    for path, text in ((json, result.to_json), (csv, result.to_csv)):
        if path is not None:
            program_run.write_text(path, text())
    if record is not None:
        write_tensors(record, program_of, result.tensors)
    screen = console()
    memory = result.memory and (f", memory of {result.memory['latency']} cycles latency, "
                                f"{result.memory['bytes_per_cycle']:g} bytes a cycle each way")
    rows = result.rows()
    filled = [place for place in range(len(result.COLUMNS)) if any(row[place] for row in rows)]
    table = Table(*(result.COLUMNS[place] for place in filled),
                  title=f"{result.program}: {result.backend}{memory or ''}")
    for column in table.columns[2:]:
        column.justify = "right"
    for number, row in enumerate(rows):
        table.add_row(*(row[place] for place in filled), end_section=number == len(rows) - 2)
    screen.print(table)
    for name, score in result.classes:
        screen.print(f"{score:8.4f}  {name}")
    if result.compared:
        screen.print(f"{result.compared} layers compared with the golden model, every value the same")
    if result.difference:
        raise program_run.MismatchError(result.difference)


def inspect(program: ProgramFile) -> None:
    """Show what is in a program: layers, tiles, memory, expected cycles and traffic."""
    from phantom_compiler.accelerator.host import host_lines
    from phantom_compiler.accelerator.program_file import read_program

    found = read_program(program)
    screen, job, config = console(), found.job, found.config
    tensors = Table("", "layer", "kind", "reads", "output", "at", "tiles", "commands",
                    title=f"{found.name} for configuration {config.name}")
    work = Table("", "layer", "weights", "not 0", "MACs", "effectual", "cycles", "read kB", "written kB",
                 "compulsory kB", "traffic / compulsory", title="expected work, and traffic with external memory")
    for table, right in ((tensors, (0, 5, 7)), (work, (0, *range(2, 11)))):
        for column in right:
            table.columns[column].justify = "right"
    for number, (facts, form) in enumerate(zip(found.layers, job.outputs, strict=True)):
        reads = ", ".join("input" if source < 0 else str(source) for source in facts.inputs)
        tensors.add_row(str(number), facts.name, facts.kind, reads, " x ".join(map(str, facts.shape)),
                        f"{form.address:#x}", facts.tiling, f"{facts.commands:,}")
        moved = facts.read_bytes + facts.written_bytes
        work.add_row(
            str(number), facts.name, f"{facts.weights:,}" if facts.weights else "",
            f"{facts.nonzero_weights / facts.weights:.1%}" if facts.weights else "",
            f"{facts.dense_macs:,}" if facts.dense_macs else "",
            f"{facts.expected_macs:,.0f}" if facts.dense_macs else "", f"{facts.expected_cycles:,.0f}",
            *(f"{size / 1000:,.1f}" for size in (facts.read_bytes, facts.written_bytes, facts.compulsory_bytes)),
            f"{moved / facts.compulsory_bytes:.2f}")
    screen.print(tensors)
    screen.print(work)
    screen.print(_summary(found))
    constants = sum(len(data) for _, data in job.image.segments)
    every = sum(form.bytes for form in (job.input, *job.outputs))
    on_chip = sum(size for first, size in job.tensor_ranges if first < config.on_chip_bytes)
    commands = job.count * len(job.stream()) // job.count
    facts_table = Table("memory", "bytes", "")
    facts_table.columns[1].justify = "right"
    for name, size, note in (
        ("input", job.input.bytes, f"{' x '.join(map(str, found.shape))} at {job.input.address:#x}, "
         f"{'signed' if found.signed else 'unsigned'}, a step is {found.input_scale:.6g}"),
        ("tensors", job.tensor_bytes, f"{every:,} of all tensors without sharing"),
        *([("on the chip", on_chip, f"of {config.on_chip_bytes:,}; what layers hand on, from address 0 on")]
          if config.on_chip_bytes else []),
        ("constant data", constants - commands, "weights, row programs, parameters"),
        ("commands", commands, f"{job.count:,} at {job.commands:#x}"),
        ("all", job.image.size, f"{job.image.base:#x}..{job.image.base + job.image.size - 1:#x}"),
        ("file", program.stat().st_size, str(program)),
    ):
        facts_table.add_row(name, f"{size:,}", note)
    screen.print(facts_table)
    for line in host_lines(found):
        screen.print(line, soft_wrap=True)
    if found.labels:
        screen.print(f"{len(found.labels)} classes")


def _summary(found: Program) -> str:
    """What the layers are expected to take together."""
    layers = found.layers
    cycles, moved = (sum(values) for values in (
        (one.expected_cycles for one in layers), (one.read_bytes + one.written_bytes for one in layers)))
    hidden = found.config.outstanding
    return (f"expected: {cycles:,.0f} cycles if memory gives a bus word a cycle and {hidden} bursts hide its latency, "
            f"{moved / 1e6:.1f} MB, compulsory {sum(one.compulsory_bytes for one in layers) / 1e6:.1f} MB")
