"""A whole network from a program file, on the golden model and on the Verilated accelerator, layer by layer."""

import csv
import io
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from accelerator_cases import AXI, CONFIGS
from phantom_compiler.accelerator.program import ProgramError, compile_program
from phantom_compiler.accelerator.program_file import read_program, write_program
from phantom_compiler.accelerator.random_network import random_activations, residual_network
from phantom_compiler.quantized import QuantizedLayer
from phantom_compiler.random_networks import random_network
from phantom_hw.config import PhantomConfig
from phantom_sim.accelerator_simulator import AcceleratorSimulator, MemoryModel, MemoryRange, build_accelerator
from phantom_sim.core_simulator import SimulationError
from phantom_sim.network_run import RunError, RunSettings, run_golden, run_rtl
from phantom_sim.run_result import LayerRun
from phantom_sim.visible import make_visible, waiting_streams

CONFIG = CONFIGS["row"]
SHAPE = (1, 2, 13, 12)
SEED = 11


@dataclass(frozen=True)
class Network:
    """A quantized network."""

    nodes: Any
    name: str = "residual"
    shape: tuple[int, int, int, int] = SHAPE
    signed: bool = False
    input_scale: float = 1 / 255
    output_scales: tuple[float, ...] = ()
    before: bytes | None = None
    after: bytes | None = None
    labels: tuple[str, ...] = ("a", "b", "c", "d", "e")


@pytest.fixture(scope="module")
def simulator():
    with AcceleratorSimulator(CONFIG) as opened:
        yield opened


@pytest.fixture(scope="module")
def activations():
    return random_activations(SHAPE, CONFIG, np.random.default_rng(SEED + 1))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """From its file."""
    print(f"seed {SEED}")
    nodes = residual_network(SHAPE, CONFIG, np.random.default_rng(SEED))
    path = tmp_path_factory.mktemp("programs") / "residual.phantom"
    write_program(compile_program(Network(nodes), CONFIG, base=8192), path)
    return read_program(path, CONFIG)


def test_golden_and_rtl(program, activations, simulator):
    golden = run_golden(program, activations)
    rtl = run_rtl(program, activations, simulator=simulator)
    assert rtl.difference == "" and rtl.compared == len(program.nodes)
    assert np.array_equal(golden.values[0], rtl.values[0])
    assert golden.classes == rtl.classes and len(rtl.classes) == 5
    assert [layer.name for layer in rtl.layers] == [node.name for node in program.nodes]
    for counted, known in zip(rtl.layers, golden.layers, strict=True):
        assert counted.effectual_macs == known.effectual_macs  # each product of nonzeros once, no other one
        assert counted.cycles > 0 and counted.read_bytes > 0 and counted.written_bytes > 0
    for name in ("cycles", "effectual_macs", "dense_macs", "read_bytes", "written_bytes", "commands"):
        assert sum(getattr(layer, name) for layer in rtl.layers) == getattr(rtl.total, name), name
    assert rtl.total.commands == program.job.count
    assert 0 < rtl.total.utilization < 1


