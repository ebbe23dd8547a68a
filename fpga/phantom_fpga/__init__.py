"""FPGA flows of Phantom: area and clock rate of its blocks, bitstreams with a self-test, netlist simulation."""

from phantom_fpga.area import AreaRow, area, render
from phantom_fpga.boards import BOARDS, Board
from phantom_fpga.build import BuildResult, build
from phantom_fpga.checksum import checksum
from phantom_fpga.errors import FpgaError
from phantom_fpga.netlist import NetlistRun, simulate
from phantom_fpga.selftest import Operands, SelfTest

__all__ = [
    "BOARDS",
    "AreaRow",
    "Board",
    "BuildResult",
    "FpgaError",
    "NetlistRun",
    "Operands",
    "SelfTest",
    "area",
    "build",
    "checksum",
    "render",
    "simulate",
]
