"""Area and clock rate of the top-down selector alone, between registers, on an ECP5-85F (speed grade 6).

    python bench/selector.py

Once with the chain of capacities in blocks, as built, and once as one chain through the whole window.
"""

from __future__ import annotations

import tempfile

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from phantom_fpga.area import measure
from phantom_hw import PhantomConfig
from phantom_hw.core.tds import TopDownSelector
from phantom_hw.emit import component_rtlil
from rich.console import Console
from rich.table import Table

WINDOWS = ((9, 3), (12, 4), (18, 9), (27, 9))


class Registered(wiring.Component):
    """The selector with a register at each port."""

    def __init__(self, config: PhantomConfig):
        self._selector = TopDownSelector(config)
        super().__init__({f"port_{name}": member for name, member in self._selector.signature.members.items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.selector = selector = self._selector
        for name, member in selector.signature.members.items():
            inner, outer = getattr(selector, name), getattr(self, f"port_{name}")
            m.d.sync += inner.eq(outer) if member.flow is In else outer.eq(inner)
        return m


def main() -> None:
    """Print the table."""
    kinds, units = ("blocks", "one chain"), ("LUT4", "MHz", "levels")
    table = Table("L_f (G)", *(f"{kind}: {unit}" for kind in kinds for unit in units))
    built = TopDownSelector.BLOCK
    for lookahead, group in WINDOWS:
        cells = []
        for block in (built, lookahead):
            TopDownSelector.BLOCK = block
            rtlil = component_rtlil(Registered(PhantomConfig(lookahead=lookahead, group=group)), "selector")
            with tempfile.TemporaryDirectory() as folder:
                usage, placement = measure(rtlil, "selector", folder, placed=True, seeds=(1,), progress=None)
            assert placement is not None
            cells += [f"{usage.lut:,}", f"{placement.fmax_mhz:.1f}", f"{placement.path.levels}"]
        table.add_row(f"{lookahead} ({group})", *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
