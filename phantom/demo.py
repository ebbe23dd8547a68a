"""``phantom demo``: the layers of a pruned VGG16 on a real photo, RTL against golden model and cycle model."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from phantom_compiler.frontend import FloatNetwork
from phantom_compiler.quantization import LayerValues
from phantom_hw.config import PhantomConfig
from phantom_sim.core_simulator import CoreSimulator, SimulationError
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from phantom.demo_network import NAMES, SIZE, DemoError, load_photo, load_vgg16, vgg16_layers
from phantom.demo_report import plot, save, table
from phantom.demo_run import LayerResult, prepare_layer, run_layer
from phantom.options import ConfigFile, Preset, Settings, configuration, console

__all__ = ["DemoFailure", "main"]

PRESET = "ulx3s"
CYCLES = 1_000_000  # of each layer; whole layers take up to 20 million
FULL_SECONDS = 60.0
PROBE_CYCLES = 20_000

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class DemoFailure(RuntimeError):
    """The RTL does not do what the models say; one line that names the layer and the first difference."""


class _Cancelled(Exception):
    """Another layer failed, or the user stopped the demo."""


@dataclass(frozen=True)
class _Demo:
    """What all layers share: the configuration, the budget, the simulators and the progress bars."""

    config: PhantomConfig
    jobs: int
    progress: Progress
    simulators: list[CoreSimulator]  # those that are idle
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def quantize(
        self, network: FloatNetwork, image: NDArray[np.float32], wanted: set[int]
    ) -> dict[int, LayerValues]:
        """Quantize the network as far as it is wanted; the wanted layers by number."""
        task = self.progress.add_task("quantizing VGG16", total=max(wanted))
        found = {}
        steps = vgg16_layers(network, image, self.config)
        for number, values in enumerate(steps, 1):
            self.progress.update(task, completed=number)
            if number in wanted:
                found[number] = values
            if number == max(wanted):
                break
        self.progress.remove_task(task)
        if len(found) < len(wanted):
            raise DemoError(f"layer {NAMES[max(wanted) - 1]} needs a photo of {SIZE} x {SIZE}, not {image.shape[2:]}")
        return found

    def speed(self, values: LayerValues) -> float:
        """Simulated cycles a second, measured on a small slice of a layer."""
        prepared = prepare_layer(1, values, self.config, PROBE_CYCLES)
        start = time.perf_counter()
        self.simulators[0].run(*prepared.words, prepared.program.tiles, activity="trace")
        return prepared.model_cycles / (time.perf_counter() - start)

    def run(self, layers: dict[int, LayerValues], cycles: float) -> list[LayerResult]:
        """Run about so many cycles of each layer, several layers at a time."""
        total = self.progress.add_task("all layers", total=len(layers) * cycles)
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = [pool.submit(self._run_one, number, values, cycles, total) for number, values in layers.items()]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self.stop.set()  # also when interrupted
                pool.shutdown(cancel_futures=True)
        failed = [future.exception() for future in futures if not future.cancelled()]
        for error in failed:
            if error is not None and not isinstance(error, _Cancelled):
                raise error
        return [future.result() for future in futures]

    def _run_one(self, number: int, values: LayerValues, cycles: float, total: TaskID) -> LayerResult:
        name = values.quantized.layer.name
        task = self.progress.add_task(f"{name}: lowering", total=None)
        prepared = prepare_layer(number, values, self.config, cycles)
        self._correct(total, prepared.model_cycles - cycles)
        self.progress.reset(task, total=prepared.model_cycles, description=f"{name}: RTL")
        done = 0

        def report(now: int, _tiles: int) -> None:
            nonlocal done
            if self.stop.is_set():
                raise _Cancelled
            self.progress.update(task, completed=now)
            self.progress.advance(total, now - done)
            done = now

        simulator = self.simulators.pop()
        try:
            return run_layer(simulator, prepared, report)
        except SimulationError as error:
            raise DemoFailure(f"layer {name}: {error}") from None
        finally:
            self.simulators.append(simulator)
            self.progress.remove_task(task)

    def _correct(self, task: TaskID, cycles: float) -> None:
        """Replace an estimate in the total by what the cycle model says."""
        with self.lock:
            total = next(t.total or 0.0 for t in self.progress.tasks if t.id == task)
            self.progress.update(task, total=total + cycles)


def _numbers(text: str | None) -> set[int]:
    """Layers from a list like ``1,3-5``; all for None."""
    everything = set(range(1, len(NAMES) + 1))
    if text is None:
        return everything
    chosen: set[int] = set()
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise DemoError(f"--layers must be numbers and ranges like 1,3-5, not {text!r}")
        chosen |= set(range(int(first), int(last or first) + 1))
    if not chosen or not chosen <= everything:
        raise DemoError(f"--layers must be in 1..{len(NAMES)}, not {text!r}")
    return chosen


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"cannot write to {str(path)!r}: {error.strerror}") from None
    return path


@app.command()
def demo(
    preset: Preset = None,
    file: ConfigFile = None,
    settings: Settings = None,
    photo: Annotated[str, typer.Option(metavar="NAME", help="A photo of scikit-image, or an image file.")] = "coffee",
    layers: Annotated[str | None, typer.Option(
        metavar="LIST", help=f"Layers to run, like 1,3-5; all {len(NAMES)} by default.")] = None,
    cycles: Annotated[int | None, typer.Option(
        min=1, metavar="N", help=f"Clock cycles to simulate of each layer, about; {CYCLES:,} by default.")] = None,
    seconds: Annotated[float | None, typer.Option(
        min=0.1, metavar="S", help="Instead of --cycles: seconds of simulation of each layer, about.")] = None,
    full: Annotated[bool, typer.Option(
        "--full", help=f"Whole layers where they take less than {FULL_SECONDS:.0f} s, as much elsewhere.")] = False,
    jobs: Annotated[int, typer.Option(
        "--jobs", "-j", min=1, max=64, metavar="N", help="Layers that are simulated at the same time.",
        show_default=False)] = min(2, os.cpu_count() or 1),
    size: Annotated[int, typer.Option(min=32, max=480, metavar="N", help="Height and width of the input.")] = SIZE,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for figures.")] = Path(
        "build/demo"),
) -> int:
    """Run real layers of a real network, VGG16, pruned and quantized to 8 bits, on the Verilated core.

    Every sum of the RTL is compared with the golden model, every cycle with the cycle model. A layer that takes too
    long is cut to output rows from the middle of the image (all input channels, all filters).
    """
    began = time.perf_counter()
    config = configuration(PRESET if preset is None and file is None else preset, file, settings)
    wanted = _numbers(layers)
    if sum((cycles is not None, seconds is not None, full)) > 1:
        raise DemoError("give only one of --cycles, --seconds and --full")
    folder = _folder(output)
    network, image = load_vgg16(), load_photo(photo, size)
    bars = Progress(
        TextColumn("{task.description:<18}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn(), console=console(stderr=True), transient=True)
    with bars as progress:
        building = progress.add_task("building the core", total=None)
        simulators = [CoreSimulator(config) for _ in range(jobs)]
        progress.remove_task(building)
        work = _Demo(config, jobs, progress, list(simulators))
        values = work.quantize(network, image, wanted)
        budget = FULL_SECONDS if full else seconds
        share = float(cycles or CYCLES) if budget is None else budget * work.speed(next(iter(values.values())))
        start = time.perf_counter()
        results = work.run(values, share)
        simulated = time.perf_counter() - start
    for simulator in simulators:
        simulator.close()
    about = {"network": "VGG16", "photo": photo, "size": size}
    try:
        save(results, config, folder, about)
        plot(results, config, folder / "occupancy.png")
    except OSError as error:
        raise DemoError(f"cannot write to {str(folder)!r}: {error.strerror}") from None
    _conclude(results, config, folder, simulated, time.perf_counter() - began)
    return 0


def _conclude(results: list[LayerResult], config: PhantomConfig, folder: Path, simulated: float, wall: float) -> None:
    """Print the table; raise if anything differs."""
    screen = console()
    screen.print(table(results, config, screen.width))
    million = sum(r.cycles for r in results) / 1e6
    screen.print(f"{million:.2f} million cycles of RTL in {simulated:.1f} s: {1000 * million / simulated:.0f} kHz; "
                  f"{wall:.1f} s in all")
    screen.print(f"figures: {folder}/layers.csv, {folder}/layers.json; busy threads over time: {folder}/occupancy.png")
    for r in results:
        if r.difference:
            raise DemoFailure(f"layer {r.layer}: {r.difference}")


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    return app(args=list(arguments), prog_name="phantom demo", standalone_mode=False) or 0
