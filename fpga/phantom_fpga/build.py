"""From a configuration to a bitstream with the built-in self-test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from phantom_hw.config import PhantomConfig

from phantom_fpga.boards import PROBES, TOP, Board
from phantom_fpga.devices import Device
from phantom_fpga.errors import FpgaError
from phantom_fpga.pack import pack
from phantom_fpga.place import Placement, place
from phantom_fpga.process import Progress
from phantom_fpga.report import build_report
from phantom_fpga.selftest import Operands, SelfTest, check
from phantom_fpga.synthesis import Synthesis, synthesize

__all__ = ["BuildResult", "build"]


@dataclass(frozen=True)
class BuildResult:
    """A finished build.

    Attributes
    ----------
    bitstream, report : Path
        The files that were made, in the output folder.
    synthesis : Synthesis
        The netlist, also as Verilog for :func:`phantom_fpga.netlist.simulate`.
    placement : Placement
        Clock rate, critical path and utilization.
    """

    bitstream: Path
    report: Path
    synthesis: Synthesis
    placement: Placement


def _place(
    board: Board, synthesis: Synthesis, constraints: str, folder: Path, seeds: Sequence[int], progress: Progress | None
) -> Placement:
    """The first placement that meets the board's clock."""
    best = None
    for seed in seeds:
        placement = place(
            Device.named(board.device), synthesis.netlist, folder,
            target_mhz=board.clock_mhz, constraints=constraints, seed=seed, progress=progress,
        )
        if placement.fmax_mhz >= board.clock_mhz:
            return placement
        best = max(best or 0.0, placement.fmax_mhz)
    raise FpgaError(
        f"the design reaches {best:.1f} MHz on {board.title}, its clock is {board.clock_mhz:g} MHz: "
        "take a smaller lookahead or more seeds"
    )


def build(
    board: str,
    config: PhantomConfig,
    operands: Operands,
    golden_checksum: int,
    out_dir: str | Path,
    progress: Progress | None = None,
    *,
    seeds: Sequence[int] = (1, 2, 3),
) -> BuildResult:
    """Make the bitstream of a core with its self-test for a board.

    Parameters
    ----------
    board : str
        A key of :data:`phantom_fpga.boards.BOARDS`.
    config : PhantomConfig
        The core (one core, whatever the mesh).
    operands : Operands
        What the self-test plays into it.
    golden_checksum : int
        :func:`phantom_fpga.checksum.checksum` of the results that it must give.
    out_dir : str or Path
        Receives the bitstream, the report, the netlist and the logs, in a folder ``BOARD-CONFIG`` that
        replaces one of an earlier build. Nothing in it changes unless the build succeeds.
    progress : callable, optional
        Told what runs, see :data:`phantom_fpga.process.Progress`.
    seeds : sequence of int
        Seeds of the placement, tried until one meets the clock of the board.

    Returns
    -------
    BuildResult

    Raises
    ------
    FpgaError
        Unknown board, operands that do not fit the core, a tool that is missing or stopped, a core that
        does not fit the device or its clock.
    """
    chosen = Board.named(board)
    device = Device.named(chosen.device)
    if not seeds:
        raise FpgaError("a build needs at least one seed")
    check(config, operands, golden_checksum)
    rtlil, constraints = chosen.design(SelfTest(config, operands, golden_checksum), config)
    target = Path(out_dir) / f"{board}-{config.name}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise FpgaError(f"cannot write to {str(out_dir)!r}: {error.strerror}") from None
    try:
        synthesis = synthesize(rtlil, device.family, TOP, scratch, probes=PROBES, progress=progress)
        placement = _place(chosen, synthesis, constraints, scratch, seeds, progress)
        assert placement.output is not None
        bitstream = pack(device.family, placement.output, progress=progress)
        report = scratch / "report.txt"
        text = build_report(chosen, config, synthesis, placement, golden_checksum, bitstream)
        report.write_text(text, encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        scratch.chmod(0o755)
        scratch.rename(target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return _moved(BuildResult(bitstream, report, synthesis, placement), target)


def _moved(result: BuildResult, folder: Path) -> BuildResult:
    """The result with its files in another folder."""

    def there(path: Path) -> Path:
        return folder / path.name

    synthesis, placement = result.synthesis, result.placement
    assert synthesis.verilog is not None and placement.output is not None
    return BuildResult(
        bitstream=there(result.bitstream),
        report=there(result.report),
        synthesis=replace(
            synthesis, netlist=there(synthesis.netlist), verilog=there(synthesis.verilog), log=there(synthesis.log)
        ),
        placement=replace(placement, output=there(placement.output), log=there(placement.log)),
    )
