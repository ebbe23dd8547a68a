"""The accelerator between the AXI4-Lite manager and the AXI4 memory of cocotbext-axi, under Verilator."""

import gc

import pytest
from accelerator_cases import AXI
from phantom_hw.emit import ACCELERATOR_MODULE
from phantom_hw.soc.accelerator import accelerator_ports
from phantom_sim.cosim import build_cosim, runner
from phantom_sim.rtl import cached_accelerator_verilog

TESTS = 2


def port_names() -> list[str]:
    """The ports of the Verilog module."""
    top = accelerator_ports(AXI)
    names = ["clk", "rst", *("__".join(map(str, path)) for path, _, _ in top.signature.flatten(top))]
    del top
    gc.collect()  # it is only looked at
    return names


def run_bench(seed: int) -> None:
    """Run all tests of the bench."""
    built = build_cosim(cached_accelerator_verilog(AXI), ACCELERATOR_MODULE, port_names())
    ran = runner.run_bench("accelerator_bench", ACCELERATOR_MODULE, built, seed=seed,
                           environment={"PHANTOM_SEED": str(seed)})
    assert ran == TESTS


@pytest.mark.xdist_group("cosim")
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_foreign_host_and_memory():
    run_bench(1)


@pytest.mark.verify
@pytest.mark.xdist_group("cosim")
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("seed", range(2, 6))
def test_foreign_host_and_memory_long(seed):
    run_bench(seed)
