"""The mesh against what it must give: values, products, and every cycle of the cycle model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.mesh_program import MeshProgram, MeshProgramError
from phantom_compiler.packing import unpack
from phantom_hw.config import PhantomConfig
from phantom_hw.mesh.packets import sum_packet

from phantom_sim.core_simulator import SimulationError
from phantom_sim.mesh_cycles import MeshCycles, mesh_cycles
from phantom_sim.mesh_simulator import MeshRun, MeshSimulator
from phantom_sim.results import wrap

__all__ = ["MeshStalls", "compare_mesh", "random_mesh", "random_mesh_stalls", "sums_of_cores"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class MeshStalls:
    """When the ends of the links are not ready, as :meth:`~.mesh_simulator.MeshSimulator.run` takes it."""

    moving_gaps: list[IntArray] | None = None
    stationary_gaps: list[IntArray] | None = None
    ready: NDArray[np.bool_] | None = None


def random_mesh_stalls(rng: np.random.Generator, program: MeshProgram) -> MeshStalls:
    """Stalls of any kind, from none to a crawl, each link for itself."""
    def gaps(links: list[NDArray[np.uint32]]) -> list[IntArray] | None:
        if rng.random() < 0.25:
            return None
        return [rng.integers(0, int(rng.choice([1, 3, 20])) + 1, len(packets))
                * (rng.random(len(packets)) < rng.choice([0.0, 0.1, 0.5])) for packets in links]

    ready = None
    if rng.random() < 0.75:
        links = program.config.mesh_rows * program.config.drain_lanes
        ready = rng.random((int(rng.integers(1, 100)), links)) < rng.choice([0.1, 0.5, 0.9], links)
        ready[rng.integers(len(ready), size=links), np.arange(links)] = True
    return MeshStalls(gaps(program.moving), gaps(program.stationary), ready)


def random_mesh(rng: np.random.Generator) -> PhantomConfig:
    """A legal configuration of a mesh, small enough to build in seconds."""
    cols = int(rng.integers(1, 5))
    values = {
        "mesh_rows": int(rng.integers(1, 4)), "mesh_cols": cols, "drain_lanes": int(rng.integers(1, cols + 1)),
        "pe_rows": int(rng.integers(1, 3)), "pe_cols": int(rng.integers(1, 4)), "threads": int(rng.integers(2, 4)),
        "lookahead": 6, "group": int(rng.choice([2, 3, 6])), "acc_depth": int(rng.choice([32, 64])),
        "row_slots": int(rng.choice([2, 4])), "row_width": 32, "item_slots": int(rng.choice([4, 16])),
        "moving_link": int(rng.choice([4, 8])), "chunk": int(rng.choice([8, 16, 32])),
    }
    return PhantomConfig.from_dict({"name": "random", **values})


def sums_of_cores(config: PhantomConfig, run: MeshRun) -> list[IntArray]:
    """The sums that each core gave, in their order.

    Raises
    ------
    MeshProgramError
        A sum came on another link than its core's.
    """
    fields = unpack(sum_packet(config), run.results)
    row, lane = np.divmod(run.result_links.astype(np.int64), config.drain_lanes)
    column = fields["core"]
    wanted = np.array([config.lane_of(c) for c in range(config.mesh_cols)])[column]
    if (wanted != lane).any():
        raise MeshProgramError(f"sum {int(np.argmax(wanted != lane))} came on a link of other cores")
    core = row * config.mesh_cols + column
    return [wrap(fields["value"][core == k], config.acc_width) for k in range(config.cores)]


def compare_mesh(
    simulator: MeshSimulator, program: MeshProgram, expected: IntArray, stalls: MeshStalls = MeshStalls(), *,
    reset: bool = True,
) -> list[str]:
    """Run a program on the RTL and on the models; a line for each kind of difference.

    Without ``reset``, the nodes of the result links take turns from where the run before left them, and cycles are not
    compared.
    """
    config = simulator.config
    try:
        run = simulator.run(
            program.moving, program.stationary, program.tiles, moving_gaps=stalls.moving_gaps,
            stationary_gaps=stalls.stationary_gaps, ready=stalls.ready, trace=True, reset=reset)
        output = program.assemble(sums_of_cores(config, run))
    except (SimulationError, MeshProgramError) as error:
        return [f"RTL: {error}"]
    found = []
    if not np.array_equal(output, expected):
        found.append(f"values: {int((output != expected).sum())} of {expected.size} differ")
    if run.products != program.effectual_macs:
        found.append(f"products: {run.products}, expected {program.effectual_macs}")
    if not reset:
        return found
    try:
        model = mesh_cycles(
            MeshCycles(config, program.moving, program.stationary), program.tiles, len(run.results),
            moving_gaps=stalls.moving_gaps, stationary_gaps=stalls.stationary_gaps, ready=stalls.ready, trace=True)
    except RuntimeError as error:
        return [*found, f"cycle model: {error}"]
    if model.cycles != run.cycles:
        found.append(f"cycles: RTL {run.cycles}, model {model.cycles}")
    elif run.activity is None or not np.array_equal(model.occupancy, run.activity):
        found.append("occupancy: RTL and model differ")
    order = np.lexsort((run.result_links, run.result_cycles))
    of_model = np.lexsort((model.result_lanes, model.result_cycles))
    if not (np.array_equal(model.result_cycles[of_model], run.result_cycles[order])
            and np.array_equal(model.result_lanes[of_model], run.result_links[order])):
        found.append("sums: RTL and model differ in when or where they come")
    return found
