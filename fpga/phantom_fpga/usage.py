"""What a synthesized netlist occupies: the cells of each family and how many LUTs each of them takes."""

from __future__ import annotations

import json
from dataclasses import dataclass

from phantom_fpga.errors import FpgaError

__all__ = ["FAMILIES", "Family", "Usage", "count", "parse_stat"]


@dataclass(frozen=True)
class Family:
    """The cells of one FPGA family, as Yosys names them.

    Parameters
    ----------
    name : str
        Name of the family.
    synth : tuple of str
        The Yosys commands that map to it; ``{top}`` stands for the top module.
    lut : frozenset of str
        Look-up tables of up to four inputs.
    carry : dict of str to int
        Carry cells and the LUTs that each of them occupies.
    lutram : dict of str to int
        RAMs made of LUTs and the LUTs that each of them occupies, its write port included.
    ff, multiplier, ram : frozenset of str
        Flip-flops, multiplier blocks, block RAMs.
    absorbs : bool
        Logic in front of an adder may move into its carry cells, see :mod:`phantom_fpga.carry`.
    """

    name: str
    synth: tuple[str, ...]
    lut: frozenset[str]
    carry: dict[str, int]
    lutram: dict[str, int]
    ff: frozenset[str]
    multiplier: frozenset[str]
    ram: frozenset[str]
    absorbs: bool = False


def _thorough(wire_ps: int) -> str:
    """Command that makes ABC map four times, from differently restructured logic, and keep the best.

    ``wire_ps`` is the delay ABC reckons for a wire: with one as small as Yosys has by default it takes levels too easy.
    """
    mapped = f"&if -m -W {wire_ps}; &mfs; &save"
    restructured = f"&synch2 -K 6 -C 500; {mapped}; &dch -C 500; {mapped}; &load"
    return f'scratchpad -set abc9.script "+&scorr; &sweep; {restructured}; &st; &sopb -R 10 -C 4; {restructured}"'


def _ice40_ff() -> frozenset[str]:
    edges, enables, resets = ("", "N"), ("", "E"), ("", "R", "S", "SR", "SS")
    return frozenset(f"SB_DFF{n}{e}{r}" for n in edges for e in enables for r in resets)


def _gowin_ff() -> frozenset[str]:
    edges, resets, enables = ("", "N"), ("", "S", "R", "P", "C"), ("", "E")
    return frozenset(f"DFF{n}{r}{e}" for n in edges for r in resets for e in enables)


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        # A DPR16X4 is four LUTs of bits and the slice (two LUTs) that carries its write port. Without
        # -nowidelut a function of six inputs takes four LUTs: a PE grows by a fifth.
        Family(
            name="ecp5",
            synth=(_thorough(wire_ps=1000), "synth_ecp5 -nowidelut -top {top}"),
            lut=frozenset({"LUT4"}),
            carry={"CCU2C": 2},
            lutram={"TRELLIS_DPR16X4": 6, "TRELLIS_RAM16X2": 4},
            ff=frozenset({"TRELLIS_FF"}),
            multiplier=frozenset({"MULT18X18D", "ALU54B"}),
            ram=frozenset({"DP16KD", "PDPW16KD"}),
            absorbs=True,
        ),
        # An SB_CARRY lies in the logic cell of the LUT that forms its sum; where there is no such
        # LUT it takes a logic cell, which only the packer knows (ICESTORM_LC in the placement).
        # There is no LUT-RAM: a memory that asks for it becomes registers.
        Family(
            name="ice40",
            synth=(
                "setattr -unset ram_style */m:* a:ram_style=distributed %i",
                "synth_ice40 -device u -dsp -top {top}",
            ),
            lut=frozenset({"SB_LUT4"}),
            carry={"SB_CARRY": 0},
            lutram={},
            ff=_ice40_ff(),
            multiplier=frozenset({"SB_MAC16"}),
            ram=frozenset({"SB_RAM40_4K", "SB_RAM40_4KNR", "SB_RAM40_4KNW", "SB_RAM40_4KNRNW", "SB_SPRAM256KA"}),
        ),
        # An ALU is a LUT in carry mode.
        Family(
            name="gowin",
            synth=("synth_gowin -family gw2a -top {top}",),
            lut=frozenset({"LUT1", "LUT2", "LUT3", "LUT4"}),
            carry={"ALU": 1},
            lutram={"RAM16SDP1": 1, "RAM16SDP2": 2, "RAM16SDP4": 4},
            ff=_gowin_ff(),
            multiplier=frozenset({"MULT9X9", "MULT18X18", "MULT36X36", "MULTALU18X18", "MULTADDALU18X18"}),
            ram=frozenset(f"{kind}{byte}{end}" for kind in ("SDP", "SP", "DP", "pROM") for byte in ("", "X9")
                          for end in ("", "B")),
        ),
    )
}


@dataclass(frozen=True)
class Usage:
    """What a netlist occupies after synthesis.

    Attributes
    ----------
    logic_lut : int
        LUT cells of the logic.
    carry_lut : int
        LUTs that the carry cells occupy (ECP5: two for each CCU2C).
    ram_lut : int
        LUTs that the LUT-RAMs occupy (ECP5: six for each DPR16X4: four of bits, two under its write port).
    carry, lutram : int
        Carry cells and LUT-RAM cells.
    ff, multiplier, ram : int
        Flip-flops, multiplier blocks, block RAMs.
    cells : dict of str to int
        Every cell of the netlist, by type.
    """

    logic_lut: int
    carry_lut: int
    ram_lut: int
    carry: int
    lutram: int
    ff: int
    multiplier: int
    ram: int
    cells: dict[str, int]

    @property
    def lut(self) -> int:
        """All LUTs: logic, carry and RAM."""
        return self.logic_lut + self.carry_lut + self.ram_lut


def count(cells: dict[str, int], family: str) -> Usage:
    """Sum the cells of a netlist up to what they occupy in a family.

    Raises
    ------
    FpgaError
        The family is not one of :data:`FAMILIES`.
    """
    if family not in FAMILIES:
        raise FpgaError(f"unknown FPGA family {family!r}; families: {', '.join(FAMILIES)}")
    kind = FAMILIES[family]

    def total(names: frozenset[str]) -> int:
        return sum(number for name, number in cells.items() if name in names)

    def weighted(weights: dict[str, int]) -> int:
        return sum(number * weights[name] for name, number in cells.items() if name in weights)

    return Usage(
        logic_lut=total(kind.lut),
        carry_lut=weighted(kind.carry),
        ram_lut=weighted(kind.lutram),
        carry=total(frozenset(kind.carry)),
        lutram=total(frozenset(kind.lutram)),
        ff=total(kind.ff),
        multiplier=total(kind.multiplier),
        ram=total(kind.ram),
        cells=dict(cells),
    )


def parse_stat(text: str) -> dict[str, int]:
    """The cells by type in the output of the Yosys command ``stat -json``.

    Raises
    ------
    FpgaError
        The text is not such an output.
    """
    try:
        cells = json.loads(text)["design"]["num_cells_by_type"]
        return {str(name): int(number) for name, number in cells.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FpgaError("the statistics of the netlist are not in the form that `stat -json` writes") from None
