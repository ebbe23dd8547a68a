"""Repairs of the Verilog that Yosys writes, so that every simulator and lint reads it as it is meant."""

from __future__ import annotations

import itertools
import re
from collections import Counter

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


# The last word of the block that computes what a register takes next, and the clock edge where it takes it.
_RESET = re.compile(
    r"^    if \(rst\) begin\n      (?P<next>\S+) +=(?P<value> \S+);\n    end\n(?=  end\n)", re.MULTILINE
)
_EDGE = re.compile(r"^  always @\(posedge clk\)\n    (?P<register>.+?) <= (?P<next>\S+) ?;\n", re.MULTILINE)


def _with_synchronous_resets(module: str) -> str:
    """Let registers take their reset at the clock edge.

    Otherwise everything that a register may take depends on the port ``rst``, and a simulator computes all of it
    again whenever ports change.
    """
    taken = Counter(match["next"] for match in _EDGE.finditer(module))
    resets = {match["next"]: match["value"] for match in _RESET.finditer(module) if taken[match["next"]] == 1}

    def at_edge(match: re.Match[str]) -> str:
        if match["next"] not in resets:
            return match[0]
        register, value = match["register"], resets[match["next"]]
        return (f"  always @(posedge clk)\n    if (rst) {register} <={value};\n"
                f"    else {register} <= {match['next']} ;\n")

    return _EDGE.sub(at_edge, _RESET.sub(lambda match: "" if match["next"] in resets else match[0], module))


# The initial contents of a memory, word by word.
_CONTENTS = re.compile(r"^  initial begin\n(?P<words>(?:    \S+ ?\[\d+\] = \S+;\n)+)  end\n", re.MULTILINE)
_WORD = re.compile(r"    (?P<memory>\S+ ?)\[(?P<index>\d+)\] = (?P<value>\S+);")


def _with_loops(verilog: str) -> str:
    """Fill a memory that has the same in all of its words in a loop, not word by word."""
    count = itertools.count()

    def rewrite(match: re.Match[str]) -> str:
        words = [found.groups() for found in _WORD.finditer(match["words"])]
        memory, _, value = words[0]
        if len(words) < 2 or words != [(memory, str(i), value) for i in range(len(words))]:
            return match[0]
        return (f"  initial begin : initial_contents_{next(count)}\n    integer i;\n"
                f"    for (i = 0; i < {len(words)}; i = i + 1)\n      {memory}[i] = {value};\n  end\n")

    return _CONTENTS.sub(rewrite, verilog)


def tidy(verilog: str) -> str:
    """The same design in a form that is good to simulate and to lint.

    Without wires of no bits and without blocks that never run, with a default in every case, with synchronous resets at
    the clock edge, with loops instead of equal initial values of a memory's words.
    """
    modules = re.split(r"(?<=^endmodule\n)", verilog, flags=re.MULTILINE)
    verilog = "".join(map(_with_synchronous_resets, modules))
    return _with_loops(_with_defaults(_with_events(_NO_BITS.sub("", verilog))))
