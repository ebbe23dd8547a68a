"""The cycle model of the whole accelerator against its RTL: every command is carried out in the same cycle.

ARCHITECTURE allows 2 % a layer and 1 % a network. Nothing that decides the time is left out of the model, so that there
is no difference at all with any latency, bandwidth and queue of the memory. A memory that pauses at random is refused.
"""

import numpy as np
import pytest
from accelerator_cases import CONFIGS, attempt, network_case, random_case
from phantom_compiler.accelerator.program import compile_program
from phantom_compiler.accelerator.random_network import random_activations, residual_network
from phantom_compiler.random_layers import KINDS
from phantom_compiler.random_networks import random_network
from phantom_sim.accelerator_cycles import accelerator_cycles
from phantom_sim.accelerator_exactness import compare_job
from phantom_sim.accelerator_simulator import AcceleratorSimulator, MemoryModel
from phantom_sim.network_run import RunSettings, run_rtl
from test_network_run import Network
from test_vector import CONFIGURATIONS, random_job

COUNTERS = ("cycles", "busy_threads", "read_beats", "write_beats")
MOST = 1_000_000


@pytest.fixture(scope="module")
def accelerator():
    """A function that gives the simulator of a configuration, opened once."""
    opened = {}

    def get(config):
        if config not in opened:
            opened[config] = AcceleratorSimulator(config)
        return opened[config]

    yield get
    for simulator in opened.values():
        simulator.close()


def draw_memory(rng):
    """How a memory without random pauses behaves."""
    return {"latency": int(rng.choice([0, 1, 20, 100, 300])), "bandwidth": float(rng.choice([0.1, 0.37, 1.0])),
            "queue": int(rng.choice([1, 4, 256]))}


def check(simulator, case, memory):
    """Every command of a job retires when the model says."""
    result, _ = attempt(simulator, case, memory=memory, marks=range(case.job.count))
    model = accelerator_cycles(case.job, case.activations, case.expected, MemoryModel(0, **memory), max_cycles=MOST)
    retired = [mark["cycles"] for mark in result.marks]
    assert retired and model.retired[:len(retired)].tolist() == retired
    assert {name: getattr(model, name) for name in COUNTERS} == {name: result.counters[name] for name in COUNTERS}
    assert sum(layer.cycles for layer in model.layers) == model.cycles
    return model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CONFIGS)
def test_random_layers(accelerator, name, kind):
    config = CONFIGS[name]
    check(accelerator(config), random_case(config, kind, 1), {"latency": 20})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CONFIGS)
def test_memories(accelerator, name, seed):
    """With whatever latency, bandwidth and queue."""
    print(f"seed {seed}")
    config, rng = CONFIGS[name], np.random.default_rng(seed)
    check(accelerator(config), random_case(config, str(rng.choice(KINDS)), seed), draw_memory(rng))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CONFIGS)
