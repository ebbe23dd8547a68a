"""``phantom demo``: a photo classified by a whole network on the Verilated accelerator."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from phantom_compiler.accelerator.host import host_lines
from phantom_compiler.accelerator.program import Pixels, Program, compile_program
from phantom_compiler.accelerator.program_file import write_program
from phantom_compiler.accelerator.quantized_network import QuantizedNetwork
from phantom_hw.config import PhantomConfig
from phantom_sim.accelerator_simulator import AcceleratorSimulator
from phantom_sim.network_run import RunSettings, run_rtl

from phantom import efficientnet
from phantom.demo_network import DemoError, load_photo, quantize_vgg16
from phantom.demo_report import DemoRun, headline, plot, save, summary, table
from phantom.options import ConfigFile, Preset, Settings, configuration, console, progress
from phantom.program_run import MismatchError, layer_costs, shown

__all__ = ["CALIBRATION", "CONFIG", "NETWORKS", "Given", "main"]

CONFIG = Path(__file__).with_name("demo.toml")
"""The configuration where none is named: little to build, and few simulated threads that are busy most of the time."""
CALIBRATION = ("astronaut", "rocket", "retina", "motorcycle_left")
"""Photos that the ranges and densities of the activations come from."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, eq=False)
class Given:
    """A network and its input.

    Attributes
    ----------
    network : QuantizedNetwork
    activations : integer array
        The photo.
    pixels : Pixels
    softmax : bool
        The outputs are no probabilities yet.
    note : str
        What must be known about the answers.
    """

    network: QuantizedNetwork
    activations: NDArray[np.int64]
    pixels: Pixels
    softmax: bool = False
    note: str = ""


def _efficientnet(photo: str, config: PhantomConfig) -> Given:
    image = efficientnet.network_photo(photo)
    calibration = np.concatenate([efficientnet.network_photo(name) for name in CALIBRATION])
    network = efficientnet.quantize_efficientnet(calibration, config)
    return Given(network, network.quantize_input(image), Pixels(1 / 128, -127 / 128), softmax=True)


def _vgg16(photo: str, config: PhantomConfig) -> Given:
    image = load_photo(photo)
    network = quantize_vgg16(np.concatenate([load_photo(name) for name in CALIBRATION]), config)
    return Given(network, network.quantize_input(image), Pixels(), note=(
        "the classes are those of the wheel's tumors, and pruning without training keeps the work, not the answers"))


NETWORKS: dict[str, Callable[[str, PhantomConfig], Given]] = {"efficientnet-lite0": _efficientnet, "vgg16": _vgg16}
"""Networks by their names: functions of the photo and the configuration."""


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"cannot write to {str(path)!r}: {error.strerror}") from None
    return path


def _prepare(
    name: str, photo: str, config: PhantomConfig, report: Callable[[str, str], None]
) -> tuple[Given, Program]:
    report("quantizing", name)
    given = NETWORKS[name](photo, config)
    program = compile_program(given.network, config, pixels=given.pixels,
                              progress=lambda layer: report("compiling", layer))
    return given, program


@app.command()
def demo(
    preset: Preset = None,
    file: ConfigFile = None,
    settings: Settings = None,
    network: Annotated[str, typer.Option(
        "--network", "-n", metavar="NAME", help=f"One of {', '.join(NETWORKS)}.")] = "efficientnet-lite0",
    photo: Annotated[str, typer.Option(metavar="NAME", help="A photo of scikit-image, or an image file.")] = "coffee",
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for figures.")] = Path(
        "build/demo"),
    threads: Annotated[int | None, typer.Option(min=1, help="Of the simulation of a large mesh.")] = None,
) -> int:
    """Classify a photo with a whole network, quantized to 8 bits, on the Verilated accelerator.

    Every value of every layer is compared with the golden model.
    """
    began = time.perf_counter()
    config = configuration(preset, CONFIG if preset is None and file is None else file, settings)
    if network not in NETWORKS:
        raise DemoError(f"--network must be one of {', '.join(NETWORKS)}, not {network!r}")
    folder = _folder(output)
    with progress() as report:
        given, program = _prepare(network, photo, config, report)
        for line in host_lines(program):
            console().print(line, soft_wrap=True)
        report("building", f"accelerator {config.name}")
        simulator = AcceleratorSimulator(config, threads=threads)
    with simulator:
        start = time.perf_counter()
        with shown(f"{network} on the accelerator", layer_costs(program)) as advance:
            result = run_rtl(program, given.activations, RunSettings(), simulator=simulator, progress=advance)
        simulated = time.perf_counter() - start
    run = DemoRun(result, network, photo, given.softmax, simulated, time.perf_counter() - began)
    try:
        write_program(program, folder / f"{network}.phantom")
        save(run, folder)
        plot(result, folder / "layers.png")
    except OSError as error:
        raise DemoError(f"cannot write to {str(folder)!r}: {error.strerror}") from None
    _conclude(run, folder, given.note)
    return 0


def _conclude(run: DemoRun, folder: Path, note: str) -> None:
    """Print everything; raise if anything differs."""
    screen, result = console(), run.result
    screen.print(headline(run))
    screen.print(table(result, screen.width))
    for name, share in run.classes():
        screen.print(f"{share:8.1%}  {name}")
    for line in (*summary(run), *([note] if note else [])):
        screen.print(line)
    screen.print(f"figures: {folder}/layers.csv, layers.json, layers.png; program: {folder}/{run.network}.phantom",
                 soft_wrap=True)
    if result.difference:
        raise MismatchError(result.difference)


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    return app(args=list(arguments), prog_name="phantom demo", standalone_mode=False) or 0