def check_random_network(simulator, seed, path):
    """From a file, with whatever memory."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network, activations = random_network(rng, simulator.config)
    write_program(compile_program(network, simulator.config, base=64 * int(rng.integers(1000))), path)
    program = read_program(path)
    golden = run_golden(program, activations)
    settings = RunSettings(latency=int(rng.choice([1, 30, 200])), bandwidth=float(rng.choice([0.2, 1.0])))
    rtl = run_rtl(program, activations, settings, simulator=simulator)
    assert rtl.difference == "" and rtl.compared == len(network.nodes)
    for left, right in zip(golden.outputs, rtl.outputs, strict=True):
        assert np.array_equal(left, right)
    assert [layer.effectual_macs for layer in rtl.layers] == [layer.effectual_macs for layer in golden.layers]


@pytest.mark.parametrize("seed", range(6))
def test_random_networks(simulator, tmp_path, seed):
    check_random_network(simulator, seed, tmp_path / "x.phantom")


@pytest.mark.verify
@pytest.mark.parametrize("name", CONFIGS)
def test_many_random_networks(tmp_path, name):
    with AcceleratorSimulator(CONFIGS[name]) as opened:
        for seed in range(100, 170):
            check_random_network(opened, seed, tmp_path / "x.phantom")


def test_memory_without_reuse(program, activations, simulator):
    """All tensors at the end, too."""
    kept = compile_program(Network(program.nodes), CONFIG, reuse=False)
    assert kept.job.tensor_bytes > program.job.tensor_bytes
    assert run_rtl(kept, activations, simulator=simulator).difference == ""


def test_looking_on_does_not_disturb(program, activations, simulator):
    job, cycles = program.job, []
    for marks in ([], job.starts, range(0, job.count, 3)):
        memory = simulator.connect(MemoryModel(program.memory_bytes), [MemoryRange(job.image.base, job.tensor_bytes)])
        job.fill(memory, activations)
        result = simulator.run(job.commands, job.count, marks=list(marks), reached=lambda mark: simulator.signals())
        cycles.append((result.cycles, result.counters))
        assert len(result.marks) == len(marks)
    assert cycles[1:] == cycles[:1] * 2


def test_counters_are_those_of_the_registers(simulator):
    assert simulator.counters() == {name: simulator.read(name) for name in simulator.counters()}


@pytest.mark.parametrize("layers", [(0, 0), (1, 1), (2, 4), (4, 4), (5, 6), (6, 6)])
def test_ranges_of_layers(program, activations, simulator, layers):
    """From recorded inputs."""
    first, last = layers
    found = run_rtl(program, activations, RunSettings(layers=layers), simulator=simulator)
    assert found.difference == "" and found.compared == last - first + 1
    assert [layer.name for layer in found.layers] == [node.name for node in program.nodes[first:last + 1]]
    assert np.array_equal(found.values[0], program.golden(activations)[last])
    whole = run_rtl(program, activations, RunSettings(compare=False), simulator=simulator)
    assert [layer.effectual_macs for layer in found.layers] == [
        layer.effectual_macs for layer in whole.layers[first:last + 1]]


def test_ranges_that_are_wrong(program, activations):
    with pytest.raises(RunError, match=r"layers must be a range in 0\.\.6, not 3-7"):
        run_rtl(program, activations, RunSettings(layers=(3, 7)))


def test_names_the_first_difference(program, activations, simulator):
    """With another bias in the golden model's third layer; those behind it differ, too."""
    nodes = list(program.nodes)
    operation = nodes[2].operation
    assert isinstance(operation, QuantizedLayer)
    bias = operation.bias.copy()
    bias[3] += 40 << 16
    nodes[2] = replace(nodes[2], operation=replace(operation, bias=bias))
    other = replace(program, nodes=tuple(nodes))
    right, wrong = (one.golden(activations)[2] for one in (program, other))
    place = tuple(int(i) for i in np.argwhere(right != wrong)[0])
    found = run_rtl(other, activations, simulator=simulator)
    assert found.compared == 2
    assert found.difference == (f"layer 'block1': {np.count_nonzero(right != wrong)} of {right.size} values differ, "
                                f"the first at {place}: {right[place]}, not {wrong[place]}")


def test_a_job_that_does_not_go_on(program, activations, simulator):
    """The line says where, and what is waited for."""
    settings = RunSettings(latency=1 << 40, watchdog=3000)
    with pytest.raises(RunError) as caught:
        run_rtl(program, activations, settings, simulator=simulator)
    text = str(caught.value)
    assert text.startswith("layer 'stem': the job ended with WATCHDOG; at command 0") and "\n" not in text
    assert "reads under way in memory" in text
    simulator.reset()
    assert run_rtl(program, activations, simulator=simulator).difference == ""


def test_an_error_names_the_layer(program, activations, simulator):
    image = program.job.image
    first = program.job.starts[3]
    job = replace(program.job, image=replace(image, segments=[
        (address, np.where(np.arange(len(data)) == 64 * first, 0xFF, data) if address == program.job.commands else data)
        for address, data in image.segments]))
    with pytest.raises(RunError, match=r"layer 'block1': the job ended with ILLEGAL_OPCODE at 0x"):
        run_rtl(replace(program, job=job), activations, simulator=simulator)


