"""The accelerator from memory to memory: random layers give golden values, whatever the memory does."""

from collections import Counter

import numpy as np
import pytest
from accelerator_cases import CONFIGS, check, network_case, random_case, random_memory, two_layers, zeros_case
from phantom_compiler.random_layers import KINDS
from phantom_sim.accelerator_simulator import AcceleratorSimulator


@pytest.fixture(scope="module", params=CONFIGS)
def simulator(request):
    with AcceleratorSimulator(CONFIGS[request.param]) as simulator:
        yield simulator


def run(simulator, kind, seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    result = check(simulator, random_case(simulator.config, kind, seed), memory=random_memory(rng))
    assert result.cycles > 0 and result.counters["write_beats"] == result.write_beats > 0


@pytest.mark.parametrize("kind", KINDS)
def test_random_layers(simulator, kind):
    """One after another without reset."""
    run(simulator, kind, 1)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(100, 116))
def test_many_random_layers(simulator, seed):
    for kind in KINDS:
        run(simulator, kind, seed)


@pytest.mark.parametrize("seed", range(4))
def test_two_layers(simulator, seed):
    rng = np.random.default_rng(seed)
    check(simulator, two_layers(simulator.config, seed), memory=random_memory(rng))


@pytest.mark.verify
def test_many_pairs_of_layers(simulator):
    for seed in range(100, 160):
        rng = np.random.default_rng(seed)
        check(simulator, two_layers(simulator.config, seed), memory=random_memory(rng))


@pytest.mark.parametrize("seed", range(3))
def test_networks(simulator, seed):
    """With the vector unit; rows go through it and through the mesh in one job."""
    rng = np.random.default_rng(seed)
    check(simulator, network_case(simulator.config, seed), memory=random_memory(rng))


@pytest.mark.parametrize("nonzero", [0, 1, 15])
def test_filters_of_zeros(simulator, nonzero):
    check(simulator, zeros_case(simulator.config, nonzero))


def test_the_same_job_twice(simulator):
    """Without reset, in the same cycles: nothing of a job is left when it has ended."""
    case = random_case(simulator.config, "conv3x3", 5)
    first, second = (check(simulator, case) for _ in range(2))
    assert first == second


def again(case):
    """What is loaded or set a second time after rows were streamed."""
    seen, found = {}, Counter()
    for number, one in enumerate(case.instructions()):
        key = one.name, one.values.get("address")
        found["bands"] += one.name == "LOAD_MOVING" and "STREAM_MOVING" in seen
        found["programs"] += one.name == "LOAD_PROGRAM" and "STREAM_MOVING" in seen
        found["weights"] += one.name == "LOAD_STATIONARY" and key in seen
        found["parameters"] += one.name == "PARAMETERS" and "STREAM_MOVING" in seen
        seen[key] = seen[one.name] = number
    return found


def test_buffers_are_used_several_times():
    """The random layers of this file do not all fit the buffers at once."""
    found = Counter()
    for config in CONFIGS.values():
        for kind in KINDS:
            found.update(what for what, count in again(random_case(config, kind, 1)).items() if count)
    assert found["bands"] >= 10 and found["programs"] >= 20 and found["parameters"] >= 8 and found["weights"] >= 2


def test_input_formats_differ():
    """The layers of this file have inputs in slots of several rows, of one row, and of parts of rows."""
    forms = [random_case(config, kind, 1).job.input for config in CONFIGS.values() for kind in KINDS]
    assert sum(form.height > 1 for form in forms) >= 5
    assert sum(form.height == 1 and form.slots == 1 and form.shape[2] > 1 for form in forms) >= 5
    assert sum(form.slots > 1 for form in forms) >= 5
