"""Area of the whole accelerator on an ECP5-85F, unit by unit, and the clock rate of the whole."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from rich.table import Table

from phantom_fpga.area import DEVICE, TARGET_MHZ, AreaRow
from phantom_fpga.boundary import register_ports
from phantom_fpga.devices import Device
from phantom_fpga.errors import FpgaError
from phantom_fpga.place import Placement, place
from phantom_fpga.process import Progress
from phantom_fpga.synthesis import synthesize
from phantom_fpga.usage import Usage, count

__all__ = ["CAPACITY", "UnitRow", "WholeArea", "render_whole", "unit_rows", "whole_area"]

CAPACITY = {"lut": 83_640, "ff": 83_640, "multiplier": 156, "ram": 208}
"""What an LFE5U-85F has, by the attribute of :class:`~phantom_fpga.usage.Usage`."""
SYNTHESIS_SECONDS, PLACE_SECONDS = 7200.0, 10800.0
_UNIT = re.compile(r"(?:phantom_accelerator\.inner\.|phantom_)?(?P<name>.*?)(?:_\d+)*")
_KEPT = re.compile(r"^module \\(phantom_\w+|phantom_accelerator\.inner\.(?:\w+|results\.lane_\w+))$", re.MULTILINE)


@dataclass(frozen=True)
class UnitRow:
    """Area of one unit of the accelerator.

    Attributes
    ----------
    name : str
        The unit; instances of a kind are one row.
    instances : int
        How many there are.
    usage : Usage
        Cells of the largest instance, with what it consists of.
    """

    name: str
    instances: int
    usage: Usage


@dataclass(frozen=True)
class WholeArea:
    """Area of the accelerator.

    Attributes
    ----------
    config : str
        Name of the configuration.
    units : tuple of UnitRow
        In the order of their share of the LUTs.
    usage : Usage
        Cells of all.
    placement : Placement or None
        Of the whole, if it was placed.
    """

    config: str
    units: tuple[UnitRow, ...]
    usage: Usage
    placement: Placement | None

    @property
    def exceeded(self) -> list[str]:
        """What the device has too little of, in words."""
        names = {"lut": "LUT4", "ff": "flip-flops", "multiplier": "MULT18", "ram": "DP16KD"}
        return [f"{getattr(self.usage, name):,} of {there:,} {names[name]}"
                for name, there in CAPACITY.items() if getattr(self.usage, name) > there]

    @property
    def row(self) -> AreaRow:
        """The whole as one block among others, for :func:`phantom_fpga.area.render`."""
        placement = self.placement
        return AreaRow(
            block="accelerator",
            config=self.config,
            usage=self.usage,
            comb=placement.utilization["TRELLIS_COMB"][0] if placement else None,
            fmax_mhz=placement.fmax_mhz if placement else None,
            path=placement.path if placement else None,
            seed=placement.seed if placement else None,
        )


def kept_units(rtlil: str) -> list[str]:
    """The modules of the accelerator's RTLIL that are counted one by one."""
    return sorted(set(_KEPT.findall(rtlil)) - {emit.ACCELERATOR_MODULE})


def unit_rows(text: str, top: str) -> list[UnitRow]:
    """The units in what the Yosys command ``stat -json`` says about a design with hierarchy.

    Raises
    ------
    FpgaError
        The text is not such an output.
    """
    try:
        modules = {name.removeprefix("\\"): {cell.removeprefix("\\"): int(number)
                                             for cell, number in module["num_cells_by_type"].items()}
                   for name, module in json.loads(text)["modules"].items()}
        inner = modules[top]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FpgaError("the statistics of the units are not in the form that `stat -json` writes") from None

    def below(cells: Mapping[str, int], times: int, add: Callable[[str, int], None]) -> None:
        """Tell about every cell in all that the cells consist of."""
        for cell, number in cells.items():
            add(cell, number * times)
            if cell in modules:
                below(modules[cell], number * times, add)

    def total(cells: Mapping[str, int]) -> dict[str, int]:
        sums: dict[str, int] = {}

        def add(cell: str, number: int) -> None:
            sums[cell] = sums.get(cell, 0) + number
        below(cells, 1, add)
        return sums

    found = total(inner)
    rows: dict[str, UnitRow] = {}
    for module in modules:
        if module == top or module not in found:
            continue
        match = _UNIT.fullmatch(module)
        assert match is not None
        name = match["name"].replace("_", " ").replace(".", ", ")
        usage, row = count(total(modules[module]), "ecp5"), rows.get(name)
        largest = usage if row is None or usage.lut > row.usage.lut else row.usage
        rows[name] = UnitRow(name, found[module] + (0 if row is None else row.instances), largest)
    own = {cell: number for cell, number in inner.items() if cell not in modules}
    return [*sorted(rows.values(), key=lambda row: -row.instances * row.usage.lut),
            UnitRow("what joins them", 1, count(own, "ecp5"))]


