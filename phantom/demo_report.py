"""What the demo shows and saves: the table, the figures as CSV and JSON, the plot of the threads over time."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import numpy as np
from phantom_hw.config import PhantomConfig
from rich import box
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from phantom.demo_run import LayerResult

__all__ = ["plot", "save", "table", "totals"]

COLUMNS = ("layer", "inputs -> filters", "slice", "weights\n≠ 0 %", "inputs\n≠ 0 %", "MMAC\neffectual", "MMAC\ndense",
           "cycles\n/ 1000", "threads\nbusy %", "speedup\n× dense", "cycles\nexact", "bit-\nexact")
WIDE_ONLY = COLUMNS[1], COLUMNS[5], COLUMNS[6]
WIDE = 145


def totals(results: Sequence[LayerResult], config: PhantomConfig) -> dict[str, float]:
    """Sums over layers, and the geometric means of utilization and speedup."""
    cycles = sum(r.cycles for r in results)
    effectual, dense = sum(r.effectual_macs for r in results), sum(r.dense_macs for r in results)
    capacity = cycles * config.core_threads

    def mean(values: list[float]) -> float:
        return float(np.exp(np.mean(np.log(np.maximum(values, 1e-12)))))

    return {
        "effectual_macs": effectual, "dense_macs": dense, "cycles": cycles,
        "thread_utilization": effectual / capacity, "dense_speedup": dense / capacity,
        "geomean_thread_utilization": mean([r.thread_utilization for r in results]),
        "geomean_dense_speedup": mean([r.dense_speedup for r in results]),
    }


def _exact(flag: bool) -> Text:
    return Text("yes", "green") if flag else Text("NO", "bold red")


def table(results: Sequence[LayerResult], config: PhantomConfig, width: int = WIDE) -> Table:
    """The figures of all layers, as a table; in less than `WIDE` columns without shapes and products."""
    wide = width >= WIDE
    shown = Table(
        title=f"one core of {config.name}: {config.pe_rows} × {config.pe_cols} PEs of {config.threads} threads, "
              f"L_f {config.lookahead}, {config.act_width}-bit activations, {config.weight_width}-bit weights",
        caption="slices have all input channels; threads busy = effectual MACs / (threads × cycles); "
                "speedup = dense MACs / (threads × cycles)",
        box=box.HEAVY_HEAD if wide else box.SIMPLE_HEAD, padding=(0, 1) if wide else 0, pad_edge=wide)
    columns = [column for column in COLUMNS if wide or column not in WIDE_ONLY]
    for header in columns:
        justify = "left" if header in COLUMNS[:3] else "center" if header in COLUMNS[-2:] else "right"
        shown.add_column(header, justify=cast(JustifyMethod, justify), overflow="fold")

    def add(cells: Sequence[str | Text]) -> None:
        """Add a row of a cell for each of `COLUMNS`."""
        shown.add_row(*(cell for header, cell in zip(COLUMNS, cells, strict=True) if header in columns))

    def numbers(effectual: float, dense: float, cycles: float, utilization: float, speedup: float) -> list[str]:
        return [f"{effectual / 1e6:.2f}", f"{dense / 1e6:.2f}", f"{cycles / 1e3:,.1f}", f"{100 * utilization:.1f}",
                f"{speedup:.2f}"]

    for r in results:
        add([r.layer, r.shape, r.slice, f"{100 * r.weight_density:.1f}", f"{100 * r.activation_density:.1f}",
             *numbers(r.effectual_macs, r.dense_macs, r.cycles, r.thread_utilization, r.dense_speedup),
             _exact(r.model_exact), _exact(r.bit_exact)])
    convolutions = [r for r in results if r.kind == "convolution"]
    if len(convolutions) > 1:
        total = totals(convolutions, config)
        keys = "effectual_macs", "dense_macs", "cycles", "thread_utilization", "dense_speedup"
        shown.add_section()
        add(["total", "", f"{len(convolutions)} convolutions", "", "", *numbers(*(total[key] for key in keys)),
             _exact(all(r.model_exact for r in convolutions)), _exact(all(r.bit_exact for r in convolutions))])
        add(["mean", "", "geometric", *[""] * 5, f"{100 * total['geomean_thread_utilization']:.1f}",
             f"{total['geomean_dense_speedup']:.2f}", "", ""])
    return shown


def save(results: Sequence[LayerResult], config: PhantomConfig, folder: Path, about: dict[str, Any]) -> None:
    """Write ``layers.csv`` and ``layers.json``; `about` says what was run."""
    names = [field.name for field in fields(LayerResult) if field.name not in ("occupancy", "bin_cycles")]
    rows = [{name: getattr(r, name) for name in names} for r in results]
    with open(folder / "layers.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    convolutions = [r for r in results if r.kind == "convolution"]
    content = {**about, "config": config.to_dict(), "layers": rows}
    if convolutions:
        content["convolutions"] = totals(convolutions, config)
    (folder / "layers.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def plot(results: Sequence[LayerResult], config: PhantomConfig, path: Path) -> None:
    """Draw how many threads are busy over time, a panel for each layer."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(3, len(results))
    lines = -(-len(results) // columns)
    figure = Figure(figsize=(4.4 * columns, 1.9 * lines + 0.8), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(lines, columns, sharey=True, squeeze=False)).ravel()
    for place, axis in enumerate(axes):
        if place >= len(results):
            axis.set_visible(False)
            continue
        r = results[place]
        time = np.append(np.arange(len(r.occupancy)) * r.bin_cycles, r.cycles) / 1000
        axis.stairs(r.occupancy * config.core_threads, time, fill=True, color="tab:blue", alpha=0.75)
        axis.axhline(r.thread_utilization * config.core_threads, color="tab:red", linewidth=1)
        axis.set_xlim(0, time[-1])
        axis.set_ylim(0, config.core_threads)
        where = "" if r.slice == "whole" else f" ({r.slice.split(',')[0]})"
        axis.set_title(f"{r.layer}{where}: {100 * r.thread_utilization:.0f} %", fontsize=9)
        axis.tick_params(labelsize=8)
        if place % columns == 0:
            axis.set_ylabel("busy threads", fontsize=8)
        if place + columns >= len(results):
            axis.set_xlabel("time (thousand cycles)", fontsize=8)
    figure.suptitle(f"Busy threads of {config.core_threads} in one {config.name} core, RTL; red: mean", fontsize=11)
    canvas.print_png(str(path))
