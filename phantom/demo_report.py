"""What the demo shows and saves: the table of layers, classes and totals, the figures as CSV and JSON, the plot."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from phantom_sim.run_result import RunResult
from rich import box
from rich.table import Table
from rich.text import Text

__all__ = ["DemoRun", "headline", "plot", "save", "summary", "table"]

WIDE = 130
WIDE_ONLY = ("kind", "effectual MACs", "read kB", "written kB")
CLASSES = 5
LABELLED = 0.035
"""A layer has its name in the plot from this share of the cycles on."""


@dataclass(frozen=True, eq=False)
class DemoRun:
    """A network on the accelerator, and the time that it took.

    Attributes
    ----------
    result : RunResult
    network, photo : str
    softmax : bool
        The outputs are no probabilities yet.
    simulated, wall : float
        Seconds of the simulation, and of everything.
    """

    result: RunResult
    network: str
    photo: str
    softmax: bool
    simulated: float
    wall: float

    @property
    def cycles(self) -> int:
        """Clock cycles of all layers."""
        return self.result.total.cycles or 0

    @property
    def dense_speedup(self) -> float:
        """Dense MACs / (threads x cycles): against the same threads, all of them always busy, without skipping."""
        config = self.result.config
        return self.result.total.dense_macs / (config.cores * config.core_threads * max(1, self.cycles))

    def classes(self) -> list[tuple[str, float]]:
        """The best classes and their probabilities."""
        if not self.result.classes:
            return []
        scores = self.result.outputs[0][0].ravel().astype(np.float64)
        powers = np.exp(scores - scores.max()) if self.softmax else scores
        shares = np.sort(powers / powers.sum())[::-1]
        return [(name, float(share)) for (name, _), share in zip(self.result.classes[:CLASSES], shares, strict=False)]


def _exact(result: RunResult, number: int) -> Text:
    """Whether a layer, or with its number behind the last one everything, gave the golden model's values."""
    if number < result.compared or (number == result.compared == len(result.layers) and not result.difference):
        return Text("yes", "green")
    wrong = result.difference and number in (result.compared, len(result.layers))
    return Text("NO", "bold red") if wrong else Text("")


def headline(run: DemoRun) -> str:
    """What ran."""
    c, memory = run.result.config, run.result.memory or {}
    cores = f"{c.mesh_rows} × {c.mesh_cols} cores" if c.cores > 1 else "one core"
    return (f"{run.network}, photo {run.photo}, accelerator {c.name}: {cores} of {c.pe_rows} × {c.pe_cols} PEs of "
            f"{c.threads} threads, L_f {c.lookahead}; memory of {memory.get('latency')} cycles latency, "
            f"{memory.get('bytes_per_cycle', 0):g} bytes a cycle each way")


def table(result: RunResult, width: int = WIDE) -> Table:
    """The figures of all layers; in less than ``WIDE`` columns without some of them."""
    wide = width >= WIDE
    names = [name for name in result.COLUMNS if wide or name not in WIDE_ONLY]
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1) if wide else 0, pad_edge=False)
    for name in names:
        shown.add_column(name, justify="left" if name in ("layer", "kind") else "right")
    shown.add_column("bit-exact", justify="center")
    rows = result.rows()
    for number, row in enumerate(rows):
        cells = [cell for name, cell in zip(result.COLUMNS, row, strict=True) if name in names]
        shown.add_row(*cells, _exact(result, number), end_section=number == len(rows) - 2)
    return shown


def summary(run: DemoRun) -> list[str]:
    """Totals, a line each."""
    result, total = run.result, run.result.total
    exact = "" if result.difference else ", bit-exact: every value is the golden model's"
    cycles, effectual, dense = (number / 1e6 for number in (run.cycles, total.effectual_macs, total.dense_macs))
    return [
        f"{result.compared} of {len(result.layers)} layers{exact}",
        f"{cycles:.2f} million cycles, {effectual:.1f} of {dense:.1f} million MACs effectual, "
        f"{total.utilization or 0:.1%} of the threads busy, {run.dense_speedup:.2f} × as fast as the same threads "
        "always busy without skipping",
        f"RTL simulated in {run.simulated:.1f} s: {1000 * cycles / run.simulated:.1f} kHz, "
        f"{effectual / run.simulated:.2f} million effectual MACs a second; {run.wall:.1f} s in all",
    ]


def save(run: DemoRun, folder: Path) -> None:
    """Write ``layers.csv`` and ``layers.json``."""
    (folder / "layers.csv").write_text(run.result.to_csv(), encoding="utf-8")
    content = {
        "network": run.network, "photo": run.photo, "seconds": {"simulation": run.simulated, "all": run.wall},
        "kilohertz": run.cycles / run.simulated / 1000, "dense_speedup": run.dense_speedup,
        "effectual_macs_per_second": run.result.total.effectual_macs / run.simulated,
        "probabilities": [{"name": name, "share": share} for name, share in run.classes()], **run.result.to_dict(),
    }
    (folder / "layers.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def plot(result: RunResult, path: Path) -> None:
    """Draw, layer by layer over the cycles, which share of the threads is busy and what the others wait for."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layers = result.layers
    cycles = np.array([layer.cycles or 0 for layer in layers])
    edges = np.concatenate([[0], np.cumsum(cycles)]) / 1e6
    figure = Figure(figsize=(13, 6.5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    busy, stalls = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    utilization = 100 * np.array([layer.utilization or 0.0 for layer in layers])
    busy.stairs(utilization, edges, fill=True, color="tab:blue", alpha=0.75)
    busy.vlines(edges, 0, 100, color="white", linewidth=0.4)
    mean = 100 * (result.total.utilization or 0.0)
    busy.axhline(mean, color="tab:red", linewidth=1)
    for number in np.flatnonzero(cycles > LABELLED * cycles.sum()):
        busy.text((edges[number] + edges[number + 1]) / 2, 2, layers[number].name, rotation=90, fontsize=7,
                  ha="center", va="bottom")
    busy.set_ylim(0, 100)
    busy.set_ylabel("threads busy (%)")
    busy.set_title(f"{result.program} on the accelerator {result.config.name}, RTL; red: mean, {mean:.0f} %",
                   fontsize=11)
    for name, what in (("moving_starved", "PEs wait for rows"), ("stationary_starved", "PEs wait for items"),
                       ("drain", "cores drain")):
        stalls.stairs([100 * (getattr(layer, name) or 0.0) for layer in layers], edges, label=what)
    stalls.set_ylim(0, 100)
    stalls.set_ylabel("share (%)")
    stalls.set_xlabel("time (million cycles)")
    stalls.legend(fontsize=8, loc="upper right")
    busy.set_xlim(0, max(edges[-1], 1e-9))
    canvas.print_png(str(path))
