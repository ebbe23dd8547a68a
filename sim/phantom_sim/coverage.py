"""What the standing suite reaches: toggles of the registers and ports of hw/, and kinds of layer.

    python -m phantom_sim.coverage

A toggle point is one bit of a register or port of one configuration going one way (0 to 1, or 1 to 0). Signals that are
names for parts of others, and the wires of expressions, are left out: they are not state and not an interface.
"""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from phantom_compiler.random_layers import KINDS
from rich.console import Console
from rich.progress import track
from rich.table import Table

from phantom_sim.core_simulator import CoreSimulator
from phantom_sim.rtl import cached_core_verilog
from phantom_sim.suite import CONFIGS, LOOKAHEADS, run_layers

__all__ = ["ToggleCount", "main", "state_and_ports", "toggle_points"]

GOAL = 90.0
SEEDS = range(1, 3)

_MODULE = re.compile(r"^module (\S+) ?\((.*?)\);(.*?)^endmodule", re.M | re.S)
_PORT = re.compile(r"^  (?:input|output) (?:wire |reg )?(?:signed )?(?:\[\d+:0\] )?(\S+?) ?(?:=.*)?;", re.M)
_REGISTER = re.compile(r"^\s*(?:else )?(?:if \(.*?\) )?(\\\S+ |\w+)(?:\[[\d:]+\])? <= ", re.M)
_FIELD = re.compile(r"\x01(\w+)\x02([^\x01']*)")

HOLES = {
    "tags, current, released": "numbers of rows and items count modulo twice the slots: the upper codes need long runs",
    "layer": "constant during a layer: `groups` and `outputs` keep upper bits for the largest row and tile",
    "drained, stored, total": "upper bits of a sum only move together with its sign",
    "position, read_position": "codes beyond row_width do not exist where it is no power of two",
    "drain_address, dest": "tiles that need every accumulator address are rare among small layers",
}
"""Why points stay open, by signal."""


@dataclass
class ToggleCount:
    """Toggle points of a module, and those reached."""

    points: int = 0
    reached: int = 0
    open: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, signal: str, hit: bool) -> None:
        """Count a point."""
        self.points += 1
        self.reached += hit
        if not hit:
            self.open[signal] += 1


def state_and_ports(verilog: str) -> dict[str, set[str]]:
    """Names of the registers and ports of each module, without clock and reset."""
    found = {}
    for module, _, body in _MODULE.findall(verilog):
        names = {name.strip().lstrip("\\") for name in (*_PORT.findall(body), *_REGISTER.findall(body))}
        found[module.lstrip("\\")] = {name for name in names if not name.startswith("$")} - {"clk", "rst"}
    return found


def toggle_points(data: Path) -> Iterator[tuple[str, str, bool]]:
    """(module, signal, reached) for each toggle point of a file written by Verilator."""
    for line in data.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("C '"):
            continue
        fields = dict(_FIELD.findall(line))
        if fields.get("page", "").startswith("v_toggle/"):
            signal = re.sub(r"(\[\d+\])?:[01]->[01]$", "", fields["o"])
            yield fields["page"].removeprefix("v_toggle/"), signal, int(line.rsplit(" ", 1)[1]) > 0


def _cover(name: str) -> tuple[str, dict[str, ToggleCount], dict[tuple[str, bool], int], list[str]]:
    """Run the suite on one configuration: toggle counts by module, layers by (kind, stalls), and differences."""
    config = CONFIGS[name]
    layers: dict[tuple[str, bool], int] = defaultdict(int)
    wrong = []
    with CoreSimulator(config, coverage=True) as simulator:
        for seed in SEEDS:
            for run in run_layers(simulator, seed):
                layers[run.kind, run.stalls] += 1
                wrong += [f"{name}, {run.kind}, seed {seed}: {difference}" for difference in run.differences]
        path = simulator.coverage_path
    assert path is not None
    wanted = {re.sub(r"\W", "", module): names for module, names in
              state_and_ports(cached_core_verilog(config)).items()}
    counts: dict[str, ToggleCount] = defaultdict(ToggleCount)
    for page, signal, hit in toggle_points(path):
        module = re.sub(r"\W|__DOT__|__0?2E", "", page)
        plain = signal.strip().lstrip("\\")
        if plain in wanted.get(module, ()):
            counts[module.removeprefix("phantom_").removeprefix("pe")or "pe"].add(plain, hit)
    return name, dict(counts), dict(layers), wrong


def main() -> int:
    """Run, print the tables, and say whether the goals are met (the exit status)."""
    console = Console(width=110)
    modules: dict[str, ToggleCount] = defaultdict(ToggleCount)
    by_config, layers, wrong = {}, {}, []
    with ProcessPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        for name, counts, ran, differences in track(pool.map(_cover, CONFIGS), total=len(CONFIGS), console=console,
                                                    description="suite with coverage"):
            by_config[name] = (sum(c.reached for c in counts.values()), sum(c.points for c in counts.values()))
            layers[name] = ran
            wrong += differences
            for module, count in counts.items():
                modules[module].points += count.points
                modules[module].reached += count.reached
                for signal, points in count.open.items():
                    modules[module].open[signal] += points

    table = Table(title="Toggle coverage of registers and ports, all configurations of the suite")
    for column in ("module", "points", "reached", "%", "most open signals (points)"):
        table.add_column(column, justify="left" if column[0] == "m" else "right")
    for module, count in sorted(modules.items()):
        worst = sorted(count.open.items(), key=lambda item: -item[1])[:3]
        table.add_row(module, str(count.points), str(count.reached), f"{100 * count.reached / count.points:.1f}",
                      ", ".join(f"{signal} ({points})" for signal, points in worst))
    points, reached = (sum(getattr(c, what) for c in modules.values()) for what in ("points", "reached"))
    share = 100 * reached / points if points else 0.0
    table.add_section()
    table.add_row("all", str(points), str(reached), f"{share:.1f}", "")
    console.print(table)
    for signals, reason in HOLES.items():
        console.print(f"open: {signals}: {reason}")

    functional = Table(title="Layers run, by configuration (window length, mode) and stalls: kinds of layer of "
                             f"{len(KINDS)}")
    for column in ("L_f", "mode", "without stalls", "with stalls", "toggles %"):
        functional.add_column(column, justify="right")
    complete = True
    for lookahead in LOOKAHEADS:
        for mode in ("in_order", "out_of_order"):
            names = [n for n, c in CONFIGS.items() if c.lookahead == lookahead and c.tds == mode]
            kinds = [{k for n in names for k, s in layers[n] if s == stalls} for stalls in (False, True)]
            complete &= all(len(k) == len(KINDS) for k in kinds)
            hit, total = (sum(by_config[n][i] for n in names) for i in range(2))
            functional.add_row(str(lookahead), mode, *(str(len(k)) for k in kinds), f"{100 * hit / max(1, total):.1f}")
    console.print(functional)
    for line in wrong:
        console.print(f"differs: {line}", style="red")
    console.print(f"toggle coverage {share:.1f} % (goal {GOAL:.0f} %), functional coverage "
                  f"{'complete' if complete else 'INCOMPLETE'}")
    return 0 if share >= GOAL and complete and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
