"""The netlists of the boards' own configurations against the golden model: minutes each, part of `make verify`."""

import pytest
from phantom_fpga import BOARDS, Board, SelfTest, simulate
from phantom_fpga.boards import PROBES, TOP
from phantom_fpga.devices import Device
from phantom_fpga.synthesis import synthesize
from phantom_hw.config import PhantomConfig

from phantom.selftest import self_test


@pytest.mark.verify
@pytest.mark.parametrize("name", sorted(BOARDS))
def test_netlist_gives_the_golden_checksum(name, tmp_path):
    board, config = Board.named(name), PhantomConfig.preset(name)
    operands, golden = self_test(name, config)
    rtlil, _ = board.design(SelfTest(config, operands, golden), config)
    synthesis = synthesize(rtlil, Device.named(board.device).family, TOP, tmp_path, probes=PROBES)
    run = simulate(board, synthesis, tmp_path)
    assert (run.done, run.checksum, run.passed) == (True, golden, True)