def test_jobs_of_three_layers(accelerator, name, seed):
    """A convolution, pooling, an addition."""
    config, rng = CONFIGS[name], np.random.default_rng(seed)
    model = check(accelerator(config), network_case(config, seed), draw_memory(rng))
    assert len(model.layers) == 3 and model.layers[0].busy_threads == model.busy_threads


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("place", ["front", "across", "behind"])
def test_memory_on_the_chip(accelerator, place, seed):
    """A job that begins in it, that lies across its end, or behind it."""
    print(f"seed {seed}")
    config, rng = CONFIGS["square"], np.random.default_rng([seed, len(place)])
    kind = str(rng.choice(["conv3x3", "pointwise"]))
    size = random_case(config, kind, seed).job.image.size
    behind = config.on_chip_bytes
    base = {"front": 0, "across": max(0, behind - 64 * int(rng.integers(1, size // 64))), "behind": behind}[place]
    case = random_case(config, kind, seed, base)
    model = check(accelerator(config), case, draw_memory(rng))
    [form] = case.job.outputs
    inside = form.address + form.bytes <= behind
    print(f"{kind}: {size} bytes from {base:#x} on, of them on the chip {behind:#x}")
    assert (model.write_beats == 0) == (inside or not case.expected[0].any())
    assert (model.read_beats == 0) == (case.end <= behind)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_vector_layers(accelerator, name, seed):
    """Pooling and addition of every kind."""
    print(f"seed {seed}")
    config, rng = CONFIGURATIONS[name], np.random.default_rng(seed)
    for _ in range(4):
        _, job, inputs, expected = random_job(config, rng)
        memory = draw_memory(rng) | {"queue": 256}
        done = compare_job(accelerator(config), job, inputs, expected, latency=memory["latency"],
                           bandwidth=memory["bandwidth"])
        model = accelerator_cycles(job, inputs, [expected], MemoryModel(0, **memory), max_cycles=MOST)
        assert not done.differences and model.busy_threads == 0
        assert {one: getattr(model, one) for one in COUNTERS} == {one: done.result.counters[one] for one in COUNTERS}


def check_program(simulator, program, activations, settings):
    """Every layer of a network takes as long as the model says."""
    found = run_rtl(program, activations, settings, simulator=simulator)
    memory = MemoryModel(0, settings.latency, settings.bandwidth)
    model = accelerator_cycles(program.job, activations, program.golden(activations), memory, max_cycles=MOST)
    assert found.difference == ""
    assert [layer.cycles for layer in model.layers] == [layer.cycles for layer in found.layers]
    assert [layer.busy_threads for layer in model.layers] == [layer.effectual_macs for layer in found.layers]
    assert model.cycles == found.total.cycles


@pytest.mark.parametrize(("latency", "bandwidth"), [(100, 1.0), (30, 0.25)])
@pytest.mark.parametrize("name", CONFIGS)
def test_network(accelerator, name, latency, bandwidth):
    """Convolutions, both kinds of pooling, a residual addition, a classifier; tensors share memory."""
    config, shape = CONFIGS[name], (1, 2, 13, 12)
    nodes = residual_network(shape, config, np.random.default_rng(11))
    activations = random_activations(shape, config, np.random.default_rng(12))
    program = compile_program(Network(nodes), config, base=8192)
    check_program(accelerator(config), program, activations, RunSettings(latency=latency, bandwidth=bandwidth))


@pytest.mark.parametrize("seed", range(4))
def test_random_networks(accelerator, seed):
    """With concatenations, and layers in any order."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    simulator = accelerator(CONFIGS["row"])
    network, activations = random_network(rng, simulator.config)
    program = compile_program(network, simulator.config, base=64 * int(rng.integers(1000)))
    check_program(simulator, program, activations, RunSettings(latency=int(rng.choice([1, 30, 200]))))


@pytest.mark.verify
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_random_layers(accelerator, name, seed):
    config, rng = CONFIGS[name], np.random.default_rng(seed)
    for kind in KINDS:
        check(accelerator(config), random_case(config, kind, seed), draw_memory(rng))


@pytest.mark.verify
@pytest.mark.parametrize("name", CONFIGS)
def test_many_random_networks(accelerator, name):
    for seed in range(100, 120):
        rng = np.random.default_rng(seed)
        simulator = accelerator(CONFIGS[name])
        network, activations = random_network(rng, simulator.config)
        program = compile_program(network, simulator.config, base=64 * int(rng.integers(1000)))
        check_program(simulator, program, activations, RunSettings(latency=int(rng.choice([1, 30, 200]))))


def test_results_decide_the_time():
    """Results of zeros are not written: the same layer with an output of zeros is another one."""
    cases = (random_case(CONFIGS["row"], "conv3x3", seed) for seed in range(1, 60))
    # a slot of one word of the bus is written whatever it holds
    case = next(case for case in cases if case.job.outputs[0].slot_words > 1 and case.expected[0].any())
    memory = MemoryModel(0, 20)
    full, none = (accelerator_cycles(case.job, case.activations, [output], memory, max_cycles=MOST)
                  for output in (case.expected[0], np.zeros_like(case.expected[0])))
    assert none.write_beats < full.write_beats and none.busy_threads == full.busy_threads


def test_refuses_what_it_does_not_know():
    case = random_case(CONFIGS["row"], "conv3x3", 1)
    with pytest.raises(ValueError, match=r"must not pause at random, not with a probability of 0\.3"):
        accelerator_cycles(case.job, case.activations, case.expected, MemoryModel(0, stall=0.3))
    with pytest.raises(ValueError, match="there must be 1 outputs, one for each layer, not 0"):
        accelerator_cycles(case.job, case.activations, [], MemoryModel(0))
    with pytest.raises(RuntimeError, match="command 0 is not carried out within 10 cycles"):
        accelerator_cycles(case.job, case.activations, case.expected, MemoryModel(0), max_cycles=10)