def whole_area(
    config: PhantomConfig, *, placed: bool = False, seed: int = 1, work_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> WholeArea:
    """Synthesize the accelerator for an ECP5-85F and, if asked to, place it out of context with registered ports.

    Units are synthesized one by one and what is repeated once, so that it takes minutes, not hours.

    Parameters
    ----------
    config : PhantomConfig
    placed : bool
        Place and route as well, if it fits.
    seed : int
        Seed of the placement.
    work_dir : str or Path, optional
        Keep the files here; by default they are dropped.
    progress : callable, optional
        Told what runs, see :data:`phantom_fpga.process.Progress`.

    Returns
    -------
    WholeArea

    Raises
    ------
    FpgaError
        A tool is missing or stopped.
    """
    top = emit.ACCELERATOR_MODULE
    if progress is not None:
        progress("elaboration", config.name)
    rtlil = emit.accelerator_rtlil(config)
    with tempfile.TemporaryDirectory(prefix="phantom-area-") as scratch:
        folder = Path(work_dir or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        result = synthesize(rtlil, "ecp5", top, folder, units=kept_units(rtlil), timeout=SYNTHESIS_SECONDS,
                            progress=progress)
        assert result.units is not None
        units = tuple(unit_rows(result.units.read_text(encoding="utf-8"), top))
        area = WholeArea(config.name, units, result.usage, None)
        if not placed or area.exceeded:
            return area
        registered = folder / f"{top}.registered.json"
        register_ports(result.netlist, top, registered)
        placement = place(Device.named(DEVICE), registered, folder, target_mhz=TARGET_MHZ, seed=seed,
                          router="router2", timeout=PLACE_SECONDS, progress=progress)
        return WholeArea(config.name, units, result.usage, placement)


def render_whole(area: WholeArea) -> Table:
    """The units and the whole as a table; its caption says whether it fits, and how fast it is."""
    use = area.usage
    caption = "does not fit: " + ", ".join(area.exceeded) if area.exceeded else "fits the device"
    if area.placement is not None:
        path = area.placement.path
        caption += f"; {area.placement.fmax_mhz:.1f} MHz after routing, from {path.start} to {path.end}"
    table = Table(
        title=f"accelerator {area.config} on an ECP5-85F",
        caption=f"{caption}\nA unit's figures are those of one instance, with what it consists of. LUT4 = logic + "
                "carry (2 for each CCU2C) + LUT-RAM (6 for each DPR16X4).",
    )
    table.add_column("unit")
    for heading in ("instances", "LUT4", "logic", "carry", "LUT-RAM", "FF", "MULT18", "DP16KD"):
        table.add_column(heading, justify="right")

    def figures(usage: Usage) -> list[str]:
        return [f"{value:,}" for value in (usage.lut, usage.logic_lut, usage.carry_lut, usage.ram_lut, usage.ff,
                                           usage.multiplier, usage.ram)]

    for row in area.units:
        table.add_row(row.name, f"{row.instances}", *figures(row.usage))
    table.add_section()
    table.add_row("all", "", *figures(use))
    table.add_row("of the device", "", f"{use.lut / CAPACITY['lut']:.0%}", "", "", "", f"{use.ff / CAPACITY['ff']:.0%}",
                  f"{use.multiplier / CAPACITY['multiplier']:.0%}", f"{use.ram / CAPACITY['ram']:.0%}")
    return table
