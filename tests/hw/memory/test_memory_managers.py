"""The AXI4 managers against the memory model of cocotbext-axi, under Verilator."""

import functools
from pathlib import Path

import pytest
from memory_top import CONFIGURATIONS, HALVES, memory_top, port_names
from phantom_hw.config import ConfigError
from phantom_hw.emit import component_verilog
from phantom_hw.memory.axi import FlatPorts
from phantom_hw.memory.parameters import BusParameters
from phantom_sim.cosim import build_cosim, runner

TOP = "memory_top"
TESTS = 6

@functools.cache
def build() -> Path:
    """The design with all configurations, built for cocotb."""
    top = memory_top()
    names = port_names(top)
    return build_cosim(component_verilog(top, TOP), TOP, names)


def run_bench(name: str, seed: int, scale: int) -> None:
    """Run all tests of the bench on one configuration."""
    ran = runner.run_bench("memory_bench", TOP, build(), seed=seed,
                           environment={"PHANTOM_MEMORY": name, "PHANTOM_SCALE": str(scale)})
    assert ran == TESTS


@pytest.mark.xdist_group("cosim")
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_managers(name):
    run_bench(name, seed=1, scale=1)


@pytest.mark.verify
@pytest.mark.xdist_group("cosim")
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_managers_long(name, seed):
    run_bench(name, seed=seed, scale=4)


@pytest.mark.parametrize("name", ["w64", "beats"])
@pytest.mark.parametrize("half", HALVES)
def test_lint_is_clean(half, name, lint):
    lint(component_verilog(FlatPorts(HALVES[half](CONFIGURATIONS[name]), {"bus": "m_axi"}), half), half)


@pytest.mark.parametrize(("field", "value", "legal"), [
    ("address_width", 31, "an integer in 32..64"), ("address_width", 65, "an integer in 32..64"),
    ("data_width", 32, "one of 64, 128, 256, 512"), ("id_width", 0, "an integer in 1..16"),
    ("max_burst", 3, "a power of two in 1..256"), ("max_burst", 512, "a power of two in 1..256"),
    ("outstanding", 0, "an integer in 1..256"), ("outstanding", 257, "an integer in 1..256"),
    ("buffer", 8, "a power of two in 16..4096"), ("buffer", 48, "a power of two in 16..4096"),
    ("max_burst", True, "of type int"),
])
def test_illegal_parameters_are_rejected(field, value, legal):
    with pytest.raises(ConfigError, match=rf"^{field} must be {legal}, not {value!r}$"):
        BusParameters(**{field: value})
