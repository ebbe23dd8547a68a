"""Repairs of the Verilog that Yosys writes, so that every simulator and lint reads it as it is meant."""

from __future__ import annotations

import itertools
import re

__all__ = ["tidy"]

_CASE = re.compile(
    r"(?P<full>^ *\(\* full_case = 32'd1 \*\)\n)?(?P<indent>^ *)casez \(.*\)\n(?P<body>(?:(?P=indent) .*\n)*)"
    r"(?P=indent)endcase\n",
    re.MULTILINE,
)


def _with_defaults(verilog: str) -> str:
    """Give every ``casez`` a default, so that lint tells a real latch from a case that cannot occur.

    Yosys marks a case whose labels cover all possible values as full: its last label becomes the default. In any
    other case the value was assigned before, and the default is empty.
    """
    def rewrite(match: re.Match[str]) -> str:
        indent, body = match["indent"], match["body"]
        label = re.compile(rf"^{indent}  (?! )(?P<label>.+):$", re.MULTILINE)
        labels = list(label.finditer(body))
        if not any(found["label"] == "default" for found in labels):
            if match["full"] and labels:
                last = labels[-1]
                body = f"{body[:last.start()]}{indent}  default:{body[last.end():]}"
            else:
                body += f"{indent}  default:\n{indent}      /* empty */;\n"
        head = match[0][:match.start("body") - match.start()]
        return f"{head}{_with_defaults(body)}{indent}endcase\n"

    return _CASE.sub(rewrite, verilog)


# Yosys declares signals without bits, which nothing uses, as wires of the range [-1:0]: two bits in Verilog.
_NO_BITS = re.compile(r"(?:^ *\(\*.*\*\)\n)*^ *(?:wire|reg) \[-1:0\] .*;\n", re.MULTILINE)

# An `always @*` that assigns a constant reads nothing, so that no event ever runs it.
_CONSTANT = re.compile(r"^  always @\*\n    (?P<target>.+) = (?P<width>\d+)'(?P<value>[bdh]\w+);\n", re.MULTILINE)


def _with_events(verilog: str) -> str:
    """Give every block that assigns a constant a net to wait for, which changes once, at time 0."""
    count = itertools.count()

    def rewrite(match: re.Match[str]) -> str:
        net, width = f"constant_net_{next(count)}", int(match["width"])
        return (f"  wire [{width - 1}:0] {net} = {width}'{match['value']};\n"
                f"  always @*\n    {match['target']} = {net};\n")

    return _CONSTANT.sub(rewrite, verilog)


def tidy(verilog: str) -> str:
    """The same design without wires of no bits, without blocks that never run, and with a default in every case."""
    return _with_defaults(_with_events(_NO_BITS.sub("", verilog)))
