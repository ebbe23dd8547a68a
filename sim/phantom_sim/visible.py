"""What of the accelerator a simulation can look at while it runs: counters, streams, the memory on the chip."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from phantom_hw.memory.ram import RAM_MODULE

__all__ = ["VISIBLE_FLAGS", "make_visible", "waiting_streams"]

VISIBLE_FLAGS = ("--vpi",)
"""Verilator then keeps the names of public signals."""
PUBLIC = "/*verilator public_flat_rd*/"
BANK, UNITS = r"\S+\.control\.bank", r"\S+\.inner"
COUNTER = r"\w+_count"
MEMORY = re.compile(r"^(  reg \[\d+:0\] memory \[\d+:0\]);$", re.MULTILINE)
CONTENTS = "/*verilator public_flat_rw*/"
READERS = ("command fetch", "parameter loader", "program loader", "stationary loader", "moving loader")
"""In the order of the accelerator's ports for reads; from the last one on they are moving loaders."""


@dataclass(frozen=True)
class _Stream:
    """A kind of stream between two units.

    Parameters
    ----------
    pattern : str
        Of its name; a group is the number of the stream.
    giver, taker : str
        ``{}`` stands for the number, ``{reader}`` for the reader of the number.
    """

    pattern: str
    giver: str
    taker: str


STREAMS = (
    _Stream(r"requests__(\d+)", "{reader}", "read port"),
    _Stream(r"data__(\d+)", "read port", "{reader}"),
    _Stream(r"descriptors__(\d+)", "sequencer", "row streamer {}"),
    _Stream(r"tiles__(\d+)", "sequencer", "core {} of the lanes"),
    _Stream(r"streamer_(\d+)__moving", "row streamer {}", "mesh row or vector unit {}"),
    _Stream(r"mesh_{1,2}moving__(\d+)", "row streamer {}", "mesh row {}"),
    _Stream(r"mesh_{1,2}stationary__(\d+)", "stationary buffer {}", "mesh column {}"),
    _Stream(r"mesh_{1,2}sums__(\d+)", "mesh", "lane {}"),
    _Stream(r"sums__(\d+)", "mesh or vector unit", "lane {}"),
    _Stream(r"write_request()", "result writer", "write window"),
    _Stream(r"write_data()", "result writer", "write port"),
    *(_Stream(f"{unit}()", "decoder", unit) for unit in (
        "load_program", "load_moving", "stream_moving", "load_stationary", "stream_stationary", "results")),
)


def make_visible(verilog: str) -> str:
    """Let the accelerator's Verilog say which signals a simulation wants to see.

    Raises
    ------
    ValueError
        If the counters are not where they are expected.
    """
    streams = "|".join(stream.pattern.replace("(", "(?:") for stream in STREAMS)
    text, counters = _publish(verilog, BANK, r"\[63:0\] ", COUNTER)
    if not counters:
        raise ValueError("the accelerator's Verilog has no performance counters where they are expected")
    text = _in_modules(text, RAM_MODULE, lambda body: MEMORY.sub(rf"\1 {CONTENTS};", body))
    return _publish(text, UNITS, "", f"(?:{streams})__(?:valid|ready)")[0]


def _in_modules(verilog: str, name: str, change: Callable[[str], str]) -> str:
    """Change the text of the modules of a name."""
    return re.sub(rf"^module {name} \(.*?^endmodule", lambda found: change(found[0]), verilog,
                  flags=re.MULTILINE | re.DOTALL)


def _publish(verilog: str, module: str, width: str, name: str) -> tuple[str, int]:
    """Make wires of a width and name in the modules of a name public; how many."""
    wire, count = re.compile(rf"^(  wire {width}(?:{name})) ?;$", re.MULTILINE), 0

    def body(before: str) -> str:
        nonlocal count
        text, here = wire.subn(rf"\1 {PUBLIC};", before)
        count += here
        return text

    return _in_modules(verilog, rf"\\{module}", body), count


def waiting_streams(signals: Mapping[str, int]) -> list[str]:
    """Who waits for whom, by the public signals: everything that is offered and not taken."""
    found = []
    for stream in STREAMS:
        for name, valid in sorted(signals.items()):
            match = re.fullmatch(rf".*\.{stream.pattern}__valid", name)
            if match and valid and not signals.get(name.removesuffix("valid") + "ready", 1):
                number = match[1]
                reader = READERS[min(int(number or 0), len(READERS) - 1)]
                found.append(f"{stream.giver.format(number, reader=reader)} waits for "
                             f"{stream.taker.format(number, reader=reader)}")
    return found
