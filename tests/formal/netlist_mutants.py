"""``python -m tests.formal.netlist_mutants``: faults that Yosys puts into the circuits of the blocks themselves.

The seeded faults of :mod:`.mutants` say which assertion is needed for what. Here nobody chose the faults: Yosys
inverts, ties or couples random nets of a block, and the proof of that block must fail, from reset or in the induction
step. A block that is still proved is compared with the block as it was: either no output differs for any inputs ("no
fault"), or all properties still hold because its neighbours never drive it so that it matters ("harmless"); these
are listed, to be looked at.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.progress import track

from .jobs import MUTANT_DEPTH, small_config
from .lifetime import Lifetime
from .mapping import Mapping
from .path import SelectorPath
from .proof import Proof
from .selection import Selection
from .solve import FLATTEN, READ, Netlist, bounded, yosys

GUARDS: dict[str, tuple[type[Proof], ...]] = {
    "selector": (Selection,),
    "entry_mapper": (Mapping,),
    "tap_mapper": (Mapping,),
    "window": (Lifetime, SelectorPath),
}
"""The proofs that must notice any fault of a block."""


def mutations(block: str, tds: str, number: int, seed: int) -> list[str]:
    """Yosys commands, each of which puts one fault into the block."""
    netlist = Netlist(GUARDS[block][0](small_config(tds)))
    listed = yosys(netlist.text, [*READ, f"cd top.{block}", f"mutate -list {number} -seed {seed} -o OUT"])
    return [line for line in listed.splitlines() if line.startswith("mutate ")]


def judge(block: str, tds: str, mutation: str) -> str:
    """``"noticed"``, ``"no fault"`` or ``"harmless"``."""
    for proof in GUARDS[block]:
        netlist = Netlist(proof(small_config(tds)))
        depth = proof.DEPTH if proof.METHOD == "combinational" else MUTANT_DEPTH
        if not netlist.base(depth, change=(mutation,)).holds:
            return "noticed"
        if proof.METHOD == "induction" and not netlist.step(proof.DEPTH, change=(mutation,)).holds:
            return "noticed"
    # both as they are, side by side, with the same inputs
    miter = yosys(netlist.text, [
        *READ, f"copy top.{block} gold", mutation, f"miter -equiv -flatten -make_assert gold top.{block} miter",
        "hierarchy -top miter", *FLATTEN, "write_smt2 -wires OUT"])
    return "no fault" if bounded(miter, MUTANT_DEPTH).holds else "harmless"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.formal.netlist_mutants", description=__doc__)
    parser.add_argument("--number", type=int, default=25, help="faults a block and mode (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time (default: %(default)s)")
    options = parser.parse_args()
    console = Console()
    todo = [(block, tds, mutation) for tds in ("in_order", "out_of_order") for block in GUARDS
            for mutation in mutations(block, tds, options.number, options.seed)]
    with ProcessPoolExecutor(options.jobs) as pool:
        verdicts = list(track(pool.map(judge, *zip(*todo, strict=True)), "mutants", len(todo), console=console))
    for block in GUARDS:
        found = [verdict for (b, _, _), verdict in zip(todo, verdicts, strict=True) if b == block]
        console.print(f"{block}: {len(found)} faults, " + ", ".join(
            f"{found.count(kind)} {kind}" for kind in ("noticed", "no fault", "harmless")))
    for (block, tds, mutation), verdict in zip(todo, verdicts, strict=True):
        if verdict == "harmless":
            where = re.sub(r"^mutate | -module \S+", "", mutation)
            console.print(f"harmless: {block}, {tds}: {where}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
