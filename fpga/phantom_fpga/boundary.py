"""Registers on the ports of an ECP5 block, so that every path of it lies between two registers.

A block placed out of context has no timing on its ports: a path from an input to a register would
not be seen. The registers go into the finished netlist, past synthesis: they change nothing inside
the block, take no LUT, and their number is known, so the counts of the block can leave them out.
"""

from __future__ import annotations

import json
from pathlib import Path

from phantom_fpga.errors import FpgaError

__all__ = ["register_ports"]

# A string of digits only would be read as a number: the space after the 1 is Yosys's way to mark a string.
_PARAMETERS = {
    "CEMUX": "1 ", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR", "REGSET": "RESET", "SRMODE": "LSR_OVER_CE",
}


def _register(clock: int, source: int, target: int) -> dict:
    return {
        "hide_name": 0,
        "type": "TRELLIS_FF",
        "parameters": dict(_PARAMETERS),
        "attributes": {},
        "port_directions": {"CLK": "input", "DI": "input", "LSR": "input", "Q": "output"},
        "connections": {"CLK": [clock], "DI": [source], "LSR": ["0"], "Q": [target]},
    }


def register_ports(netlist: str | Path, top: str, target: str | Path, clock: str = "clk") -> int:
    """Write a copy of an ECP5 netlist with a register on each bit of each port except the clock.

    Parameters
    ----------
    netlist : str or Path
        JSON netlist with one module.
    top : str
        The module.
    target : str or Path
        File to write.
    clock : str
        The clock port.

    Returns
    -------
    int
        Registers added.

    Raises
    ------
    FpgaError
        The module has no such clock.
    """
    design = json.loads(Path(netlist).read_text(encoding="utf-8"))
    module = design["modules"][top]
    if clock not in module["ports"]:
        raise FpgaError(f"module {top} has no clock port {clock!r}")
    clock_net = module["ports"][clock]["bits"][0]
    used = [bit for net in module["netnames"].values() for bit in net["bits"] if isinstance(bit, int)]
    fresh = max(used, default=1) + 1
    added = 0
    for name, port in module["ports"].items():
        if name == clock:
            continue
        outer: list[int | str] = []
        for index, bit in enumerate(port["bits"]):
            inner, fresh = bit, fresh + 1
            source, sink = (fresh, inner) if port["direction"] == "input" else (inner, fresh)
            if isinstance(inner, int):
                module["cells"][f"$boundary${name}${index}"] = _register(clock_net, source, sink)
                added += 1
                outer.append(fresh)
            else:
                outer.append(inner)
        port["bits"] = outer
        if name in module["netnames"]:
            module["netnames"][f"{name}$inside"] = module["netnames"].pop(name)
        module["netnames"][name] = {"hide_name": 0, "bits": outer, "attributes": {}}
    Path(target).write_text(json.dumps(design), encoding="utf-8")
    return added
