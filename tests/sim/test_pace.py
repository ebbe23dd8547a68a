"""The search's estimate of the mesh against the cycle model, which is the RTL's time: clustered activations."""

from dataclasses import replace

import numpy as np
import pytest
from phantom_compiler import Conv2d
from phantom_compiler.activity import Activity
from phantom_compiler.mesh_lowering import lower_to_mesh
from phantom_compiler.search import ranked
from phantom_compiler.tiling import Array, Sharing, tilings
from phantom_hw import PhantomConfig
from phantom_sim.mesh_cycles import MeshCycles, mesh_cycles

CONFIGS = {
    "deep": PhantomConfig(mesh_rows=2, mesh_cols=3, lookahead=18, group=9, row_slots=8, item_slots=32, acc_depth=512,
                          split_banks=True, drain_lanes=3),
    "shallow": PhantomConfig(mesh_rows=2, mesh_cols=2, row_slots=4, item_slots=16, drain_lanes=2, split_banks=True),
    "paper": replace(PhantomConfig.preset("paper"), mesh_rows=2, mesh_cols=3, drain_lanes=3,
                     moving_loaders=2),
}
TRIED = 8


def clustered(rng, shape, density):
    """Nonzeros in patches, as activations have them: noise, smoothed, over a threshold of each channel."""
    noise = rng.normal(size=shape)
    for axis in (2, 3):
        for _ in range(3):
            noise = noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)
    levels = [np.quantile(noise[:, channel], 1 - density * rng.uniform(0.2, 1.8)) for channel in range(shape[1])]
    return noise > np.array(levels)[None, :, None, None]


@pytest.mark.parametrize("name", CONFIGS)
def test_estimates_meet_the_cycle_model(name):
    config, seed = CONFIGS[name], list(CONFIGS).index(name)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 100, (40, 32, 3, 3)) * (rng.random((40, 32, 3, 3)) < rng.uniform(0.1, 0.5, 40)[
        :, None, None, None])
    layer = Conv2d(weights, padding=(1,) * 4)
    shape = (1, 32, 24, 24)
    activations = rng.integers(1, 255, shape) * clustered(rng, shape, 0.4)
    array = Array.mesh(config)
    problem = layer.problem(activations).flattened()
    activity = Activity(problem, 0.4, problem.moving != 0)
    found, _ = ranked([tiling for tiling in tilings(problem, config, array, activity)
                       if tiling.sharing is not Sharing.FILTERS], activity, config, array)
    real = []
    for tiling in found[:TRIED]:
        program = lower_to_mesh(layer, activations, config, density=activity.seen.mean(axis=(0, 2, 3)), tiling=tiling)
        sums = sum(index.size for index in program.out_index)
        cycles = mesh_cycles(MeshCycles(config, program.moving, program.stationary), program.tiles, sums).cycles
        print(tiling, cycles, cycles / tiling.cycles)
        real.append(cycles)
        assert cycles == pytest.approx(tiling.cycles, rel=0.15)
    assert real[0] < 1.08 * min(real)
