"""What a netlist occupies, from the statistics that Yosys writes."""

import json

import pytest
from phantom_fpga import FpgaError
from phantom_fpga.usage import FAMILIES, count, parse_stat


def stat(cells):
    return json.dumps({"creator": "Yosys", "modules": {}, "design": {"num_cells": 7, "num_cells_by_type": cells}})


def test_ecp5_counts_carry_and_ram_as_the_luts_they_occupy():
    cells = {"LUT4": 100, "CCU2C": 10, "TRELLIS_DPR16X4": 3, "PFUMX": 9, "L6MUX21": 4, "TRELLIS_FF": 50,
             "MULT18X18D": 2, "DP16KD": 5, "TRELLIS_IO": 8}
    use = count(parse_stat(stat(cells)), "ecp5")
    assert (use.logic_lut, use.carry_lut, use.ram_lut, use.lut) == (100, 20, 18, 138)
    assert (use.carry, use.lutram, use.ff, use.multiplier, use.ram) == (10, 3, 50, 2, 5)
    assert use.cells == cells


def test_ice40_counts_each_kind_of_flip_flop():
    use = count({"SB_LUT4": 9, "SB_CARRY": 4, "SB_DFF": 1, "SB_DFFESR": 2, "SB_DFFNSS": 3, "SB_MAC16": 2,
                 "SB_RAM40_4K": 6, "SB_IO": 5}, "ice40")
    assert (use.lut, use.carry, use.ff, use.multiplier, use.ram) == (9, 4, 6, 2, 6)


def test_gowin_counts_luts_of_each_size():
    use = count({"LUT1": 1, "LUT2": 2, "LUT3": 3, "LUT4": 4, "ALU": 5, "RAM16SDP4": 2, "MUX2_LUT5": 7, "DFFRE": 8,
                 "DFF": 1, "MULT9X9": 3, "SDPX9B": 2, "SPX9": 1}, "gowin")
    assert (use.logic_lut, use.carry_lut, use.ram_lut, use.lut) == (10, 5, 8, 23)
    assert (use.ff, use.multiplier, use.ram) == (9, 3, 3)


def test_rejects_an_unknown_family():
    with pytest.raises(FpgaError, match="unknown FPGA family 'xc7'; families: ecp5, ice40, gowin"):
        count({}, "xc7")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"design": 3}', '{"design": {"num_cells_by_type": {"LUT4": "x"}}}'])
def test_rejects_what_is_not_a_statistic(text):
    with pytest.raises(FpgaError, match="not in the form that `stat -json` writes"):
        parse_stat(text)


def test_no_cell_is_of_two_kinds():
    for family in FAMILIES.values():
        kinds = [family.lut, set(family.carry), set(family.lutram), family.ff, family.multiplier, family.ram]
        assert len(set().union(*kinds)) == sum(map(len, kinds))
