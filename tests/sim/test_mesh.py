"""The mesh, memory-free: random layers on random meshes give golden values in the cycles of the model."""

from dataclasses import replace

import numpy as np
import pytest
from phantom_compiler.balance import Balance
from phantom_compiler.mesh_lowering import lower_to_mesh
from phantom_compiler.random_layers import KINDS, random_layer
from phantom_compiler.tiling import Array, Sharing, tilings
from phantom_hw import PhantomConfig
from phantom_sim.core_simulator import SimulationError
from phantom_sim.mesh_cycles import MeshCycles, mesh_cycles
from phantom_sim.mesh_exactness import compare_mesh, random_mesh, random_mesh_stalls
from phantom_sim.mesh_simulator import MeshSimulator

CYCLES = (200, 2000)
MESHES = {
    "row": replace(PhantomConfig.preset("tiny"), mesh_cols=3, drain_lanes=2, pe_cols=1),
    "square": replace(PhantomConfig.preset("tiny"), mesh_rows=2, drain_lanes=2, item_slots=8, split_banks=True),
    "column": replace(PhantomConfig.preset("tiny"), mesh_rows=3, mesh_cols=1, drain_lanes=1, skip_empty=True),
}


@pytest.fixture(scope="module", params=MESHES)
def simulator(request):
    with MeshSimulator(MESHES[request.param]) as simulator:
        yield simulator


def lowered(config, kind, seed, **options):
    rng = np.random.default_rng([*np.atleast_1d(seed), KINDS.index(kind)])
    layer, activations = random_layer(rng, config, kind, CYCLES)
    return rng, layer.golden(activations), lower_to_mesh(layer, activations, config, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_random_layers(simulator, kind):
    rng, expected, program = lowered(simulator.config, kind, 1)
    for number in range(2):
        stalls = random_mesh_stalls(rng, program)
        assert compare_mesh(simulator, program, expected, stalls, reset=number == 0) == []


@pytest.mark.parametrize("sharing", Sharing)
def test_every_sharing(simulator, sharing):
    kind = "grouped" if sharing is Sharing.NOTHING else "conv3x3"
    rng = np.random.default_rng(7)
    layer, activations = random_layer(rng, simulator.config, kind, CYCLES)
    array = Array.mesh(simulator.config)
    fitting = [tiling for tiling in tilings(layer.problem(activations), simulator.config, array)
               if tiling.sharing is sharing]
    if not fitting:
        assert sharing is Sharing.CORES and (array.of_core == 1 or array.of_core == array.columns)
        return
    tiling = min(fitting, key=lambda tiling: tiling.cycles)
    program = lower_to_mesh(layer, activations, simulator.config, tiling=tiling, balance=Balance.NONE)
    assert compare_mesh(simulator, program, layer.golden(activations), random_mesh_stalls(rng, program)) == []


def test_reset_in_the_middle_leaves_no_trace(simulator):
    _, expected, program = lowered(simulator.config, "conv3x3", 3)
    with pytest.raises(SimulationError, match="not finished in time"):
        simulator.run(program.moving, program.stationary, program.tiles, max_cycles=60)
    assert compare_mesh(simulator, program, expected) == []


def test_what_waits_for_missing_items_is_named(simulator):
    _, _, program = lowered(simulator.config, "dense", 3)
    with pytest.raises(SimulationError, match="nothing moved any more; moving link 0 at packet"):
        simulator.run(program.moving, [packets[:3] for packets in program.stationary], program.tiles, stall_limit=300)


def test_model_says_when_nothing_moves():
    config = MESHES["square"]
    _, _, program = lowered(config, "conv3x3", 3)
    with pytest.raises(RuntimeError, match="nothing moves any more in cycle"):
        mesh_cycles(MeshCycles(config, [packets[:3] for packets in program.moving], program.stationary),
                    program.tiles, 10_000)


@pytest.mark.verify  # a build of a minute each
@pytest.mark.parametrize("seed", range(8))
def test_random_meshes(seed):
    rng = np.random.default_rng(seed)
    config = random_mesh(rng)
    print(f"seed {seed}: {config}")
    with MeshSimulator(config) as simulator:
        for number in range(130):
            _, expected, program = lowered(config, KINDS[number % len(KINDS)], [seed, number])
            assert compare_mesh(simulator, program, expected, random_mesh_stalls(rng, program)) == [], number
