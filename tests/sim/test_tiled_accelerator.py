"""The accelerator with its mesh put together from Verilated tiles is the accelerator, cycle for cycle."""

from dataclasses import replace

import pytest
from accelerator_cases import random_case
from phantom_hw import PhantomConfig
from phantom_sim.accelerator_exactness import compare_job
from phantom_sim.accelerator_simulator import AcceleratorSimulator

CONFIG = replace(PhantomConfig.preset("tiny"), mesh_rows=2)


@pytest.fixture(scope="module")
def simulators():
    """The whole accelerator; tiles in one thread; tiles in more threads than the machine may have; tiles in lanes."""
    opened = [AcceleratorSimulator(CONFIG, tiled=False), *(
        AcceleratorSimulator(CONFIG, tiled=True, threads=threads, lanes=lanes)
        for threads, lanes in ((1, 0), (3, 0), (1, 4), (2, 4)))]
    yield opened
    for simulator in opened:
        simulator.close()


@pytest.mark.parametrize("kind", ["conv3x3", "matmul"])
@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_same_job(simulators, kind, stall):
    seed = 21
    print(f"seed {seed}")
    case = random_case(CONFIG, kind, seed)
    for simulator in simulators:
        simulator.reset()
    whole, *tiled = [compare(simulator, case, stall=stall, seed=seed) for simulator in simulators]
    assert whole.differences == []
    for one in tiled:
        assert one.differences == [] and one.result == whole.result


def test_same_cycles_when_a_job_is_aborted(simulators):
    case = random_case(CONFIG, "conv3x3", 22)
    for simulator in simulators:
        simulator.reset()
    stopped = [compare(simulator, case, abort_after=900).result for simulator in simulators]
    assert stopped[0].status.name == "ABORTED" and stopped[1:] == stopped[:1] * 4
    for simulator in simulators:  # and nothing of it is left in the mesh
        assert compare(simulator, case).differences == []


def compare(simulator, case, **options):
    [expected] = case.expected
    return compare_job(simulator, case.job, case.activations, expected, **options)
