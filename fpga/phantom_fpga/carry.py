"""Logic in front of an adder moves into the adder's carry cells (ECP5).

Yosys maps an addition to CCU2C cells whose LUTs only see the two summands and two constants. A half of a CCU2C
adds ``A`` and any function of ``B``, ``C`` and ``D`` that is 0 where ``C`` and ``D`` are 0: its LUT4 gives propagate,
``A ^ f(B, C, D)``, and generate, which the cell takes from the same table at ``C = D = 0``, is then ``A``, which is
right wherever it counts: where both summands are equal. So a multiplexer or an AND in front of an adder, one LUT4 a bit
and a level of logic, costs nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import permutations, product
from pathlib import Path

__all__ = ["absorb_into_carry"]

_PINS = "ABCD"
_ADDER = 0x96AA
"""What Yosys makes of an addition: A + (B ^ C) with D = 1."""

Bit = int | str


def _table(text: str) -> int:
    """An INIT parameter, which Yosys writes as binary digits."""
    return int(text.strip(), 2)


def _function(lut: dict) -> tuple[list[Bit], Callable[[tuple[int, ...]], int]]:
    """The nets that a LUT4 depends on, and its value for theirs."""
    bits: list[Bit] = [lut["connections"][pin][0] for pin in _PINS]
    table = _table(lut["parameters"]["INIT"])
    nets: list[Bit] = list(dict.fromkeys(bit for bit in bits if isinstance(bit, int)))

    def value(values: tuple[int, ...]) -> int:
        known: dict[Bit, int] = dict(zip(nets, values, strict=True))
        index = sum((known[bit] if isinstance(bit, int) else int(bit == "1")) << place
                    for place, bit in enumerate(bits))
        return table >> index & 1
    return nets, value


def _fitting(lut: dict, inverted: bool) -> tuple[list[Bit], int] | None:
    """Nets for B, C and D, and the table of an adder of A and the LUT's (inverted) output, if there is one."""
    nets, value = _function(lut)
    if len(nets) > len(_PINS) - 1:
        return None
    free = len(_PINS) - 1 - len(nets)
    for order in permutations(range(len(_PINS) - 1)):
        def added(pins: tuple[int, ...], order: tuple[int, ...] = order) -> int:
            """The second summand for the values of B, C and D; net n lies on pin ``order[n]``."""
            return value(tuple(pins[order[number]] for number in range(len(nets)))) ^ inverted
        if any(added((b, 0, 0)) for b in (0, 1)):
            continue
        placed: list[Bit] = ["0"] * (len(nets) + free)
        for number, net in enumerate(nets):
            placed[order[number]] = net
        table = 0
        for d, c, b, a in product((0, 1), repeat=4):
            table |= (a ^ added((b, c, d))) << (a | b << 1 | c << 2 | d << 3)
        return placed, table
    return None


def _candidates(cell: dict, half: str) -> Iterator[tuple[Bit, Bit, bool]]:
    """For an adder as Yosys makes it: a summand to be replaced, the other one, whether the first is inverted."""
    pins = {pin: cell["connections"][pin + half][0] for pin in _PINS}
    if _table(cell["parameters"]["INIT" + half]) != _ADDER or pins["D"] != "1" or pins["C"] not in ("0", "1"):
        return
    inverted = pins["C"] == "1"
    yield pins["B"], pins["A"], inverted
    if not inverted:
        yield pins["A"], pins["B"], False


def _absorb(module: dict) -> int:
    """Change a module; the LUTs that are gone."""
    cells: dict[str, dict] = module["cells"]
    users: Counter[Bit] = Counter(
        bit for cell in cells.values() for pin, bits in cell["connections"].items()
        if cell["port_directions"][pin] != "output" for bit in bits if isinstance(bit, int))
    users.update(bit for port in module["ports"].values() for bit in port["bits"] if isinstance(bit, int))
    luts = {cell["connections"]["Z"][0]: name for name, cell in cells.items() if cell["type"] == "LUT4"}
    gone = 0
    for cell in [cell for cell in cells.values() if cell["type"] == "CCU2C"]:
        for half in "01":
            for summand, other, inverted in _candidates(cell, half):
                name = luts.get(summand) if users[summand] == 1 else None
                fitting = _fitting(cells[name], inverted) if name is not None else None
                if name is None or fitting is None:
                    continue
                nets, table = fitting
                for pin, bit in zip(_PINS, [other, *nets], strict=True):
                    cell["connections"][pin + half] = [bit]
                cell["parameters"]["INIT" + half] = f"{table:016b}"
                del cells[name], luts[summand]
                gone += 1
                break
    return gone


def absorb_into_carry(netlist: str | Path) -> int:
    """Move LUTs with one use into the adders that use them, in all modules of an ECP5 netlist.

    Parameters
    ----------
    netlist : str or Path
        Netlist in Yosys's JSON format; it is rewritten.

    Returns
    -------
    int
        LUTs that are gone, each module counted once.
    """
    path = Path(netlist)
    design = json.loads(path.read_text(encoding="utf-8"))
    gone = sum(_absorb(module) for module in design["modules"].values() if module["cells"])
    path.write_text(json.dumps(design), encoding="utf-8")
    return gone