def test_figures_as_json_and_csv(program, activations, simulator):
    found = run_rtl(program, activations, simulator=simulator)
    values = json.loads(found.to_json())
    assert values["total"]["cycles"] == found.total.cycles and values["layers"][3]["name"] == "block2"
    assert values["outputs"][0]["values"] == found.outputs[0].ravel().tolist()
    assert values["config"]["name"] == CONFIG.name and values["memory"]["latency"] == 100
    names, units, *rows = csv.reader(io.StringIO(found.to_csv()))
    assert len(rows) == len(program.nodes) + 1 and units[names.index("cycles")] == "clock cycles"
    assert int(rows[-1][names.index("cycles")]) == found.total.cycles
    assert set(values["units"]) | {"name", "kind"} == set(LayerRun.__dataclass_fields__)
    assert {len(row) for row in found.rows()} == {len(found.COLUMNS)}


def test_another_configuration(program, activations, simulator):
    other = compile_program(Network(program.nodes), replace(CONFIG, lane_channels=32))
    with pytest.raises(ProgramError, match="program 'residual' is compiled for lane_channels = 32, not 16"):
        run_rtl(other, activations, simulator=simulator)


def test_streams_that_wait():
    streams = {"requests__4": (1, 0), "requests__1": (1, 1), "mesh__moving__3": (1, 0), "write_data": (1, 0),
               "tiles__0": (0, 0)}
    signals = {f"a.inner.{name}__{end}": value for name, ends in streams.items()
               for end, value in zip(("valid", "ready"), ends, strict=True)}
    assert waiting_streams(signals) == ["moving loader waits for read port", "row streamer 3 waits for mesh row 3",
                                        "result writer waits for write port"]


def test_verilog_without_counters():
    with pytest.raises(ValueError, match="no performance counters where they are expected"):
        make_visible("module top ();\nendmodule\n")


def test_waveforms_that_cannot_be(simulator, tmp_path):
    with pytest.raises(SimulationError, match="the simulator was built without waveforms"):
        simulator.record(tmp_path / "x.vcd", 0, 10)
    with pytest.raises(SimulationError, match=r"cannot write '.*no/x\.vcd': No such file or directory"):
        simulator.record(tmp_path / "no" / "x.vcd", 0, 10)


def test_no_waveform_in_tiles():
    with pytest.raises(SimulationError, match="there is no waveform of 28 cores: a mesh of more than"):
        build_accelerator(PhantomConfig.preset("paper"), trace=True)


@pytest.mark.verify
def test_waveform(tmp_path):
    """A window of cycles; the run is the same."""
    nodes = residual_network(SHAPE, AXI, np.random.default_rng(SEED))
    program = compile_program(Network(nodes), AXI)
    activations = random_activations(SHAPE, AXI, np.random.default_rng(SEED + 1))
    plain = run_rtl(program, activations)
    found = run_rtl(program, activations, RunSettings(wave=tmp_path / "x.vcd", window=(100, 300)))
    assert found.total == plain.total
    text = (tmp_path / "x.vcd").read_text()
    times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    assert "commands_count" in text and 200 <= len(times) <= 402 and times[-1] - times[0] <= 2000
    fst = pytest.importorskip("pylibfst", reason="pylibfst has no wheel for this platform (pip install pylibfst)")
    assert run_rtl(program, activations, RunSettings(wave=tmp_path / "x.fst", window=(100, 300))).total == plain.total
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.fst", "x.vcd"]
    reader = fst.lib.fstReaderOpen(str(tmp_path / "x.fst").encode())
    assert (fst.lib.fstReaderGetStartTime(reader), fst.lib.fstReaderGetEndTime(reader)) == (times[0], times[-1])
    assert fst.lib.fstReaderGetVarCount(reader) == text.count("$var ")
    fst.lib.fstReaderClose(reader)
